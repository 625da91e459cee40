"""`POST /predict` with tables in and out: the same numbers, bit for bit, as in JSON, and the same refusals."""

import csv
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from werkzeug.test import Client, TestResponse

from model_store.store import ModelStore
from service.app import create_app
from service.config import Config
from service.training.jobs import Jobs
from service.training.runner import run_job
from service.training.sources import Limits

MakeClient = Callable[..., Client]
RANDOM = np.random.default_rng(29)
TOWNS = ["köln", "bonn, old", 'the "hague"', "01067"]
COUNT = 300
CSV, ARROW, PARQUET, NDJSON = "text/csv", "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet", "application/x-ndjson"
OPTIONS = {"interval": 0.9, "mean_interval": 0.8, "std_error": True, "leverage": True, "contributions": True}
QUERY = "interval=0.9&mean_interval=0.8&std_error=true&leverage=true&contributions=true"


def frame(count: int) -> pl.DataFrame:
    """Rows as people have them: other columns among the features, which stand in another order."""
    return pl.DataFrame(
        {
            "note": RANDOM.choice(["", "a", "1"], size=count),
            "x": RANDOM.normal(size=count) * 1e3,
            "town": RANDOM.choice(TOWNS, size=count),
            "k": RANDOM.integers(-5, 5, size=count),
            "y": RANDOM.normal(size=count),
            "z": RANDOM.normal(size=count),
        }
    )


def body_of(rows: pl.DataFrame, media_type: str) -> bytes:
    file = io.BytesIO()
    {CSV: rows.write_csv, ARROW: rows.write_ipc_stream, PARQUET: rows.write_parquet, NDJSON: rows.write_ndjson}[media_type](file)
    return file.getvalue()


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> MakeClient:
    """Applications with these settings over one store, in which what a test trains stays."""
    root = tmp_path_factory.mktemp("tables") / "store"

    def make(**settings: str) -> Client:
        config = Config.from_environ({"PLUMBLINE_STORE": str(root)} | {f"PLUMBLINE_{name}": text for name, text in settings.items()})
        store = ModelStore.open(config.store)
        jobs = Jobs(store, config.spool, limit=config.max_queued_trainings)
        limits = Limits(config.max_rows, config.max_columns)
        return Client(create_app(config, ring=lambda job_id: run_job(jobs, store, limits, job_id)))

    return make


@pytest.fixture(scope="module")
def client(make: MakeClient) -> Client:
    """An application with two models: `houses` of two targets, a number, a whole number and a category; `plain` of numbers alone."""
    client, rows = make(), frame(COUNT).drop("note")
    for model, columns, target in (("houses", rows, ["y", "z"]), ("plain", rows.select("x", "k", "y"), "y")):
        document = {"model": model, "columns": columns.to_dict(as_series=False), "target": target}
        assert client.post("/train", json=document).status_code == 201
    return client


def asked_in_json(client: Client, model: str, rows: pl.DataFrame, **options: Any) -> Any:
    answer = client.post("/predict", json={"model": model, "columns": rows.to_dict(as_series=False)} | options)
    assert answer.status_code == 200, answer.json
    return answer.json


