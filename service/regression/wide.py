"""Blocks of many columns: their slices lie row by row, and the sums over blocks of their products are formed by BLAS.

Invariant: a product enters the sums only after its diagonal has proved that no partial sum reached 2^53, so the sums are exact integers:
the diagonal's sums have no negative terms, so they reach 2^53 if any part of them did, and by Cauchy and Schwarz they bound all others.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, combinations

import numpy as np

from service.regression.kernels import Layers, Outside, add_lower, aligned, cut
from service.regression.limbs import BITS, Integers, Total
from service.regression.products import Array, Product
from service.regression.weighted_rows import Rows

_EXACT = float(1 << 53)
_SAFE_ROWS = 32  # combined digits are at most 7 * 2^21, so 32 of their squares never reach 2^53
_ROWS = 2800  # of a block: enough for BLAS, few enough to stay below 2^53 as a rule
_FOLD = 12 * _ROWS  # rows summed before they are folded: as many squares of 7 * 2^21 stay below 2^63
_PAIRS = 4  # products of two digits that a row adds to one level, at most: S_0 S_3, S_1 S_2, S_2 S_1 and S_3 S_0
_MARGIN = 0.95  # of the rows that would have fitted a block, where it did not
_SAMPLE = 1024  # rows that tell how many will fit, before any has been multiplied
_MOST_ROWS = 1 << 16


class Sums:
    """Products of single slices and of combinations of them, summed over blocks.

    Two slices: S_a S_b' + S_b S_a' = (S_a + S_b)(S_a + S_b)' - S_a S_a' - S_b S_b' needs half the work of two general products. Three: the
    square of S_0 t^2 + S_1 t + S_2 has five coefficients, and its values at infinity, 0, 1, -1 and 2 determine them (Toom and Cook).
    Four: its like has seven, but points beyond 1 and -1 weigh digits by 4 and 8, so that few rows stay below 2^53; with three sums of two
    slices in their stead it takes nine products.
    """

    most_rows = _ROWS

    def __init__(self, columns: int, product: Product, total: Total) -> None:
        self._columns, self._product, self._total = columns, product, total
        self._layers = Layers(np.empty((0, 0, columns)), 0)
        self._slices = self._rows = 0
        self._sums: list[Integers] = []
        self._depths: list[int] = []  # rows that a sum takes at once; 0 where that is not known
        self._float = np.empty((columns, columns))

    def cut(self, rows: Rows, factors: Array, *, slices: int, most: int) -> Outside | None:
        """Cut rows into layers [rows, columns], with further ones for what is made of the slices; see `kernels.cut`.

        For three slices that is made as they are cut.
        """
        if (self._layers.slices, self._layers.array.shape[1]) != (slices, len(rows)):
            array = aligned(slices + _made_of(slices), len(rows), self._columns)
            self._layers = Layers(array, slices, evaluated=slices == 3)
        return cut(rows.X, rows.Y, rows.roots, factors, self._layers, most=most)

    def add(self) -> None:
        """Add the products of the block that was cut last; its digits may be lost on the way."""
        slices, rows = self._layers.slices, self._layers.array.shape[1]
        if slices != self._slices or self._rows + rows > _FOLD:
            self.fold()
            count = {3: 5, 4: 9}.get(slices, slices * (slices + 1) // 2)
            self._sums = [np.zeros((self._columns, self._columns), dtype=np.int64) for _ in range(count)]
            self._slices, self._depths = slices, [0] * count
        self._rows += rows
        for k, factor in enumerate(_factors(self._layers)):
            self._add_exactly(k, factor)

    def fold(self) -> None:
        """Bring the sums into the total, level by level, and start anew."""
        for level, product in self._products() if self._rows else ():
            self._total.add(level, product, bound=_PAIRS * self._rows << 2 * (BITS - 1))
        self._sums, self._slices, self._rows = [], 0, 0  # the total owns the sums now

    def _products(self) -> Iterator[tuple[int, Integers]]:
        """Levels and what belongs there: S_a S_a', and S_a S_b' + S_b S_a'."""
        s = self._slices
        if s == 3:
            yield from zip(range(-2, -7, -1), _coefficients(*self._sums), strict=True)
        elif s == 4:
            yield from zip(range(-2, -9, -1), _coefficients_of_four(*self._sums), strict=True)
        else:
            for (a, b), square in zip(combinations(range(s), 2), self._sums[s:], strict=True):
                yield -(a + b + 2), square - self._sums[a] - self._sums[b]
            yield from ((-(2 * a + 2), self._sums[a]) for a in range(s))  # last: the total changes what it owns

    def _add_exactly(self, k: int, factor: Array) -> None:
        """Add ``factor factor'`` to sum k, in as few parts as allow the diagonal to prove that nothing was rounded."""
        total, rows = self._sums[k], factor.shape[1]
        if not self._depths[k]:
            sample = factor[:, :_SAMPLE]
            self._depths[k] = _fitting(sample.shape[1], np.einsum("ij,ij->i", sample, sample).max())
        if rows <= self._depths[k]:
            self._product(factor, self._float)
            largest = self._float.diagonal().max()
            if rows <= _SAFE_ROWS or largest < _EXACT:
                add_lower(total, self._float)
                return
            self._depths[k] = _fitting(rows, largest)
        height = -(-rows // -(-rows // self._depths[k]))
        for start in range(0, rows, height):
            self._add_exactly(k, factor[:, start : start + height])


def _factors(cut: Layers) -> Iterable[Array]:
    """The matrices [columns, rows] whose products with themselves belong to the sums, in their order."""
    layers = [layer.T for layer in cut.array]
    if cut.evaluated:
        return [layers[place] for place in (0, 2, 3, 4, 1)]
    if cut.slices == 4:
        return _combinations_of_four(layers[:4], layers[4])
    return chain(layers[: cut.slices], (np.add(*pair, out=layers[-1]) for pair in combinations(layers[: cut.slices], 2)))


def _made_of(slices: int) -> int:
    """How many layers a block needs besides its slices."""
    return {1: 0, 3: 2}.get(slices, 1)


def _fitting(rows: int, largest: float) -> int:
    """How many rows stay below 2^53, as far as so many ``rows`` tell, of whose sums of squares one is the ``largest``."""
    return min(_MOST_ROWS, max(_SAFE_ROWS, int(_MARGIN * rows * _EXACT / max(largest, 1.0))))


def _coefficients(infinity: Integers, zero: Integers, one: Integers, minus: Integers, two: Integers) -> tuple[Integers, ...]:
    """Of the polynomial of degree 4 with these values at infinity, 0, 1, -1 and 2, highest first; the latter three become coefficients."""
    one += minus
    one >>= 1  # even coefficients; all divisions are exact
    np.subtract(one, minus, out=minus)  # odd ones
    one -= infinity
    one -= zero
    two -= 16 * infinity
    two -= 4 * one
    two -= zero
    two >>= 1
    two -= minus
    two //= 3
    minus -= two
    return infinity, two, one, minus, zero


def _combinations_of_four(layers: list[Array], free: Array) -> Iterator[Array]:
    """S_0 to S_3, S_0 + S_1, S_2 + S_3, S_0 + S_2 and the sums with equal and with alternating signs; ``layers`` are lost on the way."""
    zeroth, first, second, third = layers
    yield from layers
    yield np.add(zeroth, first, out=free)
    yield np.add(second, third, out=free)
    yield np.add(zeroth, second, out=free)
    np.add(first, third, out=first)
    yield np.add(free, first, out=third)
    yield np.subtract(free, first, out=free)


def _coefficients_of_four(*squares: Integers) -> tuple[Integers, ...]:
    """Of the square of S_0 t^3 + S_1 t^2 + S_2 t + S_3, highest first, from those of `_combinations_of_four`; some of them are changed."""
    sixth, first, second, zeroth, fifth, lowest, fourth, one, minus = squares
    one += minus
    one >>= 1  # even coefficients; the division is exact
    np.subtract(one, minus, out=minus)  # odd ones
    fifth -= sixth + first
    lowest -= second + zeroth
    fourth += first - sixth - second
    one -= sixth + fourth + zeroth
    minus -= fifth + lowest
    return sixth, fifth, fourth, minus, one, lowest, zeroth
