"""Aliases as resources: where each points and pointed, and moving them by compare-and-set.

The ETag of an alias is the version it names, so `If-Match` with what was read is the same compare-and-set as `expect`.
"""

import re

from flask import Blueprint, Response, request

from model_store.errors import Conflict
from model_store.store import ModelStore
from service.api.answers import Answer, json_answer
from service.api.flask_answers import document, query, to_response
from service.api.gate import WHO, WRITTEN
from service.api.models import page_of
from service.api.schemas import PageSchema
from service.api.version_schemas import AliasMoveSchema, NumberedPageSchema, ReasonSchema
from service.errors import Invalid, PreconditionFailed
from service.training.document import alias_document, move_document

_VERSION_TAG = re.compile(r'"([1-9][0-9]{0,15})"')


def alias_doors(store: ModelStore, *, max_body_bytes: int) -> Blueprint:
    """Doors to the aliases of models."""
    doors = Blueprint("aliases", __name__)

    @doors.get("/models/<model>/aliases")
    def aliases(model: str) -> Response:
        names, after = page_of(sorted(store.aliases(model)), query(PageSchema()))
        shown = [move_document(model, store.alias(model, name)) for name in names]
        return to_response(json_answer({"model": model, "aliases": shown, "after": after}))

    @doors.get("/models/<model>/aliases/<alias>")
    def alias(model: str, alias: str) -> Response:
        page = query(NumberedPageSchema())
        return _tagged(alias_document(store, model, alias, limit=page["limit"], before=page["after"]))

    @doors.put("/models/<model>/aliases/<alias>")
    def move(model: str, alias: str) -> Response:
        asked = document(AliasMoveSchema(), max_body_bytes=max_body_bytes)
        version, expect = int(asked["version"]), expected_version(request.headers.get("If-Match"), asked["expect"])
        request.environ[WRITTEN]["version"] = asked["version"]
        try:
            record = store.move_alias(model, alias, version, expect=expect, who=request.environ[WHO], reason=asked["reason"])
        except Conflict as error:
            raise PreconditionFailed(str(error)) from error
        return _tagged(move_document(model, record))

    @doors.delete("/models/<model>/aliases/<alias>")
    def delete(model: str, alias: str) -> Response:
        store.delete_alias(model, alias, who=request.environ[WHO], reason="the alias was deleted")
        return to_response(Answer(204, b""))

    @doors.post("/models/<model>/rollback")
    def rollback(model: str) -> Response:
        asked = document(ReasonSchema(), max_body_bytes=max_body_bytes, optional=True)
        record = store.rollback(model, who=request.environ[WHO], reason=asked["reason"] or "rollback")
        request.environ[WRITTEN]["version"] = str(record.version)
        return _tagged(move_document(model, record))

    return doors


def _tagged(shown: dict[str, object]) -> Response:
    return to_response(json_answer(shown, headers=(("ETag", f'"{shown["version"]}"'),)))


def expected_version(if_match: str | None, expect: str | None) -> int | None:
    """The version that a request wants an alias to name until now, from its header `If-Match` or the body's `expect`.

    Raises:
        Invalid: the header is not one version in quotes, or the two disagree.
    """
    if if_match is None:
        return int(expect) if expect is not None else None
    tag = _VERSION_TAG.fullmatch(if_match.strip())
    if tag is None:
        raise Invalid({"If-Match": ['must be one version in quotes, such as "3"']})
    if expect is not None and expect != tag[1]:
        raise Invalid({"expect": ["is another version than If-Match names: send one of them"]})
    return int(tag[1])
