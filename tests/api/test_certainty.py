"""Intervals, errors, leverages and contributions of `POST /predict`, against statsmodels and numpy on the training rows."""

from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from werkzeug.test import Client

from model_store.store import ModelStore

RANDOM = np.random.default_rng(23)
X = RANDOM.normal(size=(40, 3)) * [1.0, 20.0, 0.3] + [5.0, -100.0, 2.0]
Y = np.column_stack([X @ [1.0, 0.2, -4.0], X @ [0.0, 0.1, 1.0]]) + RANDOM.normal(size=(40, 2)) * [2.0, 0.1]
NEW = RANDOM.normal(size=(6, 3)) * [3.0, 60.0, 1.0] + [5.0, -100.0, 2.0]
NAMES = ["a", "b", "c"]
EVERYTHING: dict[str, Any] = {"interval": 0.9, "mean_interval": 0.999, "std_error": True, "leverage": True, "contributions": True}
MEMBERS = {
    "model", "version", "predictions", "lower", "upper", "mean_lower", "mean_upper", "std_error", "leverage", "extrapolating", "baseline",
    "contributions",
}  # fmt: skip


def train(client: Client, x: np.ndarray = X, y: np.ndarray = Y, **options: Any) -> None:
    document = {"model": "m", "instances": x.tolist(), "targets": y.tolist(), "features": NAMES[: x.shape[1]], "new_schema": True}
    answer = client.post("/train", json=document | options)
    assert answer.status_code == 201, answer.json


def predict(client: Client, **request: Any) -> Any:
    answer = client.post("/predict", json={"model": "m"} | request)
    assert answer.status_code == 200, answer.json
    return answer.json


def refused(client: Client, **request: Any) -> Any:
    answer = client.post("/predict", json={"model": "m"} | request)
    assert (answer.status_code, answer.content_type) == (422, "application/problem+json"), answer.json
    assert answer.json is not None
    return answer.json["errors"]


def design(x: np.ndarray, *, intercept: bool) -> np.ndarray:
    return np.column_stack([np.ones(len(x)), x]) if intercept else x


def check_against_rows(found: Any, x: np.ndarray, y: np.ndarray, *, intercept: bool = True, weights: np.ndarray | None = None) -> None:
    """What `EVERYTHING` asks for at `NEW`, for targets y [n, t], by statsmodels; the targets of an answer to one are numbers."""
    A, at = design(x, intercept=intercept), design(NEW, intercept=intercept)
    weights = np.ones(len(x)) if weights is None else weights

    def column(name: str, target: int) -> Any:
        values = np.array(found[name])
        return values if y.shape[1] == 1 else values[:, target]

    for target in range(y.shape[1]):
        truth = sm.WLS(y[:, target], A, weights=weights).fit().get_prediction(at)
        obs, mean = truth.summary_frame(alpha=0.1), truth.summary_frame(alpha=0.001)
        for name, expected in {
            "predictions": mean["mean"],
            "lower": obs["obs_ci_lower"],
            "upper": obs["obs_ci_upper"],
            "mean_lower": mean["mean_ci_lower"],
            "mean_upper": mean["mean_ci_upper"],
            "std_error": mean["mean_se"],
        }.items():
            np.testing.assert_allclose(column(name, target), expected, rtol=1e-9, err_msg=name)
    inverse = np.linalg.inv(A.T @ (A * weights[:, None]))
    np.testing.assert_allclose(found["leverage"], np.einsum("ij,jk,ik->i", at, inverse, at), rtol=1e-9)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("targets", [1, 2])
def test_everything_is_what_the_rows_say(targets: int, client: Client, *, intercept: bool) -> None:
    """Both forms of rows, one target or several: observation and mean intervals, errors and leverages are statsmodels' and numpy's."""
    y = Y[:, :targets]
    train(client, y=y[:, 0] if targets == 1 else y, intercept=intercept)
    for rows in ({"instances": NEW.tolist()}, {"columns": {name: NEW[:, i].tolist() for i, name in enumerate(NAMES)}}):
        found = predict(client, **rows, **EVERYTHING)
        assert set(found) == MEMBERS
        check_against_rows(found, X, y, intercept=intercept)


