"""`POST /predict`: rows in, predictions out. One function serves the hot door and Flask alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from service.api.answers import JSON, Answer, json_answer
from service.api.schemas import PredictSchema
from service.documents import Document
from service.errors import Invalid, UnsupportedMedia
from service.regression.columns import Array
from service.rows import Rows
from service.serving.predictor import PER_ROW, Asked, Prediction, Predictor
from service.serving.registry import LIVE, Registry
from service.validation import validated

DATA = ("instances", "columns")
PLAIN = {str, float, int, bool}
SCHEMA = PredictSchema()


class PredictDoor:
    """Predictions by the models of a registry."""

    def __init__(self, registry: Registry, predictor: Predictor) -> None:
        self._registry, self._predictor = registry, predictor

    def __call__(self, body: bytes, media_type: str) -> Answer:
        """Answer one request.

        Raises:
            PlumblineError, StoreError: the request cannot be answered.
        """
        if media_type.partition(";")[0].strip().lower() not in (JSON, ""):
            raise UnsupportedMedia("prediction requests must be application/json; say so in Content-Type")
        document = Document(body)
        options = document.options(*DATA)
        # Most clients ask for the same again and again. Only plain values can be remembered; anything else is refused anyway.
        plain = all(type(value) in PLAIN for value in options.values())
        which = (_remembered if plain else _which)(tuple(options), *options.values())
        loaded = self._registry.get(which.model, version=which.version, alias=which.alias)
        rows = rows_of(document, loaded.schema.feature_names)
        return json_answer(_members(self._predictor.predict(loaded, rows, which.asked)))


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
