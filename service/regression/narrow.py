"""Blocks of few columns: all their slices on top of each other are multiplied strip by strip, as soon as they are cut.

Invariant: 512 products of two digits stay below 2^53, so the sums of a strip are exact, and so are those of strips, in int64.
"""

from itertools import combinations_with_replacement

import numpy as np

from service.regression.kernels import Outside, gram
from service.regression.limbs import BITS, Integers, Total
from service.regression.products import Array
from service.regression.weighted_rows import Rows

COLUMNS = 64  # up to here that is faster than BLAS with fewer products, by a tenth (AVX2) to one half (AVX-512) at the end
_ROWS, _NUMBERS = 1 << 17, 1 << 21  # of a block, at most: enough for what is done once a block
_FOLD = 1 << 17  # rows summed before they are folded: products of at most 2^42 stay below 2^62


class Sums:
    """Products of the stack of all slices, summed over blocks."""

    def __init__(self, columns: int, total: Total) -> None:
        self._columns, self._total = columns, total
        self.most_rows = min(_ROWS, _NUMBERS // columns)
        self._block: Integers = np.empty((0, 0), dtype=np.int64)
        self._sum, self._slices, self._rows = self._block, 0, 0
        self._cut = (0, 0)  # slices and rows of the block

    def cut(self, rows: Rows, factors: Array, *, slices: int, most: int) -> Outside | None:
        """Cut rows and form the products [slices * columns, slices * columns] of their digits; see `kernels.gram`."""
        self._cut = slices, len(rows)
        self._block, outside = gram(rows.X, rows.Y, rows.roots, factors, slices=slices, most=most)
        return outside

    def add(self) -> None:
        """Add the products of the block that was cut last."""
        slices, rows = self._cut
        if slices != self._slices or self._rows + rows > _FOLD:
            self.fold()
            self._slices, self._sum = slices, np.zeros_like(self._block)
        self._rows += rows
        self._sum += self._block

    def fold(self) -> None:
        """Bring the sums into the total, level by level, S_a S_a' and S_a S_b' + S_b S_a', and start anew."""
        q = self._columns
        for a, b in combinations_with_replacement(range(self._slices), 2):
            product = self._sum[b * q : (b + 1) * q, a * q : (a + 1) * q]
            both = product.copy() if a == b else product + product.T
            self._total.add(-(a + b + 2), both, bound=2 * self._rows << 2 * (BITS - 1))
        self._slices = self._rows = 0
