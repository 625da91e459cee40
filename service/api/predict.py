"""`POST /predict`: rows in, predictions out. One function serves the hot door and Flask alike."""

from functools import lru_cache
from typing import Any

from service import metrics
from service.api.answers import JSON, Answer, json_answer
from service.api.schemas import PredictSchema
from service.errors import Invalid, UnsupportedMedia
from service.numbers import Document, Matrix, check_shape
from service.regression.schema import Schema
from service.serving.registry import LIVE, Registry
from service.validation import validated

DATA = ("instances", "columns")
SCHEMA = PredictSchema()


class PredictDoor:
    """Predictions by the models of a registry."""

    def __init__(self, registry: Registry, *, max_rows: int, max_columns: int) -> None:
        self._registry, self._max_rows, self._max_columns = registry, max_rows, max_columns
        self._counted: dict[str, Any] = {}

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
        x = rows_of(document, loaded.schema)
        check_shape(len(x), x.shape[1], max_rows=self._max_rows, max_columns=self._max_columns)
        y = loaded.predict(x) if len(x) else x[:, :0]
        self._count(loaded.model, len(x))
        predictions = y[:, 0].copy() if y.shape[1] == 1 else y
        return json_answer({"model": loaded.model, "version": loaded.version, "predictions": predictions if len(x) else []})

    def _count(self, model: str, rows: int) -> None:
        counted = self._counted.get(model)
        if counted is None:
            counted = self._counted[model] = metrics.ROWS_PREDICTED.labels(model)
        counted.inc(rows)


def _asked(options: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    """The validated options of a request; what is refused is not remembered."""
    asked: dict[str, Any] = validated(SCHEMA, dict(options))
    return asked


_remembered = lru_cache(maxsize=256)(_asked)


def rows_of(document: Document, schema: Schema) -> Matrix:
    """The one matrix of a request, [n, p] in the order of the schema's features.

    Raises:
        Invalid: rows or columns are missing, ragged or not numbers; each is named.
    """
    given = [name for name in DATA if name in document.members]
    if len(given) != 1:
        raise Invalid({"instances": ["give the rows as instances or as columns, and not as both"]})
    if given == ["columns"]:
        return document.columns("columns", schema.features)
    if document.has_objects("instances"):
        return document.named_matrix("instances", schema.features)
    return document.matrix("instances", columns=len(schema.features))
