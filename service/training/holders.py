"""Where rows are that one version forgets: which other versions of the model hold them, or may.

Invariant: a version is left out only where it is known that the rows are not in it.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from model_store.errors import Conflict, Forgotten, UnknownVersion
from model_store.manifest import Manifest
from model_store.store import ModelStore
from service.training.document import version_document
from service.training.ledger import Ledger, Wanted
from service.training.living import Base
from service.training.pieces import LEDGER, Piece

FOREVER = 10**9


@dataclass(frozen=True)
class Holders:
    """The versions of a model, and the ledgers of those that keep one in the frame of the base."""

    base: int
    ledgers: Mapping[int, Ledger]
    others: tuple[int, ...]
    ancestors: frozenset[int]

    @classmethod
    def of(cls, store: ModelStore, base: Base) -> "Holders":
        """Look at every version of the base's model."""
        model, frame = base.manifest.model, base.manifest.document["schema"]
        manifests = {manifest.version: manifest for manifest in _manifests(store, model)}
        ledgers = {}
        for version, manifest in manifests.items():
            if LEDGER in manifest.memory and manifest.document["schema"] == frame:
                with suppress(Forgotten):
                    ledgers[version] = Ledger.load(Piece(store, manifest, LEDGER, own=True))
        ancestors, parent = set(), base.manifest.parent
        while parent is not None:
            ancestors.add(parent)
            parent = manifests[parent].parent if parent in manifests else None
        return cls(base.manifest.version, ledgers, tuple(sorted(set(manifests) - set(ledgers))), frozenset(ancestors))

    @property
    def keys(self) -> tuple[bytes, ...]:
        """All keys under which rows must be known to be looked up."""
        found = dict.fromkeys(key for ledger in self.ledgers.values() for key in ledger.keys)
        return tuple(found) or (b"",)  # any one, to tell which rows are equal

    def of_rows(self, wanted: Wanted, *, since: int) -> list[int]:
        """The versions that hold any of the rows, or may; all of the rows came to the base after version `since`."""
        sure = {version for version, ledger in self.ledgers.items() if version == self.base or ledger.has_any(wanted)}
        maybe = {version for version in self.others if not (version in self.ancestors and version <= since)}
        return sorted(sure | maybe)


def purged_document(store: ModelStore, manifest: Manifest) -> dict[str, Any]:
    """The document of a version after the versions that it was to purge are deleted, with all memory that was theirs alone.

    It may be repeated, and must be where a process ended between the commit and this. What an alias came to name meanwhile stays.
    """
    document = version_document(store, manifest)
    told = document.get("forgotten", {"purged": []})
    if not told["purged"]:
        return document
    kept = []
    for version in told["purged"]:
        try:
            store.delete_version(manifest.model, int(version))
        except UnknownVersion:
            continue
        except Conflict:
            kept.append(version)
    store.retire(manifest.model, keep_versions=FOREVER, keep_memories=FOREVER)
    purged = [version for version in told["purged"] if version not in kept]
    return document | {"forgotten": told | {"still_in": kept, "purged": purged}}


def _manifests(store: ModelStore, model: str) -> Iterator[Manifest]:
    for version in store.versions(model):
        with suppress(UnknownVersion):  # deleted meanwhile
            yield store.manifest(model, version)