def asked_in(media_type: str, client: Client, rows: pl.DataFrame, query: str, **headers: str) -> TestResponse:
    answer = client.post(f"/predict?{query}", data=body_of(rows, media_type), content_type=media_type, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer


def as_table(document: Any, targets: list[str]) -> dict[str, list[Any]]:
    """What a table must hold, by the JSON answer to the same rows."""
    count = len(document["predictions"])
    ends = [""] if len(targets) == 1 else [f".{target}" for target in targets]
    table: dict[str, list[Any]] = {}

    def spread(name: str, values: Any, ends: list[str] = ends) -> None:
        matrix = np.array(values).reshape(count, -1)
        table.update({f"{name}{end}": matrix[:, t].tolist() for t, end in enumerate(ends)})

    for name, values in document.items():
        if name == "baseline":
            spread(name, [values] * count)
        elif name == "contributions":
            for column, parts in values.items():
                spread(f"{name}.{column}", parts)
        elif name in ("leverage", "extrapolating"):
            spread(name, values, [""])
        elif name not in ("model", "version"):
            spread(name, values)
    return table


def read(answer: TestResponse) -> dict[str, list[Any]]:
    """The columns of a table: Arrow by polars, CSV by the standard library."""
    if answer.content_type == ARROW:
        return pl.read_ipc_stream(answer.data).to_dict(as_series=False)
    names, *rows = csv.reader(io.StringIO(answer.text))
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    values = {"true": True, "false": False}
    return {name: [values[cell] if cell in values else float(cell) for cell in column] for name, column in zip(names, columns, strict=True)}


@pytest.mark.parametrize("media_type", [CSV, ARROW, PARQUET, NDJSON])
@pytest.mark.parametrize("model", ["houses", "plain"])
def test_a_table_is_answered_as_json_is(media_type: str, model: str, client: Client) -> None:
    """Each form of body, with its options in the query, gives the JSON answer bit for bit, extra columns ignored."""
    rows = frame(50)
    answer = asked_in(media_type, client, rows, f"model={model}&{QUERY}")

    assert answer.content_type == "application/json"
    assert answer.json == asked_in_json(client, model, rows, **OPTIONS)
    assert asked_in(media_type, client, rows, f"model={model}").json == asked_in_json(client, model, rows)
    assert asked_in(media_type, client, rows, f"model={model}&version=1&leverage=false").json == asked_in_json(client, model, rows)


@pytest.mark.parametrize("body", ["json", CSV, PARQUET])
@pytest.mark.parametrize("accept", [CSV, ARROW])
@pytest.mark.parametrize("model", ["houses", "plain"])
def test_predictions_come_as_a_table(accept: str, body: str, model: str, client: Client) -> None:
    """CSV and Arrow have a column for each number of the JSON answer and a row for each row, bit for bit."""
    rows = frame(50)
    truth = asked_in_json(client, model, rows, **OPTIONS)
    if body == "json":
        document = {"model": model, "columns": rows.to_dict(as_series=False)} | OPTIONS
        answer = client.post("/predict", json=document, headers={"Accept": accept})
    else:
        answer = asked_in(body, client, rows, f"model={model}&{QUERY}", Accept=accept)

    assert (answer.status_code, answer.content_type) == (200, accept)
    assert (answer.headers["Plumbline-Model"], answer.headers["Plumbline-Version"]) == (model, "1")
    assert read(answer) == as_table(truth, ["y", "z"] if model == "houses" else ["y"])


def test_many_rows_are_read_in_batches_with_the_same_bits(client: Client) -> None:
    """More rows than are read and predicted at a time, in any form, give the bits of one JSON request."""
    rows = frame(150_001).select("k", "x")
    truth = asked_in_json(client, "plain", rows, interval=0.5)
    for media_type in (CSV, ARROW, PARQUET):
        assert read(asked_in(media_type, client, rows, "model=plain&interval=0.5", Accept=ARROW)) == as_table(truth, ["y"])


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("text/*", CSV),
        ("text/html, text/csv;q=0.9, */*;q=0.1", CSV),
        ("text/csv;q=0.2, application/json", "application/json"),
        (f"{CSV};q=0.2, {ARROW};q=0.7", ARROW),
    ],
)
def test_accept_chooses(accept: str, content_type: str, client: Client) -> None:
    """The form of the answer is the client's best, JSON where it does not mind."""
    answer = client.post("/predict", json={"model": "plain", "instances": [[1, 2]]}, headers={"Accept": accept})

    assert (answer.status_code, answer.content_type) == (200, content_type)


@pytest.mark.parametrize("accept", ["image/png", PARQUET, "application/json;q=0", "text/html"])
def test_what_is_not_written_is_not_acceptable(accept: str, client: Client) -> None:
    """406 names what is."""
    answer = client.post("/predict", json={"model": "plain", "instances": [[1, 2]]}, headers={"Accept": accept})

    assert (answer.status_code, answer.content_type) == (406, "application/problem+json")
    assert answer.json is not None
    assert answer.json["detail"] == f"predictions are written as application/json, {CSV}, {ARROW}; Accept names none of them"


@pytest.mark.parametrize("media_type", [CSV, ARROW, PARQUET])
@pytest.mark.parametrize("accept", ["application/json", CSV, ARROW])
def test_no_rows_are_no_predictions(media_type: str, accept: str, client: Client) -> None:
    """A table of columns without rows is an answer, in every form."""
    answer = asked_in(media_type, client, frame(3).head(0), "model=houses&interval=0.5", Accept=accept)

    names = {"predictions", "lower", "upper"}
    if accept == "application/json":
        assert answer.json == {"model": "houses", "version": "1"} | {name: [] for name in names}
    else:
        assert read(answer) == {f"{name}.{target}": [] for name in names for target in "yz"}


