"""Versions over HTTP: pages, documents with ETags, comparisons, deletion, and weights that other programs read bit for bit."""

import base64
import hashlib
import io
import json
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load
from werkzeug.test import Client, TestResponse

from model_store.store import ModelStore
from service.regression.schema import Schema

LINE: dict[str, Any] = {"model": "m", "instances": [[0], [1], [2]], "targets": [1, 3, 5]}
CURVE: dict[str, Any] = {
    "model": "curve",
    "terms": ["x", "x^2", "town"],
    "columns": {
        "x": [50, 60, 70, 90, 110, 120, 80],
        "town": list("ababbab"),
        "y": [0.1, 3.7, -2, 9, 1e-7, 4, 8],
        "z": [1, 2, 3, 5, 8, 13, 21],
    },
    "target": ["y", "z"],
}
SGD = {"name": "sgd", "learning_rate": 0.1, "epochs": 3, "seed": 1}


@pytest.mark.usefixtures("line")
def test_versions_come_newest_first_in_pages(client: Client) -> None:
    """Pages join to the whole list, deleted versions aside, and a page begins where the one before ended even if that is deleted."""
    for _ in range(5):
        client.post("/train", json=LINE | {"promote": False})
    client.delete("/models/m/versions/4")
    first = client.get("/models/m/versions?limit=2").json
    client.delete("/models/m/versions/3")
    second = client.get(f"/models/m/versions?limit=2&after={first['after']}").json

    assert first == {"model": "m", "versions": ["5", "3"], "after": "3"}
    assert second == {"model": "m", "versions": ["2", "1"], "after": None}
    assert client.get("/models/m/versions").json == {"model": "m", "versions": ["5", "2", "1"], "after": None}


def test_a_document_is_sent_once(client: Client, line: TestResponse) -> None:
    """A client that has the document gets 304 until an alias of the version moves."""
    path = "/models/line/versions/1"
    first = client.get(path)
    known = {"If-None-Match": first.headers["ETag"]}
    again = client.get(path, headers=known)
    client.put("/models/line/aliases/next", json={"version": "1"})
    moved = client.get(path, headers=known)

    assert first.json == line.json
    assert (again.status_code, again.data) == (304, b"")
    assert (moved.status_code, moved.json["aliases"]) == (200, ["live", "next"])


def test_a_deleted_version_is_gone_and_its_number_stays_used(client: Client) -> None:
    """A version without alias goes and is 404 at every door; an aliased one stays, with advice."""
    for _ in range(2):
        client.post("/train", json=LINE)
    refused, done = client.delete("/models/m/versions/2"), client.delete("/models/m/versions/1")

    assert (refused.status_code, done.status_code, done.data) == (409, 204, b"")
    assert "move that alias first" in refused.json["detail"]
    for path in ("/models/m/versions/1", "/models/m/versions/1/state_dict", "/models/m/diff?from=1&to=2"):
        assert client.get(path).status_code == 404
    assert client.post("/predict", json={"model": "m", "version": "1", "instances": [[1]]}).status_code == 404
    assert client.delete("/models/m/versions/1").status_code == 404
    assert client.post("/train", json=LINE).json["version"] == "3"


def test_a_comparison_is_the_difference_of_two_documents(client: Client) -> None:
    """Every coefficient of either version, its change, and the change over the standard error in `from`."""
    x, noise = np.arange(12.0), np.sin(np.arange(12.0) * 7)
    columns = {"x": x.tolist(), "w": np.cos(x).tolist(), "y": (2 * x + noise).tolist()}
    client.post("/train", json={"model": "m", "columns": columns, "target": "y", "terms": ["x"]})
    client.post("/train", json={"model": "m", "columns": columns, "target": "y", "terms": ["x", "w"], "new_schema": True})
    fits = [client.get(f"/models/m/versions/{number}").json["fit"] for number in (1, 2)]
    old, new = ({row["term"]: row for row in fit["coefficients"]} for fit in fits)
    document = client.get("/models/m/diff?from=1&to=live").json
    rows = {row["term"]: row for row in document["coefficients"]}

    assert (document["model"], document["from"], document["to"]) == ("m", "1", "2")
    for name in ("n", "r2", "residual_std"):
        assert document[name] == {"from": fits[0][name], "to": fits[1][name]}
    assert list(rows) == ["intercept", "x", "w"]
    for term in ("intercept", "x"):
        change = new[term]["estimate"] - old[term]["estimate"]
        assert rows[term] == {
            "target": "y",
            "term": term,
            "from": old[term]["estimate"],
            "to": new[term]["estimate"],
            "change": change,
            "from_std_error": old[term]["std_error"],
            "to_std_error": new[term]["std_error"],
            "change_in_std_errors": change / old[term]["std_error"],
        }
    assert (rows["w"]["to"], rows["w"]["to_std_error"]) == (new["w"]["estimate"], new["w"]["std_error"])
    assert [rows["w"][name] for name in ("from", "change", "from_std_error", "change_in_std_errors")] == [None] * 4
    assert client.get("/models/m/diff?from=live&to=1").json["coefficients"][2]["to"] is None


