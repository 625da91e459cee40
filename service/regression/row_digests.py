"""Digests of rows: which fold a row belongs to, and whether a ledger knows it, without keeping the row.

Invariant: a digest is a function of the key and of the values of the row alone (-0 counts as 0, no weight as 1); neither other rows,
nor order, chunks or machine leave a trace in it.

A digest is four 32-bit values of the multilinear family h(s) = (a + sum m_i s_i mod 2^64) / 2^32 over the 32-bit halves s_i of a row's
numbers (Lemire and Kaser, "Strongly universal string hashing is fast", 2014; Thorup, "High speed hashing for integers and strings",
2015), whose upper 33 bits are strongly universal: over the choice of the key, two different rows have independent uniform values. So they
share a digest with probability 2^-128, and any two of n rows share one with less than n^2 2^-129: 2^-89 for a million rows. The
multipliers come from SHAKE-256 of the key, so this holds for whoever does not know the key; who does can construct collisions.
Sums are linear: rows on a lattice would fall into folds in a pattern. A bijection of each half, the last step of SplitMix64 (Steele, Lea
and Flood 2014), scatters them and leaves the bound as it is.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from service.regression.kernels import digest_rows
from service.regression.limbs import Integers
from service.regression.products import Array

Digests = NDArray[np.uint64]

_SIGN = np.uint64(1 << 63)
_FOLDS = b"plumbline folds 1"  # public and fixed, so that a row has its fold in every model


class RowHasher:
    """Digests of rows under one ``key``, which is any bytes; equal keys give equal digests."""

    def __init__(self, key: bytes) -> None:
        self._multipliers = lru_cache(maxsize=4)(lambda features, targets: _multipliers(key, features, targets))

    def digests(self, X: Array, Y: Array, weights: Array | None = None) -> Digests:
        """The digest [n, 2] of each row of X [n, features], Y [n, targets] and ``weights`` [n], all finite.

        Rows of weight 0 have a digest like all others, though moments do not count them.
        """
        return digest_rows(X, Y, weights, self._multipliers(X.shape[1], Y.shape[1]))


@dataclass(frozen=True)
class Groups:
    """Rows by equal digests: `order` [n] lists them group by group, in their order within each; a group begins at `starts` [groups]."""

    order: Integers
    starts: Integers
    counts: Integers

    @property
    def first(self) -> Integers:
        """The first row of each group."""
        return self.order[self.starts]

    def last(self, left: Integers) -> Integers:
        """The last `left` [groups] rows of each group."""
        ends = self.starts + self.counts
        return np.concatenate([self.order[ends[group] - left[group] : ends[group]] for group in np.flatnonzero(left)] or [self.order[:0]])


def groups_of(digests: Digests) -> Groups:
    """The groups of equal rows of digests [n, 2], ascending."""
    signed = (digests[:, 0] ^ _SIGN).view(np.int64)  # in the same order, and sorted twice as fast
    order = np.argsort(signed)
    heads = signed[order]
    if (heads[1:] != heads[:-1]).all():
        return Groups(order, np.arange(len(order)), np.ones(len(order), dtype=np.int64))
    order = np.lexsort((digests[:, 1], digests[:, 0]))  # the faster sort leaves equal rows in any order
    ascending = digests.take(order, axis=0)
    begins = np.ones(len(order), dtype=np.bool_)
    begins[1:] = (ascending[1:] != ascending[:-1]).any(axis=1)
    starts = np.flatnonzero(begins)
    return Groups(order, starts, np.diff(starts, append=len(order)))


def fold_of(X: Array, Y: Array, weights: Array | None = None, *, folds: int) -> Integers:
    """The fold [n] of each row, from 0 to ``folds`` - 1: equal rows share one, whatever model they come to and when."""
    digests = _folding().digests(X, Y, weights)
    return (digests[:, 0] % np.uint64(folds)).astype(np.int64)


@lru_cache(maxsize=1)
def _folding() -> RowHasher:
    return RowHasher(_FOLDS)


def _multipliers(key: bytes, features: int, targets: int) -> Digests:
    """What makes the four hashes for rows of this shape: the random a, and then the m of each half, [1 + halves, 4]."""
    context = b"plumbline rows 1\0" + features.to_bytes(8, "little") + targets.to_bytes(8, "little") + key
    count = 1 + 2 * (features + targets + 1)
    return np.frombuffer(hashlib.shake_256(context).digest(8 * 4 * count), dtype="<u8").astype(np.uint64).reshape(count, 4)
