"""`/invocations` and `/ping`: MLflow's and SageMaker's forms of rows, answers and errors."""

import json
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from werkzeug.test import Client

from service.config import RELEASE
from tests.api.conftest import MakeClient

RANDOM = np.random.default_rng(37)
X = RANDOM.normal(size=(30, 2)) * [1.0, 20.0] + [5.0, -100.0]
Y = X @ [1.5, -0.25] + RANDOM.normal(size=30)
NEW = [[4.5, -90.0], [6.0, -130.0]]
TRUTH = sm.OLS(Y, sm.add_constant(X)).fit()
EXPECTED = TRUTH.predict(np.column_stack([np.ones(2), NEW])).tolist()


def train(client: Client, model: str = "default", features: tuple[str, str] = ("a", "b"), **more: Any) -> None:
    document = {"model": model, "instances": X.tolist(), "targets": Y.tolist(), "features": features} | more
    assert client.post("/train", json=document).status_code == 201


@pytest.fixture
def plane(client: Client) -> None:
    """A default model of two features."""
    train(client)


@pytest.mark.parametrize(
    "document",
    [
        {"dataframe_split": {"columns": ["b", "a"], "index": [0, 1], "data": [[b, a] for a, b in NEW]}},
        {"dataframe_split": {"data": NEW}},
        {"dataframe_split": {"columns": ["more", "a", "b"], "data": [["text", *row] for row in NEW]}},
        {"dataframe_records": [{"b": b, "a": a, "more": "text"} for a, b in NEW]},
        {"instances": NEW},
        {"instances": [{"a": a, "b": b} for a, b in NEW], "params": {}},
        {"inputs": NEW},
        {"inputs": {"a": [4.5, 6.0], "b": [-90.0, -130.0]}},
        NEW,
        [{"a": a, "b": b} for a, b in NEW],
    ],
)
@pytest.mark.usefixtures("plane")
def test_every_json_form(client: Client, document: Any) -> None:
    """Data frames, records, instances, inputs and a bare list are the same rows, as JSON or CSV asks for them."""
    answer = client.post("/invocations", json=document)
    as_csv = client.post("/invocations", json=document, headers={"Accept": "text/csv"})

    assert (answer.status_code, answer.content_type, list(answer.json or {})) == (200, "application/json", ["predictions"])
    assert (answer.json or {})["predictions"] == pytest.approx(EXPECTED, rel=1e-9)
    assert as_csv.content_type == "text/csv; charset=utf-8"
    assert [float(line) for line in as_csv.text.splitlines()] == (answer.json or {})["predictions"]


@pytest.mark.usefixtures("plane")
def test_params_ask_for_more(client: Client) -> None:
    """MLflow's params are the options of /predict; what they ask for stands in JSON alone."""
    document = {"dataframe_records": [{"a": a, "b": b} for a, b in NEW], "params": {"mean_interval": 0.8}}
    answer: Any = client.post("/invocations", json=document, headers={"Accept": "*/*"}).json
    as_csv = client.post("/invocations", json=document, headers={"Accept": "text/csv"})

    truth = TRUTH.get_prediction(np.column_stack([np.ones(2), NEW])).summary_frame(alpha=0.2)
    assert [row["mean_upper"] for row in answer["predictions"]] == pytest.approx(truth["mean_ci_upper"].tolist(), rel=1e-9)
    assert (as_csv.status_code, (as_csv.json or {})["error_code"]) == (406, "BAD_REQUEST")


CSV = "4.5,-90\n6.0,-130\n"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/csv", CSV),
        ("text/csv", "a,b\n" + CSV),
        ("text/csv; charset=utf-8", "b,more,a\r\n-90,x,4.5\r\n-130,y,6\r\n"),
        ("text/csv; header=present", "\ufeffa,b\n" + CSV),
        ("text/csv;header=absent", CSV.strip()),
        ("TEXT/CSV", '"a","b"\n' + CSV),
    ],
)
@pytest.mark.usefixtures("plane")
def test_csv_with_and_without_a_header(client: Client, content_type: str, body: str) -> None:
    """A header line is told by the names of the features, or by the media type."""
    answer = client.post("/invocations", data=body.encode(), content_type=content_type)

    assert answer.status_code == 200, answer.text
    assert (answer.json or {})["predictions"] == pytest.approx(EXPECTED, rel=1e-9)


def test_names_that_are_numbers_are_never_guessed(client: Client) -> None:
    """Where the features are called 1 and 2, a line `1,2` may be a header or a row: the client has to say."""
    train(client, features=("1", "2"))
    unsaid = client.post("/invocations", data="1,2\n4.5,-90\n", content_type="text/csv")
    said = [client.post("/invocations", data="1,2\n4.5,-90\n", content_type=f"text/csv; header={h}").json for h in ("present", "absent")]

    assert unsaid.status_code == 400
    assert "header=present" in (unsaid.json or {})["message"]
    assert [len((answer or {})["predictions"]) for answer in said] == [1, 2]


def test_text_in_csv_is_a_category(client: Client) -> None:
    """Categories come as text, digits among them, and CSV answers hold a line of numbers per row for several targets."""
    columns = {"zip": ["01067", "10115", "01067", "10115", "10115"], "area": [1, 2, 3, 4, 6]}
    targets = {"y": [3, 6, 7, 10, 14], "z": [1, 2, 1, 2, 2]}
    train_body = {"columns": columns | targets, "target": ["y", "z"]}
    assert client.post("/train", json=train_body).status_code == 201
    answer = client.post("/invocations", data="01067,10\n10115,10\n", content_type="text/csv", headers={"Accept": "text/csv"})

    lines = [list(map(float, line.split(","))) for line in answer.text.splitlines()]
    np.testing.assert_allclose(lines, [[21, 1], [22, 2]], rtol=1e-9)


