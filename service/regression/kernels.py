"""The compiled loops of `kernels.c` as functions of numpy's arrays; they let other threads run meanwhile.

Invariant: nothing beyond the arrays given is read or written; shapes are the caller's word.
"""

import ctypes
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
Words = NDArray[np.uint64]

_LEVELS = {"AVX512": "x86_64_v4", "AVX2": "x86_64_v3"}  # by torch's word for what a processor has
_NUMBER = 8  # bytes


class _Matrix(ctypes.Structure):
    _fields_ = (("at", ctypes.c_void_p), ("row", ctypes.c_ssize_t), ("column", ctypes.c_ssize_t))

    @classmethod
    def of(cls, array: Array) -> "_Matrix":
        row, column = array.strides
        return cls(array.ctypes.data, row // _NUMBER, column // _NUMBER)


class _Rows(ctypes.Structure):
    _fields_ = (
        ("X", _Matrix), ("Y", _Matrix), ("roots", ctypes.c_void_p),
        ("features", ctypes.c_ssize_t), ("targets", ctypes.c_ssize_t), ("count", ctypes.c_ssize_t),
    )  # fmt: skip


class _Layers(ctypes.Structure):
    _fields_ = (
        ("at", ctypes.c_void_p), ("slices", ctypes.c_ssize_t), ("slice", ctypes.c_ssize_t), ("length", ctypes.c_ssize_t),
        ("by_row", ctypes.c_ssize_t), ("evaluated", ctypes.c_ssize_t),
    )  # fmt: skip


class _Outside(ctypes.Structure):
    _fields_ = (
        ("above", ctypes.c_void_p), ("below", ctypes.c_void_p), ("left", ctypes.c_void_p),
        ("aboves", ctypes.c_ssize_t), ("belows", ctypes.c_ssize_t), ("most", ctypes.c_ssize_t),
    )  # fmt: skip


class _Strays(ctypes.Structure):
    _fields_ = (
        ("row", ctypes.c_void_p), ("column", ctypes.c_void_p), ("place", ctypes.c_void_p), ("digit", ctypes.c_void_p),
        ("count", ctypes.c_ssize_t),
    )  # fmt: skip


@dataclass(frozen=True)
class Layers:
    """A block of digits: ``slices`` of them in ``array`` [layers, columns, length] or, ``by_row``, [layers, length, columns].

    ``evaluated`` stands for S_0 t^2 + S_1 t + S_2 in five layers: at infinity, 2, 0, 1 and -1.
    """

    array: Array
    slices: int
    by_row: bool
    evaluated: bool

    @property
    def columns(self) -> int:
        return int(self.array.shape[2 if self.by_row else 1])

    def told(self) -> _Layers:
        length = self.array.shape[1 if self.by_row else 2]
        return _Layers(self.array.ctypes.data, self.slices, self.array[0].size, length, self.by_row, self.evaluated)


@dataclass(frozen=True)
class Outside:
    """Numbers with digits outside of the slices: their rows times columns plus their columns, and what is ``left`` of those ``below``.

    ``above`` are too large for the first slice or not finite; what is left is in units of the place after the last.
    """

    above: Integers
    below: Integers
    left: Array


def cut(X: Array, Y: Array, roots: Array | None, factors: Array, layers: Layers, *, most: int) -> Outside | None:
    """Cut rows [1 X Y], times their ``roots`` and a power of two for each column, into the digits of ``layers``.

    A block that is longer than the rows is filled with zeros where it lies column by column. None, with the work half done, where more
    than ``most`` numbers have digits below the slices.
    """
    rows, keep = _rows(X, Y, roots)
    above, below, left = np.empty(len(X) * layers.columns, dtype=np.int64), np.empty(most, dtype=np.int64), np.empty(most)
    outside = _Outside(above.ctypes.data, below.ctypes.data, left.ctypes.data, 0, 0, most)
    done = _library().cut(ctypes.byref(rows), factors.ctypes.data, ctypes.byref(layers.told()), ctypes.byref(outside))
    del keep
    return Outside(above[: outside.aboves], below[: outside.belows], left[: outside.belows]) if done else None


def multiply_strays(
    row: Integers,
    column: Integers,
    place: Integers,
    digit: Array,
    layers: Layers,
    *,
    mixed: Mapping[int, Integers],
    squares: Mapping[int, Integers],
) -> None:
    """Add the products of stray digits, sorted by ``row``, with the digits of their rows in ``layers`` and with one another.

    Those of a digit at place a are added to row ``column`` of ``mixed[a]`` [slices, columns, columns], those of two at places a and b to
    the lower triangle of ``squares[a + b]`` [columns, columns]; what is not there is not wanted.
    """
    lowest, highest = int(place.min()), int(place.max())
    at = place - lowest
    strays = _Strays(row.ctypes.data, column.ctypes.data, at.ctypes.data, digit.ctypes.data, len(row))
    digits_of_row = np.empty(layers.slices * layers.columns)
    _library().multiply_strays(
        ctypes.byref(strays),
        ctypes.byref(layers.told()),
        layers.columns,
        digits_of_row.ctypes.data,
        _addresses(mixed, range(lowest, highest + 1)),
        _addresses(squares, range(2 * lowest, 2 * highest + 1)),
    )


def add_lower(total: Integers, product: Array) -> None:
    """Add a matrix of integers below 2^53 to ``total``, both [m, m], in the lower triangle."""
    _library().add_lower(total.ctypes.data, product.ctypes.data, len(total))


def digest_rows(X: Array, Y: Array, weights: Array | None, multipliers: Words) -> Words:
    """The digests [n, 2] of rows by ``multipliers`` [1 + 2 (features + targets + 1), 4]: see `row_digests`."""
    rows, keep = _rows(X, Y, weights)
    digests = np.empty((len(X), 2), dtype=np.uint64)
    _library().digest_rows(ctypes.byref(rows), multipliers.ctypes.data, digests.ctypes.data)
    del keep
    return digests


def _rows(X: Array, Y: Array, roots: Array | None) -> tuple[_Rows, tuple[Any, ...]]:
    """Rows as the kernels read them, and what must stay alive for as long."""
    X, Y = (np.require(part, np.float64, "A") for part in (X, Y))
    roots = None if roots is None else np.ascontiguousarray(roots, dtype=np.float64)
    rows = _Rows(_Matrix.of(X), _Matrix.of(Y), None if roots is None else roots.ctypes.data, X.shape[1], Y.shape[1], len(X))
    return rows, (X, Y, roots)


def _addresses(arrays: Mapping[int, Integers], keys: range) -> Any:
    """The addresses of arrays by consecutive keys, NULL for one that is not there."""
    found = [arrays[key].ctypes.data if key in arrays else None for key in keys]
    return (ctypes.c_void_p * len(found))(*found)


def _library() -> Any:
    return _loaded(_level())


@cache
def _level() -> str:
    """What the kernels for this processor were compiled for: see `deploy/compile.py`."""
    if platform.machine().lower() not in {"x86_64", "amd64"}:
        return "baseline"
    return _LEVELS.get(torch.backends.cpu.get_cpu_capability(), "x86_64_v2")


@cache
def _loaded(level: str) -> Any:
    """The functions of the kernels.

    Raises ImportError where they have not been compiled.
    """
    path = Path(__file__).with_name(f"kernels.{level}.so")
    if not path.exists():
        raise ImportError(f"{path.name} is missing: compile it with `make kernels`.")
    library = ctypes.CDLL(str(path))
    pointer, size = ctypes.c_void_p, ctypes.c_ssize_t
    library.cut.argtypes, library.cut.restype = [pointer] * 4, ctypes.c_int
    library.multiply_strays.argtypes, library.multiply_strays.restype = [pointer, pointer, size, *[pointer] * 3], None
    library.add_lower.argtypes, library.add_lower.restype = [pointer, pointer, size], None
    library.digest_rows.argtypes, library.digest_rows.restype = [pointer] * 3, None
    return library
