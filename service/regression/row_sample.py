"""A sample of the rows that a version was trained on: the distinct rows of the smallest digests, and how often each counts.

Invariant: the sample holds every distinct row whose digest lies under its `limit`, as often as it was learned and not forgotten, and no
other. So it is the same for the same rows in any order, pieces or merging, a row is in it by its digest alone, and a forgotten one leaves
nothing behind. Digests are of the raw row under a public key, the same in every model, whatever the terms are.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from service.regression.limbs import Integers
from service.regression.products import Array
from service.regression.row_digests import Digests, RowHasher, groups_of

_KEY = b"plumbline sample 1"
_END = (1 << 64) - 1  # the limit of a sample that has left out nothing
_KINDS = {"rows": ("float64", 2), "times": ("int64", 1), "limit": ("uint64", 1), "shape": ("int64", 1)}


@dataclass(frozen=True)
class RowSample:
    """At most `most` distinct rows, ascending by digest, of those whose digest begins with a number under `limit`.

    `rows` [m, f + t + 1]: features (categories by code), targets and weight; `times` [m]: how often each counts; `digests` [m, 2].
    """

    features: int
    targets: int
    most: int
    limit: int
    rows: Array
    times: Integers
    digests: Digests

    @classmethod
    def empty(cls, features: int, targets: int, most: int) -> "RowSample":
        """A sample of no rows."""
        rows, times, digests = np.empty((0, features + targets + 1)), np.empty(0, np.int64), np.empty((0, 2), np.uint64)
        return cls(features, targets, most, _END, rows, times, digests)

    def of_none(self) -> "RowSample":
        """A sample of no rows, like this one."""
        return RowSample.empty(self.features, self.targets, self.most)

    def with_rows(self, features: Array, Y: Array, weights: Array | None = None) -> "RowSample":
        """The sample of these rows too: features [n, f], targets Y [n, t] and ``weights`` [n]; rows of weight 0 do not count."""
        digests = _hasher().digests(features, Y, weights)
        near = digests[:, 0] < self.limit
        if weights is not None:
            near &= weights > 0
        places = np.flatnonzero(near)
        if not len(places):
            return self
        groups = groups_of(digests[places])
        first = places[groups.first]
        kept, limit = _lowest(digests[first], self.limit, self.most)
        first = first[:kept]
        weight = np.ones(kept) if weights is None else weights[first]
        rows = np.column_stack([features[first], Y[first], weight]) + 0.0  # -0 becomes 0: equal rows are of equal bytes
        return self.merged(RowSample(self.features, self.targets, self.most, limit, rows, groups.counts[:kept], digests[first]))

    def merged(self, other: "RowSample") -> "RowSample":
        """The sample of the rows of both, as large as the smaller one may be."""
        return self._combined(other, sign=1, most=min(self.most, other.most), limit=min(self.limit, other.limit))

    def without(self, other: "RowSample") -> "RowSample":
        """The sample of these rows less those of ``other``. Raises ValueError where one of those was never learned, or not as often."""
        return self._combined(other, sign=-1, most=self.most, limit=self.limit)

    def _combined(self, other: "RowSample", *, sign: int, most: int, limit: int) -> "RowSample":
        digests = np.concatenate([self.digests, other.digests])
        near = digests[:, 0] < limit
        digests, rows = digests[near], np.concatenate([self.rows, other.rows])[near]
        times = np.concatenate([self.times, sign * other.times])[near]
        groups = groups_of(digests)
        times = np.add.reduceat(times[groups.order], groups.starts) if len(times) else times
        if (times < 0).any():
            raise ValueError("These rows were never learned, or not as often: the sample would have them.")
        first, times = groups.first[times > 0], times[times > 0]
        kept, limit = _lowest(digests[first], limit, most)
        first = first[:kept]
        return RowSample(self.features, self.targets, most, limit, rows[first], times[:kept], digests[first])

    def to_bytes(self) -> bytes:
        """A safetensors file; equal samples give equal bytes."""
        shape = np.array([self.features, self.targets, self.most], dtype=np.int64)
        return save({"rows": self.rows, "times": self.times, "limit": np.array([self.limit], dtype=np.uint64), "shape": shape})

    @classmethod
    def from_bytes(cls, data: bytes) -> "RowSample":
        """What `to_bytes` wrote; ValueError for anything else."""
        try:
            tensors = load(data)
        except SafetensorError as error:
            raise ValueError("it is no safetensors file") from error
        if {name: (str(tensor.dtype), tensor.ndim) for name, tensor in tensors.items()} != _KINDS or len(tensors["shape"]) != 3:
            raise ValueError("it is no sample of rows")
        features, targets, most = tensors["shape"].tolist()
        rows, times, limit = tensors["rows"], tensors["times"], int(tensors["limit"][0])
        whole = min(features, targets, most) > 0 and rows.shape == (len(times), features + targets + 1) and len(times) <= most
        if whole and (times > 0).all() and np.isfinite(rows).all():
            split = features + targets
            digests = _hasher().digests(rows[:, :features], rows[:, features:split], rows[:, split])
            if np.array_equal(groups_of(digests).first, np.arange(len(times))) and (digests[:, 0] < limit).all():
                return cls(features, targets, most, limit, rows, times, digests)
        raise ValueError("it is no sample of rows")


def _lowest(digests: Digests, limit: int, most: int) -> tuple[int, int]:
    """How many of ascending digests [m, 2] a sample of ``most`` keeps, and its limit then."""
    heads = digests[:, 0]
    if len(heads) <= most:
        return len(heads), limit
    out = heads[most]
    kept = int(np.searchsorted(heads, out))
    return kept, _between(int(heads[kept - 1]), int(out)) if kept else int(out)


def _between(last: int, out: int) -> int:
    """The number above ``last`` and up to ``out`` that ends in the most zero bits.

    The digest that is out itself would tell whether a row was learned long after it was forgotten. This tells no more than how many
    there are; and it is the same wherever the row that is out comes from, so that samples merge to that of all rows.
    """
    zeros = (last ^ out).bit_length() - 1
    return out >> zeros << zeros


@lru_cache(maxsize=1)
def _hasher() -> RowHasher:
    return RowHasher(_KEY)
