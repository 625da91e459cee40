"""The Open Inference Protocol, version 2: the acceptance list of its clients, one test per item, the number in its name.

What needs a real server or a real client (items 17 and 19, and all of them once more) is in `tests/operations`.
"""

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from werkzeug.test import Client, EnvironBuilder, TestResponse

from model_store.store import ModelStore
from service.api.gate import Gate
from service.api.guard import Guard
from service.api.tensors import NUMERIC
from service.app import create_app
from service.config import Config
from service.training.jobs import Jobs
from service.training.runner import run_job
from service.training.sources import Limits
from tests.api.test_gate import raw

MakeClient = Callable[..., Client]
INFER = "/v2/models/rent/infer"
FEATURES = ("area", "rooms", "age")
RNG = np.random.default_rng(7)
TRAINED = RNG.normal(size=(60, 3))
PRICES = TRAINED @ [3.0, -1.0, 0.5] + 4 + RNG.normal(size=60)
ROWS = RNG.normal(size=(5, 3))
LENGTH = "Inference-Header-Content-Length"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Client:
    """The application, with the model `rent` of three features in two versions; `live` names the second and `stable` the first."""
    config = Config.from_environ({"PLUMBLINE_STORE": str(tmp_path_factory.mktemp("inference") / "store")})
    store = ModelStore.open(config.directory)
    jobs = Jobs(store, config.spool, limit=10)
    limits = Limits(config.max_rows, config.max_columns)
    client = Client(create_app(config, ring=lambda job_id: run_job(jobs, store, limits, job_id)))
    document = {"model": "rent", "features": FEATURES, "instances": TRAINED.tolist(), "targets": PRICES.tolist()}
    for labels in ({}, {"again": "yes"}):
        assert client.post("/train", json=document | {"labels": labels}).status_code == 201
    assert client.put("/models/rent/aliases/stable", json={"version": "1"}).status_code == 200
    return client


def tensor(values: Any, datatype: str = "FP64", name: str = "x", **more: Any) -> dict[str, Any]:
    """A JSON tensor with flat data."""
    array = np.asarray(values)
    return {"name": name, "shape": list(array.shape), "datatype": datatype, "data": array.ravel().tolist()} | more


def binary(arrays: list[tuple[str, np.ndarray[Any, Any], str]], **members: Any) -> dict[str, Any]:
    """A request whose tensors are all raw bytes, as arguments of `client.post`."""
    inputs = [
        {"name": name, "shape": list(array.shape), "datatype": datatype, "parameters": {"binary_data_size": array.nbytes}}
        for name, array, datatype in arrays
    ]
    head = json.dumps({"inputs": inputs} | members).encode()
    data = head + b"".join(array.tobytes() for _, array, _ in arrays)
    return {"data": data, "headers": {LENGTH: str(len(head))}, "content_type": "application/octet-stream"}


def outputs_of(answer: TestResponse) -> dict[str, np.ndarray[Any, Any]]:
    """The output tensors of an answer by name, whichever form each has."""
    assert answer.status_code == 200, answer.text
    length = answer.headers.get(LENGTH)
    head, rest = (answer.data, b"") if length is None else (answer.data[: int(length)], answer.data[int(length) :])
    assert answer.content_type == ("application/json" if length is None else "application/octet-stream")
    found = {}
    for output in json.loads(head)["outputs"]:
        kind = {"FP64": "<f8", "BOOL": "?"}[output["datatype"]]
        if "data" in output:
            values = np.array(output["data"], kind)
        else:
            size = output["parameters"]["binary_data_size"]
            values, rest = np.frombuffer(rest[:size], kind), rest[size:]
        found[output["name"]] = values.reshape(output["shape"])
    assert rest == b""
    return found


def native(client: Client, rows: Any = ROWS, **more: Any) -> dict[str, Any]:
    """What `/predict` says of the same rows."""
    answer = client.post("/predict", json={"model": "rent", "instances": np.asarray(rows).tolist()} | more)
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.get_json()
    return said


def error(answer: TestResponse, status: int = 400) -> str:
    """The text of an error, which is in the protocol's form."""
    assert (answer.status_code, answer.content_type) == (status, "application/json"), answer.data[:300]
    document = answer.get_json()
    assert list(document) == ["error"]
    assert type(document["error"]) is str
    return str(document["error"])


