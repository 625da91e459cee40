"""The few digits that lie outside of a block's slices: kept as sparse matrices and multiplied apart.

Invariant: with the slices W and the strays U of the same rows, what is added is exactly U W' + W U' + U U'.
"""

from collections.abc import Iterator

import numpy as np
from scipy import sparse

from service.regression.grid import Grid
from service.regression.limbs import BITS, Integers, Total
from service.regression.products import Array

_BASE = float(1 << BITS)
_LIMIT = 2048  # strays of one column summed in float64: products of two digits are at most 2^42, so their sums stay below 2^53
_MEMORY = 1 << 25  # elements of sums kept apart before they are brought together
_NO_FRACTION = 1000  # 2^1000 times a digit is finite; larger values stand at the places above, whose digits are multiples of 2^-100


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
            digits = _Digits(row[chosen] - start, column[chosen], value[chosen], place[chosen])
            for a, U in digits.scattered(shape):
                for b, W in enumerate(rows):
                    product = U @ W
                    self._mixed[a, b] = self._mixed[a, b] + product if (a, b) in self._mixed else product
            for level, square in digits.squared(shape):
                self._total.add(level, square, bound=1 << 60)
            if len(self._mixed) * len(self._seen) ** 2 > _MEMORY:
                self._settle()
        self._rows, self._entries, self._slices = 0, [], []

    def _settle(self) -> None:
        for (a, b), product in self._mixed.items():
            integers = product.astype(np.int64)
            self._total.add(-(a + b + 2), integers + integers.T, bound=1 << 54)
        self._mixed = {}
        self._seen[:] = 0


def _rounded(value: Array, fraction: Integers) -> Array:
    """``value`` rounded, ties to even, to multiples of 2^-fraction: the column's resolution, in units of the value's first digit."""
    rounded = np.ldexp(np.rint(np.ldexp(value, np.minimum(fraction, _NO_FRACTION))), -np.minimum(fraction, _NO_FRACTION))
    return np.where(fraction <= _NO_FRACTION, rounded, value)


class _Digits:
    """All digits of some strays: row, column, digit and place, one element each."""

    def __init__(self, row: Integers, column: Integers, value: Array, place: Integers) -> None:
        found = [(row[:0], column[:0], value[:0], place[:0])]
        while len(value):
            digit = np.rint(value)
            here = np.flatnonzero(digit)
            found.append((row[here], column[here], digit[here], place[here]))
            rest = (value - digit) * _BASE
            more = np.flatnonzero(rest)
            row, column, value, place = row[more], column[more], rest[more], place[more] + 1
        self._row, self._column, self._digit, self._place = (np.concatenate(parts) for parts in zip(*found, strict=True))

    def scattered(self, shape: tuple[int, int]) -> Iterator[tuple[int, sparse.csr_array]]:
        """Place by place the sparse matrix [columns, rows] of the digits at that place."""
        for at in np.unique(self._place).tolist():
            here = np.flatnonzero(self._place == at)
            yield at, sparse.csr_array((self._digit[here], (self._column[here], self._row[here])), shape=shape)

    def squared(self, shape: tuple[int, int]) -> Iterator[tuple[int, Integers]]:
        """Level by level the products of digits with digits of the same row, summed over rows and over pairs of places."""
        q, rows = shape
        places, index = np.unique(self._place, return_inverse=True)
        U = sparse.csr_array((self._digit.astype(np.int64), (index * q + self._column, self._row)), shape=(len(places) * q, rows))
        products = (U @ U.T).tocoo()
        (a, i), (b, j) = np.divmod(products.row, q), np.divmod(products.col, q)
        level = -(places[a] + places[b] + 2)
        for at in np.unique(level).tolist():
            here = np.flatnonzero(level == at)
            yield at, sparse.coo_array((products.data[here], (i[here], j[here])), shape=(q, q)).toarray()
