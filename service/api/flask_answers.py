"""Between our answers and Flask's: responses, errors, the route's name for the gate, and validated query parameters."""

from typing import Any

import marshmallow as ma
from flask import Flask, Response, request

from service.api.answers import Answer, problem_of
from service.api.gate import ROUTE
from service.validation import validated


def to_response(answer: Answer) -> Response:
    """An answer as Flask sends it."""
    return Response(answer.body, answer.status, list(answer.headers), content_type=answer.media_type)


def install(app: Flask) -> None:
    """Make every error a problem document, and tell the gate which route answers."""

    @app.before_request
    def _name_route() -> None:
        if request.url_rule is not None:
            request.environ[ROUTE] = request.url_rule.rule

    @app.errorhandler(Exception)
    def _problem(error: Exception) -> Response:
        return to_response(problem_of(error))


def query(schema: ma.Schema) -> dict[str, Any]:
    """The query parameters of this request, validated.

    Raises:
        Invalid: names each offending parameter.
    """
    values: dict[str, Any] = validated(schema, request.args.to_dict())
    return values
