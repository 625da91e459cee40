"""`POST /predict` over HTTP: the numbers of the stored weights, or the place of what is wrong."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from prometheus_client import REGISTRY
from safetensors.numpy import load
from werkzeug.test import Client

from model_store.store import ModelStore

MakeClient = Callable[..., Client]


@pytest.fixture
def plane(client: Client) -> str:
    """A model of two targets and two features, published twice; `old` names the first version."""
    random = np.random.default_rng(2)
    for version in (1, 2):
        x, y = random.normal(size=(20, 2)), random.normal(size=(20, 2))
        answer = client.post("/train", json={"model": "plane", "instances": x.tolist(), "targets": y.tolist(), "features": ["a", "b"]})
        assert answer.headers["Location"] == f"/models/plane/versions/{version}"
    return "plane"


def expected(store: ModelStore, version: int, x: Any) -> Any:
    """What the stored weights predict, by numpy."""
    weights = load(store.blob(store.manifest("plane", version).blobs["state_dict"]))
    return (np.array(x, dtype=float) @ weights["linear.weight"].T + weights["linear.bias"]).tolist()


def test_predictions_are_those_of_the_stored_weights(client: Client, store: ModelStore, plane: str) -> None:
    """Rows, named rows and columns, by live, by number and by alias: all are the matrix product of the stored numbers."""
    store.move_alias("plane", "old", 1)
    x = [[0.5, -1.25], [3, 1e3], [0, 0]]
    forms: list[dict[str, Any]] = [
        {"instances": x},
        {"instances": [{"b": b, "a": a, "note": "text"} for a, b in x]},
        {"columns": {"b": [b for _, b in x], "a": [a for a, _ in x], "other": ["text"]}},
    ]
    for which, version in (({}, 2), ({"version": "1"}, 1), ({"version": "2"}, 2), ({"alias": "old"}, 1), ({"alias": "live"}, 2)):
        for form in forms:
            answer = client.post("/predict", json={"model": plane} | form | which)
            document: Any = answer.json
            assert (answer.status_code, answer.content_type, set(document)) == (
                200,
                "application/json",
                {"model", "version", "predictions"},
            )
            assert (document["model"], document["version"]) == (plane, str(version))
            np.testing.assert_allclose(document["predictions"], expected(store, version, x), rtol=1e-12)


def test_a_body_without_a_media_type_is_json(client: Client, plane: str) -> None:
    """JSON needs no Content-Type here, and may have parameters; another type is refused."""
    body = json.dumps({"model": plane, "instances": [[1, 2]]})

    types = (None, "application/json; charset=utf-8", "Application/JSON", "text/plain", "application/x-www-form-urlencoded")
    assert [client.post("/predict", data=body, content_type=kind).status_code for kind in types] == [200, 200, 200, 415, 415]


@pytest.mark.parametrize("rows", [{"instances": []}, {"columns": {"a": [], "b": []}}])
def test_no_rows_have_no_predictions(client: Client, plane: str, rows: dict[str, Any]) -> None:
    """Zero rows are an answer, not an error."""
    answer = client.post("/predict", json={"model": plane} | rows)

    assert (answer.status_code, answer.json) == (200, {"model": "plane", "version": "2", "predictions": []})


NUMBER = ["must be a number"]


@pytest.mark.parametrize(
    ("request_of", "errors"),
    [
        ({}, {"instances": ["give the rows as instances or as columns, and not as both"]}),
        ({"instances": [[1, 2]], "columns": {}}, {"instances": ["give the rows as instances or as columns, and not as both"]}),
        ({"instances": [[1, 2], [1]]}, {"instances[1]": ["has 1 values where 2 are expected"]}),
        ({"instances": [[1, 2, 3]]}, {"instances[0]": ["has 3 values where 2 are expected"]}),
        ({"instances": [[]]}, {"instances[0]": ["has 0 values where 2 are expected"]}),
        (
            {"instances": [[1, "2"], [True, None]]},
            {"instances[1].a": NUMBER, "instances[0].b": NUMBER, "instances[1].b": ["is missing"]},
        ),
        ({"instances": [[1, [2]], [3, 4]]}, {"instances[0].b": NUMBER}),
        ({"instances": [{"a": 1, "b": None}]}, {"instances[0].b": ["is missing"]}),
        ({"instances": [{"a": 1}]}, {"instances[0].b": ["is missing"]}),
        ({"instances": {"a": 1}}, {"instances": ["must be a list of rows"]}),
        ({"columns": {"a": [1]}}, {"columns.b": ["is missing"]}),
        ({"columns": {"a": [1], "b": ["x"]}}, {"columns.b[0]": NUMBER}),
        ({"instances": [[1, 2]], "version": "1", "alias": "live"}, {"alias": ["give a version or an alias, not both"]}),
        ({"instances": [[1, 2]], "version": 1}, {"version": ["Not a valid string"]}),
        ({"instances": [[1, 2]], "version": "0"}, {"version": ["must be a version number such as 3"]}),
        ({"instances": [[1, 2]], "intervall": 0.9}, {"intervall": ["Unknown field"]}),
    ],
)
def test_wrong_rows_are_refused_by_place(client: Client, plane: str, request_of: dict[str, Any], errors: dict[str, list[str]]) -> None:
    """422 names each row, column and field that is wrong."""
    answer = client.post("/predict", json={"model": plane} | request_of)

    assert (answer.status_code, answer.content_type) == (422, "application/problem+json")
    assert answer.json is not None
    assert answer.json["errors"] == errors


def test_a_prediction_beyond_float64_is_refused(client: Client) -> None:
    """An infinite prediction is refused by its row, and never written as null."""
    client.post("/train", json={"model": "steep", "instances": [[0], [1], [2]], "targets": [0, 1e10, 2.5e10]})
    answer = client.post("/predict", json={"model": "steep", "instances": [[1], [1e308]]})

    assert answer.status_code == 422
    assert answer.json is not None
    assert answer.json["errors"] == {"instances[1].y": ["has a prediction too large for float64"]}


@pytest.mark.parametrize("which", [{"model": "other"}, {"version": "9"}, {"alias": "stable"}])
def test_what_is_not_there_is_404(client: Client, plane: str, which: dict[str, str]) -> None:
    """Unknown models, versions and aliases are 404 with advice."""
    answer = client.post("/predict", json={"model": plane, "instances": [[1, 2]]} | which)

    assert answer.status_code == 404


def test_an_alias_of_digits_is_refused(client: Client, plane: str) -> None:
    """Digits name versions, so no alias can be asked for by them."""
    assert client.post("/predict", json={"model": plane, "instances": [[1, 2]], "alias": "3"}).status_code == 422


def test_limits_on_rows_and_columns(make_client: MakeClient, plane: str) -> None:
    """More rows than allowed are 413 with the name of the setting."""
    client = make_client(MAX_ROWS="2")
    answers = [client.post("/predict", json={"model": plane, "instances": [[1, 2]] * rows}) for rows in (2, 3)]

    assert [answer.status_code for answer in answers] == [200, 413]
    assert "PLUMBLINE_MAX_ROWS allows 2" in answers[1].text


def test_rows_are_counted_by_model(client: Client, plane: str) -> None:
    """Every predicted row counts once, under the name of a model that exists."""

    def rows() -> float:
        return REGISTRY.get_sample_value("plumbline_rows_predicted_total", {"model": plane}) or 0

    before = rows()
    client.post("/predict", json={"model": plane, "instances": [[1, 2]] * 5})
    client.post("/predict", json={"model": plane, "instances": [[1, 2], [1]]})
    client.post("/predict", json={"model": "zebra-model", "instances": [[1, 2]]})

    assert rows() == before + 5
    assert "zebra-model" not in client.get("/metrics").text
