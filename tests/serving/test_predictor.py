"""The hall: what every door's rows become, whatever form they came in."""

from collections.abc import Iterator

import numpy as np
import pytest

from service.errors import Invalid, TooLarge
from service.regression.model import LinearRegression
from service.regression.schema import Feature, Frame, Schema
from service.regression.terms import parse_term
from service.rows import Rows
from service.serving.predictor import Predictor
from service.serving.registry import Loaded

PREDICTOR = Predictor(max_rows=1000, max_columns=50)


def plain(features: int, weights: np.ndarray) -> Loaded:
    """A version of numeric features, each its own term, with weights [t, features] and no intercept."""
    names = [f"x{i}" for i in range(features)]
    schema = Schema(
        tuple(Feature(name, "numeric") for name in names),
        tuple(parse_term(name) for name in names),
        tuple(f"y{i}" for i in range(len(weights))),
        Frame(intercept=False),
    )
    return Loaded("m", "1", schema, LinearRegression.from_coefficients(weights, None))


def where(row: int | None, name: str) -> str:
    return f"instances[{row}].{name}"


def forms(x: np.ndarray, names: tuple[str, ...]) -> Iterator[Rows]:
    """The same rows as doors may hand them over: at every alignment, by column, in the order of columns, as part of a wider matrix."""
    for offset in (0, 1, 4, 8, 16, 24, 32, 40, 48, 56):
        memory = np.empty(x.nbytes + 128, np.uint8)
        start = -memory.ctypes.data % 64 + offset
        matrix = memory[start : start + x.nbytes].view(np.float64).reshape(x.shape)
        matrix[:] = x
        yield Rows(names, matrix, len(x), where)
    yield Rows(names, np.asfortranarray(x), len(x), where)
    yield Rows(names, np.hstack([x, x])[:, x.shape[1] :], len(x), where)
    yield Rows(names, {name: x[:, i].tolist() for i, name in enumerate(names)}, len(x), where)
    yield Rows(names[::-1], np.ascontiguousarray(x[:, ::-1]), len(x), where)


@pytest.mark.parametrize("targets", [1, 5])
@pytest.mark.parametrize("features", [3, 10, 33])
@pytest.mark.parametrize("count", [1, 2, 7, 1000])
def test_the_same_rows_give_the_same_bits(count: int, features: int, targets: int) -> None:
    """Neither the form of the rows nor the place of their matrix in memory leaves a trace in a prediction."""
    random = np.random.default_rng(3)
    loaded = plain(features, random.normal(size=(targets, features)))
    x = random.normal(size=(count, features))

    assert len({PREDICTOR.predict(loaded, rows).predictions.tobytes() for rows in forms(x, loaded.schema.feature_names)}) == 1


def test_a_prediction_beyond_float64_is_refused_by_row() -> None:
    """An infinite prediction is never handed out."""
    with pytest.raises(Invalid) as caught:
        PREDICTOR.predict(plain(1, np.array([[1e300]])), Rows(("x0",), np.array([[1.0], [1e300]]), 2, where))

    assert caught.value.errors == {"instances[1].y0": ["has a prediction too large for float64"]}


def test_more_rows_or_columns_than_allowed_are_refused() -> None:
    """The limits hold in the hall, and so at every door."""
    for count, features, named in ((1001, 1, "PLUMBLINE_MAX_ROWS"), (1, 51, "PLUMBLINE_MAX_COLUMNS")):
        loaded = plain(features, np.ones((1, features)))
        with pytest.raises(TooLarge, match=named):
            PREDICTOR.predict(loaded, Rows(loaded.schema.feature_names, np.ones((count, features)), count, where))
