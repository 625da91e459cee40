"""Versions as resources: listed, shown, compared, taken away as weights, deleted."""

import base64
import hashlib

from flask import Blueprint, Response

from model_store.store import ModelStore
from service.api.answers import Answer, json_answer
from service.api.flask_answers import conditional, query, to_response
from service.api.version_schemas import ComparisonQuerySchema, NumberedPageSchema, StateDictQuerySchema
from service.serving.weights import FORMS
from service.training.comparison import comparison
from service.training.document import version_document


def version_doors(store: ModelStore) -> Blueprint:
    """Doors to the versions of models."""
    doors = Blueprint("versions", __name__)

    @doors.get("/models/<model>/versions")
    def versions(model: str) -> Response:
        page = query(NumberedPageSchema())
        numbers = store.newest_versions(model, limit=page["limit"] + 1, before=page["after"])
        after = str(numbers[-2]) if len(numbers) > page["limit"] else None
        shown = [str(number) for number in numbers[: page["limit"]]]
        return to_response(json_answer({"model": model, "versions": shown, "after": after}))

    @doors.get("/models/<model>/versions/<version>")
    def version(model: str, version: str) -> Response:
        number = store.resolve(model, version)
        return conditional(json_answer(version_document(store, store.manifest(model, number))))

    @doors.delete("/models/<model>/versions/<version>")
    def delete(model: str, version: str) -> Response:
        store.delete_version(model, store.resolve(model, version))
        return to_response(Answer(204, b""))

    @doors.get("/models/<model>/versions/<version>/state_dict")
    def state_dict(model: str, version: str) -> Response:
        form = query(StateDictQuerySchema())["format"]
        manifest = store.manifest(model, store.resolve(model, version))
        media_type, write = FORMS[form]
        body = write(store.blob(manifest.blobs["state_dict"]), manifest.document["schema"])
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        name = f"{manifest.model}-{manifest.version}.{form}"
        headers = (("Content-Disposition", f'attachment; filename="{name}"'), ("Content-Digest", f"sha-256=:{digest}:"))
        return conditional(Answer(200, body, media_type, headers))

    @doors.get("/models/<model>/diff")
    def diff(model: str) -> Response:
        asked = query(ComparisonQuerySchema())
        before, after = (store.manifest(model, store.resolve(model, asked[end])) for end in ("from_", "to"))
        return to_response(json_answer(comparison(before, after)))

    return doors
