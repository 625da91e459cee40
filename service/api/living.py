"""The doors of living models: operations that make a version from another one, each handed to the trainer like a training."""

from typing import Any

from flask import Blueprint, Response, request

from service.api.aliases import expected_version
from service.api.submitting import Submitter
from service.training.living_options import IF_MATCH
from service.training.options import options_from_query


def living_doors(submitter: Submitter) -> Blueprint:
    """The doors of each operation."""
    doors = Blueprint("living", __name__)

    @doors.post("/models/<model>/learn")
    def learn(model: str) -> Response:
        return submitter.submit("learn", _asked(), model=model)

    @doors.post("/models/<model>/forget")
    def forget(model: str) -> Response:
        return submitter.submit("forget", _asked(), model=model)

    @doors.post("/models/<model>/merge")
    def merge(model: str) -> Response:
        return submitter.submit("merge", _asked(), model=model)

    @doors.post("/models/<model>/refit")
    def refit(model: str) -> Response:
        return submitter.submit("refit", _asked(), model=model)

    @doors.post("/models/<model>/select")
    def select(model: str) -> Response:
        return submitter.submit("select", _asked(), model=model)

    return doors


def _asked() -> dict[str, Any]:
    """The options that are not in the body: those of the query, and the version that `If-Match` names."""
    expected = expected_version(request.headers.get(IF_MATCH), None)
    header = {IF_MATCH: str(expected)} if expected is not None else {}
    return options_from_query(request.args.to_dict(flat=False)) | header
