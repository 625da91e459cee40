"""Rows as each server wants them to be sent, and its answers as numbers again."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.wrk import Request
from tests.support import Reply

LENGTH = "Inference-Header-Content-Length"
Rows = list[list[float]]
Form = Callable[[str, Rows], Request]  # rows as a request to a path


def positional(name: str) -> Form:
    """Rows as lists of numbers under a name."""
    return lambda path, rows: as_json(path, {name: rows})


def as_json(path: str, document: Any) -> Request:
    """A document as a request."""
    return Request(path, json.dumps(document).encode(), {"Content-Type": "application/json"})


def tensor(path: str, rows: Rows) -> Request:
    """Rows as an Open Inference request with flat data."""
    flat = [number for row in rows for number in row]
    return as_json(path, {"inputs": [{"name": "x", "shape": [len(rows), len(rows[0])], "datatype": "FP64", "data": flat}]})


def binary_tensor(path: str, rows: Rows) -> Request:
    """Rows as an Open Inference request with binary tensors in and out."""
    data = np.asarray(rows, "<f8").tobytes()
    described = {"name": "x", "shape": [len(rows), len(rows[0])], "datatype": "FP64", "parameters": {"binary_data_size": len(data)}}
    head = json.dumps({"inputs": [described], "parameters": {"binary_data_output": True}}).encode()
    return Request(path, head + data, {"Content-Type": "application/octet-stream", LENGTH: str(len(head))})


FORMS: dict[str, Form] = {"instances": positional("instances"), "inputs": positional("inputs"), "v2": tensor, "v2 binary": binary_tensor}


def numbers(reply: Reply) -> npt.NDArray[np.float64]:
    """The predictions [n] of an answer, whichever server gave it."""
    if LENGTH.lower() in reply.headers:
        return np.frombuffer(reply.body[int(reply.headers[LENGTH.lower()]) :], "<f8")
    document: Any = reply.json
    if isinstance(document, dict):
        document = document["outputs"][0]["data"] if "outputs" in document else document["predictions"]
    return np.ravel(np.array(document, np.float64))
