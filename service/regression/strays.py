"""The few digits that lie outside of a block's slices: kept as sparse matrices and multiplied apart.

Invariant: with the slices W and the strays U of the same rows, what is added is exactly U W' + W U' + U U'.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from service.regression.limbs import BITS, Integers, Total
from service.regression.products import Array

_BASE = float(1 << BITS)
_LIMIT = 2048  # strays of one column summed in float64: products of two digits are at most 2^42, so their sums stay below 2^53
_NO_FRACTION = 900  # 2^900 times a digit is finite, and a value whose unit is further above the resolution has no bit to round


@dataclass(frozen=True)
class Grid:
    """Where the digits of each column lie: the first has the weight 2^(tops - 22); values are rounded to multiples of 2^resolution."""

    tops: Integers
    resolution: Integers

    @property
    def slices(self) -> int:
        """How many slices lie wholly above every column's resolution: no rounding falls into them."""
        return int(((self.tops - self.resolution - 1) // BITS).min())


class Strays:
    """Strays of block after block, multiplied when enough have come together."""

    def __init__(self, grid: Grid, total: Total) -> None:
        self.count = 0
        self._grid, self._total = grid, total
        self._rows = 0
        self._entries: list[tuple[Integers, Integers, Array, Integers]] = []  # row, column, value, place of the value's first digit
        self._slices: list[list[Array]] = []  # of the rows that have strays: [rows, columns] per slice
        self._seen = np.zeros(len(grid.tops), dtype=np.int64)  # strays per column in the sums below
        self._mixed: dict[tuple[int, int], Array] = {}  # U_a W_b'
        self._own: dict[tuple[int, int], sparse.csr_array] = {}  # U_a U_b', a <= b

    def collect(self, slices: list[Array], row: Integers, column: Integers, *, value: Array, place: Integers) -> None:
        """Strays of one block. ``value`` is in units of the digit at ``place`` and at most 2^21; ``slices`` are [columns, k] each."""
        if self._slices and len(self._slices[0]) != len(slices):
            self._multiply()
        distinct, position = np.unique(row, return_inverse=True)
        self._entries.append((position + self._rows, column, value, place))
        self._slices.append([np.ascontiguousarray(slice_.T[distinct]) for slice_ in slices])
        self._rows += len(distinct)
        self.count += len(value)
        if self._rows >= _LIMIT:
            self._multiply()

    def finish(self) -> None:
        """Bring everything collected into the total."""
        self._multiply()
        self._settle()

    def _multiply(self) -> None:
        if not self._entries:
            return
        row, column, value, place = (np.concatenate(parts) for parts in zip(*self._entries, strict=True))
        slices = [np.concatenate(parts) for parts in zip(*self._slices, strict=True)]
        value = _rounded(value, self._grid.tops[column] - BITS * (place + 1) - self._grid.resolution[column])
        for start in range(0, self._rows, _LIMIT):
            chosen = np.flatnonzero((row >= start) & (row < start + _LIMIT))
            counts = np.bincount(column[chosen], minlength=len(self._seen))
            if (self._seen + counts).max() > _LIMIT:
                self._settle()
            self._seen += counts
            rows = [W[start : start + _LIMIT] for W in slices]
            shape = (len(self._seen), len(rows[0]))
            scattered = dict(_scattered(row[chosen] - start, column[chosen], value[chosen], place[chosen], shape=shape))
            for a, U in scattered.items():
                for b, W in enumerate(rows):
                    product = U @ W
                    self._mixed[a, b] = self._mixed[a, b] + product if (a, b) in self._mixed else product
                for b, V in scattered.items():
                    if a <= b:
                        square = U @ V.T
                        self._own[a, b] = self._own[a, b] + square if (a, b) in self._own else square
        self._rows, self._entries, self._slices = 0, [], []

    def _settle(self) -> None:
        for (a, b), product in self._mixed.items():
            integers = product.astype(np.int64)
            self._total.add(-(a + b + 2), integers + integers.T, bound=1 << 54)
        for (a, b), square in self._own.items():
            integers = square.toarray().astype(np.int64)
            self._total.add(-(a + b + 2), integers if a == b else integers + integers.T, bound=1 << 54)
        self._mixed, self._own = {}, {}
        self._seen[:] = 0


def _rounded(value: Array, fraction: Integers) -> Array:
    """``value`` rounded, ties to even, to multiples of 2^-fraction: the column's resolution, in units of the value's first digit."""
    rounded = np.ldexp(np.rint(np.ldexp(value, np.minimum(fraction, _NO_FRACTION))), -np.minimum(fraction, _NO_FRACTION))
    return np.where(fraction <= _NO_FRACTION, rounded, value)


def _scattered(
    row: Integers, column: Integers, value: Array, place: Integers, *, shape: tuple[int, int]
) -> Iterator[tuple[int, sparse.csr_array]]:
    """Place by place the sparse matrix [columns, rows] of the digits at that place."""
    found: list[tuple[Integers, Integers, Array, Integers]] = []
    while len(value):
        digit = np.rint(value)
        found.append((row, column, digit, place))
        rest = (value - digit) * _BASE
        more = np.flatnonzero(rest)
        row, column, value, place = row[more], column[more], rest[more], place[more] + 1
    if not found:
        return
    rows, columns, digits, places = (np.concatenate(parts) for parts in zip(*found, strict=True))
    for at in np.unique(places).tolist():
        here = np.flatnonzero((places == at) & (digits != 0))
        yield at, sparse.csr_array((digits[here], (columns[here], rows[here])), shape=shape)