def test_only_what_is_asked_for_comes(client: Client) -> None:
    """Each option brings its own members, and false or null brings none; the predictions are the same bits throughout."""
    train(client)
    brings: dict[str, set[str]] = {
        "interval": {"lower", "upper"},
        "mean_interval": {"mean_lower", "mean_upper"},
        "std_error": {"std_error"},
        "leverage": {"leverage", "extrapolating"},
        "contributions": {"contributions", "baseline"},
    }
    plain = predict(client, instances=NEW.tolist())
    everything = predict(client, instances=NEW.tolist(), **EVERYTHING)
    for option, members in brings.items():
        found = predict(client, instances=NEW.tolist(), **{option: EVERYTHING[option]})
        assert set(found) - set(plain) == members
        assert found == {name: everything[name] for name in found}
        nothing = None if option.endswith("interval") else False
        assert predict(client, instances=NEW.tolist(), **{option: nothing}) == plain


def test_weights_count(client: Client) -> None:
    """With weighted training rows, the interval is that of a new observation of weight 1."""
    weights = RANDOM.uniform(0.2, 5.0, size=40)
    train(client, weights=weights.tolist())

    check_against_rows(predict(client, instances=NEW.tolist(), **EVERYTHING), X, Y, weights=weights)


def test_learning_and_forgetting_change_what_is_known(client: Client) -> None:
    """After rows are learned and others forgotten, everything is what the remaining rows say."""
    train(client, X[:30], Y[:30])
    for verb, rows in (("learn", slice(30, 40)), ("forget", slice(0, 5))):
        answer = client.post(f"/models/m/{verb}", json={"instances": X[rows].tolist(), "targets": Y[rows].tolist()})
        assert answer.status_code == 201, answer.json

    found = predict(client, instances=NEW.tolist(), **EVERYTHING)
    assert found["version"] == "3"
    check_against_rows(found, X[5:], Y[5:])


def test_rows_beyond_those_learned_are_flagged(client: Client) -> None:
    """Just inside and just outside of the 99.99 % ellipsoid of the training rows."""
    train(client)
    covariance, mean, direction = np.cov(X.T), X.mean(axis=0), np.array([1.0, -3.0, 0.5])
    radius = np.sqrt(stats.chi2.ppf(0.9999, 3) / (direction @ np.linalg.solve(covariance, direction)))
    rows = mean + np.array([[0.0], [0.999], [1.001], [-1e6]]) * radius * direction

    assert predict(client, instances=rows.tolist(), leverage=True)["extrapolating"] == [False, False, True, True]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"intercept": False},
        {"terms": ["a", "a^2", "b*c"]},
        {"solver": {"name": "exact", "ridge": 3.0}},
        {"solver": {"name": "lasso", "l1": 5.0}},
        {"solver": {"name": "gradient_descent", "epochs": 5, "standardize": True}},
    ],
)
def test_contributions_add_up_to_the_prediction(options: dict[str, Any], client: Client) -> None:
    """Whatever the solver, baseline and parts add up to the prediction, to within the rounding of their sum in float64."""
    train(client, **options)
    found = predict(client, instances=NEW.tolist(), contributions=True)
    parts = np.array(list(found["contributions"].values()))
    baseline, predictions = np.array(found["baseline"]), np.array(found["predictions"])
    document = client.get("/models/m/versions/live").json
    assert document is not None
    coefficients = np.array([row["estimate"] for row in document["fit"]["coefficients"]]).reshape(2, -1)

    assert list(found["contributions"]) == options.get("terms", NAMES)
    size = np.abs(baseline) + np.abs(parts).sum(axis=0) + np.abs(NEW @ np.ones(3))[:, None] * np.abs(coefficients).max() + 1
    assert (np.abs(baseline + parts.sum(axis=0) - predictions) <= 1e-13 * size).all()
    if "terms" not in options:
        slopes = coefficients[:, -3:]
        np.testing.assert_allclose(parts, np.einsum("ij,tj->jit", NEW - X.mean(axis=0), slopes), rtol=1e-9, atol=1e-12)
        at_means = design(X, intercept=options.get("intercept", True)).mean(axis=0) @ coefficients.T
        np.testing.assert_allclose(baseline, at_means, rtol=1e-9)


def test_categories_contribute_by_name(client: Client) -> None:
    """Each category but the reference is a column of its own, and the columns of one target are lists of numbers."""
    document = {"model": "m", "columns": {"zip": ["a", "b", "c", "a", "b", "c"], "y": [1, 2, 4, 1.5, 2.5, 4.5]}, "target": "y"}
    assert client.post("/train", json=document).status_code == 201
    found = predict(client, columns={"zip": ["a", "c"]}, contributions=True)

    assert list(found["contributions"]) == ["zip[b]", "zip[c]"]
    assert found["baseline"] == pytest.approx(np.mean([1.25, 2.25, 4.25]))
    np.testing.assert_allclose(found["contributions"]["zip[c]"], [-1.0, 2.0], atol=1e-12)
    np.testing.assert_allclose(found["contributions"]["zip[b]"], [-1 / 3, -1 / 3], atol=1e-12)


