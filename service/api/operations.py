"""What operators ask: is it alive, is it ready, how is it doing, and what can it do."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from flask import Blueprint, Response, send_from_directory
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from swagger_ui_bundle import swagger_ui_path
from werkzeug.wrappers import Response as BaseResponse

from model_store.errors import NotFound, StoreError
from model_store.opening import Opened
from model_store.store import ModelStore
from service import metrics
from service.api.answers import HEADERS, Answer, json_answer
from service.api.flask_answers import to_response
from service.api.web import ALIVE, WEB
from service.serving.registry import LIVE, Registry


def operations_doors(store: ModelStore, registry: Registry, openapi: Mapping[str, object], ready: Callable[[], Answer]) -> Blueprint:
    """Doors for operators; `ready` answers whether this worker can do its work."""
    doors = Blueprint("operations", __name__)
    live = LiveModels(store, registry)

    @doors.get("/livez")
    def livez() -> Response:
        return to_response(json_answer(ALIVE))

    @doors.get("/readyz")
    def readyz() -> Response:
        return to_response(ready())

    @doors.get("/metrics")
    def scrape() -> Response:
        return to_response(Answer(200, metrics.render([live]), metrics.CONTENT_TYPE))

    @doors.get("/openapi.json")
    def describe() -> Response:
        return to_response(json_answer(openapi))

    @doors.get("/docs")
    def docs() -> BaseResponse:
        return send_from_directory(WEB, "docs.html")

    @doors.get("/docs/<path:asset>")
    def docs_asset(asset: str) -> BaseResponse:
        return send_from_directory(WEB if asset == "docs.js" else swagger_ui_path, asset, max_age=3600)

    return doors


def readiness(opened: Opened, registry: Registry, *, draining: bool, writable: bool) -> Answer:
    """200 when this worker can do its work; an older version that serves because a newer one failed is told in both cases.

    So is a bucket that cannot be reached while its mirror serves; without a mirror there is nothing to serve.
    """
    store, reach = opened.watching, opened.reach
    unreachable = reach.reason() if reach else None
    if draining:
        return not_ready({"worker": "is stopping"})
    if not writable:
        return not_ready({"store": "cannot be written; check its directory's owner, mode and free space"})
    if reach and not reach.seen():
        return not_ready({"store": unreachable or "the first look at the bucket has not ended: ask again in a moment"})
    try:
        if not any(registry.live_versions()):
            registry.warm()
        if not any(registry.live_versions()) and any(_has_live(store, model) for model in store.models()):
            return not_ready(registry.failures() or {"models": "none has a live version that can be loaded"})
    except StoreError as error:
        return not_ready({"store": str(error)})
    reasons = registry.failures() | ({"store": unreachable} if unreachable else {})
    return json_answer({"status": "ready"} | ({"reasons": reasons} if reasons else {}))


def _has_live(store: ModelStore, model: str) -> bool:
    """Whether a model has a live version to serve; one whose record is damaged has."""
    try:
        return store.alias(model, LIVE).version is not None
    except NotFound:
        return False
    except StoreError:
        return True


def not_ready(reasons: Mapping[str, str]) -> Answer:
    """503 and why."""
    return json_answer({"status": "not ready", "reasons": reasons}, 503, HEADERS[503])


class LiveModels(Collector):
    """At each scrape, the live version of every model and the device it is served on."""

    def __init__(self, store: ModelStore, registry: Registry) -> None:
        self._store, self._registry = store, registry

    def collect(self) -> Iterator[Metric]:
        """One sample per model."""
        info = GaugeMetricFamily("plumbline_model_info", "The live version of each model; always 1.", labels=["model", "version", "device"])
        with suppress(StoreError):  # a damaged model or a failing store must not hide the other metrics
            for model in self._store.models():
                with suppress(StoreError):
                    info.add_metric([model, str(self._store.alias(model, LIVE).version), str(self._registry.device)], 1)
        yield info
