"""Between our answers and Flask's: responses, errors, the route's name for the gate, and validated bodies and query parameters."""

import hashlib
from typing import Any

import marshmallow as ma
from flask import Flask, Response, request
from werkzeug.routing import BaseConverter

from service.api.answers import JSON, Answer
from service.api.bodies import body_parts
from service.api.forms import refusal
from service.api.gate import ROUTE, WRITTEN
from service.documents import Document
from service.errors import UnsupportedMedia
from service.validation import NAME, validated

BARE = "bare"  # in rules, a part without a colon, which a verb may follow


class BareConverter(BaseConverter):
    """What `BARE` means."""

    regex = "[^/:]+"


def to_response(answer: Answer) -> Response:
    """An answer as Flask sends it."""
    return Response(answer.body, answer.status, list(answer.headers), content_type=answer.media_type)


def conditional(answer: Answer) -> Response:
    """An answer with a strong ETag over its bytes; 304 to a client that has them already."""
    response = to_response(answer)
    response.set_etag(hashlib.sha256(answer.body).hexdigest())
    response.make_conditional(request)
    return response


def install(app: Flask) -> None:
    """Make every error an answer in the form of its protocol, and tell the gate which route answers."""
    app.url_map.converters[BARE] = BareConverter

    @app.before_request
    def _name_route() -> None:
        if request.url_rule is not None:
            request.environ[ROUTE] = request.url_rule.rule
            named = request.view_args or {}
            request.environ[WRITTEN] |= {name: value for name, value in named.items() if NAME.fullmatch(str(value))}

    @app.errorhandler(Exception)
    def _problem(error: Exception) -> Response:
        return to_response(refusal(request.path, error))


def query(schema: ma.Schema) -> dict[str, Any]:
    """The query parameters of this request, validated.

    Raises:
        Invalid: names each offending parameter.
    """
    values: dict[str, Any] = validated(schema, request.args.to_dict())
    return values


def document(schema: ma.Schema, *, max_body_bytes: int, optional: bool = False) -> dict[str, Any]:
    """The JSON body of this request, validated; with `optional`, an absent one is an empty object.

    Raises:
        Unreadable, TooLarge, UnsupportedMedia: it cannot be read.
        Invalid: names each offending field.
    """
    body = b"".join(body_parts(request.environ, max_body_bytes))
    if request.mimetype not in (JSON, ""):
        raise UnsupportedMedia("this request must be application/json; say so in Content-Type")
    given = Document(body).options() if body or not optional else {}
    values: dict[str, Any] = validated(schema, given)
    return values
