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
from service.regression.kernels import cut
from service.regression.limbs import BITS, Integers, Total
from service.regression.products import Array, Product
from service.regression.slices import Space, Sums, rows_of_block
from service.regression.strays import Entries, Strays

_FIRST = 256  # rows that tell of how many slices most are, where a block has more


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

    def values(self) -> Array:
        """The columns as they are accumulated, [columns, k]: one rounding per weighted value, none otherwise."""
        out = np.empty((self.columns, len(self)))
        p = self.X.shape[1]
        out[0], out[1 : p + 1], out[p + 1 :] = 1.0, self.X.T, self.Y.T
        if self.roots is not None:
            np.multiply(out, self.roots, out=out)
        return out


def gram(rows: Rows, grid: Grid, product: Product) -> tuple[Total, int]:
    """The exact Gram of ``rows`` in units of 2^(tops_i + tops_j), not yet carried, and how many of its values were strays.

    Raises NotFinite.
    """
    total = Total()
    strays, sums = Strays(grid, total), Sums(rows.columns, product, total)
    blocks = -(-len(rows) // rows_of_block(rows.columns))
    height, slices = -(-len(rows) // blocks), 1
    while height > _FIRST and _cut(rows.part(0, _FIRST), grid, Space(rows.columns, _FIRST, slices)) is None:
        slices += 1
    space = Space(rows.columns, height, slices)
    for start in range(0, len(rows), height):
        block = rows.part(start, start + height)
        space = space if len(block) == space.rows else Space(rows.columns, len(block), space.slices)
        while (outside := _cut(block, grid, space)) is None:
            space = Space(rows.columns, len(block), space.slices + 1)
        strays.collect(space.layers, outside)
        sums.add(space)
    sums.fold()
    strays.finish()
    return total, strays.count


def _cut(block: Rows, grid: Grid, space: Space) -> Entries | None:
    """Cut ``block`` into the slices of ``space``; the digits that lie outside of them, None where one more slice is cheaper than these."""
    most = space.most_strays if space.slices < grid.slices else len(block) * block.columns
    factors = np.ldexp(1.0, BITS - grid.tops)
    outside = cut(block.X, block.Y, block.roots, factors, space.layers, most=most)
    if outside is None:
        return None
    row, column = np.divmod(outside.below, block.columns)
    below = Entries(row, column, outside.left, np.full(len(row), space.slices))
    return Entries.joined([_above(block, grid, outside.above), below]) if len(outside.above) else below


def _above(block: Rows, grid: Grid, at: Integers) -> Entries:
    """The values at rows times columns plus columns ``at``, which are too large for the first slice."""
    row, column = np.divmod(at, block.columns)
    value = block.at(row, column)
    if not np.isfinite(value).all():
        raise NotFinite
    place = (grid.tops[column] - 1 - np.frexp(value)[1]) // BITS
    return Entries(row, column, np.ldexp(value, BITS * (place + 1) - grid.tops[column]), place)
