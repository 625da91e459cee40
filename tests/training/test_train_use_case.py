"""Training end to end in this process: the published numbers are those of numpy and statsmodels."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
import torch
from safetensors.torch import load

from model_store.store import ModelStore
from service.errors import Contradiction, Invalid
from service.training.document import version_document
from service.training.sources import Limits
from service.training.train import Progress, train
from tests.training.rooms import open_source

Document = dict[str, Any]
Fitted = Callable[..., tuple[Document, dict[str, torch.Tensor]]]


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore.open(tmp_path / "store")


@pytest.fixture
def fitted(store: ModelStore, tmp_path: Path) -> Fitted:
    """Train on x [n, p] and y [n] or [n, t] and give the version document, through JSON, and the state_dict."""

    def run(x: Any, y: Any, **options: Any) -> tuple[Document, dict[str, torch.Tensor]]:
        body = tmp_path / "body"
        body.write_text(json.dumps({"instances": np.asarray(x).tolist(), "targets": np.asarray(y).tolist()} | options))
        source, loaded = open_source(body, "application/json", {}, Limits(10**6, 100))
        manifest = train(store, source, loaded, who="test")
        document = json.loads(json.dumps(version_document(store, manifest), allow_nan=False))
        return document, load(store.blob(document["state_dict"]))

    return run


def table(document: Document, name: str) -> np.ndarray:
    """One column of the coefficient table [p, t]; NaN where it is null."""
    rows = document["fit"]["coefficients"]
    targets = document["schema"]["targets"]
    return np.array([[float("nan") if row[name] is None else row[name] for row in rows if row["target"] == target] for target in targets]).T


def data(n: int, p: int, t: int = 1, *, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Seeded rows x [n, p] with targets y [n, t]."""
    random = np.random.default_rng(n * 100 + p * 10 + t)
    x = random.normal(size=(n, p)) * 10.0 ** random.integers(-3, 4, size=p) + random.normal(size=p)
    return x, x @ random.normal(size=(p, t)) + 3 + noise * random.normal(size=(n, t))


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize(("n", "p", "t"), [(30, 1, 1), (50, 4, 1), (200, 7, 3), (5, 4, 2)])
def test_the_coefficients_are_numpys(fitted: Fitted, n: int, p: int, t: int, *, intercept: bool) -> None:
    """With and without an intercept, for one target and several, the estimates and the state_dict equal numpy's least squares."""
    x, y = data(n, p, t)
    design = np.hstack([np.ones((n, 1)), x]) if intercept else x
    truth = np.linalg.lstsq(design, y, rcond=None)[0]
    document, state = fitted(x, y, intercept=intercept)

    np.testing.assert_allclose(table(document, "estimate"), truth, rtol=1e-9)
    np.testing.assert_allclose(state["linear.weight"].numpy(), truth[intercept:].T, rtol=1e-9)
    assert set(state) == ({"linear.weight", "linear.bias"} if intercept else {"linear.weight"})
    assert {tensor.dtype for tensor in state.values()} == {torch.float64}
    assert (document["fit"]["n"], document["fit"]["dof"], document["fit"]["aliased"]) == (n, n - p - intercept, [])
    names = [*(["intercept"] if intercept else []), *(f"x{i + 1}" for i in range(p))]
    assert [row["term"] for row in document["fit"]["coefficients"]] == names * t
    assert document["schema"] == {
        "features": [{"name": name, "type": "numeric"} for name in names[intercept:]],
        "terms": names[intercept:],
        "targets": ["y"] if t == 1 else [f"y{i + 1}" for i in range(t)],
        "frame": {
            "intercept": intercept,
            "missing": "error",
            "unseen": "error",
            "polynomials": {},
            "categories": {},
            "resolution": [-256] * (1 + p + t),
        },
    }


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize(("n", "p"), [(12, 1), (60, 5)])
def test_the_statistics_are_those_of_statsmodels(fitted: Fitted, n: int, p: int, *, intercept: bool) -> None:
    """Standard errors, t, p, intervals, R² and F equal those of statsmodels' OLS; so do the criteria, which count the variance here."""
    x, y = data(n, p)
    truth = sm.OLS(y[:, 0], sm.add_constant(x) if intercept else x).fit()
    document, _ = fitted(x, y, intercept=intercept)
    fit, close = document["fit"], {"rtol": 1e-8, "atol": 1e-300}

    np.testing.assert_allclose(table(document, "std_error")[:, 0], truth.bse, **close)
    np.testing.assert_allclose(table(document, "t")[:, 0], truth.tvalues, **close)
    np.testing.assert_allclose(table(document, "p")[:, 0], truth.pvalues, rtol=1e-6, atol=1e-300)
    np.testing.assert_allclose(np.hstack([table(document, "lower"), table(document, "upper")]), truth.conf_int(), **close)
    expected = {
        "r2": truth.rsquared,
        "adjusted_r2": truth.rsquared_adj,
        "residual_std": math.sqrt(truth.mse_resid),
        "rss": truth.ssr,
        "aic": truth.aic + 2,
        "bic": truth.bic + math.log(n),
        "f": truth.fvalue,
    }
    for name, value in expected.items():
        np.testing.assert_allclose(fit[name], value, **close, err_msg=name)