@pytest.mark.parametrize(
    ("body", "status", "errors"),
    [
        ("x,k\n1,2\n", 422, {"column town": ["is missing"]}),
        ("1,2,köln\n3,4,köln\n", 422, {f"column {name}": ["is missing"] for name in ("x", "town", "k")}),
        ("x,k,town,x\n1,2,köln,1\n", 422, {"column x": ["stands twice in the header"]}),
        ("x,k,town\n1,2,köln\ntwo,3,köln\n", 422, {"row 2, column x": ["must be a number"]}),
        ("x,k,town\n1,2,köln\n,3,köln\n", 422, {"row 2, column x": ["is missing"]}),
        ("x,k,town\n1,2,berlin\n", 422, {"row 1, column town": ["is a category that training has not seen"]}),
        ("x,k,town\n1,2,köln,7,8\n", 400, None),
        ("", 400, None),
    ],
)
def test_a_wrong_csv_is_refused_by_place(body: str, status: int, errors: Any, client: Client) -> None:
    """The header is required, and each wrong cell is named by row and column."""
    answer = client.post("/predict?model=houses", data=body.encode(), content_type=CSV)

    assert (answer.status_code, answer.content_type) == (status, "application/problem+json"), answer.text
    assert answer.json is not None
    assert answer.json.get("errors") == errors


@pytest.mark.parametrize("media_type", [ARROW, PARQUET])
def test_a_damaged_table_is_unreadable(media_type: str, client: Client) -> None:
    """Half of a file, or something else, is 400 and the next request is served."""
    whole = body_of(frame(20), media_type)
    for body in (b"", b"x,k\n1,2\n", whole[: len(whole) // 2]):
        assert client.post("/predict?model=plain", data=body, content_type=media_type).status_code == 400
    assert client.post("/predict?model=plain", data=whole, content_type=media_type).status_code == 200


@pytest.mark.parametrize(
    ("query", "errors"),
    [
        ("model=plain&interval=95", {"interval": ["must be a number between 0 and 1, such as 0.95"]}),
        ("model=plain&mean_interval=wide", {"mean_interval": ["must be a number between 0 and 1, such as 0.95"]}),
        ("model=plain&interval=nan", {"interval": ["must be a number between 0 and 1, such as 0.95"]}),
        ("model=plain&leverage=maybe", {"leverage": ["must be true or false"]}),
        ("model=plain&intervall=0.9", {"intervall": ["Unknown field"]}),
        ("model=plain&version=1&alias=live", {"alias": ["give a version or an alias, not both"]}),
        ("model=plain&version=live", {"version": ["must be a version number such as 3"]}),
    ],
)
def test_wrong_options_in_the_query_are_refused_by_name(query: str, errors: Any, client: Client) -> None:
    """The query's options are validated as those of a JSON body."""
    answer = client.post(f"/predict?{query}", data=b"x,k\n1,2\n", content_type=CSV)

    assert answer.status_code == 422
    assert answer.json is not None
    assert answer.json["errors"] == errors


def test_a_json_body_carries_its_options_itself(client: Client) -> None:
    """Options beside a JSON body are refused rather than ignored."""
    answer = client.post("/predict?interval=0.9", json={"model": "plain", "instances": [[1, 2]]})

    assert answer.status_code == 422
    assert answer.json is not None
    assert answer.json["errors"] == {"interval": ["belongs in the JSON body, not in the query"]}


@pytest.mark.parametrize("media_type", [CSV, ARROW, PARQUET])
def test_limits_hold_for_tables(media_type: str, make: MakeClient) -> None:
    """Rows, columns and bytes over the limit are 413, and name the setting."""
    body = body_of(frame(60).select("x", "k"), media_type)
    for setting, limit in (("MAX_ROWS", "59"), ("MAX_COLUMNS", "1"), ("MAX_BODY_BYTES", "100")):
        answer = make(**{setting: limit}).post("/predict?model=plain", data=body, content_type=media_type)
        assert answer.status_code == 413, answer.text
        assert f"PLUMBLINE_{setting}" in answer.text
    assert make(MAX_ROWS="60").post("/predict?model=plain", data=body, content_type=media_type).status_code == 200


def test_two_columns_of_one_name_are_not_written(client: Client) -> None:
    """Where names of columns and targets run together, JSON still tells them apart."""
    columns = {"a": [1.0, 2.0, 4.0, 3.0], "a.b": [2.0, 1.0, 5.0, 7.0], "c": [1.0, 2.0, 3.0, 5.0], "b.c": [1.0, 3.0, 2.0, 2.0]}
    assert client.post("/train", json={"model": "m", "columns": columns, "target": ["c", "b.c"]}).status_code == 201
    request = {"model": "m", "columns": columns, "contributions": True}

    assert client.post("/predict", json=request).status_code == 200
    assert client.post("/predict", json=request, headers={"Accept": CSV}).status_code == 406
