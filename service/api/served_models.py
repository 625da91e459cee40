"""What TensorFlow Serving and KServe v1 tell of models: their state, and the shape of what goes in and comes out.

Both ask at the same addresses and look for different members, so one object has the members of both.
"""

from typing import Any

from flask import Blueprint, Response

from model_store.store import ModelStore
from service.api.answers import json_answer
from service.api.flask_answers import to_response
from service.api.instances import PLACES, SIGNATURE, base
from service.api.row_forms import PREDICT
from service.serving.registry import LIVE, Loaded, Registry

TYPES = {"numeric": "DT_DOUBLE", "categorical": "DT_STRING"}


def served_model_doors(store: ModelStore, registry: Registry) -> Blueprint:
    """Doors to the models of the store, for clients of TensorFlow Serving and KServe v1."""
    doors = Blueprint("served_models", __name__)

    @doors.get("/v1/models")
    def models() -> Response:
        return to_response(json_answer({"models": store.models()}))

    def status(model: str, version: str | None = None, label: str = LIVE) -> Response:
        return to_response(json_answer(_status(registry.get(model, version=version, alias=label))))

    def metadata(model: str, version: str | None = None, label: str = LIVE) -> Response:
        return to_response(json_answer(_metadata(registry.get(model, version=version, alias=label))))

    for place in PLACES:
        doors.add_url_rule(base(place), f"status_{place}", status)
        doors.add_url_rule(f"{base(place)}/metadata", f"metadata_{place}", metadata)
    return doors


def _status(loaded: Loaded) -> dict[str, Any]:
    """A version that is served; one that is not has been told as an error."""
    state = {"version": loaded.version, "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    return {"name": loaded.model, "ready": True, "model_version_status": [state]}


def _metadata(loaded: Loaded) -> dict[str, Any]:
    """The one signature of a version, as TensorFlow describes it."""
    targets = len(loaded.schema.targets)
    signature = {
        "inputs": {feature.name: _tensor(feature.name, TYPES[feature.type]) for feature in loaded.schema.features},
        "outputs": {PREDICT: _tensor(PREDICT, TYPES["numeric"], *([targets] if targets > 1 else []))},
        "method_name": "tensorflow/serving/predict",
    }
    return {
        "model_spec": {"name": loaded.model, "signature_name": "", "version": loaded.version},
        "metadata": {"signature_def": {"signature_def": {SIGNATURE: signature}}},
    }


def _tensor(name: str, kind: str, *width: int) -> dict[str, Any]:
    """A tensor of any number of rows."""
    sizes = [{"size": str(size), "name": ""} for size in (-1, *width)]
    return {"dtype": kind, "tensor_shape": {"dim": sizes, "unknown_rank": False}, "name": name}
