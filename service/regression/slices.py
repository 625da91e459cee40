"""The slices of one block of rows, and the sums over blocks of their products.

Invariant: a product enters the sums only after its diagonal has proved that no partial sum reached 2^53, so the sums are exact integers.
"""

from collections.abc import Iterator

import numpy as np

from service.regression.limbs import Integers, Total
from service.regression.products import Array, Product

_EXACT = float(1 << 53)
_NARROW = 48  # up to here one product of all slices on top of each other beats a product for each pair of them
_STACK = 4096  # rows of a narrow product: more would reach 2^53 as a rule
_SAFE_ROWS = 256  # sums of two digits are at most 2^22, so 256 of their squares never reach 2^53
_STRAY_SHARE = 0.005  # where a larger share of values has further digits, one more slice is cheaper
_STRAY_COLUMNS = 1.2  # of a wide block: a column of them, such as a real target beside integers, costs less than a slice of all
_TILE = 1 << 16  # values: half a megabyte
_PANEL = 64  # rows of a sum brought up to date at once, left of the diagonal only
_FOLD = 32  # blocks summed before they are folded: pairs of slices stay below 2 * 32 * 2^53 = 2^59


class Space:
    """Memory for one block: narrow blocks [columns, k], so that slices stack; wide ones [k, columns], as rows arrive."""

    def __init__(self, columns: int, rows: int) -> None:
        self.by_row, self.rows = not is_narrow(columns), rows
        self._shape = (rows, columns) if self.by_row else (columns, rows)
        self.remainder = np.empty(self._shape)
        self._slices = np.empty((0, *self._shape))
        self._allowed = max(_STRAY_SHARE, _STRAY_COLUMNS / columns if self.by_row else 0.0) * self.remainder.size

    def layer(self, place: int) -> Array:
        """The memory of one slice, laid out as ``remainder`` is."""
        if place >= len(self._slices):
            grown = np.empty((max(3, place + 1), *self._shape))
            grown[: len(self._slices)] = self._slices
            self._slices = grown
        slice_: Array = self._slices[place]
        return slice_

    def columns_first(self, place: int) -> Array:
        """A slice as [columns, k]."""
        layer = self.layer(place)
        return layer.T if self.by_row else layer

    def stacked(self, slices: int) -> Array:
        """All slices of a narrow block on top of each other."""
        stack: Array = self._slices[:slices].reshape(-1, self.rows)
        return stack

    def tiles(self) -> list[slice]:
        """Rows that are cut at once: all of a narrow block, as many as fit the cache of a wide one."""
        height = max(1, _TILE // self._shape[1]) if self.by_row else self.rows
        return [slice(start, min(start + height, self.rows)) for start in range(0, self.rows, height)]

    def part(self, layer: Array, tile: slice) -> Array:
        """The rows ``tile`` of ``remainder`` or a slice."""
        return layer[tile] if self.by_row else layer[:, tile]

    def left(self, *, everything: bool) -> Integers | None:
        """Where in ``remainder`` digits are left; None, unless ``everything`` is asked for, where one more slice is cheaper than strays."""
        glance = self.remainder[:4] if self.by_row else self.remainder[:, :64]
        if not everything and np.count_nonzero(glance) * self.remainder.size > 8 * self._allowed * glance.size:
            return None
        left: Integers = np.flatnonzero(self.remainder.ravel() != 0)
        return left if everything or len(left) <= self._allowed else None


class Sums:
    """Products of slices summed over blocks: of the stack of all slices (narrow), or of each slice and each sum of two (wide).

    S_a S_b' + S_b S_a' = (S_a + S_b)(S_a + S_b)' - S_a S_a' - S_b S_b' needs half the work of two general products.
    """

    def __init__(self, columns: int, product: Product, total: Total) -> None:
        self._columns, self._product, self._total = columns, product, total
        self._narrow = is_narrow(columns)
        self._slices = self._blocks = 0
        self._sums: list[Integers] = []
        self._float = np.empty((0, 0))
        self._pair = np.empty((0, 0))

    def add(self, space: Space, slices: int) -> None:
        """Add the products of a block that was cut into ``slices``."""
        if slices != self._slices:
            self.fold()
            self._allocate(slices)
        elif self._blocks >= _FOLD:
            self.fold()
        self._blocks += 1
        for k, factor in self._factors(space):
            self._add_exactly(self._sums[k], factor)

    def fold(self) -> None:
        """Bring the sums into the total, level by level, and start anew."""
        q, squares = self._columns, {}
        for k, (a, b) in enumerate(self._pairs() if self._blocks else []):
            if self._narrow:
                product = self._sums[0][b * q : (b + 1) * q, a * q : (a + 1) * q]
                product = product if a == b else product + product.T
            elif a == b:
                product = squares[a] = self._sums[k]
            else:
                product = self._sums[k] - squares[a] - squares[b]
            self._total.add(-(a + b + 2), product, bound=1 << 59)
        for total in self._sums:
            total.fill(0)
        self._blocks = 0

    def _allocate(self, slices: int) -> None:
        self._slices = slices
        size = self._columns * (slices if self._narrow else 1)
        self._sums = [np.zeros((size, size), dtype=np.int64) for _ in range(1 if self._narrow else len(self._pairs()))]
        self._float = np.empty((size, size))

    def _pairs(self) -> list[tuple[int, int]]:
        """Pairs of slices, those of a slice with itself first."""
        one = range(self._slices)
        return [(a, a) for a in one] + [(a, b) for a in one for b in range(a + 1, self._slices)]

    def _factors(self, space: Space) -> Iterator[tuple[int, Array]]:
        """Which sum, and the matrix whose product with itself belongs to it."""
        if self._narrow:
            stack = space.stacked(self._slices)
            yield from ((0, stack[:, start : start + _STACK]) for start in range(0, space.rows, _STACK))
            return
        if self._pair.shape != space.remainder.shape:
            self._pair = np.empty_like(space.remainder)
        for k, (a, b) in enumerate(self._pairs()):
            yield k, space.columns_first(a) if a == b else np.add(space.layer(a), space.layer(b), out=self._pair).T

    def _add_exactly(self, total: Integers, factor: Array) -> None:
        """Add ``factor factor'``, halving its rows until the diagonal proves that nothing was rounded."""
        k = factor.shape[1]
        self._product(factor, self._float)
        if k <= _SAFE_ROWS or self._float.diagonal().max() < _EXACT:
            for start in range(0, len(total), _PANEL):
                panel = (slice(start, start + _PANEL), slice(0, start + _PANEL))
                total[panel] += self._float[panel].astype(np.int64)
            return
        for half in (factor[:, : k // 2], factor[:, k // 2 :]):
            self._add_exactly(total, half.copy("K"))


def is_narrow(columns: int) -> bool:
    """Whether a block is laid out column by column and its slices are multiplied in one."""
    return columns <= _NARROW
