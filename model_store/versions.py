"""Versions: `models/<model>/versions/<n>.json` and `<n>.tombstone`.

Invariant: a number is claimed by creating its manifest and is never free again: a tombstone outlives the manifest it deletes.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Self

from model_store import counting, names
from model_store.errors import AlreadyExists, NotFound, UnknownVersion
from model_store.manifest import Manifest
from model_store.sealed import damaged
from model_store.storage import Objects


@dataclass(frozen=True)
class Numbers:
    """The numbers one model has used, by what stands under them."""

    manifests: frozenset[int]
    tombstones: frozenset[int]

    @classmethod
    def of(cls, objects: Objects, model: str) -> Self:
        """Read from one listing; names that are neither manifests nor tombstones are not the store's and are left alone."""
        found: dict[str, set[int]] = {"json": set(), "tombstone": set()}
        for name in objects.names(f"models/{model}/versions"):
            text, _, suffix = name.partition(".")
            number = names.number(text)
            if number is not None and suffix in found:
                found[suffix].add(number)
        return cls(frozenset(found["json"]), frozenset(found["tombstone"]))

    @property
    def present(self) -> list[int]:
        """The versions that can be read, ascending."""
        return sorted(self.manifests - self.tombstones)


def manifest_key(model: str, version: int) -> str:
    """The key of a version's manifest; the name is checked by the caller."""
    return f"models/{model}/versions/{version}.json"


def tombstone_key(model: str, version: int) -> str:
    """The key whose presence says that the version was deleted."""
    return f"models/{model}/versions/{version}.tombstone"


def unknown(model: str, version: str) -> UnknownVersion:
    """The error for a version that never was or is deleted."""
    return UnknownVersion(f"model {model} has no version {version}: list its versions to see those it has")


def is_present(objects: Objects, model: str, version: int) -> bool:
    """Whether the version was published and not deleted; two probes, nothing read."""
    return objects.exists(manifest_key(model, version)) and not objects.exists(tombstone_key(model, version))


def read(objects: Objects, model: str, version: int) -> Manifest:
    """The manifest of a version; UnknownVersion if it never was or is deleted, CorruptObject if it cannot be trusted."""
    key = manifest_key(model, version)
    if objects.exists(tombstone_key(model, version)):
        raise unknown(model, str(version))
    try:
        manifest = Manifest.from_bytes(objects.read(key), key)
    except NotFound:
        raise unknown(model, str(version)) from None
    if (manifest.model, manifest.version) != (model, version):
        raise damaged(key, "it is the manifest of another version")
    return manifest


def last(objects: Objects, model: str, *, hint: int = 0) -> int:
    """The largest number ever used, 0 if none was; from a `hint` seen before, a few probes however many versions there are."""
    return counting.last(
        lambda number: objects.exists(manifest_key(model, number)) or objects.exists(tombstone_key(model, number)), hint=hint
    )


def newest(objects: Objects, model: str, *, before: int) -> Iterator[int]:
    """The versions that can be read and have a smaller number than `before`, latest first; probed one by one, as they are asked for."""
    return (number for number in range(before - 1, 0, -1) if is_present(objects, model, number))


def claim(objects: Objects, draft: Manifest, data: bytes) -> Manifest:
    """Creates the draft, whose bytes are `data`, under its own number or else the first free one after it; returns it as it reads back."""
    model, number = draft.model, draft.version
    while True:
        key = manifest_key(model, number)
        with suppress(AlreadyExists):
            objects.create(key, data)
            if not objects.exists(tombstone_key(model, number)):
                return Manifest.from_bytes(data, key)
            # Where there is no lock, the number may have been used and deleted since `number` was free.
            objects.delete(key)
        number += 1
        data = replace(draft, version=number).to_bytes()


def bury(objects: Objects, model: str, version: int) -> None:
    """Deletes a version: first the tombstone, which is the deletion, then the manifest it hides."""
    objects.create(tombstone_key(model, version), b"")
    objects.delete(manifest_key(model, version))
