"""The few digits that lie outside of a block's slices: kept as sparse matrices and multiplied apart.

Invariant: with the slices W and the strays U of the same rows, what is added is exactly U W' + W U' + U U'.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from service.regression.grid import Grid
from service.regression.limbs import BITS, Integers, Total
from service.regression.products import Array

_BASE = float(1 << BITS)
_LIMIT = 2048  # strays of one column summed in float64: products of two digits are at most 2^42, so their sums stay below 2^53
_FEW = 1 / 3  # of the rows of a block: where fewer have strays, they are gathered over blocks
_MEMORY = 1 << 25  # elements of sums kept apart before they are brought together
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
    """Strays of block after block, multiplied when enough have come together."""

    def __init__(self, grid: Grid, total: Total) -> None:
        self.count = 0
        self._grid, self._total = grid, total
        self._entries: list[Entries] = []
        self._rows = 0
        self._slices = np.empty((0, 0, len(grid.tops)))  # of the rows that have strays: [slices, rows, columns]
        self._seen = np.zeros(len(grid.tops), dtype=np.int64)  # strays per column in the sums below
        self._mixed: dict[tuple[int, int], Array] = {}  # U_a W_b'

    def collect(self, slices: list[Array], entries: Entries) -> None:
        """Strays of one block; ``slices`` are [columns, k] each, and not kept."""
        self.count += len(entries.row)
        rows = slices[0].shape[1]
        distinct, position = np.unique(entries.row, return_inverse=True)
        if len(distinct) < _FEW * rows:
            for start in range(0, len(distinct), _LIMIT):
                self._gather(slices, distinct[start : start + _LIMIT], _within(entries, position, start, start + _LIMIT))
        else:  # to multiply them all takes less time than to gather those that count
            step = rows if np.bincount(entries.column).max() <= _LIMIT else _LIMIT
            for start in range(0, rows, step):
                here = _within(entries, entries.row, start, start + step)
                self._multiply([digits[:, start : start + step].T for digits in slices], here)

    def finish(self) -> None:
        """Bring everything collected into the total."""
        self._multiply_gathered()
        self._settle()

    def _gather(self, slices: list[Array], rows: Integers, entries: Entries) -> None:
        """Keep a few rows of a block until there are enough of them."""
        if len(slices) != len(self._slices) or self._rows + len(rows) > _LIMIT:
            self._multiply_gathered()
            if len(slices) != len(self._slices):
                self._slices = np.empty((len(slices), _LIMIT, len(self._seen)))
        for buffer, digits in zip(self._slices, slices, strict=True):
            buffer[self._rows : self._rows + len(rows)] = digits[:, rows].T
        self._entries.append(entries._replace(row=entries.row + self._rows))
        self._rows += len(rows)

    def _multiply_gathered(self) -> None:
        if self._entries:
            self._multiply([digits[: self._rows] for digits in self._slices], Entries.joined(self._entries))
        self._entries, self._rows = [], 0

    def _multiply(self, slices: list[Array], entries: Entries) -> None:
        """Add the products of strays, at most `_LIMIT` of them in a column, with ``slices`` [rows, columns] and with one another."""
        counts = np.bincount(entries.column, minlength=len(self._seen))
        if (self._seen + counts).max() > _LIMIT or len(self._mixed) * len(self._seen) ** 2 > _MEMORY:
            self._settle()
        self._seen += counts
        fraction = self._grid.tops[entries.column] - BITS * (entries.place + 1) - self._grid.resolution[entries.column]
        digits = _Digits(entries._replace(value=_rounded(entries.value, fraction)))
        shape = (len(self._seen), len(slices[0]))
        for a, U in digits.scattered(shape):
            for b, W in enumerate(slices):
                product = U @ W
                if (a, b) in self._mixed:
                    self._mixed[a, b] += product
                else:
                    self._mixed[a, b] = product
        for level, at, products in digits.squared(shape):
            self._total.scatter(level, at, products, size=shape[0])

    def _settle(self) -> None:
        for (a, b), product in self._mixed.items():
            integers = product.astype(np.int64)
            self._total.add(-(a + b + 2), integers + integers.T, bound=1 << 54)
        self._mixed = {}
        self._seen[:] = 0


def _within(entries: Entries, position: Integers, start: int, stop: int) -> Entries:
    """The entries at positions from ``start`` to ``stop``, whose rows are counted from there."""
    chosen = (position >= start) & (position < stop)
    return entries.at(chosen)._replace(row=position[chosen] - start)


def _rounded(value: Array, fraction: Integers) -> Array:
    """``value`` rounded, ties to even, to multiples of 2^-fraction: the column's resolution, in units of the value's first digit."""
    rounded = np.ldexp(np.rint(np.ldexp(value, np.minimum(fraction, _NO_FRACTION))), -np.minimum(fraction, _NO_FRACTION))
    return np.where(fraction <= _NO_FRACTION, rounded, value)


class _Digits:
    """All digits of some strays, none of them zero."""

    def __init__(self, entries: Entries) -> None:
        found = [entries.at(np.empty(0, dtype=np.int64))]
        while len(entries.value):
            digit = np.rint(entries.value)
            found.append(entries._replace(value=digit).at(digit != 0))
            rest = (entries.value - digit) * _BASE
            entries = entries._replace(value=rest, place=entries.place + 1).at(rest != 0)
        self._row, self._column, self._digit, self._place = Entries.joined(found)

    def scattered(self, shape: tuple[int, int]) -> Iterator[tuple[int, sparse.csr_array]]:
        """Place by place the sparse matrix [columns, rows] of the digits at that place."""
        for at in np.unique(self._place).tolist():
            here = np.flatnonzero(self._place == at)
            yield at, sparse.csr_array((self._digit[here], (self._column[here], self._row[here])), shape=shape)

    def squared(self, shape: tuple[int, int]) -> Iterator[tuple[int, tuple[Integers, Integers], Integers]]:
        """Level by level the rows and columns and values of the products of digits with digits of the same row."""
        q, rows = shape
        places, index = np.unique(self._place, return_inverse=True)
        U = sparse.csr_array((self._digit.astype(np.int64), (index * q + self._column, self._row)), shape=(len(places) * q, rows))
        products = (U @ U.T).tocoo()
        (a, i), (b, j) = np.divmod(products.row, q), np.divmod(products.col, q)
        level = -(places[a] + places[b] + 2)
        lowest = int(level.min(initial=0))
        for at in (lowest + np.flatnonzero(np.bincount(level - lowest))).tolist():  # np.unique would take longer than the product
            here = np.flatnonzero(level == at)
            yield at, (i[here], j[here]), products.data[here]
