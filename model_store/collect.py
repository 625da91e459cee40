"""Removes what no version refers to: blobs and memory of failed or deleted publishes, files of writers that died.

Invariant: it runs alone, and stops before removing anything if it cannot read every manifest, so a blob in use is never removed.
"""

from dataclasses import dataclass

from model_store import blobs, memory, versions
from model_store.storage import Objects


@dataclass(frozen=True)
class Collected:
    """How many blobs, pieces of memory, manifests of deleted versions and temporary files were removed."""

    blobs: int
    memories: int
    manifests: int
    temporary_files: int


def collect(objects: Objects, *, older_than_seconds: float) -> Collected:
    """Removes the unreferenced blobs and the temporary files of at least that age, and manifests that a tombstone outlived.

    Raises CorruptObject, having removed nothing, if a manifest cannot be read.
    """
    with objects.alone():
        used: set[str] = set()
        remembered: dict[str, set[str]] = {model: set() for model in objects.names("memory")}
        dead: list[str] = []
        for model in objects.names("models"):
            numbers = versions.Numbers.of(objects, model)
            dead += [versions.manifest_key(model, number) for number in numbers.manifests & numbers.tombstones]
            for number in numbers.present:
                manifest = versions.read(objects, model, number)
                used.update(manifest.blobs.values())
                remembered.setdefault(model, set()).update(manifest.memory.values())
        unused = [
            key
            for name, key in ((name, f"blobs/sha256/{name}") for name in objects.names("blobs/sha256"))
            if blobs.PREFIX + name not in used and objects.age(key) >= older_than_seconds
        ]
        for key in unused + dead:
            objects.delete(key)
        forgotten = [memory.drop(objects, model, keep=keep, older_than_seconds=older_than_seconds) for model, keep in remembered.items()]
        return Collected(len(unused), sum(forgotten), len(dead), objects.sweep(older_than_seconds))
