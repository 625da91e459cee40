"""Figures and the report of a version as files, drawn apart from everything else this worker does."""

import threading

from flask import Blueprint, Response, request
from werkzeug.exceptions import NotFound

from model_store.store import ModelStore
from service.api.answers import Answer
from service.api.flask_answers import to_response
from service.api.operation import IF_NONE_MATCH, MODEL, READ, VERSION, Operation, path_parameter
from service.errors import Overloaded
from service.plots.gathering import gather
from service.plots.pictures import Pictures, key_of
from service.plots.process import drawn_apart, written
from service.plots.subject import FORMS, KINDS, REPORT

MEDIA_TYPES = {"svg": "image/svg+xml", "png": "image/png", "html": "text/html; charset=utf-8"}
# What is drawn holds names that others chose: were one ever to be taken for code, nothing would run it.
HARMLESS = (
    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "private, no-cache"),
)
KIND = path_parameter("kind", "what to draw") | {"schema": {"type": "string", "enum": list(KINDS)}}
FORM = path_parameter("form", "the form of the file") | {"schema": {"type": "string", "enum": list(FORMS)}}
DRAWN = (200, 304, *READ, 404, 422, 503, 504)
FIGURE = {MEDIA_TYPES["svg"]: {"schema": {"type": "string"}}, MEDIA_TYPES["png"]: {"schema": {"type": "string", "format": "binary"}}}
OPERATIONS = (
    Operation("get", "/models/{model}/versions/{version}/plots/{kind}.{form}", "A figure as a file.", FIGURE, (*DRAWN, 409),
              parameters=(MODEL, VERSION, KIND, FORM, IF_NONE_MATCH)),
    Operation("get", "/models/{model}/versions/{version}/report.html", "All there is to see of a version, in one file.",
              {"text/html": {"schema": {"type": "string"}}}, DRAWN, parameters=(MODEL, VERSION, IF_NONE_MATCH)),
)  # fmt: skip


def plot_doors(store: ModelStore, pictures: Pictures, waiting: threading.Semaphore) -> Blueprint:
    """Doors to figures and reports; `waiting` bounds how many requests of this worker wait for something at the same time."""
    doors = Blueprint("plots", __name__)

    @doors.get("/models/<model>/versions/<version>/plots/<kind>.<form>")
    def plot(model: str, version: str, kind: str, form: str) -> Response:
        if kind not in KINDS or form not in FORMS:
            raise NotFound(f"there is no such plot: ask for one of {', '.join(KINDS)}, with .{' or .'.join(FORMS)}")
        return drawn(model, version, kind, form)

    @doors.get("/models/<model>/versions/<version>/report.html")
    def report(model: str, version: str) -> Response:
        return drawn(model, version, REPORT, "html")

    def drawn(model: str, version: str, kind: str, form: str) -> Response:
        subject = gather(store, store.manifest(model, store.resolve(model, version)), kind)
        data = written(subject)
        key = key_of(data, kind, form)
        if request.if_none_match.contains(key):
            response = Response(status=304)
        else:
            # What shows rows is not kept outside the memory of its version: forgotten rows are gone when that is.
            kept = pictures.get(key) if subject.sample is None else None
            response = to_response(Answer(200, kept or draw(data, key, kind, form, keep=subject.sample is None), MEDIA_TYPES[form]))
        response.headers.extend(HARMLESS)
        response.set_etag(key)
        return response

    def draw(subject: bytes, key: str, kind: str, form: str, *, keep: bool) -> bytes:
        if not waiting.acquire(blocking=False):
            raise Overloaded("as many requests wait in this worker as its threads allow, see PLUMBLINE_THREADS: try again")
        try:
            file = drawn_apart(subject, kind, form, scratch=pictures.scratch())
        finally:
            waiting.release()
        if keep:
            pictures.put(key, file)
        return file

    return doors
