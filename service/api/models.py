"""Models as resources: listed, looked at as they are served, deleted."""

from typing import Any

from flask import Blueprint, Response, request

from model_store.errors import NotFound, StoreError
from model_store.store import ModelStore
from service.api.answers import Answer, json_answer
from service.api.flask_answers import query, to_response
from service.api.gate import WHO
from service.api.schemas import PageSchema
from service.errors import Invalid, NotReady
from service.serving.registry import Loaded, Registry
from service.training.document import model_document


def model_doors(store: ModelStore, registry: Registry) -> Blueprint:
    """Doors to the models of the store, as this worker's registry serves them."""
    doors = Blueprint("models", __name__)

    @doors.get("/models")
    def models() -> Response:
        page = query(PageSchema())
        names, after = page_of(store.models(), page)
        return to_response(json_answer({"models": [model_document(store, name) for name in names], "after": after}))

    @doors.get("/models/<model>")
    def model(model: str) -> Response:
        document = model_document(store, model)
        serving = _served(registry, model)
        document |= {
            "serving": serving.version if serving else None,
            "device": str(registry.device),
            "schema": _schema(store, serving) if serving else None,
        }
        return to_response(json_answer(document))

    @doors.delete("/models/<model>")
    def delete(model: str) -> Response:
        store.delete_model(model, who=request.environ[WHO], reason="the model was deleted")
        return to_response(Answer(204, b""))

    return doors


def _served(registry: Registry, model: str) -> Loaded | None:
    """What this worker serves as live, if anything; it serves on where the alias cannot be read any more."""
    try:
        return registry.get(model)
    except (NotFound, NotReady):
        return None


def _schema(store: ModelStore, serving: Loaded) -> dict[str, Any]:
    """The schema of a version that serves as its document shows it; what serves may be gone from the store, and serves on."""
    try:
        described: dict[str, Any] = store.manifest(serving.model, int(serving.version)).document["schema"]
    except StoreError:
        return serving.schema.to_dict()
    return described


def page_of(names: list[str], page: dict[str, Any]) -> tuple[list[str], str | None]:
    """The names of one page, which starts behind `after`, and the `after` of the next page.

    Raises:
        Invalid: `after` is no name of the list.
    """
    if page["after"] is not None and page["after"] not in names:
        raise Invalid({"after": ["is not in this list, or no more: begin again without it"]})
    start = names.index(page["after"]) + 1 if page["after"] is not None else 0
    chosen = names[start : start + page["limit"]]
    return chosen, chosen[-1] if start + page["limit"] < len(names) else None
