"""A version as one file: a zip of stored entries that holds `manifest.json`, `blobs/<name>` and, where it is kept, `memory/<name>`.

Invariant: one version has one archive, byte for byte, and `unpack` accepts no other bytes. So a changed bit anywhere, an entry
that does not belong, a path that leads elsewhere or a compressed entry is refused, and nothing is expanded to find that out.
"""

import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from model_store.errors import BadArchive, CorruptObject, Forgotten, UnsupportedFormat
from model_store.manifest import Manifest
from model_store.store import ModelStore

_MANIFEST = "manifest.json"
_UNREADABLE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, OSError, RuntimeError, OverflowError)


@dataclass(frozen=True)
class Archive:
    """What an archive holds; `memory` is whole or, where the version remembered nothing any more, empty."""

    manifest: Manifest
    blobs: Mapping[str, bytes]
    memory: Mapping[str, bytes]

    def to_bytes(self) -> bytes:
        """The file."""
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, data in self._entries():
                entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
                entry.create_system = 3
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, data)
        return file.getvalue()

    def _entries(self) -> Iterable[tuple[str, bytes]]:
        yield _MANIFEST, self.manifest.to_bytes()
        for folder, parts in (("blobs", self.blobs), ("memory", self.memory)):
            for name in sorted(parts):
                yield f"{folder}/{name}", parts[name]


def pack(store: ModelStore, model: str, version: int) -> bytes:
    """The archive of a version, with its memory if the store still keeps it.

    Raises NotFound for what is not there, CorruptObject for what is damaged.
    """
    manifest = replace(store.manifest(model, version), intent=None)  # which is of this store
    blobs = {name: store.blob(digest) for name, digest in manifest.blobs.items()}
    try:
        memory = {name: store.remembered(manifest, name) for name in manifest.memory}
    except Forgotten:
        memory = {}
    return Archive(manifest, blobs, memory).to_bytes()


def unpack(data: bytes) -> Archive:
    """What `pack` wrote, every digest verified; BadArchive for any other bytes."""
    entries = _entries_of(data)
    manifest = _manifest_of(entries)
    parts: dict[str, dict[str, bytes]] = {}
    for folder, digests in (("blobs", manifest.blobs), ("memory", manifest.memory)):
        found = {name: entries[f"{folder}/{name}"] for name in digests if f"{folder}/{name}" in entries}
        if any(f"sha256:{hashlib.sha256(part).hexdigest()}" != digests[name] for name, part in found.items()):
            raise _bad("a part does not match its digest")
        parts[folder] = found
    archive = Archive(manifest, **parts)
    if len(archive.blobs) < len(manifest.blobs) or len(archive.memory) not in (0, len(manifest.memory)):
        raise _bad("a part is missing")
    if archive.to_bytes() != data:
        raise _bad("its bytes are not those that its parts make")
    return archive


def _entries_of(data: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            # Stored entries that do not overlap are together smaller than the file: nothing can swell when it is read.
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries) or sum(entry.file_size for entry in entries) > len(data):
                raise _bad("its entries are compressed")
            return {entry.filename: archive.read(entry) for entry in entries}
    except _UNREADABLE as error:
        raise _bad("it is no zip file, or not a whole one") from error


def _manifest_of(entries: Mapping[str, bytes]) -> Manifest:
    try:
        return Manifest.from_bytes(entries[_MANIFEST], _MANIFEST)
    except KeyError:
        raise _bad("it has no manifest") from None
    except UnsupportedFormat as error:
        raise BadArchive("the archive was written by a newer release than this one: upgrade the service, then import it") from error
    except CorruptObject as error:
        raise _bad("its manifest does not match its digest") from error


def _bad(what: str) -> BadArchive:
    return BadArchive(f"this is not a version as `export` writes it, or it is damaged ({what}): export it again")
