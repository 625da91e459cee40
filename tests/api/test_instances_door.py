"""TensorFlow Serving's, KServe v1's and Vertex AI's addresses: their forms in, their forms out, their errors."""

import json
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from werkzeug.test import Client, TestResponse

from model_store.store import ModelStore
from tests.api.conftest import MakeClient

RANDOM = np.random.default_rng(31)
X = RANDOM.normal(size=(30, 2)) * [1.0, 20.0] + [5.0, -100.0]
Y = X @ [1.5, -0.25] + RANDOM.normal(size=30)
NEW = [[4.5, -90.0], [6.0, -130.0]]
PREDICT = "/v1/models/plane:predict"


@pytest.fixture
def plane(client: Client) -> TestResponse:
    """A model of two features and one target."""
    return client.post("/train", json={"model": "plane", "instances": X.tolist(), "targets": Y.tolist(), "features": ["a", "b"]})


def truth(*, level: float = 0.9) -> Any:
    """statsmodels' predictions and intervals at `NEW`."""
    fit = sm.OLS(Y, sm.add_constant(X)).fit()
    return fit.get_prediction(np.column_stack([np.ones(2), NEW])).summary_frame(alpha=1 - level)


@pytest.mark.usefixtures("plane")
def test_parameters_ask_for_more(client: Client) -> None:
    """With Vertex AI's parameters each prediction is an object with what was asked for, and statsmodels has the same numbers."""
    answer: Any = client.post(PREDICT, json={"instances": NEW, "parameters": {"interval": 0.9, "leverage": True}}).json

    assert [list(row) for row in answer["predictions"]] == [["predict", "lower", "upper", "leverage", "extrapolating"]] * 2
    expected = truth()
    for name, column in {"predict": "mean", "lower": "obs_ci_lower", "upper": "obs_ci_upper"}.items():
        np.testing.assert_allclose([row[name] for row in answer["predictions"]], expected[column], rtol=1e-9)


@pytest.mark.usefixtures("plane")
def test_tensors_in_and_tensors_out(client: Client) -> None:
    """Whole tensors give whole tensors, by name where there are several."""
    inputs = {"a": [row[0] for row in NEW], "b": [row[1] for row in NEW]}
    alone: Any = client.post(PREDICT, json={"inputs": inputs}).json
    several: Any = client.post(PREDICT, json={"inputs": inputs, "parameters": {"mean_interval": 0.9, "contributions": True}}).json

    expected = truth()
    np.testing.assert_allclose(alone["outputs"], expected["mean"], rtol=1e-9)
    assert set(several["outputs"]) == {"predict", "mean_lower", "mean_upper", "baseline", "contributions"}
    np.testing.assert_allclose(several["outputs"]["mean_lower"], expected["mean_ci_lower"], rtol=1e-9)
    parts = np.array([several["outputs"]["contributions"][name] for name in ("a", "b")])
    np.testing.assert_allclose(several["outputs"]["baseline"] + parts.sum(axis=0), alone["outputs"], rtol=1e-12)


@pytest.mark.usefixtures("plane")
def test_explanations_add_up(client: Client) -> None:
    """`:explain` gives the predictions, and for each row parts by column that lead from the prediction at the means to it."""
    answer: Any = client.post("/v1/models/plane:explain", json={"instances": NEW}).json

    slopes = sm.OLS(Y, sm.add_constant(X)).fit().params[1:]
    for row, prediction, explanation in zip(NEW, answer["predictions"], answer["explanations"], strict=True):
        assert explanation["baseline"] == pytest.approx(Y.mean(), rel=1e-12)
        parts = explanation["contributions"]
        assert [parts["a"], parts["b"]] == pytest.approx((slopes * (np.array(row) - X.mean(axis=0))).tolist(), rel=1e-9)
        assert explanation["baseline"] + sum(parts.values()) == pytest.approx(prediction, rel=1e-12)


def test_several_targets_are_lists(client: Client) -> None:
    """For several targets a prediction, its baseline and each part is a list."""
    targets = np.column_stack([Y, 2 * Y]).tolist()
    client.post("/train", json={"model": "pair", "instances": X.tolist(), "targets": targets})
    answer: Any = client.post("/v1/models/pair:explain", json={"instances": NEW}).json
    asked: Any = client.post("/v1/models/pair:predict", json={"instances": NEW, "parameters": {"std_error": True}}).json
    regressed = client.post("/v1/models/pair:regress", json={"examples": [{"x1": 1, "x2": 2}]})

    np.testing.assert_allclose(np.array(answer["predictions"])[:, 1], 2 * truth()["mean"], rtol=1e-9)
    assert [len(part) for part in answer["explanations"][0]["contributions"].values()] == [2, 2]
    assert [len(row["std_error"]) for row in asked["predictions"]] == [2, 2]
    assert (regressed.status_code, set(regressed.json or {})) == (400, {"error"})


