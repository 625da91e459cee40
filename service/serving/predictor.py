"""The hall: rows of any door become a `Prediction`. What a prediction can tell is decided here and nowhere else."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service import metrics
from service.errors import Invalid
from service.regression.columns import Array, all_finite
from service.rows import Rows, check_shape
from service.serving.registry import Loaded


@dataclass(frozen=True)
class Asked:
    """What is wanted beside the predictions: intervals at a level in (0, 1), and what else goes with each row."""

    interval: float | None = None
    mean_interval: float | None = None
    std_error: bool = False
    leverage: bool = False
    contributions: bool = False


NOTHING_MORE = Asked()


@dataclass(frozen=True)
class Prediction:
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

    def predict(self, loaded: Loaded, rows: Rows, asked: Asked = NOTHING_MORE) -> Prediction:  # noqa: ARG002 - until the next change
        """Predictions by a loaded version; the same batch gives the same bits, whatever its wire form was.

        Raises:
            Invalid: a cell does not fit the schema, or a prediction is too large for float64.
            TooLarge: over a limit.
        """
        check_shape(rows.count, len(rows.names), max_rows=self._max_rows, max_columns=self._max_columns)
        with rows.telling():
            # The order in which a product is summed depends on the layout of the matrix, and doors differ in theirs.
            x = np.ascontiguousarray(loaded.schema.design(rows.data, names=rows.names))
        y = loaded.module.predict(x)
        _require_finite(y, rows, loaded.schema.targets, "has a prediction too large for float64")
        self._count(loaded.model, rows.count)
        return Prediction(loaded.model, loaded.version, loaded.schema.targets, y)

    def _count(self, model: str, rows: int) -> None:
        counted = self._counted.get(model)
        if counted is None:
            counted = self._counted[model] = metrics.ROWS_PREDICTED.labels(model)
        counted.inc(rows)


def _require_finite(values: Array, rows: Rows, names: Sequence[str], message: str) -> None:
    """Refuse the first value [n, len(names)] that float64 cannot hold, by its row."""
    if not all_finite(values):
        row, column = np.argwhere(~np.isfinite(values))[0].tolist()
        raise Invalid({rows.where(row, names[column]): [message]})
