"""Models and versions as resources, to look at."""

from typing import Any

from flask import Blueprint, Response

from model_store.store import ModelStore
from service.api.answers import json_answer
from service.api.flask_answers import query, to_response
from service.api.schemas import PageSchema
from service.errors import Invalid, NotReady
from service.serving.registry import LIVE, Loaded, Registry
from service.training.document import version_document


def model_doors(store: ModelStore, registry: Registry) -> Blueprint:
    """Doors for reading what the store holds."""
    doors = Blueprint("models", __name__)

    @doors.get("/models")
    def models() -> Response:
        page = query(PageSchema())
        names, after = page_of(store.models(), page)
        return to_response(json_answer({"models": [summary_of(store, name) for name in names], "after": after}))

    @doors.get("/models/<model>")
    def model(model: str) -> Response:
        serving = None
        summary = summary_of(store, model)
        if LIVE in summary["aliases"]:
            serving = _served(registry, model)
        document = summary | {
            "serving": serving.version if serving else None,
            "device": str(registry.device),
            "schema": serving.schema.to_dict() if serving else None,
        }
        return to_response(json_answer(document))

    @doors.get("/models/<model>/versions")
    def versions(model: str) -> Response:
        page = query(PageSchema())
        numbers, after = page_of([str(number) for number in store.versions(model)], page)
        return to_response(json_answer({"model": model, "versions": numbers, "after": after}))

    @doors.get("/models/<model>/versions/<version>")
    def version(model: str, version: str) -> Response:
        number = store.resolve(model, version)
        return to_response(json_answer(version_document(store, store.manifest(model, number))))

    return doors


def _served(registry: Registry, model: str) -> Loaded | None:
    """What this worker serves as live, if anything."""
    try:
        return registry.get(model)
    except NotReady:
        return None


def summary_of(store: ModelStore, model: str) -> dict[str, Any]:
    """A model's aliases and latest version."""
    numbers = store.versions(model)
    return {
        "model": model,
        "aliases": {alias: str(number) for alias, number in store.aliases(model).items()},
        "latest": str(numbers[-1]) if numbers else None,
    }


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
