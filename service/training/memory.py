"""What a version remembers of its rows, beyond what serves it: their exact moments.

Invariant: a memory is a function of the multiset of rows alone, those learned less those forgotten.
"""

from dataclasses import dataclass

from model_store.errors import CorruptObject
from model_store.manifest import Manifest
from model_store.store import ModelStore
from service.regression.canonical import Canonical
from service.regression.moments import Moments
from service.regression.products import Array

MOMENTS = "moments"


@dataclass
class Memory:
    """The memory of one version, to be changed in place and stored with the next."""

    moments: Moments

    @classmethod
    def load(cls, store: ModelStore, manifest: Manifest) -> "Memory":
        """What a version remembers.

        Raises:
            Forgotten: the version does not keep its memory any more.
            CorruptObject
        """
        return cls(_moments(store.remembered(manifest, MOMENTS), manifest))

    @property
    def n(self) -> int:
        """How many rows are remembered."""
        return self.moments.n

    def add(self, X: Array, Y: Array, *, weights: Array | None = None, threads: int = 1) -> None:
        """Learn design rows as `Moments.add` does."""
        self.moments.add(X, Y, weights=weights, threads=threads)

    def merge(self, other: "Memory") -> None:
        """Learn all that another memory of the same frame holds."""
        self.moments.merge(other.moments)

    def pieces(self, moments: Canonical) -> dict[str, bytes | str]:
        """What the store is to keep: bytes, or digests of what it keeps already; `moments` is their canonical form."""
        return {MOMENTS: moments.to_bytes()}


def _moments(data: bytes, manifest: Manifest) -> Moments:
    try:
        return Moments.from_bytes(data)
    except ValueError as error:
        raise CorruptObject(f"the moments of version {manifest.version} of model {manifest.model} cannot be read: {error}") from error
