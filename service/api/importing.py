"""`POST /models/{model}/import`: a version that `export` wrote, published by the trainer like any other."""

import marshmallow as ma
from flask import Blueprint, Response, request
from marshmallow import fields

from model_store.names import check_name
from service.api.flask_answers import query
from service.api.submitting import Submitter
from service.errors import UnsupportedMedia

ARCHIVES = ("application/zip", "application/octet-stream")


class ImportQuerySchema(ma.Schema):
    """Options of an import."""

    promote = fields.Boolean(load_default=False)
    new_schema = fields.Boolean(load_default=False)


def import_doors(submitter: Submitter) -> Blueprint:
    """The door for importing."""
    doors = Blueprint("import", __name__)

    @doors.post("/models/<model>/import")
    def import_archive(model: str) -> Response:
        if request.mimetype not in ARCHIVES:
            raise UnsupportedMedia(f"an exported version comes as {ARCHIVES[0]}; say so in Content-Type")
        return submitter.submit("import", query(ImportQuerySchema()), model=check_name(model))

    return doors