@pytest.mark.usefixtures("plane")
def test_zero_rows(client: Client) -> None:
    """Nothing asked, nothing answered."""
    for body in ({"instances": []}, [], {"dataframe_split": {"columns": ["a", "b"], "data": []}}, {"dataframe_records": []}):
        assert client.post("/invocations", json=body).json == {"predictions": []}
    for text in ("a,b\n", ""):
        assert client.post("/invocations", data=text, content_type="text/csv").json == {"predictions": []}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("not json", "not valid JSON"),
        ("[1", "not valid JSON"),
        ("{}", "exactly one of dataframe_split, dataframe_records, instances, inputs"),
        ('{"instances": [], "inputs": []}', "exactly one"),
        ('{"instances": [["zebra", 1]]}', "instances[0].a: must be a number"),
        ('{"dataframe_records": [{"a": "zebra"}]}', "dataframe_records[0].b: is missing"),
        ('{"dataframe_split": {"columns": ["a"], "data": [[1]]}}', "b: is missing"),
        ('{"dataframe_split": {"columns": ["a", "b", "a"], "data": [[1, 2, 3]]}}', "name a column twice"),
        ('{"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2], [3]]}}', "data[1]: has 1 values where 2 are expected"),
        ('{"dataframe_split": {"columns": ["a", "b"]}}', "dataframe_split.data: is missing"),
        ('{"dataframe_split": {"columns": ["a", "b"], "data": [[1, "zebra"]]}}', "data[0].b: must be a number"),
        ('{"dataframe_split": "zebra"}', "dataframe_split: must be an object"),
        ('{"dataframe_split": {"data": [], "dtype": "zebra"}}', "dtype: Unknown field"),
        ('{"instances": [[1, 2]], "params": {"interval": "zebra"}}', "params.interval: must be a number between 0 and 1"),
    ],
)
@pytest.mark.usefixtures("plane")
def test_errors_are_mlflows(client: Client, body: str, says: str) -> None:
    """What is wrong is 400 with MLflow's two members, naming the place and repeating nothing that was sent."""
    answer = client.post("/invocations", data=body, content_type="application/json")

    assert (answer.status_code, answer.content_type) == (400, "application/json")
    assert answer.json is not None
    assert (set(answer.json), answer.json["error_code"]) == ({"error_code", "message"}, "BAD_REQUEST")
    assert says in answer.json["message"]
    assert "zebra" not in answer.text


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("1,2,3\n", "every line must have as many fields as the header"),
        ("a\n1\n", "every line must have as many fields as the header"),
        ("a,zebra\n1,2\n", "must be a number"),
        ("1,zebra\n", "column b: must be a number"),
        ("1,\n", "column b"),
    ],
)
@pytest.mark.usefixtures("plane")
def test_wrong_csv_is_told(client: Client, body: str, says: str) -> None:
    """CSV that cannot be read, or does not fit, is 400 in the same form."""
    answer = client.post("/invocations", data=body, content_type="text/csv")

    assert answer.status_code == 400
    assert says in (answer.json or {})["message"], answer.text
    assert "zebra" not in answer.text


@pytest.mark.usefixtures("plane")
def test_media_types_that_are_not_read_or_written(client: Client) -> None:
    """415 and 406 say what is."""
    unread = client.post("/invocations", data=b"x", content_type="application/x-npy")
    unwritten = client.post("/invocations", json=NEW, headers={"Accept": "application/x-npy"})
    wrong_header = client.post("/invocations", data=CSV, content_type="text/csv; header=maybe")

    assert [answer.status_code for answer in (unread, unwritten, wrong_header)] == [415, 406, 400]
    assert all(set(answer.json or {}) == {"error_code", "message"} for answer in (unread, unwritten, wrong_header))


def test_ping_is_200_once_there_is_a_model(make_client: MakeClient) -> None:
    """`/ping` and `/health` answer GET and HEAD, without a token, by whether the model that is meant can be asked."""
    client = make_client(DEFAULT_MODEL="rent", READ_TOKEN="correct-horse-battery", WRITE_TOKEN="correct-horse-battery")
    token = {"Authorization": "Bearer correct-horse-battery"}
    before = [client.open(path, method=method).status_code for path in ("/ping", "/health") for method in ("GET", "HEAD")]
    assert client.post("/invocations", json=NEW, headers=token).status_code == 404
    client.post("/train", json={"model": "rent", "instances": [[0], [1], [2]], "targets": [1, 3, 5]}, headers=token)
    after = [client.open(path, method=method).status_code for path in ("/ping", "/health") for method in ("GET", "HEAD")]
    answers = [client.post("/invocations", json=[[10]], headers=headers).status_code for headers in ({}, token)]

    assert (before, after, answers) == ([503] * 4, [200] * 4, [401, 200])
    gate: Any = client.application
    gate.stopping = lambda: True
    assert (client.get("/ping").status_code, json.loads(client.get("/ping").text)["reasons"]) == (503, {"worker": "is stopping"})


def test_the_version_is_text(client: Client) -> None:
    """`/version` tells the version of this service."""
    answer = client.get("/version")

    assert (answer.status_code, answer.mimetype, answer.text) == (200, "text/plain", RELEASE)
