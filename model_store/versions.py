"""Versions and their blobs: `models/<model>/versions/<n>.json`, `<n>.tombstone`, `blobs/sha256/<hex>`.

Invariant: a number is claimed by creating its manifest and is never free again: a tombstone outlives the manifest it deletes.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from model_store import names
from model_store.errors import AlreadyExists, InvalidName, NotFound, UnknownVersion
from model_store.manifest import Manifest
from model_store.objects import LocalObjects
from model_store.sealed import damaged


@dataclass(frozen=True)
class Numbers:
    """The numbers one model has used, by what stands under them."""

    manifests: frozenset[int]
    tombstones: frozenset[int]

    @classmethod
    def of(cls, objects: LocalObjects, model: str) -> Self:
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

    @property
    def next(self) -> int:
        """The first number never used."""
        return max(self.manifests | self.tombstones, default=0) + 1


def manifest_key(model: str, version: int) -> str:
    """The key of a version's manifest; the name is checked by the caller."""
    return f"models/{model}/versions/{version}.json"


def tombstone_key(model: str, version: int) -> str:
    """The key whose presence says that the version was deleted."""
    return f"models/{model}/versions/{version}.tombstone"


def blob_key(digest: str) -> str:
    """The key of a blob; InvalidName unless the digest is `sha256:` and 64 hexadecimal digits."""
    if not names.is_digest(digest):
        raise InvalidName("not the digest of a blob: use 'sha256:' and 64 hexadecimal digits in lower case")
    return "blobs/sha256/" + digest.removeprefix("sha256:")


def digest_of(key: str) -> str:
    """The digest of the blob under a key, the inverse of `blob_key`."""
    return "sha256:" + key.removeprefix("blobs/sha256/")


def unknown(model: str, version: str) -> UnknownVersion:
    """The error for a version that never was or is deleted."""
    return UnknownVersion(f"model {model} has no version {version}: list its versions to see those it has")


def is_present(objects: LocalObjects, model: str, version: int) -> bool:
    """Whether the version was published and not deleted; two probes, nothing read."""
    return objects.exists(manifest_key(model, version)) and not objects.exists(tombstone_key(model, version))


def read(objects: LocalObjects, model: str, version: int) -> Manifest:
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


def claim(objects: LocalObjects, model: str, draft: Callable[[int], Manifest]) -> Manifest:
    """Creates `draft(n)` under the first free number n and returns it as it reads back."""
    number = Numbers.of(objects, model).next
    while True:
        key = manifest_key(model, number)
        data = draft(number).to_bytes()
        try:
            objects.create(key, data)
        except AlreadyExists:
            number += 1
        else:
            return Manifest.from_bytes(data, key)


def bury(objects: LocalObjects, model: str, version: int) -> None:
    """Deletes a version: first the tombstone, which is the deletion, then the manifest it hides."""
    objects.create(tombstone_key(model, version), b"")
    objects.delete(manifest_key(model, version))


def digests(blobs: Mapping[str, bytes]) -> dict[str, str]:
    """The digest of every blob, under the blob's name."""
    return {name: f"sha256:{hashlib.sha256(data).hexdigest()}" for name, data in blobs.items()}


def put_blob(objects: LocalObjects, digest: str, data: bytes) -> None:
    """Stores a blob under its digest; one that is there already is verified, and mended if it is damaged."""
    key = blob_key(digest)
    try:
        objects.create(key, data)
    except AlreadyExists:
        if objects.read(key) != data:
            objects.replace(key, data)


def read_blob(objects: LocalObjects, digest: str) -> bytes:
    """The bytes of a blob, verified; CorruptObject if they are damaged or missing."""
    key = blob_key(digest)
    try:
        data = objects.read(key)
    except NotFound:
        raise damaged(key, "it is missing") from None
    if hashlib.sha256(data).hexdigest() != digest.removeprefix("sha256:"):
        raise damaged(key, "its content does not match its digest")
    return data