def test_01_the_server_is_described_without_a_redirect(client: Client) -> None:
    """`/v2` and `/v2/` both answer 200 with the three required members."""
    for path in ("/v2", "/v2/"):
        answer = client.get(path)
        assert answer.status_code == 200
        document = answer.get_json()
        assert (document["name"], document["extensions"][0]) == ("plumbline", "binary_tensor_data")
        assert type(document["version"]) is str


def test_02_live_ready_and_model_ready(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each says what its clients look for; without a model that can be loaded ready is 503, JSON, and says why."""
    assert client.get("/v2/health/live").get_json() == {"live": True}
    assert client.get("/v2/health/ready").get_json() == {"ready": True, "live": True}
    for place in ("", "/versions/1", "/versions/stable"):
        assert client.get(f"/v2/models/rent{place}/ready").get_json() == {"name": "rent", "ready": True}

    monkeypatch.setattr(client.application, "stopping", lambda: True)
    answer = client.get("/v2/health/ready")
    assert (answer.status_code, answer.content_type) == (503, "application/json")
    assert answer.get_json() == {"ready": False, "live": True, "error": "worker: is stopping"}


@pytest.mark.parametrize("content_type", [None, "", "application/json", "application/json; charset=utf-8", "application/octet-stream"])
def test_03_a_content_type_is_not_needed(client: Client, content_type: str | None) -> None:
    """JSON is read with no Content-Type and with any that clients of the protocol send."""
    answer = client.post(INFER, data=json.dumps({"inputs": [tensor(ROWS)]}), content_type=content_type)

    assert outputs_of(answer)["predict"].tolist() == native(client)["predictions"]


@pytest.mark.parametrize("side", ["JSON in", "binary in"])
@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"outputs": [{"name": "predict", "parameters": {"binary_data": True}}]},
        {"outputs": [{"name": "predict", "parameters": {"binary_data": False}}]},
        {"parameters": {"binary_data_output": True}},
        {"parameters": {"binary_data_output": True}, "outputs": [{"name": "predict", "parameters": {"binary_data": False}}]},
    ],
)
def test_04_binary_and_json_on_either_side(client: Client, side: str, asked: dict[str, Any]) -> None:
    """Input and output choose their form each on its own, an output's own choice goes first, and the bits are those of `/predict`."""
    request = binary([("x", ROWS, "FP64")], **asked) if side == "binary in" else {"json": {"inputs": [tensor(ROWS)], **asked}}
    answer = client.post(INFER, **request)
    own = asked.get("outputs", [{}])[0].get("parameters", asked.get("parameters", {}))

    assert (LENGTH in answer.headers) == any(own.values())
    assert outputs_of(answer)["predict"].tobytes() == np.array(native(client)["predictions"]).tobytes()


def test_04_binary_and_json_inputs_may_be_mixed(client: Client) -> None:
    """One tensor raw, two in JSON: raw bytes are taken in the order of the inputs that have them."""
    area, rooms, age = (np.ascontiguousarray(column) for column in ROWS.T)
    sent = {"datatype": "FP64", "parameters": {"binary_data_size": 40}}
    head = [
        tensor(age, name="age"),
        {"name": "area", "shape": [5]} | sent,
        tensor([0.0], name="unused"),
        {"name": "rooms", "shape": [5, 1]} | sent,
    ]
    data = json.dumps({"inputs": head}).encode()
    answer = client.post(INFER, data=data + area.tobytes() + rooms.tobytes(), headers={LENGTH: str(len(data))})

    assert outputs_of(answer)["predict"].tolist() == native(client)["predictions"]


@pytest.mark.parametrize("value", [True, False, None, "yes", 1])
def test_05_binary_data_output_is_never_an_error(client: Client, value: Any) -> None:
    """True is honoured, all else means JSON; parameters that other servers know are passed over."""
    others = {"sequence_id": 7, "priority": 1, "timeout": 5, "triton_x": "y", "headers": "z"}
    answer = client.post(INFER, json={"inputs": [tensor(ROWS)], "parameters": others | {"binary_data_output": value}})

    assert (LENGTH in answer.headers) == (value is True)
    assert outputs_of(answer)["predict"].tolist() == native(client)["predictions"]


def test_06_unknown_members_pass_and_another_model_does_not(client: Client) -> None:
    """KServe's client sends `model_name`; it must be the model asked. What nobody knows is passed over."""
    good = {
        "inputs": [tensor(ROWS, parameters={"content_type": "np"}, extra=[[1]])],
        "model_name": "rent",
        "model_version": "9",
        "extra": {"a": [1, [2]]},
    }

    assert outputs_of(client.post(INFER, json=good))["predict"].tolist() == native(client)["predictions"]
    assert "model_name" in error(client.post(INFER, json=good | {"model_name": "other"}))


@pytest.mark.parametrize("sent", ["", "req-1", 'ä ☃ \u0001 " \\ / </script>', "x" * 1000])
def test_07_the_id_is_echoed(client: Client, sent: str) -> None:
    """The id comes back as it was, in JSON and before raw outputs; none was sent, none comes."""
    for parameters in ({}, {"binary_data_output": True}):
        answer = client.post(INFER, json={"id": sent, "inputs": [tensor(ROWS)], "parameters": parameters})
        assert json.loads(answer.data[: int(answer.headers.get(LENGTH, len(answer.data)))])["id"] == sent
    assert "id" not in client.post(INFER, json={"inputs": [tensor(ROWS)]}).get_json()
    assert "id" in error(client.post(INFER, json={"id": 7, "inputs": [tensor(ROWS)]}))


@pytest.mark.parametrize("spoil", [lambda d: d, lambda d: d | {"more": [[[1]]]}])
def test_08_nested_and_flat_data(client: Client, spoil: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Data may be flat or one list per row, the one as the other, however the rest of the document looks."""
    said = native(client)["predictions"]

    for data in (ROWS.tolist(), ROWS.ravel().tolist()):
        assert outputs_of(client.post(INFER, json=spoil({"inputs": [tensor(ROWS, data=data)]})))["predict"].tolist() == said


@pytest.mark.parametrize(
    "data",
    [
        [[1, 2], [3, 4, 5, 6]],
        [[1, 2, 3, 4], [5, 6]],
        [[1, 2], [3, 4], [5, 6]],
        [[1, 2, 3, 4, 5, 6]],
        [1, 2, 3, 4, 5],
        [1, 2, 3, 4, 5, 6, 7],
        [],
        [[]],
        [[], []],
        [1, 2, 3, [4, 5, 6]],
        [[1, 2, 3], 4, 5, 6],
        [[1, 2, 3], [4, 5, [6]]],
        [[[1, 2, 3], [4, 5, 6]]],
        {"a": 1},
        7,
        None,
        "123456",
    ],
)
@pytest.mark.parametrize("more", [{}, {"more": []}])
def test_08_data_of_another_shape_are_refused(client: Client, data: Any, more: dict[str, Any]) -> None:
    """Data that are not two rows of three, flat or nested, are never rearranged into them."""
    assert "inputs[0].data" in error(client.post(INFER, json={"inputs": [tensor(ROWS[:2], data=data)]} | more))


@pytest.mark.parametrize("form", ["[n]", "[n, 1]"])
def test_09_one_tensor_for_all_or_one_for_each(client: Client, form: str) -> None:
    """A tensor per feature, in any order, with others between them, gives what the matrix gives."""
    said = native(client)["predictions"]
    shaped = ROWS if form == "[n]" else ROWS[:, :, None]
    columns = [tensor(shaped[:, place], name=name) for place, name in enumerate(FEATURES)]

    for order in (columns, columns[::-1], [tensor([1, 2], name="target"), columns[1], columns[2], columns[0]]):
        assert outputs_of(client.post(INFER, json={"inputs": order}))["predict"].tolist() == said
    for name in ("input-0", "area", ""):
        assert outputs_of(client.post(INFER, json={"inputs": [tensor(ROWS, name=name)]}))["predict"].tolist() == said


def test_09_tensors_that_do_not_make_rows_are_refused(client: Client) -> None:
    """A feature missing or twice, of another length, or a matrix of another width: the text names it."""
    area, rooms, age = (tensor(ROWS[:, place], name=name) for place, name in enumerate(FEATURES))

    assert "inputs.age: is missing" in error(client.post(INFER, json={"inputs": [area, rooms]}))
    assert "same name" in error(client.post(INFER, json={"inputs": [area, rooms, age, age]}))
    assert "inputs[2].shape" in error(client.post(INFER, json={"inputs": [area, rooms, tensor(ROWS[:4, 2], name="age")]}))
    assert "inputs[1].shape" in error(client.post(INFER, json={"inputs": [area, tensor(ROWS, name="rooms"), age]}))
    assert "has 2 columns where the model has 3 features" in error(client.post(INFER, json={"inputs": [tensor(ROWS[:, :2])]}))
    assert "inputs" in error(client.post(INFER, json={"inputs": []}))
    assert "shape" in error(client.post(INFER, json={"inputs": [tensor(ROWS[None])]}))


@pytest.mark.parametrize(("datatype", "kind"), [pair for pair in NUMERIC.items() if pair[0] != "FP64"])
def test_10_numbers_of_any_datatype_become_float64(client: Client, datatype: str, kind: str) -> None:
    """Every numeric datatype means the same numbers raw and in JSON, by matrix and by column, and predicts as they do in float64."""
    values = np.array([[1, 2, 100], [5, 0, 7]]).astype(kind) if kind[1] != "f" else ROWS.astype(kind)
    said = native(client, values.astype(np.float64))["predictions"]
    columns = [(name, np.ascontiguousarray(values[:, place]), datatype) for place, name in enumerate(FEATURES)]
    requests: list[dict[str, Any]] = [
        binary([("x", values, datatype)]),
        binary(columns),
        {"json": {"inputs": [tensor(values, datatype)]}},
        {"json": {"inputs": [tensor(array, datatype, name) for name, array, _ in columns]}},
    ]

    for request in requests:
        assert outputs_of(client.post(INFER, **request))["predict"].tolist() == said


@pytest.mark.parametrize("datatype", ["BYTES", "BOOL"])
def test_10_what_is_no_number_is_refused_for_a_numeric_column(client: Client, datatype: str) -> None:
    """Text and truth values are no numbers: the row and the column are named, raw and in JSON."""
    values: Any = np.array([True, False]) if datatype == "BOOL" else ["1", "2"]
    raw_bytes = b"\x01\x00" if datatype == "BOOL" else b"\x01\x00\x00\x001\x01\x00\x00\x002"
    others = [tensor(ROWS[:2, place], name=FEATURES[place]) for place in (0, 1)]
    told = error(client.post(INFER, json={"inputs": [*others, tensor(values, datatype, "age")]}))
    assert "inputs.age[0]: must be a number" in told

    head = {"inputs": [*others, {"name": "age", "shape": [2], "datatype": datatype, "parameters": {"binary_data_size": len(raw_bytes)}}]}
    sent = json.dumps(head).encode()
    assert error(client.post(INFER, data=sent + raw_bytes, headers={LENGTH: str(len(sent))})) == told


def test_10_integers_beyond_float64_and_their_datatype_are_refused(client: Client) -> None:
    """2^53 + 1 is no float64, and 300 no INT8; neither is rounded or wrapped."""
    big = np.array([[1, 2, 2**53 + 1]])
    for request in (binary([("x", big, "INT64")]), {"json": {"inputs": [tensor(big, "INT64")]}}):
        assert "inputs[0][0].age: must be a number that float64 holds exactly" in error(client.post(INFER, **request))
    for wrong in (300, -129, 1.5):
        assert "INT8 holds whole numbers from -128 to 127" in error(client.post(INFER, json={"inputs": [tensor([[1, 2, wrong]], "INT8")]}))
        assert "INT8" in error(client.post(INFER, json={"inputs": [tensor([[1, 2, wrong]], "INT8")], "more": []}))
    assert "must be a finite number" in error(client.post(INFER, json={"inputs": [tensor([[1, 2, 1e300]], "FP32")]}))


def test_10_text_is_a_category(client: Client) -> None:
    """BYTES, raw and in JSON, are the categories of a categorical feature; one never seen is named."""
    document = {"model": "place", "columns": {"zip": ["a", "bä", "a", "bä"], "area": [1, 2, 3, 5], "y": [1, 5, 3, 8]}, "target": "y"}
    assert client.post("/train", json=document).status_code == 201
    said = client.post("/predict", json={"model": "place", "columns": {"zip": ["bä", "a"], "area": [4, 2]}}).get_json()["predictions"]
    area = tensor([4, 2], name="area")
    data = b"\x03\x00\x00\x00b\xc3\xa4\x01\x00\x00\x00a"
    head = json.dumps(
        {"inputs": [{"name": "zip", "shape": [2, 1], "datatype": "BYTES", "parameters": {"binary_data_size": len(data)}}, area]}
    )
    answers = [
        client.post("/v2/models/place/infer", json={"inputs": [area, tensor(["bä", "a"], "BYTES", "zip")]}),
        client.post("/v2/models/place/infer", data=head.encode() + data, headers={LENGTH: str(len(head))}),
    ]

    assert [outputs_of(answer)["predict"].tolist() for answer in answers] == [said, said]
    unseen = client.post("/v2/models/place/infer", json={"inputs": [area, tensor(["a", "c"], "BYTES", "zip")]})
    assert "inputs.zip[1]: is a category that training has not seen" in error(unseen)
    assert client.get("/v2/models/place").get_json()["inputs"][0] == {"name": "zip", "datatype": "BYTES", "shape": [-1, 1]}


def test_11_every_error_is_a_text_in_json(make_client: MakeClient, client: Client) -> None:
    """Unknown paths, methods, media, sizes, tokens and models: `{"error": text}` with exactly `application/json`."""
    strict = make_client(MAX_BODY_BYTES="100", WRITE_TOKEN="correct-horse-battery", READ_TOKEN="correct-horse-staple")
    token = {"Authorization": "Bearer correct-horse-staple"}
    tensors = json.dumps({"inputs": [tensor(ROWS)]})

    error(client.get("/v2/nowhere"), 404)
    error(client.post("/v2/models/none/infer", data=tensors), 404)
    error(client.get(INFER), 405)
    error(client.delete("/v2/models/rent/infer"), 405)
    error(strict.post(INFER, data=tensors, headers=token), 413)
    error(client.post(INFER, data=tensors, content_type="text/csv"), 415)
    error(client.post(INFER, data=tensors, headers={"Content-Encoding": "br"}), 415)
    error(strict.post(INFER, data=tensors), 401)
    error(strict.post(INFER, data=tensors, headers={"Authorization": "Bearer wrong"}), 403)
    error(client.post(INFER, data=tensors, headers={"Host": "evil.org"}), 403)
    error(client.post(INFER, data=b"{"))
    error(client.post(INFER, data=b""))
    error(client.post("/v2/models/no%20name/infer", data=tensors))


def test_11_what_nobody_foresaw_is_in_that_form_too(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error inside is 500 without a trace of what it was, and one of storage 503."""

    def fail(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("zebra-payload")

    monkeypatch.setattr("service.serving.predictor.Predictor.predict", fail)
    assert "zebra" not in error(client.post(INFER, json={"inputs": [tensor(ROWS)]}), 500)


def test_12_versions_and_aliases(client: Client) -> None:
    """A version is asked by number or by alias; one that is not there is 404 though the model is known."""

    def version(place: str) -> str:
        document = client.post(f"/v2/models/rent{place}/infer", json={"inputs": [tensor(ROWS)]}).get_json()
        assert document["model_name"] == "rent"
        return str(document["model_version"])

    assert [version(place) for place in ("", "/versions/1", "/versions/2", "/versions/live", "/versions/stable")] == [
        "2",
        "1",
        "2",
        "2",
        "1",
    ]
    for place in ("99", "nobody"):
        for below in ("/infer", "", "/ready", "/stats", "/config"):
            method = "POST" if below == "/infer" else "GET"
            error(client.open(f"/v2/models/rent/versions/{place}{below}", method=method, json={"inputs": [tensor(ROWS)]}), 404)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(("datatype", "kind"), [("FP64", "<f8"), ("FP32", "<f4"), ("FP16", "<f2")])
def test_13_what_is_no_finite_number_is_refused(client: Client, value: float, datatype: str, kind: str) -> None:
    """NaN and infinities in raw tensors are 400 naming row and column; in JSON their words are no JSON."""
    rows = ROWS.astype(kind)
    rows[3, 1] = value
    what = "is missing" if np.isnan(value) else "must be a finite number"

    assert f"inputs[0][3].rooms: {what}" in error(client.post(INFER, **binary([("x", rows, datatype)])))
    columns = [(name, np.ascontiguousarray(rows[:, place]), datatype) for place, name in enumerate(FEATURES)]
    assert f"inputs.rooms[3]: {what}" in error(client.post(INFER, **binary(columns)))
    error(client.post(INFER, data=json.dumps({"inputs": [tensor(rows, datatype)]})))


def test_13_predictions_too_large_are_refused(client: Client) -> None:
    """A prediction beyond float64 is an error and never an infinity."""
    told = error(client.post(INFER, **binary([("x", np.full((2, 3), 1.7e308), "FP64")])))
    assert "too large for float64" in told


@pytest.mark.parametrize("asked", [{}, {"parameters": {"binary_data_output": True, "interval": 0.9}}])
def test_14_no_rows_give_empty_outputs(client: Client, asked: dict[str, Any]) -> None:
    """`[0, p]` and columns of `[0]` are 200 with empty outputs."""
    empty = np.empty((0, 3))
    columns = [(name, empty[:, 0], "FP64") for name in FEATURES]
    for request in ({"json": {"inputs": [tensor(empty)], **asked}}, binary([("x", empty, "FP64")], **asked), binary(columns, **asked)):
        outputs = outputs_of(client.post(INFER, **request))
        assert {values.shape for values in outputs.values()} == {(0,)}
        assert len(outputs) == (3 if asked else 1)


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_15_compressed_requests(client: Client, encoding: str, compress: Callable[[bytes], bytes]) -> None:
    """The header's length counts plain bytes; the body comes compressed as a whole."""
    request = binary([("x", ROWS, "FP64")])
    request["data"] = compress(request["data"])
    request["headers"] |= {"Content-Encoding": encoding}

    assert outputs_of(client.post(INFER, **request))["predict"].tolist() == native(client)["predictions"]


def test_15_a_bomb_is_refused(make_client: MakeClient, client: Client) -> None:
    """A small body that unfolds beyond the limit is 413."""
    bomb = gzip.compress(bytes(50_000_000))
    small = make_client(MAX_BODY_BYTES="1000000")

    assert "PLUMBLINE_MAX_BODY_BYTES" in error(small.post(INFER, data=bomb, headers={"Content-Encoding": "gzip"}), 413)


def test_16_the_repository_index_with_an_empty_body(client: Client) -> None:
    """Every model with its live version and its state; `ready` leaves out the others."""
    client.post("/train", json={"model": "other", "instances": [[1], [2]], "targets": [1, 2], "promote": False})
    rent = {"name": "rent", "version": "2", "state": "READY", "reason": ""}

    for body in (b"", b"{}"):
        found = {model["name"]: model for model in client.post("/v2/repository/index", data=body).get_json()}
        assert found["rent"] == rent
        assert found["other"]["state"] == "UNAVAILABLE"
    ready = client.post("/v2/repository/index", json={"ready": True}).get_json()
    assert rent in ready
    assert {model["state"] for model in ready} == {"READY"}
    error(client.post("/v2/repository/index", data=b"["))


@pytest.mark.parametrize("cut", [1, 7, 8, 9, 60, 119, 120])
def test_17_a_body_cut_off_in_a_tensor_is_refused(client: Client, cut: int) -> None:
    """Bytes that lack, announced or not, are 400, and the next request is answered."""
    request = binary([("x", ROWS, "FP64")])
    request["data"] = request["data"][:-cut]

    error(client.post(INFER, **request))
    longer = binary([("x", ROWS, "FP64")])
    longer["data"] += bytes(cut)
    error(client.post(INFER, **longer))
    assert outputs_of(client.post(INFER, **binary([("x", ROWS, "FP64")])))["predict"].shape == (5,)


def test_18_every_output_is_what_the_native_door_says(client: Client) -> None:
    """Each of the outputs, in the order asked for, raw and in JSON, is bit for bit what `/predict` answers."""
    names = {"predict": "predictions", "lower": "lower", "upper": "upper", "mean_lower": "mean_lower", "mean_upper": "mean_upper",
             "std_error": "std_error", "leverage": "leverage", "extrapolating": "extrapolating"}  # fmt: skip
    said = native(client, interval=0.9, mean_interval=0.5, std_error=True, leverage=True)
    levels = {"interval": 0.9, "mean_interval": 0.5}

    for wanted in (list(names), list(names)[::-1], ["lower"], ["leverage", "predict"]):
        for raw_outputs in (False, True):
            parameters = levels | {"binary_data_output": raw_outputs}
            outputs = [{"name": name} for name in wanted]
            found = outputs_of(client.post(INFER, json={"inputs": [tensor(ROWS)], "outputs": outputs, "parameters": parameters}))
            assert list(found) == wanted
            for name in wanted:
                assert found[name].tolist() == said[names[name]], name


def test_18_contributions_and_baseline_add_up(client: Client) -> None:
    """Contributions [n, p] and the baseline [t] are those of the native door and add up to the prediction."""
    outputs = [{"name": name} for name in ("predict", "baseline", "contributions")]
    found = outputs_of(client.post(INFER, json={"inputs": [tensor(ROWS)], "outputs": outputs}))
    said = native(client, contributions=True)

    assert found["contributions"].shape == (5, 3)
    assert found["baseline"].shape == (1,)
    assert found["contributions"].sum(axis=1) + found["baseline"] == pytest.approx(found["predict"], rel=1e-12)
    assert found["contributions"].tolist() == np.transpose([said["contributions"][name] for name in FEATURES]).tolist()
    assert found["baseline"].tolist() == [said["baseline"]]


def test_18_levels(client: Client) -> None:
    """A level brings its interval without being asked by name; an interval without a level is one of 95 %; other levels are refused."""
    inputs = [tensor(ROWS)]
    brought = outputs_of(client.post(INFER, json={"inputs": inputs, "parameters": {"mean_interval": 0.8}}))
    assert list(brought) == ["predict", "mean_lower", "mean_upper"]
    assert brought["mean_upper"].tolist() == native(client, mean_interval=0.8)["mean_upper"]
    default = outputs_of(client.post(INFER, json={"inputs": inputs, "outputs": [{"name": "upper"}]}))
    assert default["upper"].tolist() == native(client, interval=0.95)["upper"]
    for level in (0, 1, -0.5, 95, True, "0.9", [0.9]):
        assert "parameters.interval" in error(client.post(INFER, json={"inputs": inputs, "parameters": {"interval": level}}))


def test_18_unknown_outputs_are_refused(client: Client) -> None:
    """An output that is not there, or asked for twice or wrongly, is 400; clients would not notice that it lacks."""
    inputs = [tensor(ROWS)]
    for outputs in ([{"name": "price"}], [{}], ["predict"], {"name": "predict"}, [{"name": "predict"}] * 2, [{"name": 1}], 7,
                    [{"name": "predict", "parameters": 1}]):  # fmt: skip
        assert "outputs" in error(client.post(INFER, json={"inputs": inputs, "outputs": outputs}))
    assert list(outputs_of(client.post(INFER, json={"inputs": inputs, "outputs": []}))) == ["predict"]


def test_18_a_version_without_inference_says_so(client: Client) -> None:
    """Metadata lists what a penalised version has, and asking for more is 400 that says why."""
    ridge = {
        "model": "ridge",
        "features": FEATURES,
        "instances": TRAINED.tolist(),
        "targets": PRICES.tolist(),
        "solver": {"name": "exact", "ridge": 1},
    }
    assert client.post("/train", json=ridge).status_code == 201
    listed = [output["name"] for output in client.get("/v2/models/ridge").get_json()["outputs"]]

    assert listed == ["predict", "baseline", "contributions"]
    answer = client.post("/v2/models/ridge/infer", json={"inputs": [tensor(ROWS)], "outputs": [{"name": name} for name in listed]})
    assert list(outputs_of(answer)) == listed
    assert "interval" in error(client.post("/v2/models/ridge/infer", json={"inputs": [tensor(ROWS)], "outputs": [{"name": "lower"}]}))


def test_metadata_configuration_and_statistics(client: Client) -> None:
    """What clients read before they predict: tensors by name, versions, and how many rows were predicted."""
    metadata = client.get("/v2/models/rent").get_json()
    assert (metadata["name"], metadata["versions"], metadata["platform"]) == ("rent", ["1", "2"], "pytorch_state_dict")
    assert metadata["inputs"] == [{"name": name, "datatype": "FP64", "shape": [-1, 1]} for name in FEATURES]
    shapes = {output["name"]: (output["datatype"], output["shape"]) for output in metadata["outputs"]}
    assert shapes["predict"] == ("FP64", [-1])
    assert shapes["extrapolating"] == ("BOOL", [-1])
    assert shapes["contributions"] == ("FP64", [-1, 3])
    wanted = [{"name": name} for name in shapes]
    found = outputs_of(client.post(INFER, json={"inputs": [tensor(ROWS)], "outputs": wanted}))
    assert {name: [len(ROWS) if size == -1 else size for size in shape] for name, (_, shape) in shapes.items()} == {
        name: list(values.shape) for name, values in found.items()
    }

    config = client.get("/v2/models/rent/versions/1/config").get_json()
    assert config["input"][0] == {"name": "area", "data_type": "TYPE_FP64", "dims": [-1, 1]}
    before = client.get("/v2/models/rent/stats").get_json()["model_stats"]
    native(client)
    (after,) = (entry for entry in client.get("/v2/models/stats").get_json()["model_stats"] if entry["name"] == "rent")
    assert after == before[0] | {"inference_count": before[0]["inference_count"] + len(ROWS)}


def test_several_targets_make_a_second_axis(client: Client) -> None:
    """With two targets every output of a row has one value per target, as `/predict` has."""
    document = {
        "model": "two",
        "features": FEATURES,
        "instances": TRAINED.tolist(),
        "targets": np.column_stack([PRICES, TRAINED[:, 0]]).tolist(),
    }
    assert client.post("/train", json=document).status_code == 201
    said = native(client, model="two", interval=0.9)
    outputs = [{"name": name} for name in ("predict", "lower", "contributions", "baseline")]
    found = outputs_of(
        client.post("/v2/models/two/infer", json={"inputs": [tensor(ROWS)], "outputs": outputs, "parameters": {"interval": 0.9}})
    )

    assert found["predict"].tolist() == said["predictions"]
    assert found["lower"].tolist() == said["lower"]
    assert (found["contributions"].shape, found["baseline"].shape) == ((5, 3, 2), (2,))
    assert client.get("/v2/models/two").get_json()["outputs"][0] == {"name": "predict", "datatype": "FP64", "shape": [-1, 2]}


def test_a_body_without_json_is_one_column(client: Client) -> None:
    """The raw binary request: with header length 0 the body is FP64 values of a model with a single feature."""
    client.post("/train", json={"model": "line", "instances": [[0], [1], [2]], "targets": [1, 3, 5]})
    sent: dict[str, Any] = {"data": np.array([10.0, 0.5]).tobytes(), "headers": {LENGTH: "0"}}

    assert outputs_of(client.post("/v2/models/line/infer", **sent))["predict"] == pytest.approx([21, 2])
    assert "has 1 columns where the model has 3 features" in error(client.post(INFER, **sent))
    error(client.post("/v2/models/line/infer", **(sent | {"data": bytes(9)})))


def test_the_views_of_flask_answer_as_the_hot_door(client: Client) -> None:
    """The same request gives the same bytes past the gate's shortcut."""
    gate: Any = client.application
    cold = Client(Gate(Guard(write_tokens=[], read_tokens=[]), {}.get, gate._rest, max_body_bytes=100_000))
    for place in ("", "/versions/1"):
        for request in (binary([("x", ROWS, "FP64")]), {"data": b"{"}):
            hot, flask = (c.post(f"/v2/models/rent{place}/infer", **request) for c in (client, cold))
            assert (hot.status_code, hot.data, hot.content_type) == (flask.status_code, flask.data, flask.content_type)


@pytest.mark.parametrize("head", ["-1", "x", "1e3", "99999", "9" * 5000, "٣", "", " 5"])
def test_header_lengths_that_are_none_are_refused(client: Client, head: str) -> None:
    """The header must be a whole number, at most the length of the body."""
    environ = EnvironBuilder(INFER, method="POST", data=b'{"inputs": []}').get_environ() | {"HTTP_INFERENCE_HEADER_CONTENT_LENGTH": head}
    assert LENGTH in error(raw(client, environ))
