"""From rows of float64 to their exact Gram matrix: digits of 22 bits, multiplied by an ordinary BLAS.

Invariant: the result is the exact sum of z z' over the rows z, each value of which was first rounded to its column's resolution; nothing
else is rounded anywhere, so it depends on neither the order nor the grouping of the rows, nor on where the slices lie.

A value is cut into signed digits, d_0 2^(top - 22) + d_1 2^(top - 44) + ..., |d| <= 2^21. The digits of one place form a slice, a float64
matrix of small integers, and BLAS multiplies slices without rounding as long as every sum stays below 2^53 (the error-free splitting of
Ozaki, Ogita, Oishi and Rump 2012). Whether it did is read off the diagonal afterwards: its sums have no negative terms, so they reach
2^53 if any part of them did, and by Cauchy and Schwarz they bound all other sums. A block that fails is halved.
Three slices hold 66 bits. Rare values with digits elsewhere, far below the column's top or above it, go to `Strays`.
"""

from dataclasses import dataclass

import numpy as np

from service.regression.grid import Grid
from service.regression.limbs import BITS, HALF, Integers, Total
from service.regression.products import Array, Product
from service.regression.slices import Space, Sums, rows_of_block
from service.regression.strays import Entries, Strays

_BASE = float(1 << BITS)
_FIRST = 256  # rows that tell of how many slices most are, where a block has more
_GLANCE = 8  # times as many strays among the first rows of a block as all of it may have: the others are not looked at
_STRIP = 3072  # rows transposed at once: few enough to stay in the cache from their first column to their last


class NotFinite(ValueError):
    """A value is NaN or infinite."""


@dataclass(frozen=True)
class Rows:
    """Design rows [1 X Y], each multiplied by the root of its weight (``roots`` [k]; None: ones). Views, no copies."""

    X: Array
    Y: Array
    roots: Array | None = None

    def __len__(self) -> int:
        return len(self.X)

    @property
    def columns(self) -> int:
        return 1 + int(self.X.shape[1]) + int(self.Y.shape[1])

    def part(self, start: int, stop: int) -> "Rows":
        return Rows(self.X[start:stop], self.Y[start:stop], None if self.roots is None else self.roots[start:stop])

    def at(self, row: Integers, column: Integers) -> Array:
        """Single values, as they are accumulated."""
        chosen = Rows(self.X[row], self.Y[row], None if self.roots is None else self.roots[row])
        value: Array = chosen.values()[column, np.arange(len(row))]
        return value

    def magnitude(self) -> Array:
        """The largest magnitude in each column."""
        if self.roots is not None:
            weighted: Array = np.abs(self.values()).max(axis=1, initial=0.0)
            return weighted
        return np.concatenate([[1.0], *(np.maximum(A.max(axis=0), -A.min(axis=0)) for A in (self.X, self.Y))])

    def write(self, out: Array, *, factors: Array) -> None:
        """Write the columns into ``out`` [columns, k], times a power of two each: one rounding per weighted value, none otherwise."""
        p = self.X.shape[1]
        if self.roots is None:
            out[0] = factors[0]
            for start in range(0, len(self), _STRIP):
                strip = slice(start, start + _STRIP)
                np.multiply(self.X[strip].T, factors[1 : p + 1, None], out=out[1 : p + 1, strip])
                np.multiply(self.Y[strip].T, factors[p + 1 :, None], out=out[p + 1 :, strip])
        else:
            out[0] = self.roots
            np.multiply(self.X.T, self.roots, out=out[1 : p + 1])
            np.multiply(self.Y.T, self.roots, out=out[p + 1 :])
            np.multiply(out, factors[:, None], out=out)

    def values(self) -> Array:
        """The columns as they are accumulated, [columns, k]."""
        out = np.empty((self.columns, len(self)))
        self.write(out, factors=np.ones(self.columns))
        return out


def gram(rows: Rows, grid: Grid, product: Product) -> tuple[Total, int]:
    """The exact Gram of ``rows`` in units of 2^(tops_i + tops_j), not yet carried, and how many of its values were strays.

    Raises NotFinite.
    """
    total = Total()
    strays, sums = Strays(grid, total), Sums(rows.columns, product, total)
    blocks = -(-len(rows) // rows_of_block(rows.columns))
    height, slices = -(-len(rows) // blocks), 1
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # values outside of the slices overflow here and become strays
        while height > _FIRST and _cut(rows.part(0, _FIRST), grid, Space(rows.columns, _FIRST, slices)) is None:
            slices += 1
        space = Space(rows.columns, height, slices)
        for start in range(0, len(rows), height):
            block = rows.part(start, start + height)
            space = space if len(block) == space.rows else Space(rows.columns, len(block), space.slices)
            while (outside := _cut(block, grid, space)) is None:
                space = Space(rows.columns, len(block), space.slices + 1)
            strays.collect(space.columns_first()[: space.slices], Entries.joined(outside))
            sums.add(space)
    sums.fold()
    strays.finish()
    return total, strays.count


def _cut(block: Rows, grid: Grid, space: Space) -> list[Entries] | None:
    """Cut ``block`` into the slices of ``space``; the digits that lie outside of them, None where one more slice is cheaper than these."""
    factors = np.ldexp(1.0, BITS - grid.tops)
    most = space.most_strays if space.slices < grid.slices else np.inf
    above: list[Entries] = []
    below: list[tuple[Integers, Array]] = []  # places in the block, tile after tile, and what is left there
    for tile in space.tiles():  # small enough to stay in the cache from the first digit to the last
        part = block.part(tile.start, tile.stop)
        remainder = space.remainder[: len(part)] if space.by_row else space.remainder
        part.write(remainder.T if space.by_row else remainder[:, : len(part)], factors=factors)
        above += _take_above(part, grid, remainder, by_row=space.by_row, first=tile.start)
        digits = space.part(0, tile)
        np.rint(remainder, out=digits)
        for place in range(1, space.slices):
            np.subtract(remainder, digits, out=remainder)
            np.multiply(remainder, _BASE, out=remainder)
            digits = space.part(place, tile)
            np.rint(remainder, out=digits)
        left = np.flatnonzero(remainder.ravel() != digits.ravel())
        if len(left) > most or (tile.start == 0 and len(left) * space.rows > _GLANCE * most * len(part)):
            return None
        most -= len(left)
        below.append((left + tile.start * remainder.shape[1], remainder.ravel()[left] - digits.ravel()[left]))
    at, rest = (np.concatenate(same) for same in zip(*below, strict=True))
    major, minor = np.divmod(at, space.remainder.shape[1])
    row, column = (major, minor) if space.by_row else (minor, major)
    return [*above, Entries(row, column, rest * _BASE, np.full(len(at), space.slices))]


def _take_above(rows: Rows, grid: Grid, remainder: Array, *, by_row: bool, first: int) -> list[Entries]:
    """Move values too large for the first slice out of ``remainder``, a tile whose first row is row ``first`` of the block."""
    if remainder.max() <= HALF and remainder.min() >= -HALF:
        return []
    above = np.nonzero(~(np.abs(remainder) <= HALF))
    row, column = above if by_row else above[::-1]
    value = rows.at(row, column)
    if not np.isfinite(value).all():
        raise NotFinite
    remainder[above] = 0.0
    place = (grid.tops[column] - 1 - np.frexp(value)[1]) // BITS
    return [Entries(row + first, column, np.ldexp(value, BITS * (place + 1) - grid.tops[column]), place)]
