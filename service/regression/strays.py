"""The few digits that lie outside of a block's slices: multiplied one by one.

Invariant: with the slices W and the strays U of the same rows, what is added is exactly U W' + W U' + U U'.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.regression.grid import Grid
from service.regression.kernels import Layers, multiply_strays
from service.regression.limbs import BITS, Integers, Total
from service.regression.products import Array

_BASE = float(1 << BITS)
_ROWS = 1 << 17  # summed before they are brought into the total; a block has no more
_DIGITS = 4  # of a float64 that are not zero, at most: 53 bits
_MEMORY = 1 << 25  # elements of sums kept apart, about
_NO_FRACTION = 1000  # 2^1000 times a digit is finite; larger values stand at the places above, whose digits are multiples of 2^-100


class Entries(NamedTuple):
    """Strays, one element each: row, column, and a value in units of the digit at ``place``, of at most 2^21."""

    row: Integers
    column: Integers
    value: Array
    place: Integers

    def at(self, chosen: NDArray[np.bool_] | Integers) -> "Entries":
        return Entries(self.row[chosen], self.column[chosen], self.value[chosen], self.place[chosen])

    @staticmethod
    def joined(parts: Sequence["Entries"]) -> "Entries":
        rows, columns, values, places = (np.concatenate(same) for same in zip(*parts, strict=True))
        return Entries(rows, columns, values, places)


class Strays:
    """The sums of products of strays, block after block."""

    def __init__(self, grid: Grid, total: Total) -> None:
        self.count = 0
        self._grid, self._total = grid, total
        self._rows = self._slices = 0
        self._mixed: dict[int, Integers] = {}  # by place a: U_a W_b' for every b, [slices, columns, columns]
        self._squares: dict[int, Integers] = {}  # by a + b: U_a U_b'

    def collect(self, layers: Layers, entries: Entries, *, rows: int) -> None:
        """Multiply the strays of one block of so many ``rows``, at most `_ROWS`; ``layers`` has those to which ``entries`` belong."""
        self.count += len(entries.row)
        if self._slices != layers.slices or self._rows + rows > _ROWS:
            self.finish()
            self._slices = layers.slices
        self._rows += rows
        digits = self._digits(entries)
        if not len(digits.row):
            return
        q = layers.array.shape[2]
        places = np.unique(digits.place).tolist()
        squares = _zeros(self._squares, {a + b for a in places for b in places}, (q, q))
        for some in _parts(places, max(1, _MEMORY // (layers.slices * q * q))):
            if len(self._mixed.keys() | set(some)) * layers.slices * q * q > _MEMORY:
                self._settle_mixed()
            mixed = _zeros(self._mixed, some, (layers.slices, q, q))
            multiply_strays(digits.row, digits.column, digits.place, digits.value, layers, mixed=mixed, squares=squares)
            squares = {}  # each once

    def finish(self) -> None:
        """Bring everything collected into the total."""
        self._settle_mixed()
        for places, products in self._squares.items():
            self._total.add(-(places + 2), products, bound=_DIGITS * _ROWS << 2 * (BITS - 1))
        self._squares, self._rows = {}, 0

    def _settle_mixed(self) -> None:
        for a, of_slices in self._mixed.items():
            for b, products in enumerate(of_slices):
                self._total.add(-(a + b + 2), products + products.T, bound=2 * _ROWS << 2 * (BITS - 1))
        self._mixed = {}

    def _digits(self, entries: Entries) -> Entries:
        """All digits of some strays, none of them zero, row by row; values are rounded to the column's resolution before."""
        fraction = self._grid.tops[entries.column] - BITS * (entries.place + 1) - self._grid.resolution[entries.column]
        entries = entries._replace(value=_rounded(entries.value, fraction))
        found = []
        while len(entries.value):
            digit = np.rint(entries.value)
            found.append(entries._replace(value=digit).at(digit != 0))
            rest = (entries.value - digit) * _BASE
            entries = entries._replace(value=rest, place=entries.place + 1).at(rest != 0)
        digits = Entries.joined(found) if found else entries
        return digits.at(np.argsort(digits.row, kind="stable"))


def _zeros(sums: dict[int, Integers], keys: Sequence[int] | set[int], shape: tuple[int, ...]) -> dict[int, Integers]:
    """The sums under some keys, zero where there was none."""
    for key in keys:
        if key not in sums:
            sums[key] = np.zeros(shape, dtype=np.int64)
    return {key: sums[key] for key in keys}


def _parts(places: list[int], most: int) -> Iterator[list[int]]:
    for start in range(0, len(places), most):
        yield places[start : start + most]


def _rounded(value: Array, fraction: Integers) -> Array:
    """``value`` rounded, ties to even, to multiples of 2^-fraction: the column's resolution, in units of the value's first digit."""
    rounded = np.ldexp(np.rint(np.ldexp(value, np.minimum(fraction, _NO_FRACTION))), -np.minimum(fraction, _NO_FRACTION))
    return np.where(fraction <= _NO_FRACTION, rounded, value)