def test_no_rows_have_nothing_beside_them(client: Client) -> None:
    """Zero rows are an answer with empty lists."""
    train(client)
    found = predict(client, instances=[], **EVERYTHING)

    assert all(found[name] == [] for name in MEMBERS - {"model", "version", "baseline", "contributions"})
    assert found["contributions"] == {"a": [], "b": [], "c": []}


LEVEL = ["must be a number between 0 and 1, such as 0.95"]


@pytest.mark.parametrize("option", ["interval", "mean_interval"])
@pytest.mark.parametrize("level", [0, 1, -0.5, 95, 1 - 2**-53, "0.95", True, [0.9], {"level": 0.9}])
def test_an_unusable_level_is_refused_at_its_field(option: str, level: Any, client: Client) -> None:
    """A level is a number that leaves some probability outside."""
    train(client)

    assert refused(client, instances=NEW.tolist(), **{option: level}) == {option: LEVEL}


@pytest.mark.parametrize("option", ["std_error", "leverage", "contributions"])
@pytest.mark.parametrize("value", ["yes", 2, 0.5, [], "1"])
def test_a_flag_is_true_or_false(option: str, value: Any, client: Client) -> None:
    """Anything else is refused at its field."""
    train(client)

    assert refused(client, instances=NEW.tolist(), **{option: value}) == {option: ["must be true or false"]}


def test_one_and_true_are_told_apart_however_often_they_come(client: Client) -> None:
    """Options that compare equal in Python are validated each for itself."""
    train(client)
    assert predict(client, instances=NEW.tolist(), leverage=True)
    assert refused(client, instances=NEW.tolist(), interval=True) == {"interval": LEVEL}
    assert refused(client, instances=NEW.tolist(), interval=1) == {"interval": LEVEL}
    assert refused(client, instances=NEW.tolist(), interval=1.0) == {"interval": LEVEL}


@pytest.mark.parametrize(
    ("solver", "named"),
    [
        ({"name": "exact", "ridge": 1.0}, "a ridge penalty"),
        ({"name": "lasso", "l1": 1.0}, "lasso"),
        ({"name": "gradient_descent", "epochs": 1, "standardize": True}, "gradient_descent"),
    ],
)
def test_a_solver_without_inference_is_told_by_option(solver: dict[str, Any], named: str, client: Client) -> None:
    """Penalties and gradient training have no errors, intervals or leverages, and say so; contributions they have."""
    train(client, solver=solver)
    errors = refused(client, instances=NEW.tolist(), **EVERYTHING)

    assert set(errors) == set(EVERYTHING) - {"contributions"}
    assert {text for texts in errors.values() for text in texts} == {
        f"version 1 was trained with {named}, of which this is not known: refit it with the solver exact"
    }


def test_no_rows_to_spare_are_told_by_option(client: Client) -> None:
    """As many rows as coefficients give no errors and no intervals; leverages they give."""
    train(client, X[:4], Y[:4])
    errors = refused(client, instances=NEW.tolist(), **EVERYTHING)

    why = ["the 4 rows of version 1 leave none to estimate errors from: learn more rows"]
    assert errors == {"interval": why, "mean_interval": why, "std_error": why}
    np.testing.assert_allclose(predict(client, instances=X[:4].tolist(), leverage=True)["leverage"], 1.0, rtol=1e-9)


def test_a_version_that_forgot_its_rows_says_so(client: Client, store: ModelStore) -> None:
    """A version that keeps its memory no more predicts, and refuses the rest by option; one that was asked before still knows."""
    for count in (20, 30, 40):
        train(client, X[:count], Y[:count])
    store.move_alias("m", "kept", 2)
    before = predict(client, instances=NEW.tolist(), version="2", **EVERYTHING)
    store.delete_alias("m", "kept")
    store.retire("m", keep_versions=3, keep_memories=1)

    assert predict(client, instances=NEW.tolist(), version="1")["predictions"]
    errors = refused(client, instances=NEW.tolist(), version="1", **EVERYTHING)
    assert set(errors) == set(EVERYTHING)
    assert errors["interval"][0].startswith("model m keeps no moments of this version")
    assert predict(client, instances=NEW.tolist(), version="2", **EVERYTHING) == before
