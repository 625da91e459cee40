"""The hall: what every door's rows become, whatever form they came in."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from werkzeug.test import Client

from model_store.store import ModelStore
from service.config import Config
from service.errors import Invalid, TooLarge
from service.rows import Rows
from service.serving.predictor import BLOCK, PER_ROW, Asked, Predictor
from service.serving.registry import Loaded, Registry

PREDICTOR = Predictor(max_rows=200_000, max_columns=50)
ALL = Asked(interval=0.9, mean_interval=0.99, std_error=True, leverage=True, contributions=True)
RANDOM = np.random.default_rng(3)


@pytest.fixture
def trained(client: Client, config: Config) -> Callable[[np.ndarray, np.ndarray], Loaded]:
    """Train a model of rows X [n, p] and targets Y [n, t], and load it."""

    def train(x: np.ndarray, y: np.ndarray) -> Loaded:
        answer = client.post("/train", json={"model": "m", "new_schema": True, "instances": x.tolist(), "targets": y.tolist()})
        assert answer.status_code == 201, answer.json
        return Registry(ModelStore.open(config.store), torch.device("cpu"), capacity=1, retry_seconds=1).get("m")

    return train


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
def test_the_same_rows_give_the_same_bits(count: int, features: int, targets: int, trained: Callable[..., Loaded]) -> None:
    """Neither the form of the rows nor the place of their matrix in memory leaves a trace in a prediction or what goes with it."""
    loaded = trained(RANDOM.normal(size=(100, features)), RANDOM.normal(size=(100, targets)))
    x = RANDOM.normal(size=(count, features))
    found = [PREDICTOR.predict(loaded, rows, ALL) for rows in forms(x, loaded.schema.feature_names)]

    for name in PER_ROW:
        assert len({getattr(prediction, name).tobytes() for prediction in found}) == 1, name


def test_blocks_leave_no_trace(trained: Callable[..., Loaded]) -> None:
    """Many rows, at once or in batches as files are read, give the same bits, row for row those of numpy."""
    loaded = trained(RANDOM.normal(size=(50, 4)), RANDOM.normal(size=(50, 2)))
    count = 2 * BLOCK + 7
    x = RANDOM.normal(size=(count, 4))
    rows = Rows(loaded.schema.feature_names, x, count, where)
    at_once = PREDICTOR.predict(loaded, rows, ALL)
    batched = PREDICTOR.predict_batches(loaded, rows.parts(BLOCK), ALL)

    for name in PER_ROW:
        assert len(getattr(at_once, name)) == count
        assert getattr(at_once, name).tobytes() == getattr(batched, name).tobytes(), name
    linear = loaded.module.linear
    np.testing.assert_allclose(at_once.predictions, x @ linear.weight.numpy().T + linear.bias.numpy(), rtol=1e-9, atol=1e-12)


def test_a_wrong_cell_is_named_as_the_client_knows_it_in_any_block(trained: Callable[..., Loaded]) -> None:
    """A value that is missing in the second block has the row's number in the whole."""
    loaded = trained(RANDOM.normal(size=(9, 2)), RANDOM.normal(size=9))
    x = RANDOM.normal(size=(BLOCK + 3, 2))
    x[BLOCK + 1, 1] = np.nan
    for data in (x, {"x1": x[:, 0], "x2": x[:, 1].tolist()}):
        with pytest.raises(Invalid) as caught:
            PREDICTOR.predict(loaded, Rows(("x1", "x2"), data, len(x), where))
        assert caught.value.errors == {f"instances[{BLOCK + 1}].x2": ["is missing"]}


def test_what_float64_cannot_hold_is_refused_by_row(trained: Callable[..., Loaded]) -> None:
    """An infinite prediction, interval or leverage is never handed out."""
    steep = trained(np.arange(4.0)[:, None], np.array([0, 1e10, 2.1e10, 3e10]))
    rows = Rows(("x1",), np.array([[1.0], [1e300]]), 2, where)
    with pytest.raises(Invalid) as caught:
        PREDICTOR.predict(steep, rows)
    assert caught.value.errors == {"instances[1].y": ["has a prediction too large for float64"]}

    rows = Rows(("x1",), np.array([[1.0], [1e200]]), 2, where)
    assert np.isfinite(PREDICTOR.predict(steep, rows).predictions).all()
    with pytest.raises(Invalid) as caught:
        PREDICTOR.predict(steep, rows, Asked(leverage=True))
    assert caught.value.errors == {"instances[1].y": ["has a leverage too large for float64"]}


def test_more_than_is_allowed_is_refused(trained: Callable[..., Loaded]) -> None:
    """The limits hold in the hall, and so at every door: rows, over all batches, columns, and numbers of contributions."""
    loaded = trained(RANDOM.normal(size=(300, 51)), RANDOM.normal(size=(300, 6)))
    names = loaded.schema.feature_names
    with pytest.raises(TooLarge, match="PLUMBLINE_MAX_COLUMNS"):
        PREDICTOR.predict(loaded, Rows(names, np.ones((1, 51)), 1, where))
    loaded = trained(RANDOM.normal(size=(300, 50)), RANDOM.normal(size=(300, 6)))
    batch = Rows(loaded.schema.feature_names, np.ones((BLOCK, 50)), BLOCK, where)
    with pytest.raises(TooLarge, match="has 262144 rows; PLUMBLINE_MAX_ROWS allows 200000"):
        PREDICTOR.predict_batches(loaded, [batch] * 4)
    with pytest.raises(TooLarge, match="the contributions would be 19660800 numbers"):
        PREDICTOR.predict(loaded, batch, Asked(contributions=True))
