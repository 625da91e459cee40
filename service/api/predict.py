"""`POST /predict`: rows in, predictions out. One function serves the hot door and Flask alike."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import numpy as np
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from service.api.answers import ARROW, CSV, JSON, Answer, json_answer
from service.api.predict_schemas import PredictSchema
from service.documents import Body, Document
from service.errors import Invalid, NotAcceptable
from service.regression.columns import Array
from service.rows import Rows
from service.serving.predictor import PER_ROW, Asked, Prediction, Predictor
from service.serving.registry import LIVE, Registry
from service.validation import validated

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

DATA = ("instances", "columns")
ANSWERS = (JSON, CSV, ARROW)
LEVELS = {"interval", "mean_interval"}
PLAIN = {str, float, int, bool}
SCHEMA = PredictSchema()


class PredictDoor:
    """Predictions by the models of a registry."""

    def __init__(self, registry: Registry, predictor: Predictor) -> None:
        self._registry, self._predictor = registry, predictor

    def __call__(self, body: Body, environ: "WSGIEnvironment") -> Answer:
        """Answer one request: its body, and the headers and query of its WSGI environment.

        Raises:
            PlumblineError, StoreError: the request cannot be answered.
        """
        media_type = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        answer_in = _accepted(environ.get("HTTP_ACCEPT", ""))
        query = environ.get("QUERY_STRING")
        if media_type in (JSON, ""):
            predicted = self._of_json(body, _options(query) if query else {})
        else:
            predicted = self._of_table(body, media_type, _options(query) if query else {})
        if answer_in == JSON:
            return json_answer(_members(predicted))
        from service.api.predict_tables import table_answer  # noqa: PLC0415 - most workers never need polars

        return table_answer(predicted, answer_in)

    def _of_json(self, body: Body, query: Mapping[str, Any]) -> Prediction:
        if query:
            raise Invalid({name: ["belongs in the JSON body, not in the query"] for name in query})
        document = Document(body)
        options = document.options(*DATA)
        # Most clients ask for the same again and again. Only plain values can be remembered; anything else is refused anyway.
        plain = all(type(value) in PLAIN for value in options.values())
        which = (_remembered if plain else _which)(tuple(options), *options.values())
        loaded = self._registry.get(which.model, version=which.version, alias=which.alias)
        return self._predictor.predict(loaded, rows_of(document, loaded.schema.feature_names), which.asked)

    def _of_table(self, body: Body, media_type: str, query: Mapping[str, Any]) -> Prediction:
        from service.api.predict_tables import batches_of, form_of  # noqa: PLC0415 - most workers never need polars

        form = form_of(media_type)
        which = _which(tuple(query), *query.values())
        loaded = self._registry.get(which.model, version=which.version, alias=which.alias)
        with batches_of(body, form, loaded.schema, self._predictor.check) as batches:
            return self._predictor.predict_batches(loaded, batches, which.asked)


@lru_cache(maxsize=256)
def _accepted(accept: str) -> str:
    """The media type to answer in, by the `Accept` header.

    Raises:
        NotAcceptable: none of those that are written here.
    """
    found = parse_accept_header(accept, MIMEAccept).best_match(ANSWERS) if accept.strip() else JSON
    if found is None:
        raise NotAcceptable(f"predictions are written as {', '.join(ANSWERS)}; Accept names none of them")
    return found


def _options(query: str) -> dict[str, Any]:
    """The options in a query; levels as numbers where they are."""
    options: dict[str, Any] = dict(parse_qsl(query, keep_blank_values=True))
    for name in LEVELS & set(options):
        with suppress(ValueError):
            options[name] = float(options[name])
    return options


@dataclass(frozen=True)
class Which:
    """Which version is to predict, and what is asked of it."""

    model: str
    version: str | None
    alias: str
    asked: Asked


def _which(names: tuple[str, ...], *values: Any) -> Which:
    """The validated options of a request; what is refused is not remembered."""
    given = validated(SCHEMA, dict(zip(names, values, strict=True)))
    model, version, alias = given.pop("model"), given.pop("version"), given.pop("alias")
    return Which(model, version, alias or LIVE, Asked(**given))


_remembered = lru_cache(maxsize=256, typed=True)(_which)


def _members(predicted: Prediction) -> dict[str, Any]:
    """A prediction as JSON shows it: a number per row for one target, a list per row for several."""
    one = len(predicted.targets) == 1
    members: dict[str, Any] = {"model": predicted.model, "version": predicted.version}
    for name in PER_ROW:
        values = getattr(predicted, name)
        if values is None:
            continue
        if name == "contributions" and predicted.baseline is not None:
            members["baseline"] = predicted.baseline[0] if one else predicted.baseline
            members[name] = {column: _flat(values[:, j], one=one) for j, column in enumerate(predicted.columns)}
        else:
            members[name] = values if values.ndim == 1 else _flat(values, one=one)
    return members


def _flat(values: Array, *, one: bool) -> Array:
    return np.ascontiguousarray(values[:, 0] if one else values)


def rows_of(document: Document, features: Sequence[str]) -> Rows:
    """The rows of a request, with the columns `features`.

    Raises:
        Invalid: rows or columns are missing, or ragged; each is named.
    """
    given = [name for name in DATA if name in document.members]
    if len(given) != 1:
        raise Invalid({"instances": ["give the rows as instances or as columns, and not as both"]})
    if given == ["columns"]:
        return document.columns("columns", features)
    if document.first_is("instances", dict):
        return document.named("instances", features)
    return document.positional("instances", features)
