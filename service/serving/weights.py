"""The `state_dict` of a version in the forms other programs read: as it is stored, for `torch.load`, and for people."""

import io
from collections.abc import Callable, Mapping
from typing import Any

import torch
from safetensors.torch import load

from service.documents import dump
from service.regression.schema import Schema

BINARY = "application/octet-stream"
Write = Callable[[bytes, Mapping[str, Any]], bytes]


def as_stored(data: bytes, _schema: Mapping[str, Any]) -> bytes:
    """The safetensors file itself; its tensors are named as in the served module, `linear.weight` and `linear.bias`."""
    return data


def as_pt(data: bytes, _schema: Mapping[str, Any]) -> bytes:
    """What `torch.load(weights_only=True)` reads as the `state_dict` of an `nn.Linear`: `weight` [t, p] and, if any, `bias` [t]."""
    file = io.BytesIO()
    torch.save(_parameters(data), file)
    return file.getvalue()


def as_json(data: bytes, schema: Mapping[str, Any]) -> bytes:
    """The same as JSON, which reads back to the same bits, with the names of the design columns [p] and of the targets [t]."""
    known = Schema.from_dict(schema)
    parameters = _parameters(data)
    dtype = str(parameters["weight"].dtype).removeprefix("torch.")
    described = {"columns": list(known.column_names), "targets": list(known.targets), "dtype": dtype, "bias": None}
    return dump(described | {name: tensor.double().tolist() for name, tensor in parameters.items()})


def _parameters(data: bytes) -> dict[str, torch.Tensor]:
    tensors = load(data)
    return {name: tensors[f"linear.{name}"] for name in ("weight", "bias") if f"linear.{name}" in tensors}


FORMS: dict[str, tuple[str, Write]] = {
    "safetensors": (BINARY, as_stored),
    "pt": (BINARY, as_pt),
    "json": ("application/json", as_json),
}
