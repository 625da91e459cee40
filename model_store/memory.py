"""What versions remember of their rows, apart from what serves them: `memory/<model>/<hex>`, named by digest within a model.

Invariant: a piece is read as it was written or not at all. It lives as long as a version that keeps its memory names it; two
neighbouring versions tell a row that was learned alone, so few keep theirs (see `retention`).
"""

from collections.abc import Mapping

from model_store import blobs
from model_store.errors import Forgotten, NotFound
from model_store.manifest import Manifest
from model_store.names import is_digest
from model_store.storage import Objects

Memory = Mapping[str, bytes | str]  # name -> the bytes of a piece, or the digest of one that the model has already


def key_of(model: str, digest: str) -> str:
    """The key of a piece of memory; the names are checked by the caller."""
    return f"memory/{model}/{digest.removeprefix(blobs.PREFIX)}"


def digests(memory: Memory) -> dict[str, str]:
    """The digest of every piece, under its name."""
    return {name: piece if isinstance(piece, str) else blobs.digest(piece) for name, piece in memory.items()}


def put(objects: Objects, model: str, memory: Memory, digests: Mapping[str, str]) -> None:
    """Stores the pieces, whose `digests` are given; Forgotten if one that is given by its digest is not there any more."""
    for name, piece in memory.items():
        if isinstance(piece, bytes):
            blobs.put(objects, key_of(model, digests[name]), piece)
        elif not (is_digest(piece) and objects.exists(key_of(model, piece))):
            raise _forgotten(model, name)


def read(objects: Objects, manifest: Manifest, name: str) -> bytes:
    """One piece of a version's memory; Forgotten if it has none of that name, or no more, CorruptObject if it is damaged."""
    digest = manifest.memory.get(name)
    if digest is None and name in manifest.blobs:  # where format 1 had it
        return blobs.require(objects, manifest.blobs[name])
    try:
        if digest is not None:
            return blobs.read(objects, key_of(manifest.model, digest), digest)
    except NotFound:
        pass
    raise _forgotten(manifest.model, name)


def drop(objects: Objects, model: str, *, keep: set[str], older_than_seconds: float = 0.0) -> int:
    """Removes the memory of a model but the digests in `keep`, where it has at least that age; the number of pieces removed."""
    dropped = 0
    for name in objects.names(f"memory/{model}"):
        key = key_of(model, name)
        if blobs.PREFIX + name not in keep and objects.age(key) >= older_than_seconds:
            objects.delete(key)
            dropped += 1
    return dropped


def _forgotten(model: str, name: str) -> Forgotten:
    return Forgotten(
        f"model {model} keeps no {name} of this version: only aliased and the latest versions remember their rows; "
        "use one of those, or train again"
    )
