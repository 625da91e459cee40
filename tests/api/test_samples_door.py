"""`GET …/sample` against statsmodels, and `GET …/cost` against numpy on all rows."""

from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.stats.outliers_influence import OLSInfluence
from werkzeug.test import Client

RANDOM = np.random.default_rng(31)
N = 60
X = RANDOM.normal(size=(N, 2)) * [2.0, 30.0] + [4.0, -200.0]
TOWN = np.array(["Bonn", "Jena", "Ulm"])[RANDOM.integers(0, 3, N)]
Y = np.column_stack([X @ [3.0, 0.1] + (TOWN == "Ulm"), X @ [0.0, 1.0]]) + RANDOM.normal(size=(N, 2))
W = RANDOM.choice([0.5, 1.0, 4.0], N)
COLUMNS = {"a": X[:, 0], "b": X[:, 1], "town": TOWN, "y": Y[:, 0], "z": Y[:, 1], "w": W}


def train(client: Client, **options: Any) -> None:
    columns = {name: column.tolist() for name, column in COLUMNS.items()}
    document = {"model": "m", "columns": columns, "target": "y", "features": ["a", "b", "town"], "sample": N, "new_schema": True}
    answer = client.post("/train", json=document | options)
    assert answer.status_code == 201, answer.json


def got(client: Client, what: str) -> Any:
    answer = client.get(f"/models/m/versions/live/{what}")
    assert answer.status_code == 200, answer.json
    return answer.json


def order_of(found: Any) -> np.ndarray:
    """The places among our rows of the rows of an answer."""
    return np.array([np.flatnonzero(X[:, 0] == a)[0] for a in found["columns"]["a"]])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
