"""From rows of float64 to their exact Gram matrix: digits of 22 bits, multiplied without rounding.

Invariant: the result is the exact sum of z z' over the rows z, each value of which was first rounded to its column's resolution; nothing
else is rounded anywhere, so it depends on neither the order nor the grouping of the rows, nor on where the slices lie.

A value is cut into signed digits, d_0 2^(top - 22) + d_1 2^(top - 44) + ..., |d| <= 2^21. The digits of one place form a slice, a float64
matrix of small integers, and slices are multiplied without rounding as long as every sum stays below 2^53 (the error-free splitting of
Ozaki, Ogita, Oishi and Rump 2012): strip by strip in a loop of ours where columns are few (`narrow`), by BLAS where they are many (`wide`).
Three slices hold 66 bits. Rare values with digits elsewhere, far below the column's top or above it, go to `Strays`.
"""

from typing import Protocol

import numpy as np

from service.regression import narrow, wide
from service.regression.grid import Grid
from service.regression.kernels import Outside
from service.regression.limbs import BITS, Total
from service.regression.products import Array, Product
from service.regression.strays import Entries, Strays
from service.regression.weighted_rows import NotFinite, Rows

_FIRST = 256  # rows that tell of how many slices most are, where a block has more
_STRAY_SHARE = 0.005  # where a larger share of values has further digits, one more slice is cheaper
_STRAY_COLUMNS = 1.2  # of `_MANY` columns or more: one of them, such as a real target beside integers, costs less than a slice of all
_MANY = 40


class Sums(Protocol):
    """Products of slices summed over blocks, as `narrow` and `wide` form them."""

    most_rows: int  # of a block

    def cut(self, rows: Rows, factors: Array, *, slices: int, most: int) -> Outside | None:
        """Cut a block, times a power of two for each column; None where more than ``most`` of its values have digits below."""

    def add(self) -> None:
        """Add the products of the block that was cut last."""

    def fold(self) -> None:
        """Bring the sums into the total."""


def gram(rows: Rows, grid: Grid, product: Product) -> tuple[Total, int]:
    """The exact Gram of ``rows`` in units of 2^(tops_i + tops_j), not yet carried, and how many of its values were strays.

    Raises NotFinite.
    """
    total = Total()
    strays = Strays(grid, total)
    sums: Sums = narrow.Sums(rows.columns, total) if rows.columns <= narrow.COLUMNS else wide.Sums(rows.columns, product, total)
    blocks = -(-len(rows) // sums.most_rows)
    height, slices = -(-len(rows) // blocks), 1
    while height > _FIRST and _cut(rows.part(0, _FIRST), grid, sums, slices) is None:
        slices += 1
    for start in range(0, len(rows), height):
        block = rows.part(start, start + height)
        while (outside := _cut(block, grid, sums, slices)) is None:
            slices += 1
        strays.collect(outside.layers, _entries(block, grid, outside), rows=len(block))
        sums.add()
    sums.fold()
    strays.finish()
    return total, strays.count


def _cut(block: Rows, grid: Grid, sums: Sums, slices: int) -> Outside | None:
    """Cut ``block`` into ``slices``; None where one more slice is cheaper than what is left."""
    columns, share = block.columns, 1.0
    if slices < grid.slices:
        share = max(_STRAY_SHARE, _STRAY_COLUMNS / columns if columns >= _MANY else 0.0)
    most = int(share * columns * len(block))
    return sums.cut(block, np.ldexp(1.0, BITS - grid.tops), slices=slices, most=most)


def _entries(block: Rows, grid: Grid, outside: Outside) -> Entries:
    """The digits outside of the slices, by rows of ``outside.layers``."""
    row, column = np.divmod(outside.below, block.columns)
    below = Entries(row, column, outside.left, np.full(len(row), outside.layers.slices))
    if not len(outside.above):
        return below
    row, column = np.divmod(outside.above, block.columns)
    value = block.at(row if outside.rows is None else outside.rows[row], column)
    if not np.isfinite(value).all():
        raise NotFinite
    place = (grid.tops[column] - 1 - np.frexp(value)[1]) // BITS
    above = Entries(row, column, np.ldexp(value, BITS * (place + 1) - grid.tops[column]), place)
    return Entries.joined([above, below])
