"""`POST /predict`: rows in, predictions out. One function serves the hot door and Flask alike."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from service.api.answers import JSON, Answer, json_answer
from service.api.schemas import PredictSchema
from service.documents import Document
from service.errors import Invalid, UnsupportedMedia
from service.rows import Rows
from service.serving.predictor import Predictor
from service.serving.registry import LIVE, Registry
from service.validation import validated

DATA = ("instances", "columns")
SCHEMA = PredictSchema()


class PredictDoor:
    """Predictions by the models of a registry."""

    def __init__(self, registry: Registry, predictor: Predictor) -> None:
        self._registry, self._predictor = registry, predictor

    def __call__(self, body: bytes, media_type: str) -> Answer:
        """Answer one request.

        Raises:
            PlumblineError, NotFound: the request cannot be answered.
        """
        if media_type.partition(";")[0].strip().lower() not in (JSON, ""):
            raise UnsupportedMedia("prediction requests must be application/json; say so in Content-Type")
        document = Document(body)
        options = tuple(document.options(*DATA).items())
        # Most clients ask for the same again and again. Only text can be remembered; anything else is refused anyway.
        asked = (_remembered if all(type(value) is str for _, value in options) else _asked)(options)
        loaded = self._registry.get(asked["model"], version=asked["version"], alias=asked["alias"] or LIVE)
        rows = rows_of(document, loaded.schema.feature_names)
        predicted = self._predictor.predict(loaded, rows)
        y = predicted.predictions
        members = {"model": predicted.model, "version": predicted.version, "predictions": y[:, 0].copy() if y.shape[1] == 1 else y}
        return json_answer(members)


def _asked(options: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    """The validated options of a request; what is refused is not remembered."""
    asked: dict[str, Any] = validated(SCHEMA, dict(options))
    return asked


_remembered = lru_cache(maxsize=256)(_asked)


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
