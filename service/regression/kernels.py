"""The compiled loops of `kernels.c` as functions of numpy's arrays; they let other threads run meanwhile.

Invariant: nothing beyond the arrays given is read or written; rows are counted here, all other shapes are the caller's word.
"""

import ctypes
import math
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
_STRIP, _TILES = 512, 12  # of `kernels.c`; a multiple of every TILE


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
        ("at", ctypes.c_void_p), ("slices", ctypes.c_ssize_t), ("slice", ctypes.c_ssize_t), ("row", ctypes.c_ssize_t),
        ("evaluated", ctypes.c_ssize_t),
    )  # fmt: skip


class _Outside(ctypes.Structure):
    _fields_ = (
        ("above", ctypes.c_void_p), ("below", ctypes.c_void_p), ("left", ctypes.c_void_p),
        ("aboves", ctypes.c_ssize_t), ("belows", ctypes.c_ssize_t), ("most", ctypes.c_ssize_t),
        ("rows", ctypes.c_void_p), ("digits", ctypes.c_void_p), ("kept", ctypes.c_ssize_t), ("room", ctypes.c_ssize_t),
    )  # fmt: skip


class _Strays(ctypes.Structure):
    _fields_ = (
        ("row", ctypes.c_void_p), ("column", ctypes.c_void_p), ("place", ctypes.c_void_p), ("digit", ctypes.c_void_p),
        ("count", ctypes.c_ssize_t),
    )  # fmt: skip


@dataclass(frozen=True)
class Layers:
    """The digits of rows: ``slices`` of them in ``array`` [layers, rows, columns].

    ``evaluated`` stands for S_0 t^2 + S_1 t + S_2 in five layers: at infinity, 2, 0, 1 and -1.
    """

    array: Array
    slices: int
    evaluated: bool = False

    def told(self) -> _Layers:
        layer, row, _ = self.array.strides
        return _Layers(self.array.ctypes.data, self.slices, layer // _NUMBER, row // _NUMBER, self.evaluated)


@dataclass(frozen=True)
class Outside:
    """Numbers with digits outside of the slices: their rows in ``layers`` times columns plus their columns, and what is ``left`` of some.

    Those ``above`` are too large for the first slice or not finite; what is left of those ``below`` is in units of the place after the
    last slice. ``rows``: which rows of the block are in ``layers``; None for all.
    """

    above: Integers
    below: Integers
    left: Array
    layers: Layers
    rows: Integers | None = None


def aligned(*shape: int) -> Array:
    """An empty array whose rows begin where a line of the cache does: vectors are then read and written at once, not in two parts."""
    line = 64 // _NUMBER
    width = -(-shape[-1] // line) * line
    memory = np.empty(math.prod(shape[:-1]) * width + line)
    first = -(memory.ctypes.data // _NUMBER) % line
    rows: Array = memory[first : first + memory.size - line].reshape(*shape[:-1], width)
    return rows[..., : shape[-1]]


def cut(X: Array, Y: Array, roots: Array | None, factors: Array, layers: Layers, *, most: int) -> Outside | None:
    """Cut rows [1 X Y], times their ``roots`` and a power of two for each column, into the digits of ``layers``.

    None, with the work half done, where more than ``most`` numbers have digits below the slices.
    """
    rows, keep = _rows(X, Y, roots)
    room = _Room(len(X) * len(factors), most)
    done = _library().cut(ctypes.byref(rows), factors.ctypes.data, ctypes.byref(layers.told()), ctypes.byref(room.outside))
    del keep
    return room.found(layers) if done else None


def gram(X: Array, Y: Array, roots: Array | None, factors: Array, *, slices: int, most: int) -> tuple[Integers, Outside | None]:
    """Cut rows as `cut` does, and sum the products of all ``slices`` on top of each other, [slices * columns, slices * columns].

    Lower triangles count, and nothing where there is no `Outside`. Digits are kept of those rows alone that have others outside.
    """
    count, columns = len(X), len(factors)
    rows, keep = _rows(X, Y, roots)
    room = _Room(count * columns, most)
    kept, digits = np.empty(count, dtype=np.int64), np.empty((slices, count, columns))
    room.outside.rows, room.outside.digits, room.outside.room = kept.ctypes.data, digits.ctypes.data, count
    order = -(-slices * columns // _TILES) * _TILES
    stack, sums = aligned(order, _STRIP), np.zeros((order, order), dtype=np.int64)
    stack[slices * columns :] = 0.0
    done = _library().gram(
        ctypes.byref(rows), factors.ctypes.data, slices, stack.ctypes.data, sums.ctypes.data, order, ctypes.byref(room.outside)
    )
    del keep
    kept = kept[: room.outside.kept]
    return sums[: slices * columns, : slices * columns], room.found(Layers(digits[:, : len(kept)], slices), kept) if done else None


class _Room:
    """Memory for what lies outside of the slices of so many ``numbers``, ``most`` of them below."""

    def __init__(self, numbers: int, most: int) -> None:
        self._above, self._below, self._left = np.empty(numbers, dtype=np.int64), np.empty(most, dtype=np.int64), np.empty(most)
        self.outside = _Outside(self._above.ctypes.data, self._below.ctypes.data, self._left.ctypes.data, most=most)

    def found(self, layers: Layers, rows: Integers | None = None) -> Outside:
        """What was written there."""
        above, below = self.outside.aboves, self.outside.belows
        return Outside(self._above[:above], self._below[:below], self._left[:below], layers, rows)


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
    digits_of_row = np.empty(layers.slices * layers.array.shape[2])
    _library().multiply_strays(
        ctypes.byref(strays),
        ctypes.byref(layers.told()),
        layers.array.shape[2],
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
    """Rows as the kernels read them, and what must stay alive for as long; ValueError where there are not equally many of each."""
    if len(Y) != len(X) or (roots is not None and roots.shape != (len(X),)):
        weights = "no" if roots is None else len(roots)
        raise ValueError(f"There are {len(X)} rows of X, {len(Y)} of Y and {weights} weights: they must be equally many.")
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


def missing() -> str | None:
    """None where the kernels for this processor are there, else what is missing and what to do."""
    return None if _path(_level()).exists() else f"{_path(_level()).name} is missing: compile it with `make kernels`."


def _path(level: str) -> Path:
    return Path(__file__).with_name(f"kernels.{level}.so")


@cache
def _loaded(level: str) -> Any:
    library = ctypes.CDLL(str(_path(level)))
    pointer, size = ctypes.c_void_p, ctypes.c_ssize_t
    library.cut.argtypes, library.cut.restype = [pointer] * 4, ctypes.c_int
    library.gram.argtypes, library.gram.restype = [pointer, pointer, size, pointer, pointer, size, pointer], ctypes.c_int
    library.multiply_strays.argtypes, library.multiply_strays.restype = [pointer, pointer, size, *[pointer] * 3], None
    library.add_lower.argtypes, library.add_lower.restype = [pointer, pointer, size], None
    library.digest_rows.argtypes, library.digest_rows.restype = [pointer] * 3, None
    return library