def test_a_model_of_one_feature_takes_bare_values(client: Client, line: TestResponse) -> None:
    """TensorFlow's own first example: instances that are numbers."""
    assert line.status_code == 201
    for instances in ([1.0, 2.0, 5.0], [[1.0], [2.0], [5.0]], [{"x1": [1.0]}, {"x1": [2]}, {"x1": [5]}]):
        answer: Any = client.post("/v1/models/line:predict", json={"instances": instances}).json
        assert answer["predictions"] == pytest.approx([3, 5, 11])
    mixed = client.post("/v1/models/line:predict", json={"instances": [{"x1": [1.0]}, {"x1": 2}]})
    assert (mixed.status_code, mixed.json) == (
        400,
        {"error": "some fields of the request are not valid: instances[0].x1: must be a number"},
    )


@pytest.mark.usefixtures("plane")
def test_curl_needs_no_content_type(client: Client) -> None:
    """`curl -d` calls its body a form, and is answered."""
    answer = client.post(PREDICT, data=json.dumps({"instances": NEW}), content_type="application/x-www-form-urlencoded")

    assert answer.status_code == 200


@pytest.mark.usefixtures("plane")
def test_examples_share_a_context(client: Client) -> None:
    """`:regress` completes each example by the context, and takes values in lists of their own."""
    request = {"signature_name": "serving_default", "context": {"b": -90.0}, "examples": [{"a": 4.5}, {"a": 5.5}]}
    shared: Any = client.post("/v1/models/plane:regress", json=request).json
    whole: Any = client.post("/v1/models/plane:regress", json={"examples": [{"a": [4.5], "b": [-90.0]}, {"a": [5.5], "b": [-90]}]}).json
    all_shared: Any = client.post("/v1/models/plane:regress", json={"context": {"a": 4.5, "b": -90.0}, "examples": [{}]}).json

    assert shared["results"][0] == pytest.approx(truth()["mean"][0], rel=1e-9)
    assert whole == shared
    assert all_shared["results"] == shared["results"][:1]


@pytest.mark.usefixtures("plane")
def test_zero_rows_are_an_answer(client: Client) -> None:
    """No instances, no predictions."""
    for request in ({"instances": []}, {"instances": [], "parameters": {"interval": 0.5, "contributions": True}}):
        assert client.post(PREDICT, json=request).json == {"predictions": []}
    assert client.post("/v1/models/plane:explain", json={"instances": []}).json == {"predictions": [], "explanations": []}
    assert client.post("/v1/models/plane:regress", json={"examples": []}).json == {"results": []}


