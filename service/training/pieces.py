"""Pieces of memory that the store has already, read only where their content is needed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from model_store.errors import CorruptObject
from model_store.manifest import Manifest
from model_store.store import ModelStore

MOMENTS = "moments"
SAMPLE = "sample"
LEDGER = "ledger"  # its index; its segments are LEDGER.0, LEDGER.1, …
_FOLD = "folds."
T = TypeVar("T")


def fold_name(number: int) -> str:
    """The name of the moments of a fold."""
    return f"{_FOLD}{number}"


def count_folds(manifest: Manifest) -> int:
    """How many folds a version was published with."""
    return sum(name.startswith(_FOLD) for name in manifest.memory)


@dataclass(frozen=True)
class Piece:
    """One piece of a version's memory; `own` says that the model it will be stored with next has it already."""

    store: ModelStore
    manifest: Manifest
    name: str
    own: bool

    def read(self, parse: Callable[[bytes], T]) -> T:
        """The content.

        Raises:
            Forgotten: the store keeps it no more.
            CorruptObject: it is damaged, or `parse` raises ValueError.
        """
        data = self.store.remembered(self.manifest, self.name)
        try:
            return parse(data)
        except ValueError as error:
            where = f"{self.name} of version {self.manifest.version} of model {self.manifest.model}"
            raise CorruptObject(f"{where} cannot be read: {error}") from error

    def kept(self) -> bytes | str:
        """What the store is given to keep it with another version: its digest, or for another model its bytes."""
        return self.digest if self.own else self.read(bytes)

    @property
    def digest(self) -> str:
        """The name of its content."""
        return self.manifest.memory[self.name]
