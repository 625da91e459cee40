"""Tensors as they travel in the Open Inference Protocol: as JSON, or as raw bytes behind it (the binary tensor extension).

A tensor's datatype holds in either form: FP32 means numbers of 32 bits, however they are written, so that both give the same bits.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import simdjson

from service.documents import matrix_beneath, numbers_beneath, plain
from service.errors import Invalid

NUMERIC = {
    "UINT8": "<u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8",
    "INT8": "<i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8",
    "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
BYTES, BOOL, BF16 = "BYTES", "BOOL", "BF16"
RAW = NUMERIC | {BOOL: "<u1", BF16: "<u2"}
SIZES = {name: np.dtype(code).itemsize for name, code in RAW.items()}
DATATYPES = (*SIZES, BYTES)
LENGTH = struct.Struct("<I")
Values = npt.NDArray[Any] | list[Any]


@dataclass(frozen=True)
class Tensor:
    """A tensor of a request: `values` are as many as `shape` says, row by row; a list where they are not all plain numbers."""

    name: str
    shape: tuple[int, ...]
    values: Values


def count_of(shape: Sequence[int]) -> int:
    """How many values a tensor has."""
    return math.prod(shape)


def shape_of(given: Any, path: str) -> tuple[int, ...]:
    """The shape [n] or [n, p] of an input.

    Raises:
        Invalid: it is another one, or none.
    """
    shape = plain(given)
    if not isinstance(shape, list) or any(type(size) is not int or size < 0 for size in shape):
        raise Invalid({f"{path}.shape": ["must be a list of whole numbers, none below 0"]})
    if len(shape) not in (1, 2):
        raise Invalid({f"{path}.shape": ["must be [rows] or [rows, columns]"]})
    return tuple(shape)


def json_values(given: Any, datatype: str, shape: tuple[int, ...], path: str, *, shallow: bool) -> Values:
    """The values of `data`, a flat list or one list per row; `shallow`, when nothing in the document is nested deeper than that.

    Raises:
        Invalid: they are of another number, shape or kind than said.
    """
    if not isinstance(given, simdjson.Array):
        raise Invalid({f"{path}.data": ["must be a list"]})
    numbers = _numbers(given, shape) if shallow and datatype in NUMERIC else None
    if numbers is None:
        values = _flat(plain(given), shape, path)
        return [_checked(value, datatype, path) for value in values]
    if len(numbers) != count_of(shape):
        raise _other_count(len(numbers), shape, path)
    with np.errstate(over="ignore", invalid="ignore"):  # what is out of range is told below, or is infinite, which the schema tells
        held: npt.NDArray[Any] = numbers.astype(NUMERIC[datatype], copy=False)
    if held.dtype.kind != "f" and not np.array_equal(held, numbers):
        raise _no_such_number(datatype, path)
    return held


def _numbers(given: simdjson.Array, shape: tuple[int, ...]) -> npt.NDArray[np.float64] | None:
    """All numbers in one sweep; None where they are not flat, nor rows of one width, nor all exact."""
    if len(given) and isinstance(given[0], simdjson.Array):
        matrix = matrix_beneath(given)
        return matrix.ravel() if matrix is not None and matrix.shape == shape else None
    flat = numbers_beneath(given)
    return flat if flat is not None and len(flat) == len(given) else None


def _flat(data: list[Any], shape: tuple[int, ...], path: str) -> list[Any]:
    """The values of a flat list, or of a list of rows."""
    if data and isinstance(data[0], list):
        if len(shape) == 1 or len(data) != shape[0] or any(not isinstance(row, list) or len(row) != shape[1] for row in data):
            raise Invalid({f"{path}.data": [f"must be flat, or nested as its shape {list(shape)} says"]})
        data = [value for row in data for value in row]
    if any(isinstance(value, list | dict) for value in data):
        raise Invalid({f"{path}.data": ["must be a list of values, or a list of rows of values"]})
    if len(data) != count_of(shape):
        raise _other_count(len(data), shape, path)
    return data


def _checked(value: Any, datatype: str, path: str) -> Any:
    """A value as its datatype holds it; null is missing, and that a number is none is for the schema to say."""
    if value is None:
        return value
    if datatype == BYTES:
        fits = isinstance(value, str)
    elif datatype == BOOL:
        fits = isinstance(value, bool)
    else:
        fits = not isinstance(value, str | bool)
    if not fits:
        raise Invalid({f"{path}.data": [f"has a value that is not {datatype}"]})
    if datatype in (BYTES, BOOL):
        return value
    code = np.dtype(NUMERIC[datatype])
    if code.kind == "f":
        with np.errstate(over="ignore"):
            return value if datatype == "FP64" else float(code.type(value))
    if value != int(value) or not np.iinfo(code).min <= value <= np.iinfo(code).max:
        raise _no_such_number(datatype, path)
    return int(value)


def binary_values(raw: memoryview, datatype: str, shape: tuple[int, ...], path: str) -> Values:
    """The values in raw bytes, little-endian and row by row; numbers are a view of the bytes.

    Raises:
        Invalid: they are of another number than the shape says, or no text.
    """
    count = count_of(shape)
    if datatype == BYTES:
        return _texts(raw, count, path)
    if len(raw) != count * SIZES[datatype]:
        raise Invalid({f"{path}.parameters.binary_data_size": [f"is {len(raw)} where shape and datatype make {count * SIZES[datatype]}"]})
    values: npt.NDArray[Any] = np.frombuffer(raw, RAW[datatype])
    if datatype == BOOL:
        return values.astype(np.bool_)
    return (values.astype("<u4") << 16).view("<f4") if datatype == BF16 else values  # BF16 is the upper half of an FP32


def _texts(data: memoryview, count: int, path: str) -> list[str]:
    """`count` texts, each behind the four bytes of its length."""
    texts, place = [], 0
    try:
        while place < len(data):
            (length,) = LENGTH.unpack_from(data, place)
            text = data[place + LENGTH.size : place + LENGTH.size + length]
            if len(text) < length:
                raise Invalid({path: ["has a text that is longer than its data"]})
            texts.append(str(text, "utf-8"))
            place += LENGTH.size + length
    except (struct.error, UnicodeDecodeError) as error:
        raise Invalid({path: ["must be texts in UTF-8, each behind the four bytes of its length"]}) from error
    if len(texts) != count:
        raise Invalid({path: [f"has {len(texts)} texts where its shape makes {count}"]})
    return texts


def _other_count(found: int, shape: tuple[int, ...], path: str) -> Invalid:
    return Invalid({f"{path}.data": [f"has {found} values where its shape makes {count_of(shape)}"]})


def _no_such_number(datatype: str, path: str) -> Invalid:
    limits = np.iinfo(NUMERIC[datatype])
    return Invalid({f"{path}.data": [f"{datatype} holds whole numbers from {limits.min} to {limits.max}"]})


def output(name: str, values: npt.NDArray[Any], *, binary: bool) -> tuple[Mapping[str, Any], bytes]:
    """An output tensor of float64 or bool: its part of the JSON, and the bytes that go behind it, if any."""
    described = {"name": name, "shape": values.shape, "datatype": BOOL if values.dtype == np.bool_ else "FP64"}
    if not binary:
        return described | {"data": np.ascontiguousarray(values).ravel()}, b""
    data = values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
    return described | {"parameters": {"binary_data_size": len(data)}}, data
