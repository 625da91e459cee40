"""Symmetric matrices of integers of any length, held as planes of int64 digits in base 2^22.

Invariant: a matrix is the sum over levels l of ``planes[l] * 2^(22 l)``, entry by entry; a level that is missing is zero, and only the
lower triangle means anything. After `carry` every digit lies in [-2^21, 2^21), and then equal matrices have equal digits.
"""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from service.regression.double_double import Array, DoubleDouble, quick_two_sum, two_sum

BITS = 22
HALF = 1 << (BITS - 1)
_PANEL = 64  # rows
_ROOM = 2.0**970  # times 44 bits is finite

Integers = NDArray[np.int64]
Planes = dict[int, Integers]


class Total:
    """A sum of planes that carries before any digit could leave int64."""

    def __init__(self) -> None:
        self._planes: Planes = {}
        self._heights: dict[int, int] = {}  # bounds of the digits, level by level

    def add(self, level: int, digits: Integers, *, bound: int) -> None:
        """Add ``digits * 2^(22 level)``; none of them is larger than ``bound`` < 2^62 in magnitude. The total owns ``digits`` then."""
        self._rise(level, bound)
        if level in self._planes:
            np.add(self._planes[level], digits, out=self._planes[level])
        else:
            self._planes[level] = digits

    def pour(self, into: "Total") -> None:
        """Add everything to another total; ends this one."""
        for level, digits in self._planes.items():
            into.add(level, digits, bound=self._heights[level])

    def _rise(self, level: int, bound: int) -> None:
        if self._heights.get(level, 0) + bound >= 1 << 62:
            self._planes = carry(self._planes)
            self._heights = dict.fromkeys(self._planes, HALF)
        self._heights[level] = self._heights.get(level, 0) + bound

    def planes(self) -> Planes:
        """The canonical sum; ends this total."""
        return carry(self._planes)


def carry(planes: Planes) -> Planes:
    """The same matrix in its one canonical form: balanced digits, and no level that is all zero. Consumes ``planes``."""
    canonical: Planes = {}
    level = min(planes, default=0)
    rest: Integers | None = None
    while planes or rest is not None:
        digits = planes.pop(level, None)
        if rest is not None:
            digits = rest if digits is None else np.add(digits, rest, out=digits)
            rest = None
        if digits is not None:
            above = (digits + HALF) >> BITS
            if above.any():
                digits -= above << BITS
                rest = above
            if digits[-1:].any() or np.tril(digits).any():  # the last row lies in the triangle, and is rarely all zero
                canonical[level] = digits
        level += 1
    return canonical


def combine(planes: Mapping[int, Integers], other: Mapping[int, Integers], *, sign: int = 1) -> Planes:
    """Canonical ``planes + sign * other``; both canonical, neither changed, though the result may share arrays with them."""
    if not planes and sign > 0:
        return dict(other)
    mixed: Planes = {level: digits.copy() for level, digits in planes.items()}
    for level, digits in other.items():
        if level in mixed:
            mixed[level] += sign * digits
        else:
            mixed[level] = sign * digits
    return carry(mixed)


def shift(planes: Mapping[int, Integers], exponents: Integers) -> Planes:
    """Every entry times 2^exponents[i, j], from canonical digits to canonical digits; levels sink below zero as needed, nothing is lost."""
    whole, part = exponents // BITS, exponents % BITS
    jumps = [(jump, whole == jump) for jump in np.unique(whole).tolist()]
    total = Total()
    for level, digits in planes.items():
        moved = digits << part
        for jump, there in jumps:
            total.add(level + jump, moved * there, bound=1 << (2 * BITS))
    return total.planes()


def signs(planes: Mapping[int, Integers]) -> Integers:
    """The sign of each diagonal entry, -1, 0 or 1: that of its highest digit that is not zero."""
    result = np.zeros(len(next(iter(planes.values()))) if planes else 0, dtype=np.int64)
    for level in sorted(planes):
        digit = planes[level].diagonal()
        result = np.where(digit != 0, np.sign(digit), result)
    return result


def panels(size: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of parts of a matrix [size, size] that stay in the cache: all left of the diagonal, and little more."""
    for start in range(0, size, _PANEL):
        yield slice(start, start + _PANEL), slice(0, start + _PANEL)


def scaled(planes: Mapping[int, Integers], tops: Integers) -> tuple[DoubleDouble, Integers]:
    """The symmetric matrix in double-double, G_ij / 2^(e_i + e_j), and the exponents e that bring its diagonal between 2^-3 and 2^3.

    ``planes`` are canonical and in units of 2^(tops_i + tops_j). Each entry is rounded once or twice at 2^-104 of itself. A column
    whose diagonal is zero keeps the exponent of its top.
    """
    q = len(tops)
    exponents = np.zeros(q, dtype=np.int64)
    for level in sorted(planes):
        digit = planes[level].diagonal()
        exponents = np.where(digit != 0, (BITS * level + np.frexp(digit.astype(np.float64))[1]) // 2, exponents)
    hi, lo = np.empty((q, q)), np.empty((q, q))
    for rows, columns in panels(q):
        panel = _scaled_panel(planes, rows, columns, exponents=-exponents)
        for part, whole in zip(panel, (hi, lo), strict=True):
            whole[columns, rows] = part.T
            whole[rows, columns] = np.where(np.tri(len(part), part.shape[1], rows.start, dtype=np.bool_), part, whole[rows, columns])
    return DoubleDouble(hi, lo), exponents + tops


def _scaled_panel(planes: Mapping[int, Integers], rows: slice, columns: slice, *, exponents: Integers) -> DoubleDouble:
    """Some rows and columns of ``planes``, entries times 2^(exponents_i + exponents_j)."""
    shape = len(exponents[rows]), len(exponents[columns])
    head, tail = np.zeros(shape), np.zeros(shape)
    for level in sorted({-(-level // 2) for level in planes}, reverse=True):  # two levels at once: 44 bits, exact in float64
        pair = np.zeros(shape)
        for at in {2 * level, 2 * level - 1} & planes.keys():
            pair += float(1 << BITS) ** (at - 2 * level + 1) * planes[at][rows, columns]
        head, error = two_sum(head, _times_powers(pair, exponents[rows] + BITS * (2 * level - 1), exponents[columns]))
        tail += error  # never much larger than the last place of the result: the highest digit outweighs half of what follows
    return quick_two_sum(head, tail)


def _times_powers(integers: Array, rows: Integers, columns: Integers) -> Array:
    """``integers`` of up to 44 bits, times 2^(rows_i + columns_j): rounded once, if at all."""
    with np.errstate(over="ignore", under="ignore"):
        left, right = np.ldexp(1.0, rows), np.ldexp(1.0, columns)
    safe = left.min() > 0 and left.max() < _ROOM and right.min() > 0 and right.max() < np.inf  # no factor lost, and nothing half done
    scaled: Array = integers * left[:, None] * right if safe else np.ldexp(integers, rows[:, None] + columns)
    return scaled