def test_statistics_of_several_targets_are_lists(fitted: Fitted) -> None:
    """Each statistic of several targets is a list in their order, and each equals that of the target fitted alone."""
    x, y = data(40, 3, 2)
    together, _ = fitted(x, y)
    alone = [fitted(x, y[:, i], model=f"m{i}")[0]["fit"] for i in range(2)]

    for name in ("r2", "adjusted_r2", "residual_std", "rss", "aic", "bic", "f"):
        np.testing.assert_allclose(together["fit"][name], [fit[name] for fit in alone], rtol=1e-12, err_msg=name)


def test_collinear_columns_are_named_and_left_out(fitted: Fitted) -> None:
    """A column that the ones before it determine gets no numbers and weight zero; the others equal the fit without it."""
    x, y = data(30, 2)
    wide = np.column_stack([x[:, 0], 2 * x[:, 0] - 1, x[:, 1], np.full(30, 7.0)])
    document, state = fitted(wide, y, features=["a", "copy", "b", "constant"])
    truth, _ = fitted(x, y, features=["a", "b"], model="narrow")
    rows = {row["term"]: row for row in document["fit"]["coefficients"]}

    assert document["fit"]["aliased"] == ["copy", "constant"]
    assert document["fit"]["dof"] == truth["fit"]["dof"] == 27
    for name in ("copy", "constant"):
        expected = {"target": "y", "term": name} | dict.fromkeys(("estimate", "std_error", "t", "p", "lower", "upper"))
        assert rows[name] == expected
    assert state["linear.weight"][0, [1, 3]].tolist() == [0, 0]
    for row in truth["fit"]["coefficients"]:
        for column in ("estimate", "std_error", "t"):
            np.testing.assert_allclose(rows[row["term"]][column], row[column], rtol=1e-7)


def test_as_many_rows_as_columns_fit_without_inference(fitted: Fitted) -> None:
    """With n = p the rows are met exactly, and what needs degrees of freedom is null rather than invented."""
    x = np.array([[1.0], [3.0]])
    document, _ = fitted(x, [5.0, 9.0])
    fit = document["fit"]

    np.testing.assert_allclose(table(document, "estimate")[:, 0], [3, 2], rtol=1e-12)
    assert (fit["dof"], fit["rss"], fit["r2"]) == (0, 0.0, 1.0)
    assert [fit[name] for name in ("adjusted_r2", "residual_std", "aic", "bic", "f")] == [None] * 5
    assert np.isnan(np.hstack([table(document, name) for name in ("std_error", "t", "p", "lower", "upper")])).all()


def test_fewer_rows_than_columns_leave_columns_out(fitted: Fitted) -> None:
    """With n < p the columns that the rows cannot tell apart are aliased, and the rows are still met."""
    x, y = data(3, 6)
    document, state = fitted(x, y)
    predicted = x @ state["linear.weight"].numpy().T + state["linear.bias"].numpy()

    assert document["fit"]["aliased"] == ["x3", "x4", "x5", "x6"]
    assert document["fit"]["dof"] == 0
    np.testing.assert_allclose(predicted, y, rtol=1e-8)


