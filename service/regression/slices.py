"""The slices of one block of rows, and the sums over blocks of their products.

Invariant: a product enters the sums only after its diagonal has proved that no partial sum reached 2^53, so the sums are exact integers.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, combinations, combinations_with_replacement

import numpy as np

from service.regression.kernels import Layers, add_lower
from service.regression.limbs import BITS, Integers, Total
from service.regression.products import Array, Product

_EXACT = float(1 << 53)
_NARROW = 48  # up to here one product of all slices on top of each other beats a product for each pair of them
_STACK = 4096  # rows of a narrow product, at most: more would reach 2^53 as a rule
_BLOCK = 1 << 18  # numbers in a narrow block, about: of fewer, threads wait for each other between calls; more leave the cache
_WIDE_ROWS = 2800  # of a wide block: enough for BLAS, few enough to stay below 2^53 as a rule
_EVALUATED = 3  # slices of a wide block whose values at five points are formed as they are cut
_SAFE_ROWS = 32  # combined digits are at most 7 * 2^21, so 32 of their squares never reach 2^53
_STRAY_SHARE = 0.005  # where a larger share of values has further digits, one more slice is cheaper
_STRAY_COLUMNS = 1.2  # of a wide block: a column of them, such as a real target beside integers, costs less than a slice of all
_FOLD = {True: 1 << 17, False: 12 * _WIDE_ROWS}  # rows summed before they are folded: as many squares of a wide 7 * 2^21 stay below 2^63
_PAIRS = 4  # products of two digits that a row adds to one level, at most: S_0 S_3, S_1 S_2, S_2 S_1 and S_3 S_0
_MARGIN = 0.95  # of the rows that would have fitted a block, where it did not
_SAMPLE = 1024  # rows that tell how many will fit, before any has been multiplied
_ROWS = 1 << 16  # of a block, at most


class Space:
    """Memory for one block cut into ``slices``: narrow blocks [columns, k], so that slices stack; wide ones [k, columns], as rows arrive.

    A narrow block may be a few rows longer than ``rows``, so that it can be parted equally; these are zero. A wide one has further layers
    for what is made of its slices, which for three of them is there from the start.
    """

    def __init__(self, columns: int, rows: int, slices: int) -> None:
        by_row, self.rows, self.slices = not _is_narrow(columns), rows, slices
        self._pieces = -(-rows // _STACK)
        shape = (rows, columns) if by_row else (columns, self._pieces * -(-rows // self._pieces))
        array = np.empty((slices + (_made_of(slices) if by_row else 0), *shape))
        self.layers = Layers(array, slices, by_row, by_row and slices == _EVALUATED)
        self.most_strays = int(max(_STRAY_SHARE, _STRAY_COLUMNS / columns if by_row else 0.0) * rows * columns)

    def columns_first(self) -> list[Array]:
        """All layers of a wide block as [columns, k]."""
        return [layer.T for layer in self.layers.array]

    def stacked(self) -> Array:
        """All slices of a narrow block on top of each other, [pieces, slices * columns, rows of a piece]."""
        array = self.layers.array
        stack: Array = array.reshape(-1, self._pieces, array.shape[2] // self._pieces).swapaxes(0, 1)
        return stack


class Sums:
    """Products of slices summed over blocks: of the stack of all slices (narrow), or of single slices and combinations of them (wide).

    Two slices: S_a S_b' + S_b S_a' = (S_a + S_b)(S_a + S_b)' - S_a S_a' - S_b S_b' needs half the work of two general products. Three: the
    square of S_0 t^2 + S_1 t + S_2 has five coefficients, and its values at infinity, 0, 1, -1 and 2 determine them (Toom and Cook).
    Four: its like has seven, but points beyond 1 and -1 weigh digits by 4 and 8, so that few rows stay below 2^53; with three sums of two
    slices in their stead it takes nine products.
    """

    def __init__(self, columns: int, product: Product, total: Total) -> None:
        self._columns, self._product, self._total = columns, product, total
        self._narrow = _is_narrow(columns)
        self._slices = self._rows = 0
        self._sums: list[Integers] = []
        self._depths: list[int] = []  # rows that a sum takes at once; 0 where that is not known
        self._float = np.empty((0, 0))

    def add(self, space: Space) -> None:
        """Add the products of a block that was cut; its memory may be used on the way."""
        if space.slices != self._slices or self._rows + space.rows > _FOLD[self._narrow]:
            self.fold()
            self._allocate(space.slices)
        self._rows += space.rows
        if self._narrow:
            self._add_pieces(space.stacked())
        else:
            for k, factor in enumerate(_factors(space)):
                self._add_exactly(k, factor)

    def fold(self) -> None:
        """Bring the sums into the total, level by level, and start anew."""
        for level, product in self._products() if self._rows else ():
            self._total.add(level, product, bound=_PAIRS * self._rows << 2 * (BITS - 1))
        self._sums, self._slices, self._rows = [], 0, 0  # the total owns the sums now

    def _allocate(self, slices: int) -> None:
        self._slices = slices
        size = self._columns * (slices if self._narrow else 1)
        count = 1 if self._narrow else {3: 5, 4: 9}.get(slices, slices * (slices + 1) // 2)
        self._sums = [np.zeros((size, size), dtype=np.int64) for _ in range(count)]
        self._depths = [0] * count
        self._float = np.empty((size, size))

    def _products(self) -> Iterator[tuple[int, Integers]]:
        """Levels and what belongs there: S_a S_a', and S_a S_b' + S_b S_a'."""
        q, s = self._columns, self._slices
        if self._narrow:
            for a, b in combinations_with_replacement(range(s), 2):
                product = self._sums[0][b * q : (b + 1) * q, a * q : (a + 1) * q]
                yield -(a + b + 2), product.copy() if a == b else product + product.T
        elif s == 3:
            yield from zip(range(-2, -7, -1), _coefficients(*self._sums), strict=True)
        elif s == 4:
            yield from zip(range(-2, -9, -1), _coefficients_of_four(*self._sums), strict=True)
        else:
            for (a, b), square in zip(combinations(range(s), 2), self._sums[s:], strict=True):
                yield -(a + b + 2), square - self._sums[a] - self._sums[b]
            yield from ((-(2 * a + 2), self._sums[a]) for a in range(s))  # last: the total changes what it owns

    def _add_pieces(self, stack: Array) -> None:
        """Add the products of the pieces of a narrow block, those that might be rounded in further parts."""
        products = np.empty((len(stack), *self._float.shape))
        self._product(stack, products)
        proved = products.diagonal(axis1=1, axis2=2).max(axis=1) < _EXACT
        self._sums[0] += products[proved].astype(np.int64).sum(axis=0)
        for piece in stack[~proved]:
            self._add_exactly(0, piece)

    def _add_exactly(self, k: int, factor: Array) -> None:
        """Add ``factor factor'`` to sum k, in as few parts as allow the diagonal to prove that nothing was rounded."""
        total, rows = self._sums[k], factor.shape[1]
        if not self._depths[k]:
            sample = factor[:, :_SAMPLE]
            self._depths[k] = _fitting(sample.shape[1], np.einsum("ij,ij->i", sample, sample).max())
        if rows <= self._depths[k]:
            self._product(factor[np.newaxis], self._float[np.newaxis])
            largest = self._float.diagonal().max()
            if rows <= _SAFE_ROWS or largest < _EXACT:
                add_lower(total, self._float)
                return
            self._depths[k] = _fitting(rows, largest)
        height = -(-rows // -(-rows // self._depths[k]))
        for start in range(0, rows, height):
            self._add_exactly(k, factor[:, start : start + height])


def _factors(space: Space) -> Iterable[Array]:
    """The matrices [columns, k] whose products with themselves belong to the sums of a wide block, in their order."""
    layers = space.columns_first()
    if space.layers.evaluated:
        return [layers[place] for place in (0, 2, 3, 4, 1)]
    if space.slices == 4:
        return _combinations_of_four(layers[:4], layers[4])
    return chain(layers[: space.slices], (np.add(*pair, out=layers[-1]) for pair in combinations(layers[: space.slices], 2)))


def _made_of(slices: int) -> int:
    """How many layers a wide block needs besides its slices."""
    return {1: 0, 3: 2}.get(slices, 1)


def _fitting(rows: int, largest: float) -> int:
    """How many rows stay below 2^53, as far as so many ``rows`` tell, of whose sums of squares one is the ``largest``."""
    return min(_ROWS, max(_SAFE_ROWS, int(_MARGIN * rows * _EXACT / max(largest, 1.0))))


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


def rows_of_block(columns: int) -> int:
    """How many rows are best cut and multiplied at once."""
    return min(max(1, _BLOCK // columns // _STACK) * _STACK, _ROWS) if _is_narrow(columns) else _WIDE_ROWS


def _is_narrow(columns: int) -> bool:
    """Whether a block is laid out column by column and its slices are multiplied in one."""
    return columns <= _NARROW
