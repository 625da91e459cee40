"""`POST /train`."""

from flask import Blueprint, Response, request

from service.api.submitting import Submitter
from service.training.options import options_from_query


def train_doors(submitter: Submitter) -> Blueprint:
    """The door for training."""
    doors = Blueprint("train", __name__)

    @doors.post("/train")
    def train() -> Response:
        return submitter.submit("train", options_from_query(request.args.to_dict(flat=False)))

    return doors
