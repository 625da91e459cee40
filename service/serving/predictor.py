"""The hall: rows of any door become a `Prediction`. What a prediction can tell is decided here and nowhere else."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service import metrics
from service.errors import Invalid
from service.regression.columns import Array, all_finite
from service.rows import Rows, check_shape
from service.serving.certainty import certainty, check_certain, check_parts
from service.serving.registry import Loaded

BLOCK = 65_536  # rows predicted at a time: bounds what they take on the way, and gives a row the same neighbours at every door
PER_ROW = (
    "predictions", "lower", "upper", "mean_lower", "mean_upper", "std_error", "leverage", "extrapolating", "contributions",
)  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What is wanted beside predictions: intervals at a level in (0, 1), and what else goes with each row."""

    interval: float | None = None
    mean_interval: float | None = None
    std_error: bool = False
    leverage: bool = False
    contributions: bool = False


NOTHING_MORE = Asked()


class Prediction(NamedTuple):  # made four times as fast as a frozen dataclass, for every request
    """Predictions [n, t] of the `targets` by one version, and what was asked for beside them, None where it was not.

    lower, upper [n, t]: for a new observation of weight 1. mean_lower, mean_upper, std_error [n, t]: of the mean. leverage [n], with
    `extrapolating` [n]. baseline [t] and contributions [n, p, t] of the design columns `columns` add up to the prediction.
    """

    model: str
    version: str
    targets: tuple[str, ...]
    predictions: Array
    lower: Array | None = None
    upper: Array | None = None
    mean_lower: Array | None = None
    mean_upper: Array | None = None
    std_error: Array | None = None
    leverage: Array | None = None
    extrapolating: NDArray[np.bool_] | None = None
    columns: tuple[str, ...] = ()
    baseline: Array | None = None
    contributions: Array | None = None


class Predictor:
    """Predicts for every door, within the limits on rows and columns."""

    def __init__(self, *, max_rows: int, max_columns: int) -> None:
        self._max_rows, self._max_columns = max_rows, max_columns
        self._counted: dict[str, Any] = {}

    def predict(self, loaded: Loaded, rows: Rows, asked: Asked = NOTHING_MORE) -> Prediction:
        """Predictions by a loaded version; the same batch gives the same bits, whatever its wire form was.

        Raises:
            Invalid: a cell does not fit the schema, a number is too large for float64, or the version cannot say what is asked.
            TooLarge: over a limit.
            CorruptObject, StoreUnavailable: what is asked for needs the version's memory, which cannot be read.
        """
        return self.predict_batches(loaded, (rows,), asked)

    def predict_batches(self, loaded: Loaded, batches: Iterable[Rows], asked: Asked = NOTHING_MORE) -> Prediction:
        """The same for rows that come in batches, at least one, each but the last of a multiple of `BLOCK` rows."""
        if more := asked != NOTHING_MORE:
            check_certain(loaded, asked)
        seen, parts = 0, list[Prediction]()
        for rows in batches:
            seen += rows.count
            self.check(seen, len(rows.names))
            if more:
                check_parts(loaded, seen, asked)
            blocks = (rows,) if rows.count <= BLOCK else rows.parts(BLOCK)
            parts += [_predict(loaded, block, asked if more else None) for block in blocks]
        self._count(loaded.model, seen)
        return parts[0] if len(parts) == 1 else _joined(parts)

    def check(self, rows: int, columns: int) -> None:
        """Refuse more rows or columns than the settings allow. Raises TooLarge."""
        check_shape(rows, columns, max_rows=self._max_rows, max_columns=self._max_columns)

    def _count(self, model: str, rows: int) -> None:
        counted = self._counted.get(model)
        if counted is None:
            counted = self._counted[model] = metrics.ROWS_PREDICTED.labels(model)
        counted.inc(rows)


def _predict(loaded: Loaded, rows: Rows, asked: Asked | None) -> Prediction:
    """Predict one block."""
    schema = loaded.schema
    with rows.telling():
        # The order in which a product is summed depends on the layout of the matrix, and doors differ in theirs.
        x = np.ascontiguousarray(schema.design(rows.data, names=rows.names))
    y = loaded.module.predict(x)
    _require_finite("prediction", y, rows, schema.targets)
    if asked is None:
        return Prediction(loaded.model, loaded.version, schema.targets, y)
    found = certainty(loaded, x, y, asked)
    for name in PER_ROW:
        if name in found:
            _require_finite(name, found[name], rows, schema.targets)
    return Prediction(loaded.model, loaded.version, schema.targets, y, **found)


def _require_finite(what: str, values: Array, rows: Rows, targets: Sequence[str]) -> None:
    """Refuse the first value [n], [n, t] or [n, p, t] that float64 cannot hold, by its row."""
    if not all_finite(values):
        row, *rest = np.argwhere(~np.isfinite(values))[0].tolist()
        raise Invalid({rows.where(row, targets[rest[-1] if rest else 0]): [f"has a {what} too large for float64"]})


def _joined(parts: list[Prediction]) -> Prediction:
    """Predictions of successive rows as one."""
    first = parts[0]
    given = (name for name in PER_ROW if getattr(first, name) is not None)
    whole: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in given}
    return first._replace(**whole)