def test_a_fit_without_errors_is_compared_without_them(client: Client) -> None:
    """A perfect fit has no standard error to measure a change by, or one of zero; neither is divided by."""
    client.post("/train", json=LINE)
    client.post("/train", json=LINE | {"solver": SGD})
    rows = client.get("/models/m/diff?from=1&to=2").json["coefficients"]

    assert [row["change_in_std_errors"] for row in rows] == [None, None]
    assert all(row["change"] is not None for row in rows)


@pytest.fixture(params=["float64", "float32", "without intercept"])
def weights(request: pytest.FixtureRequest, client: Client, store: ModelStore) -> tuple[str, dict[str, torch.Tensor], dict[str, Any]]:
    """The path of a version's weights, what the store holds, and its schema."""
    given = {"float64": CURVE, "without intercept": CURVE | {"intercept": False}}.get(
        request.param, LINE | {"model": "curve", "solver": SGD, "dtype": "float32"}
    )
    assert client.post("/train", json=given).status_code == 201
    manifest = store.manifest("curve", 1)
    return "/models/curve/versions/live/state_dict", load(store.blob(manifest.blobs["state_dict"])), manifest.document["schema"]


def bits(tensor: torch.Tensor) -> bytes:
    """The very bits of a tensor."""
    return tensor.numpy().tobytes()


def test_weights_are_read_back_bit_for_bit(client: Client, weights: tuple[str, dict[str, torch.Tensor], dict[str, Any]]) -> None:
    """safetensors, `torch.load` and JSON give the parameters that serve, and the latter two fit a plain `nn.Linear`."""
    path, stored, schema = weights
    expected = {name.removeprefix("linear."): bits(tensor) for name, tensor in stored.items()}
    as_stored = load(client.get(path).data)
    as_pt = torch.load(io.BytesIO(client.get(f"{path}?format=pt").data), weights_only=True)
    as_json = client.get(f"{path}?format=json").json
    from_json = {
        name: torch.tensor(as_json[name], dtype=getattr(torch, as_json["dtype"]))
        for name in ("weight", "bias")
        if as_json[name] is not None
    }
    t, p = stored["linear.weight"].shape

    assert {name.removeprefix("linear."): bits(tensor) for name, tensor in as_stored.items()} == expected
    for state_dict in (as_pt, from_json):
        linear = torch.nn.Linear(p, t, bias="bias" in expected, dtype=stored["linear.weight"].dtype)
        linear.load_state_dict(state_dict)
        assert {name: bits(tensor) for name, tensor in linear.state_dict().items()} == expected
    assert as_json["columns"] == list(Schema.from_dict(schema).column_names)
    assert as_json["targets"] == schema["targets"]
    assert (len(as_json["targets"]), len(as_json["columns"])) == (t, p)


@pytest.mark.parametrize("form", ["safetensors", "pt", "json"])
def test_weights_come_as_a_file(client: Client, store: ModelStore, form: str) -> None:
    """The answer has a file name, a digest of its bytes, and an ETag by which it is sent once; asked for again it is the same."""
    client.post("/train", json=LINE)
    path = f"/models/m/versions/live/state_dict?format={form}"
    answer = client.get(path)
    digest = base64.b64encode(hashlib.sha256(answer.data).digest()).decode()

    assert answer.headers["Content-Disposition"] == f'attachment; filename="m-1.{form}"'
    assert answer.headers["Content-Digest"] == f"sha-256=:{digest}:"
    assert client.get(path).data == answer.data
    assert client.get(path, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    if form == "safetensors":
        assert client.get("/models/m/versions/1/state_dict").data == store.blob(store.manifest("m", 1).blobs["state_dict"])
    if form == "json":
        assert json.loads(answer.data)["columns"] == ["x1"]


def test_damaged_weights_are_not_handed_out(client: Client, store: ModelStore, config: Any) -> None:
    """A flipped bit in the store is an error, in every form."""
    client.post("/train", json=LINE)
    name = store.manifest("m", 1).blobs["state_dict"].removeprefix("sha256:")
    path = config.store / "blobs" / "sha256" / name
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)

    for form in ("safetensors", "pt", "json"):
        answer = client.get(f"/models/m/versions/1/state_dict?format={form}")
        assert (answer.status_code, answer.mimetype) == (500, "application/problem+json")