def test_diagnostics_are_those_of_statsmodels(client: Client, *, weighted: bool, intercept: bool) -> None:
    """Rows by name, fitted values, residuals, leverages and standardized residuals of two targets, with categories and powers."""
    options: dict[str, Any] = {"weights": "w"} if weighted else {}
    train(client, target=["y", "z"], terms=["a", "a^2", "b", "town"] if intercept else ["a", "b"], intercept=intercept, **options)
    found = got(client, "sample")
    order = order_of(found)
    assert (found["n"], found["count"], sorted(order)) == (N, N, list(range(N)))
    assert {name: found["columns"][name] for name in ("b", "town")} == {"b": X[order, 1].tolist(), "town": TOWN[order].tolist()}
    assert found.get("weights") == (W[order].tolist() if weighted else None)
    assert "times" not in found

    a, b = X[order].T
    A = np.column_stack([np.ones(N), a, a * a, b, TOWN[order] == "Jena", TOWN[order] == "Ulm"] if intercept else [a, b]).astype(float)
    root = np.sqrt(W[order]) if weighted else np.ones(N)
    for place, target in enumerate(("y", "z")):
        y = Y[order, place]
        fit = sm.OLS(root * y, root[:, None] * A).fit()
        influence = OLSInfluence(fit)
        assert found["targets"][target] == y.tolist()
        np.testing.assert_allclose(found["fitted"][target], A @ fit.params, rtol=1e-9)
        np.testing.assert_allclose(found["residual"][target], y - A @ fit.params, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(found["leverage"], influence.hat_matrix_diag, rtol=1e-9)
        np.testing.assert_allclose(found["standardized"][target], influence.resid_studentized_internal, rtol=1e-7, atol=1e-9)


def test_rows_that_were_learned_twice_say_so(client: Client) -> None:
    """Each distinct row is there once, with how often it counts."""
    train(client, features=["a"], sample=5)
    rows = {name: COLUMNS[name].tolist() for name in ("a", "y")}
    first = got(client, "sample")
    assert (first["count"], "times" in first) == (5, False)
    again = {name: [column[int(place)] for place in order_of(first)[:2]] for name, column in rows.items()}
    assert client.post("/models/m/learn", json={"columns": again}).status_code == 201

    found = got(client, "sample")
    assert (found["n"], found["times"], found["columns"]) == (N + 2, [2, 2, 1, 1, 1], first["columns"])


def test_what_a_fit_does_not_tell_is_null(client: Client) -> None:
    """Leverages of a gradient's or a penalty's fit, and the standardized residuals of a perfect one."""
    train(client, solver={"name": "exact", "ridge": 1})
    found = got(client, "sample")
    assert (found["leverage"], found["standardized"]) == (None, None)
    assert np.abs(np.array(found["residual"]["y"]) - (np.array(found["targets"]["y"]) - found["fitted"]["y"])).max() == 0

    client.post("/train", json={"model": "m", "instances": [[0], [1], [2]], "targets": [1, 3, 5], "sample": 3, "new_schema": True})
    found = got(client, "sample")
    assert found["standardized"] == {"y": [None] * 3}
    np.testing.assert_allclose(sum(found["leverage"]), 2)


def test_without_a_sample_it_is_told_how_to_keep_one(client: Client) -> None:
    train(client, sample=0)
    answer = client.get("/models/m/versions/1/sample")
    assert answer.status_code == 404
    assert answer.json is not None
    assert '"sample": 1000' in answer.json["detail"]


@pytest.mark.parametrize(
    ("features", "intercept", "weighted"),
    [(["a"], True, False), (["a"], False, True), (["a", "b"], True, True), (["a", "b"], False, False)],
)
def test_the_cost_is_the_mean_squared_error(client: Client, features: list[str], *, intercept: bool, weighted: bool) -> None:
    """At random parameters it is numpy's over all rows, and at its minimum no smaller than there."""
    train(client, features=features, intercept=intercept, sample=0, **({"weights": "w"} if weighted else {}))
    found = got(client, "cost")
    A = np.column_stack([*([np.ones(N)] if intercept else []), *(COLUMNS[name] for name in features)])
    w = W if weighted else np.ones(N)
    assert (found["target"], found["parameters"]) == ("y", ["intercept"] * intercept + features)
    constant, linear, matrix = (np.array(found["quadratic"][name]) for name in ("constant", "linear", "matrix"))
    minimum = np.array(found["minimum"])
    for b in RANDOM.normal(size=(20, len(minimum))) * 10:
        truth = np.average((Y[:, 0] - A @ b) ** 2, weights=w)
        assert constant + linear @ b + b @ matrix @ b == pytest.approx(truth, rel=1e-12)
        assert found["least"] + (b - minimum) @ matrix @ (b - minimum) == pytest.approx(truth, rel=1e-12)
    truth = np.average((Y[:, 0] - A @ minimum) ** 2, weights=w)
    assert found["least"] == pytest.approx(truth, rel=1e-12)
    np.testing.assert_allclose(minimum, np.linalg.lstsq(np.sqrt(w)[:, None] * A, np.sqrt(w) * Y[:, 0])[0], rtol=1e-9)


def test_the_cost_of_one_target_among_several(client: Client) -> None:
    """It is to be named; the cost of a category's column is told too."""
    train(client, target=["y", "z"], features=["town"])
    answer = client.get("/models/m/versions/1/cost")
    assert (answer.status_code, answer.json["errors"]) == (422, {"target": ["must be one of y, z"]})  # type: ignore[index]
    found = got(client, "cost?target=z")
    assert (found["target"], found["parameters"]) == ("z", ["intercept", "town[Jena]", "town[Ulm]"])
    truth = np.mean((Y[:, 1] - (1.0 + 2.0 * (TOWN == "Jena") - 3.0 * (TOWN == "Ulm"))) ** 2)
    b = np.array([1.0, 2.0, -3.0])
    assert found["quadratic"]["constant"] + found["quadratic"]["linear"] @ b + b @ found["quadratic"]["matrix"] @ b == pytest.approx(
        truth, rel=1e-12
    )


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({}, "has 5 parameters, and the cost is told of at most 3"),
        ({"terms": ["a", "a^2"]}, "has powers, which are fitted in a shifted basis"),
    ],
)
def test_a_cost_that_is_not_told_says_why(client: Client, options: dict[str, Any], advice: str) -> None:
    train(client, **options)
    answer = client.get("/models/m/versions/1/cost")
    assert answer.status_code == 409
    assert answer.json is not None
    assert advice in answer.json["detail"]


def test_the_cost_of_data_too_large_is_refused(client: Client) -> None:
    """Their squares leave float64, though the fit does not."""
    document = {"model": "m", "instances": [[1e200], [2e200], [4e200]], "targets": [1, 2, 3]}
    assert client.post("/train", json=document).status_code == 201
    answer = client.get("/models/m/versions/1/cost")
    assert answer.status_code == 409
    assert answer.json is not None
    assert "too large for float64" in answer.json["detail"]
