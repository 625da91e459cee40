"""The content of a ledger's segments: distinct digests in ascending order, and how often each counts."""

from dataclasses import dataclass

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from service.regression.limbs import Integers
from service.regression.row_digests import Digests, groups_of

_COUNTS = ("uint8", "uint16", "uint32", "uint64", "int64")  # the last in ledgers of before


@dataclass(frozen=True)
class Entries:
    """Distinct `digests` [m, 2], ascending, and their `counts` [m]."""

    digests: Digests
    counts: Integers

    def places(self, wanted: Digests) -> Integers:
        """The place of each wanted digest [k, 2], -1 where it is not there."""
        heads, tails = self.digests[:, 0], self.digests[:, 1]
        at = np.searchsorted(heads, wanted[:, 0])
        found = np.full(len(wanted), -1, dtype=np.int64)
        open_ = np.arange(len(wanted))
        while open_.size:  # one round, but for digests that agree in their first half
            open_ = open_[at[open_] < len(heads)]
            open_ = open_[heads[at[open_]] == wanted[open_, 0]]
            hit = tails[at[open_]] == wanted[open_, 1]
            found[open_[hit]] = at[open_[hit]]
            open_ = open_[~hit]
            at[open_] += 1
        return found

    def without(self, places: Integers, counts: Integers) -> "Entries":
        """These less `counts` [k] at `places` [k], where that is not -1; digests that count no more are gone."""
        left = self.counts.copy()
        left[places[places >= 0]] -= counts[places >= 0]
        return Entries(self.digests[left > 0], left[left > 0])

    def to_bytes(self) -> bytes:
        """A safetensors file, the counts in as few bits as hold them."""
        counts = self.counts.astype(np.min_scalar_type(self.counts.max(initial=0)))
        return save({"digests": np.ascontiguousarray(self.digests), "counts": counts})

    @classmethod
    def from_bytes(cls, data: bytes) -> "Entries":
        """What `to_bytes` wrote; ValueError for anything else."""
        try:
            tensors = load(data)
        except SafetensorError as error:
            raise ValueError("it is no safetensors file") from error
        kinds = {name: (str(tensor.dtype), tensor.ndim) for name, tensor in tensors.items()}
        if not any(kinds == {"digests": ("uint64", 2), "counts": (counts, 1)} for counts in _COUNTS):
            raise ValueError("it is no segment of a ledger")
        entries = cls(tensors["digests"], tensors["counts"].astype(np.int64))
        if entries.digests.shape != (len(entries.counts), 2):
            raise ValueError("it is no segment of a ledger")
        return entries


def entries_of(digests: Digests) -> Entries:
    """The entries of digests [n, 2] in any order."""
    groups = groups_of(digests)
    return Entries(digests.take(groups.first, axis=0), groups.counts)


def joined(one: Entries, other: Entries) -> Entries:
    """The entries of both."""
    digests = np.concatenate([one.digests, other.digests])
    counts = np.concatenate([one.counts, other.counts])
    groups = groups_of(digests)
    return Entries(digests.take(groups.first, axis=0), np.add.reduceat(counts[groups.order], groups.starts) if len(counts) else counts)
