"""The same batch gives the same bits, whatever protocol it comes by."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from werkzeug.test import Client

from tests.api.conftest import MakeClient

RANDOM = np.random.default_rng(29)
NAMES = ["b", "a", "c"]
VERTEX = "/v1/endpoints/17/deployedModels/4:predict"
Matrix = np.ndarray[Any, np.dtype[np.float64]]
Door = Callable[[Client, Matrix], Any]


def json_door(path: str, member: str, request_of: Callable[[Matrix], Any]) -> Door:
    """A door that takes and gives JSON: what to send, and the member of its answer that holds the predictions."""

    def ask(client: Client, x: Matrix) -> Any:
        answer = client.post(path, json=request_of(x))
        assert answer.status_code == 200, answer.text
        return json.loads(answer.text)[member]

    return ask


def csv_door(content_type: str, names: list[str] | None) -> Door:
    """`/invocations` with CSV, with a header line of these names or without one, answering CSV."""

    def ask(client: Client, x: Matrix) -> Any:
        text = io.StringIO()
        order = [NAMES.index(name) for name in names or NAMES]
        csv.writer(text).writerows([*([names] if names else []), *x[:, order].tolist()])
        answer = client.post("/invocations", data=text.getvalue(), content_type=content_type, headers={"Accept": "text/csv"})
        assert (answer.status_code, answer.mimetype) == (200, "text/csv"), answer.text
        lines = [list(map(float, line)) for line in csv.reader(io.StringIO(answer.text))]
        return lines if len(lines[0]) > 1 else [line[0] for line in lines]

    return ask


def tensor_door(client: Client, x: Matrix) -> Any:
    """The Open Inference Protocol with one tensor in JSON."""
    tensor = {"name": "x", "shape": list(x.shape), "datatype": "FP64", "data": x.ravel().tolist()}
    answer = client.post("/v2/models/default/infer", json={"inputs": [tensor]})
    assert answer.status_code == 200, answer.text
    return json.loads(answer.text)["outputs"][0]["data"]


def named(x: Matrix) -> list[dict[str, float]]:
    return [dict(zip(NAMES, row, strict=True)) for row in x.tolist()]


def by_column(x: Matrix) -> dict[str, list[float]]:
    return {name: x[:, i].tolist() for i, name in reversed(list(enumerate(NAMES)))}


def split(x: Matrix) -> dict[str, Any]:
    """A data frame in another order of columns, with one too many."""
    return {"columns": ["c", "more", "a", "b"], "index": list(range(len(x))), "data": [[c, 0, a, b] for b, a, c in x.tolist()]}


DOORS: dict[str, Door] = {
    "native columns": json_door("/predict", "predictions", lambda x: {"columns": by_column(x)}),
    "native named": json_door("/predict", "predictions", lambda x: {"instances": named(x)}),
    "TensorFlow rows": json_door("/v1/models/default:predict", "predictions", lambda x: {"instances": x.tolist()}),
    "TensorFlow named rows": json_door(
        "/v1/models/default/versions/1:predict", "predictions", lambda x: {"instances": named(x), "signature_name": "serving_default"}
    ),
    "TensorFlow tensor": json_door("/v1/models/default/labels/live:predict", "outputs", lambda x: {"inputs": x.tolist()}),
    "TensorFlow tensors": json_door(
        "/v1/models/default:predict",
        "outputs",
        lambda x: {"inputs": {name: [[v] for v in column] for name, column in by_column(x).items()}},
    ),
    "KServe explain": json_door("/v1/models/default:explain", "predictions", lambda x: {"instances": x.tolist()}),
    "Vertex AI": json_door(VERTEX, "predictions", lambda x: {"instances": x.tolist(), "parameters": {}}),
    "MLflow split": json_door("/invocations", "predictions", lambda x: {"dataframe_split": split(x)}),
    "MLflow records": json_door("/invocations", "predictions", lambda x: {"dataframe_records": named(x)}),
    "MLflow instances": json_door("/invocations", "predictions", lambda x: {"instances": x.tolist(), "params": {}}),
    "MLflow inputs": json_door("/invocations", "predictions", lambda x: {"inputs": by_column(x)}),
    "MLflow CSV": csv_door("text/csv; charset=utf-8", ["c", "b", "a"]),
    "SageMaker list": json_door("/invocations", "predictions", lambda x: x.tolist()),
    "SageMaker CSV": csv_door("text/csv", None),
    "Open Inference Protocol": tensor_door,
}
ONE_TARGET: dict[str, Door] = {
    "TensorFlow regress": json_door("/v1/models/default:regress", "results", lambda x: {"examples": named(x)}),
}


def bits(values: Any) -> bytes:
    return np.array(values, dtype=np.float64).tobytes()


@pytest.mark.parametrize("targets", [1, 2])
def test_every_door_gives_the_same_bits(make_client: MakeClient, targets: int) -> None:
    """One batch of rows, by every protocol and in each of its forms."""
    client = make_client(DEVICE="cpu", platform={"AIP_PREDICT_ROUTE": VERTEX})
    x, y = RANDOM.normal(size=(50, 3)), RANDOM.normal(size=(50, targets))
    trained = client.post("/train", json={"instances": x.tolist(), "targets": y.tolist(), "features": NAMES})
    assert trained.status_code == 201
    new = RANDOM.normal(size=(257, 3)) * [1e-3, 1.0, 1e5]
    truth = bits(client.post("/predict", json={"instances": new.tolist()}).json["predictions"])  # type: ignore[index]

    doors = DOORS | (ONE_TARGET if targets == 1 else {})
    assert {name: bits(ask(client, new)) == truth for name, ask in doors.items()} == dict.fromkeys(doors, True)