def test_versions_and_labels(client: Client, store: ModelStore) -> None:
    """A version is asked by its number or by a label, which is an alias; live answers where none is named."""
    for slope in (1, 2):
        client.post("/train", json={"model": "line", "instances": [[0], [1], [2]], "targets": [0, slope, 2 * slope]})
    store.move_alias("line", "stable", 1)
    slopes = {"": 2, "/versions/1": 1, "/versions/2": 2, "/labels/stable": 1, "/labels/live": 2}
    for place, slope in slopes.items():
        answer: Any = client.post(f"/v1/models/line{place}:predict", json={"instances": [10]}).json
        assert answer["predictions"] == pytest.approx([10 * slope]), place
        status: Any = client.get(f"/v1/models/line{place}").json
        state = {"version": str(slope), "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        assert status == {"name": "line", "ready": True, "model_version_status": [state]}
    for place in ("/versions/3", "/labels/canary"):
        answer = client.post(f"/v1/models/line{place}:predict", json={"instances": [10]})
        assert (answer.status_code, answer.content_type, set(answer.json or {})) == (404, "application/json", {"error"})
    assert client.get("/v1/models").json == {"models": ["line"]}


def test_metadata_is_the_schema(client: Client) -> None:
    """TensorFlow's description of the signature names the features with their types, and the prediction."""
    rows = {"town": ["Bonn", "Ulm", "Bonn", "Ulm"], "area": [1, 2, 3, 5], "y": [1, 2, 3, 4], "z": [4, 3, 2, 2]}
    client.post("/train", json={"model": "towns", "columns": rows, "target": ["y", "z"]})
    document: Any = client.get("/v1/models/towns/metadata").json

    signature = document["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert document["model_spec"] == {"name": "towns", "signature_name": "", "version": "1"}
    assert {name: tensor["dtype"] for name, tensor in signature["inputs"].items()} == {"town": "DT_STRING", "area": "DT_DOUBLE"}
    assert [size["size"] for size in signature["outputs"]["predict"]["tensor_shape"]["dim"]] == ["-1", "2"]
    assert signature["method_name"] == "tensorflow/serving/predict"


@pytest.mark.parametrize(
    ("path", "request_of", "says"),
    [
        (PREDICT, {}, "instances: give the rows as instances, or whole tensors as inputs, and not both"),
        (PREDICT, {"instances": [], "inputs": []}, "and not both"),
        (PREDICT, {"instances": [[1, "zebra"]]}, "instances[0].b: must be a number"),
        (PREDICT, {"instances": [[1, 2], [3]]}, "instances[1]: has 1 values where 2 are expected"),
        (PREDICT, {"instances": [1, 2]}, "instances[0]: must be a list of values"),
        (PREDICT, {"instances": [[1, 2]], "signature_name": "zebra"}, "signature_name"),
        (PREDICT, {"instances": [[1, 2]], "parameters": {"interval": 2}}, "parameters.interval: must be a number between 0 and 1"),
        (PREDICT, {"instances": [[1, 2]], "more": "zebra"}, "Unknown field"),
        (PREDICT, {"inputs": {"a": [1]}}, "inputs.b: is missing"),
        ("/v1/models/plane:explain", {"inputs": [[1, 2]]}, "instances: is missing"),
        ("/v1/models/plane:explain", {"instances": [[1, 2]], "parameters": {}}, "parameters: Unknown field"),
        ("/v1/models/plane:regress", {"instances": [[1, 2]]}, "examples: is missing"),
        ("/v1/models/plane:regress", {"examples": [{"a": 1}]}, "examples[0].b: is missing"),
        ("/v1/models/plane:regress", {"examples": [{"a": 1, "b": 2}], "context": {"a": 1}}, "gives a feature that the context gives too"),
        ("/v1/models/plane:regress", {"examples": [{"a": 1}], "context": [2]}, "context: must be an object by feature name"),
        ("/v1/models/plane:regress", {"examples": [1]}, "examples[0]: must be an object"),
        ("/v1/models/no name:predict", {"instances": [[1, 2]]}, "not a model name"),
    ],
)
@pytest.mark.usefixtures("plane")
def test_errors_are_tensorflows(client: Client, path: str, request_of: dict[str, Any], says: str) -> None:
    """What is wrong is 400 (or 404) with one text, which names the place and repeats nothing that was sent."""
    answer = client.post(path, json=request_of)

    assert (answer.status_code in {400, 404}, answer.content_type, list(answer.json or {})) == (True, "application/json", ["error"])
    assert says in (answer.json or {})["error"]
    assert "zebra" not in answer.text


@pytest.mark.parametrize(("method", "path", "status"), [
    ("POST", "/v1/models/plane:classify", 404), ("GET", "/v1/models/plane:predict", 405), ("GET", "/v1/nowhere", 404),
    ("DELETE", "/v1/models/plane", 405), ("POST", "/v1/models/plane:a:predict", 404), ("GET", "/v1/models/none", 404),
])  # fmt: skip
@pytest.mark.usefixtures("plane")
def test_what_is_not_there_is_json(client: Client, method: str, path: str, status: int) -> None:
    """Unknown addresses and methods are told in the protocol's form too."""
    answer = client.open(path, method=method, json={} if method == "POST" else None)

    assert (answer.status_code, answer.content_type, list(answer.json or {})) == (status, "application/json", ["error"])


def test_vertex_routes_are_those_of_its_environment(make_client: MakeClient) -> None:
    """Health is 200 exactly when the default model can be asked; both routes are open without a token that may write."""
    base = "/v1/endpoints/17/deployedModels/4"
    platform = {"AIP_HEALTH_ROUTE": base, "AIP_PREDICT_ROUTE": f"{base}:predict", "AIP_HTTP_PORT": "8081", "AIP_MODE": "PREDICTION"}
    client = make_client(platform=platform, WRITE_TOKEN="correct-horse-battery", DEFAULT_MODEL="rent")
    token = {"Authorization": "Bearer correct-horse-battery"}
    before = client.get(base)
    client.post("/train", json={"model": "rent", "instances": [[0], [1], [2]], "targets": [1, 3, 5]}, headers=token)
    after = client.get(base)
    predicted: Any = client.post(f"{base}:predict", json={"instances": [[10], [20]], "parameters": {"interval": 0.9}})

    assert (before.status_code, after.status_code) == (503, 200)
    assert "PLUMBLINE_DEFAULT_MODEL" in before.text
    assert [row["predict"] for row in predicted.json["predictions"]] == pytest.approx([21, 41])
    refused = client.post(f"{base}:predict", json={"instances": ["zebra"]})
    assert (refused.status_code, list(refused.json or {})) == (400, ["error"])


def test_a_platform_may_choose_addresses_of_ours(make_client: MakeClient) -> None:
    """Where Vertex AI is told to ask at /predict and /livez, these answer as it expects."""
    client = make_client(platform={"AIP_HEALTH_ROUTE": "/livez", "AIP_PREDICT_ROUTE": "/predict"})

    assert client.get("/livez").status_code == 503
    client.post("/train", json={"instances": [[0], [1], [2]], "targets": [1, 3, 5]})
    assert client.get("/livez").status_code == 200
    assert client.post("/predict", json={"instances": [10], "parameters": {}}).json == {"predictions": [pytest.approx(21)]}
