"""Symmetric matrices of integers of any length, held as planes of int64 digits in base 2^22.

Invariant: a matrix is the sum over levels l of ``planes[l] * 2^(22 l)``, entry by entry; a level that is missing is zero, and only the
lower triangle means anything. After `carry` every digit lies in [-2^21, 2^21), and then equal matrices have equal digits.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

BITS = 22
HALF = 1 << (BITS - 1)

Integers = NDArray[np.int64]
Planes = dict[int, Integers]


class Total:
    """A sum of planes that carries before any digit could leave int64."""

    def __init__(self) -> None:
        self._planes: Planes = {}
        self._height = 0

    def add(self, level: int, digits: Integers, *, bound: int) -> None:
        """Add ``digits * 2^(22 level)``; none of them is larger than ``bound`` <= 2^61 in magnitude. ``digits`` is not kept."""
        if self._height + bound >= 1 << 62:
            self._planes, self._height = carry(self._planes), HALF
        self._height += bound
        if level in self._planes:
            np.add(self._planes[level], digits, out=self._planes[level])
        else:
            self._planes[level] = digits.copy()

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
            if np.tril(digits).any():
                canonical[level] = digits
        level += 1
    return canonical


def combine(planes: Mapping[int, Integers], other: Mapping[int, Integers], *, sign: int = 1) -> Planes:
    """Canonical ``planes + sign * other``; both canonical, neither changed."""
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
    total = Total()
    for level, digits in planes.items():
        moved = digits << part
        for jump in np.unique(whole).tolist():
            total.add(level + jump, np.where(whole == jump, moved, 0), bound=1 << (2 * BITS))
    return total.planes()