def test_a_perfect_fit_is_told_as_one(fitted: Fitted) -> None:
    """Where the residuals are rounding alone, their sum is zero and no t, F or criterion is made of it."""
    x = np.arange(20.0)[:, None]
    document, _ = fitted(x, 2 * x + 1)
    fit = document["fit"]

    assert (fit["rss"], fit["r2"], fit["residual_std"], fit["aic"], fit["f"]) == (0.0, 1.0, 0.0, None, None)
    assert table(document, "std_error").ravel().tolist() == [0, 0]
    assert np.isnan(table(document, "t")).all()


def test_a_constant_target_has_no_r2(fitted: Fitted) -> None:
    """Without variation to explain there is no share of it explained."""
    document, _ = fitted([[1.0], [2.0], [4.0]], [5.0, 5.0, 5.0])

    assert (document["fit"]["r2"], document["fit"]["adjusted_r2"], document["fit"]["rss"]) == (None, None, 0.0)


def test_one_row_fits_an_intercept(fitted: Fitted) -> None:
    """A single row determines the intercept alone."""
    document, state = fitted([[2.0]], [7.0])

    assert document["fit"]["aliased"] == ["x1"]
    assert (state["linear.bias"].tolist(), state["linear.weight"].tolist()) == ([7.0], [[0.0]])


@pytest.mark.parametrize("scale", [1e160, 1e300])
def test_data_beyond_float64_are_refused(fitted: Fitted, store: ModelStore, scale: float) -> None:
    """Where a sum of squares leaves float64 the training says so and publishes nothing."""
    x, y = data(10, 2)
    with pytest.raises(Contradiction, match="too large for float64: scale"):
        fitted(x, y * scale)

    assert store.models() == []


@pytest.mark.parametrize("intercept", [True, False])
def test_a_single_category_leaves_nothing_to_fit(fitted: Fitted, store: ModelStore, *, intercept: bool) -> None:
    """A category that is the same in all rows makes no column, and a model of none is refused."""
    with pytest.raises(Invalid) as caught:
        fitted([["a"], ["a"], ["a"]], [1.0, 2.0, 4.0], intercept=intercept)

    assert caught.value.errors == {"features": ["leave nothing to fit: each is the same category in all rows"]}
    assert store.models() == []


def test_no_rows_are_refused(fitted: Fitted, store: ModelStore) -> None:
    """Nothing is fitted to nothing, and nothing is published."""
    with pytest.raises(Invalid) as caught:
        fitted([], [])

    assert caught.value.errors == {"instances": ["have no rows to train on"]}
    assert store.models() == []


def test_the_version_says_what_was_asked(fitted: Fitted, store: ModelStore) -> None:
    """Description, labels, who and the alias stand where they belong; `promote: false` leaves `live` where it was."""
    x, y = data(10, 1)
    first, _ = fitted(x, y, model="m", description="the first", labels={"team": "risk"})
    second, _ = fitted(x, y, model="m", promote=False)

    assert {
        name: first[name] for name in ("model", "version", "aliases", "operation", "parent", "description", "labels", "fingerprint")
    } == {
        "model": "m",
        "version": "1",
        "aliases": ["live"],
        "operation": "train",
        "parent": None,
        "description": "the first",
        "labels": {"team": "risk"},
        "fingerprint": second["fingerprint"],
    }
    assert (second["version"], second["aliases"], store.aliases("m")) == ("2", [], {"live": 1})
    assert (store.alias("m", "live").who, store.alias("m", "live").reason) == ("test", "train")
    assert store.manifest("m", 1).libraries == {"torch": torch.__version__, "numpy": np.__version__}


def test_progress_counts_the_rows_of_each_batch(store: ModelStore, tmp_path: Path) -> None:
    """`progress` hears how many rows have been read, up to all of them."""
    path = tmp_path / "rows.csv"
    path.write_text("a,y\n" + "".join(f"{i},{i % 7}\n" for i in range(150_000)))
    source, options = open_source(path, "text/csv", {"target": "y"}, Limits(10**6, 10))
    heard: list[int] = []
    train(store, source, options, progress=Progress(rows=heard.append))

    assert len(heard) > 1
    assert heard == sorted(heard)
    assert heard[-1] == 150_000
