"""Removes what no version refers to: blobs of failed or deleted publishes, files of writers that died.

Invariant: it runs alone, and stops before removing anything if it cannot read every manifest, so a blob in use is never removed.
"""

from dataclasses import dataclass

from model_store import versions
from model_store.objects import LocalObjects


@dataclass(frozen=True)
class Collected:
    """How many blobs, manifests of deleted versions and temporary files were removed."""

    blobs: int
    manifests: int
    temporary_files: int


def collect(objects: LocalObjects, *, older_than_seconds: float) -> Collected:
    """Removes the unreferenced blobs and the temporary files of at least that age, and manifests that a tombstone outlived.

    Raises CorruptObject, having removed nothing, if a manifest cannot be read.
    """
    with objects.alone():
        used: set[str] = set()
        dead: list[str] = []
        for model in objects.names("models"):
            numbers = versions.Numbers.of(objects, model)
            dead += [versions.manifest_key(model, number) for number in numbers.manifests & numbers.tombstones]
            for number in numbers.present:
                used.update(versions.read(objects, model, number).blobs.values())
        unused = [
            key
            for key in (f"blobs/sha256/{name}" for name in objects.names("blobs/sha256"))
            if versions.digest_of(key) not in used and objects.age(key) >= older_than_seconds
        ]
        for key in unused + dead:
            objects.delete(key)
        return Collected(blobs=len(unused), manifests=len(dead), temporary_files=objects.sweep(older_than_seconds))
