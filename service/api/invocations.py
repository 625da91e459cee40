"""`POST /invocations` and `GET /ping`, as clients of MLflow and SageMaker ask: of one model, which they do not name."""

import csv
import io
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import marshmallow as ma
from flask import Blueprint, Response, request
from marshmallow import fields
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header, parse_options_header

from model_store.errors import StoreError
from service.api.answers import CSV, JSON, Answer, json_answer
from service.api.bodies import whole_body
from service.api.csv_header import with_header
from service.api.flask_answers import to_response
from service.api.operations import not_ready
from service.api.predict_schemas import AskedSchema
from service.api.row_forms import by_row, row_form, tensor_form, values
from service.config import RELEASE
from service.documents import Body, Document
from service.errors import Invalid, NotAcceptable, NotReady, UnsupportedMedia
from service.rows import Rows
from service.serving.predictor import NOTHING_MORE, Asked, Prediction, Predictor
from service.serving.registry import Loaded, Registry
from service.validation import validated

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")


class ParamsSchema(ma.Schema):
    """What may stand beside the rows: MLflow's params, the options of `/predict`."""

    params = fields.Nested(AskedSchema, load_default=dict)


class SplitSchema(ma.Schema):
    """A data frame as pandas splits it, its data aside."""

    columns = fields.List(fields.String())
    index = fields.Raw()


PARAMS, SPLIT = ParamsSchema(), SplitSchema()


class InvocationsDoor:
    """Predictions by one model of a registry."""

    def __init__(self, registry: Registry, predictor: Predictor, model: str) -> None:
        self._registry, self._predictor, self._model = registry, predictor, model

    def __call__(self, body: Body, environ: "WSGIEnvironment") -> Answer:
        """Answer one request: its body, and the headers of its WSGI environment.

        Raises:
            PlumblineError, StoreError: the request cannot be answered.
        """
        wanted = _wanted(environ.get("HTTP_ACCEPT", ""))
        media_type, parameters = _sent(environ.get("CONTENT_TYPE", ""))
        if media_type == CSV:
            return _written(self._of_csv(body, parameters), wanted)
        if media_type not in (JSON, ""):
            raise UnsupportedMedia("invocations must be application/json or text/csv; say which in Content-Type")
        # A bare list, as users of SageMaker send it, is a list of instances.
        document = Document(b'{"instances":' + body + b"}" if body.lstrip()[:1] == b"[" else body)
        given = [name for name in FORMS if name in document.members]
        if len(given) != 1:
            raise Invalid({"instances": [f"give the rows in exactly one of {', '.join(FORMS)}"]})
        around = document.options(*given)
        asked = Asked(**validated(PARAMS, around)["params"]) if around else NOTHING_MORE
        if wanted == CSV and asked != NOTHING_MORE:
            raise NotAcceptable("text/csv carries predictions alone: accept application/json for what else params ask")
        loaded = self._registry.get(self._model)
        return _written(self._predictor.predict(loaded, _rows(document, given[0], loaded), asked), wanted)

    def _of_csv(self, body: Body, parameters: Mapping[str, str]) -> Prediction:
        from service.api.predict_tables import batches_of  # noqa: PLC0415 - most workers never need polars

        loaded = self._registry.get(self._model)
        body = with_header(body, parameters, loaded.schema.feature_names)
        with batches_of(body, "csv", loaded.schema, self._predictor.check) as batches:
            return self._predictor.predict_batches(loaded, batches)


def invocations_doors(
    door: InvocationsDoor, registry: Registry, model: str, *, ready: Callable[[], Answer], max_body_bytes: int, health: tuple[str, ...]
) -> Blueprint:
    """The door for Flask, and at the paths `health` whether it answers: `ready` tells of the worker, and the model must be served too."""
    doors = Blueprint("invocations", __name__)

    @doors.post("/invocations")
    def invocations() -> Response:
        body = whole_body(request.environ, max_body_bytes)
        return to_response(door(body, request.environ))

    def ping() -> Response:
        answer = ready()
        if answer.status == 200:
            try:
                registry.get(model)
            except (StoreError, NotReady) as error:
                answer = not_ready({f"model {model}": f"{error}; PLUMBLINE_DEFAULT_MODEL names the model that is meant"})
        return to_response(answer)

    for path in health:
        doors.add_url_rule(path, path.replace(".", "_"), ping)

    @doors.get("/version")
    def version() -> Response:
        return to_response(Answer(200, RELEASE.encode(), "text/plain; charset=utf-8"))

    return doors


@lru_cache(maxsize=256)
def _wanted(accept: str) -> str:
    """The media type to answer in."""
    best = parse_accept_header(accept, MIMEAccept).best_match((JSON, CSV)) if accept.strip() else JSON
    if best is None:
        raise NotAcceptable("predictions come as application/json or text/csv: accept one of them")
    return best


@lru_cache(maxsize=256)
def _sent(content_type: str) -> tuple[str, Mapping[str, str]]:
    """The media type of a body, and its parameters."""
    media_type, parameters = parse_options_header(content_type)
    return media_type.lower(), parameters


def _rows(document: Document, form: str, loaded: Loaded) -> Rows:
    """The rows of a JSON body in one of its forms."""
    features = loaded.schema.feature_names
    if form == "dataframe_records":
        return document.named(form, features)
    if form == "inputs":
        return tensor_form(document, form, features)
    if form == "instances":
        return row_form(document, form, features)
    frame = document.inside(form)
    columns = validated(SPLIT, frame.options("data")).get("columns", list(features))
    if "data" not in frame.members:
        raise Invalid({f"{form}.data": ["is missing: give a list of rows"]})
    if len(set(columns)) < len(columns):
        raise Invalid({f"{form}.columns": ["name a column twice"]})
    return frame.positional("data", columns)


def _written(predicted: Prediction, wanted: str) -> Answer:
    """Predictions as JSON, or as CSV: a line per row, without a header line."""
    if wanted == JSON:
        return json_answer({"predictions": by_row(predicted)})
    text = io.StringIO()
    lines = values(predicted).tolist()
    csv.writer(text, lineterminator="\n").writerows(lines if len(predicted.targets) > 1 else ([value] for value in lines))
    return Answer(200, text.getvalue().encode(), f"{CSV}; charset=utf-8")
