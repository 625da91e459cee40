"""From rows of float64 to their exact Gram matrix: digits of 22 bits, multiplied by an ordinary BLAS.

Invariant: the result is the exact sum of z z' over the rows z, each value of which was first rounded to its column's resolution; nothing
else is rounded anywhere, so it depends on neither the order nor the grouping of the rows, nor on where the slices lie.

A value is cut into signed digits, d_0 2^(top - 22) + d_1 2^(top - 44) + ..., |d| <= 2^21. The digits of one place form a slice, a float64
matrix of small integers, and BLAS multiplies slices without rounding as long as every sum stays below 2^53 (the error-free splitting of
Ozaki, Ogita, Oishi and Rump 2012). Whether it did is read off the diagonal afterwards: its sums have no negative terms, so they reach 2^53 if
any part of them did, and by Cauchy and Schwarz they bound all other sums. A block that fails is halved.
Three slices hold 66 bits. Rare values with digits elsewhere, far below the column's top or above it, go to `Strays`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from service.regression.limbs import BITS, HALF, Integers, Planes, Total
from service.regression.products import Array, Product
from service.regression.strays import Grid, Strays

_BASE = float(1 << BITS)
_EXACT = float(1 << 53)
_NARROW = 48  # up to here one product of all slices on top of each other beats a product for each pair of them
_ROWS = {True: 4096, False: 2048}  # rows of a block, narrow and wide: enough for BLAS, few enough to stay below 2^53 as a rule
_SAFE_ROWS = 256  # sums of two digits are at most 2^22, so 256 of their squares never reach 2^53
_STRAY_SHARE = 0.005  # where a larger share of values has further digits, one more slice is cheaper
_FOLD = 32  # blocks summed before they are folded: pairs of slices stay below 2 * 32 * 2^53 = 2^59


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
        return 1 + self.X.shape[1] + self.Y.shape[1]

    def part(self, start: int, stop: int) -> "Rows":
        return Rows(self.X[start:stop], self.Y[start:stop], None if self.roots is None else self.roots[start:stop])

    def write(self, out: Array, *, factors: Array) -> None:
        """Write the columns into ``out`` [columns, k], times a power of two each: one rounding per weighted value, none otherwise."""
        p = self.X.shape[1]
        if self.roots is None:
            out[0] = factors[0]
            np.multiply(self.X.T, factors[1 : p + 1, None], out=out[1 : p + 1])
            np.multiply(self.Y.T, factors[p + 1 :, None], out=out[p + 1 :])
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


def gram(rows: Rows, grid: Grid, product: Product) -> tuple[Planes, int]:
    """The exact Gram of ``rows`` in units of 2^(tops_i + tops_j), and how many of its values were strays."""
    total = Total()
    strays = Strays(grid, total)
    sums = _Sums(rows.columns, product, total)
    slices = 1
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # values outside of the slices overflow here and become strays
        for start in range(0, len(rows), _ROWS[sums.narrow]):
            block = rows.part(start, start + _ROWS[sums.narrow])
            slices = _slice(block, grid, strays, sums.space(len(block)), at_least=slices)
            sums.add(slices)
    sums.fold()
    strays.finish()
    return total.planes(), strays.count


def _slice(block: Rows, grid: Grid, strays: Strays, space: "_Space", *, at_least: int) -> int:
    """Cut ``block`` into slices, enough that few digits remain, hand those to ``strays``, and return the number of slices."""
    remainder = space.remainder
    block.write(remainder.T if space.by_row else remainder, factors=np.ldexp(1.0, BITS - grid.tops))
    above = _take_above(block, grid, remainder, space)
    used = 0
    while True:
        digits = space.slice(used)
        np.rint(remainder, out=digits)
        np.subtract(remainder, digits, out=remainder)
        np.multiply(remainder, _BASE, out=remainder)
        used += 1
        if used >= at_least and (used >= grid.slices or not space.is_dense()):
            break
    left = np.flatnonzero(remainder.ravel() != 0)
    major, minor = np.divmod(left, remainder.shape[1])
    row, column = (major, minor) if space.by_row else (minor, major)
    entries = [(row, column, remainder.ravel()[left], np.full(len(left), used)), *above]
    if len(left) or above:
        row, column, value, place = (np.concatenate(parts) for parts in zip(*entries, strict=True))
        strays.collect([space.columns_first(a) for a in range(used)], row, column, value=value, place=place)
    return used


def _take_above(block: Rows, grid: Grid, remainder: Array, space: "_Space") -> list[tuple[Integers, Integers, Array, Integers]]:
    """Move values too large for the first slice out of ``remainder``: row, column, value, and the place of its first digit."""
    if remainder.max() <= HALF and remainder.min() >= -HALF:
        return []
    columns_first = remainder.T if space.by_row else remainder
    column, row = np.nonzero(~(np.abs(columns_first) <= HALF))
    value = block.values()[column, row]
    columns_first[column, row] = 0.0
    place = (grid.tops[column] - 1 - np.frexp(value)[1]) // BITS
    return [(row, column, np.ldexp(value, BITS * (place + 1) - grid.tops[column]), place)]


class _Space:
    """Memory for one block: narrow blocks [columns, k], so that slices stack; wide ones [k, columns], as rows arrive."""

    def __init__(self, columns: int, rows: int, *, by_row: bool) -> None:
        self.by_row, self.rows = by_row, rows
        self._shape = (rows, columns) if by_row else (columns, rows)
        self.remainder = np.empty(self._shape)
        self._slices = np.empty((0, *self._shape))

    def slice(self, place: int) -> Array:
        if place >= len(self._slices):
            grown = np.empty((max(3, place + 1), *self._shape))
            grown[: len(self._slices)] = self._slices
            self._slices = grown
        layer: Array = self._slices[place]
        return layer

    def columns_first(self, place: int) -> Array:
        return self._slices[place].T if self.by_row else self._slices[place]

    def stacked(self, slices: int) -> Array:
        return self._slices[:slices].reshape(-1, self.rows)

    def is_dense(self) -> bool:
        """Whether too many values have digits left; a glance at the first rows spares most counting."""
        glance = self.remainder[:4] if self.by_row else self.remainder[:, :64]
        limit = _STRAY_SHARE * self.remainder.size
        return np.count_nonzero(glance) > 8 * _STRAY_SHARE * glance.size or np.count_nonzero(self.remainder != 0) > limit


class _Sums:
    """Products of slices summed over blocks: of the stack of all slices (narrow), or of each slice and each sum of two (wide).

    S_a S_b' + S_b S_a' = (S_a + S_b)(S_a + S_b)' - S_a S_a' - S_b S_b' needs half the work of two general products.
    """

    def __init__(self, columns: int, product: Product, total: Total) -> None:
        self.narrow = columns <= _NARROW
        self._columns, self._product, self._total = columns, product, total
        self._space = _Space(columns, 0, by_row=not self.narrow)
        self._sums: list[Integers] = []
        self._slices = 0
        self._blocks = 0

    def space(self, rows: int) -> _Space:
        if self._space.rows != rows:
            self._space = _Space(self._columns, rows, by_row=not self.narrow)
        return self._space

    def add(self, slices: int) -> None:
        if slices != self._slices or self._blocks >= _FOLD:
            self.fold()
        self._slices = slices
        self._blocks += 1
        for k, factor in enumerate(self._factors()):
            product = self._exact_product(factor)
            if k == len(self._sums):
                self._sums.append(product)
            else:
                self._sums[k] += product

    def fold(self) -> None:
        """Bring the sums into the total, level by level, and start anew."""
        q = self._columns
        for k, (a, b) in enumerate(self._pairs() if self._sums else []):
            if self.narrow:
                product = self._sums[0][b * q : (b + 1) * q, a * q : (a + 1) * q]
                product = product if a == b else product + product.T
            else:
                product = self._sums[k] if a == b else self._sums[k] - self._sums[self._square(a)] - self._sums[self._square(b)]
            self._total.add(-(a + b + 2), product, bound=1 << 59)
        self._sums, self._blocks = [], 0

    def _pairs(self) -> list[tuple[int, int]]:
        return [(a, b) for a in range(self._slices) for b in range(a, self._slices)]

    def _square(self, a: int) -> int:
        """Where in the sums the product of slice ``a`` with itself stands."""
        return self._pairs().index((a, a))

    def _factors(self) -> Iterator[Array]:
        if self.narrow:
            yield self._space.stacked(self._slices)
            return
        for a, b in self._pairs():
            one = self._space.columns_first(a)
            yield one if a == b else one + self._space.columns_first(b)

    def _exact_product(self, factor: Array) -> Integers:
        """``factor factor'`` as integers, halving its rows until the diagonal proves that nothing was rounded."""
        k = factor.shape[1]
        product = self._product(factor)
        if k <= _SAFE_ROWS or product.diagonal().max() < _EXACT:
            return product.astype(np.int64)
        halves = (factor[:, : k // 2].copy("K"), factor[:, k // 2 :].copy("K"))
        return self._exact_product(halves[0]) + self._exact_product(halves[1])
