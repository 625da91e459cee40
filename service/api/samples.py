"""What pictures of a version are made of: its sampled rows with their diagnostics, and its cost."""

from flask import Blueprint, Response

from model_store.store import ModelStore
from service.api.answers import json_answer
from service.api.flask_answers import conditional, query
from service.api.sample_schemas import CostQuerySchema
from service.serving.cost import cost_of
from service.serving.diagnostics import diagnose


def sample_doors(store: ModelStore) -> Blueprint:
    """Doors to the sample and the cost of versions."""
    doors = Blueprint("samples", __name__)

    @doors.get("/models/<model>/versions/<version>/sample")
    def sample(model: str, version: str) -> Response:
        return conditional(json_answer(diagnose(store, store.manifest(model, store.resolve(model, version))).document()))

    @doors.get("/models/<model>/versions/<version>/cost")
    def cost(model: str, version: str) -> Response:
        target = query(CostQuerySchema())["target"]
        return conditional(json_answer(cost_of(store, store.manifest(model, store.resolve(model, version)), target).document()))

    return doors
