"""One operation of the HTTP API as `/openapi.json` describes it."""

from dataclasses import dataclass, field
from typing import Any

import marshmallow as ma

from service.api.answers import JSON, PROBLEM
from service.api.schemas import ErrorSchema, ProblemSchema

READ = (401, 403)
BODY = (400, 413, 415, 422)
PROBLEMS: dict[str, Any] = {PROBLEM: {"schema": ProblemSchema}}
PLAIN_ERRORS: dict[str, Any] = {JSON: {"schema": ErrorSchema}}


@dataclass(frozen=True)
class Operation:
    """One method of one path: its answer's schema (or content by media type), the statuses it may answer, its body and its parameters.

    `failure` is the content of its errors.
    """

    method: str
    path: str
    summary: str
    success: type[ma.Schema] | dict[str, Any] | None
    statuses: tuple[int, ...]
    body: dict[str, Any] | None = None
    parameters: tuple[dict[str, Any], ...] = field(default=())
    public: bool = False
    failure: dict[str, Any] = field(default_factory=lambda: PROBLEMS)


def path_parameter(name: str, text: str) -> dict[str, Any]:
    """A parameter in the path."""
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, "description": text}


MODEL = path_parameter("model", "model name")
VERSION = path_parameter("version", "number or alias")
IF_NONE_MATCH = {"name": "If-None-Match", "in": "header", "schema": {"type": "string"}, "description": "the ETag of an earlier answer"}
