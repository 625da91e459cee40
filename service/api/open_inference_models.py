"""What clients of the Open Inference Protocol ask beside predictions: the server, its models, whether they are ready."""

import json
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request

from model_store.errors import NotFound, StoreError
from model_store.store import ModelStore
from service import metrics
from service.api.answers import Answer, json_answer
from service.api.bodies import whole_body
from service.api.flask_answers import to_response
from service.api.infer_request import OUTPUTS
from service.api.open_inference import OpenInferenceDoor
from service.config import RELEASE
from service.documents import json_object
from service.errors import NotReady
from service.regression.schema import Schema
from service.serving.registry import Loaded, Registry

EXTENSIONS = ["binary_tensor_data", "model_configuration", "statistics"]
PLATFORM = "pytorch_state_dict"
MODEL = "/v2/models/<model>"
VERSION = f"{MODEL}/versions/<version>"


def open_inference_doors(
    store: ModelStore, registry: Registry, infer: OpenInferenceDoor, readiness: Callable[[], Answer], *, max_body_bytes: int
) -> Blueprint:
    """Doors of the protocol; `readiness` tells whether this worker can do its work."""
    doors = Blueprint("open_inference", __name__)

    _server_doors(doors, readiness)

    @doors.get(f"{VERSION}/ready")
    @doors.get(f"{MODEL}/ready")
    def model_ready(model: str, version: str | None = None) -> Response:
        return _json({"name": infer.served(model, version).model, "ready": True})

    @doors.get(VERSION)
    @doors.get(MODEL)
    def metadata(model: str, version: str | None = None) -> Response:
        loaded = infer.served(model, version)
        inputs, outputs = _inputs(loaded.schema), _outputs(loaded)
        versions = [str(number) for number in store.versions(model)]
        return _json({"name": model, "versions": versions, "platform": PLATFORM, "inputs": inputs, "outputs": outputs})

    @doors.get(f"{VERSION}/config")
    @doors.get(f"{MODEL}/config")
    def config(model: str, version: str | None = None) -> Response:
        loaded = infer.served(model, version)
        tensors = {"input": _inputs(loaded.schema), "output": _outputs(loaded)}
        described = {role: [_configured(tensor) for tensor in listed] for role, listed in tensors.items()}
        return _json({"name": model, "platform": PLATFORM, "backend": "plumbline", "max_batch_size": 0} | described)

    @doors.get("/v2/models/stats")
    def all_statistics() -> Response:
        rows = metrics.rows_predicted()
        return _json({"model_stats": [_statistics(model, str(version), rows) for model, version in sorted(registry.live_versions())]})

    @doors.get(f"{VERSION}/stats")
    @doors.get(f"{MODEL}/stats")
    def statistics(model: str, version: str | None = None) -> Response:
        loaded = infer.served(model, version)
        return _json({"model_stats": [_statistics(model, loaded.version, metrics.rows_predicted())]})

    @doors.post("/v2/repository/index")
    def index() -> Response:
        body = whole_body(request.environ, max_body_bytes)
        only_ready = bool(body) and json_object(body).get("ready") is True
        states = [_state(registry, model) for model in store.models()]
        return _json([state for state in states if state["state"] == "READY" or not only_ready])

    @doors.post(f"{VERSION}/infer")
    @doors.post(f"{MODEL}/infer")
    def infer_view(model: str, version: str | None = None) -> Response:
        return to_response(infer(model, version, whole_body(request.environ, max_body_bytes), request.environ))

    return doors


def _server_doors(doors: Blueprint, readiness: Callable[[], Answer]) -> None:
    """What is asked of the server as a whole."""

    @doors.get("/v2/")
    @doors.get("/v2")
    def server() -> Response:
        return _json({"name": "plumbline", "version": RELEASE, "extensions": EXTENSIONS})

    @doors.get("/v2/health/live")
    def live() -> Response:
        return _json({"live": True})

    @doors.get("/v2/health/ready")
    def ready() -> Response:
        answer = readiness()
        if answer.status == 200:
            return _json({"ready": True, "live": True})
        return to_response(json_answer({"ready": False, "live": True, "error": _reasons(answer)}, answer.status, answer.headers))


def _json(document: Any) -> Response:
    return to_response(json_answer(document))


def _inputs(schema: Schema) -> list[dict[str, Any]]:
    """One tensor per feature. All features as one tensor [n, p] are accepted too, under any name."""
    return [
        {"name": feature.name, "datatype": "FP64" if feature.type == "numeric" else "BYTES", "shape": [-1, 1]}
        for feature in schema.features
    ]


def _outputs(loaded: Loaded) -> list[dict[str, Any]]:
    """Every output that may be asked for: a version without inference has no intervals, errors and leverages."""
    schema = loaded.schema
    names = OUTPUTS if loaded.learned.has_errors else ("predict", "baseline", "contributions")
    targets = len(schema.targets)
    per_row = [-1] if targets == 1 else [-1, targets]
    shapes = {"leverage": [-1], "extrapolating": [-1], "baseline": [targets]}
    shapes["contributions"] = [-1, len(schema.columns), *per_row[1:]]
    datatypes = {"extrapolating": "BOOL"}
    return [{"name": name, "datatype": datatypes.get(name, "FP64"), "shape": shapes.get(name, per_row)} for name in names]


def _configured(tensor: dict[str, Any]) -> dict[str, Any]:
    """A tensor as the model configuration extension writes it."""
    kind = "STRING" if tensor["datatype"] == "BYTES" else tensor["datatype"]
    return {"name": tensor["name"], "data_type": f"TYPE_{kind}", "dims": tensor["shape"]}


def _statistics(model: str, version: str, rows: dict[str, int]) -> dict[str, Any]:
    """Rows predicted by all workers; they are counted by model, over all its versions."""
    return {"name": model, "version": version, "inference_count": rows.get(model, 0)}


def _state(registry: Registry, model: str) -> dict[str, str]:
    """One model of the repository index, as its live version is served."""
    try:
        return {"name": model, "version": registry.get(model).version, "state": "READY", "reason": ""}
    except (NotFound, NotReady, StoreError) as error:
        return {"name": model, "version": "", "state": "UNAVAILABLE", "reason": str(error)}


def _reasons(answer: Answer) -> str:
    """Why this worker is not ready, in one line."""
    reasons: dict[str, str] = json.loads(answer.body)["reasons"]
    return "; ".join(f"{part}: {reason}" for part, reason in reasons.items())
