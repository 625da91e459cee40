"""Drawings kept on disk, so that one that is asked for again is not drawn again.

Only what shows no row is kept: rows live in the memory of their version and nowhere else, and are gone when it is.
"""

import hashlib
import os
import secrets
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path

MOST_BYTES = 8 << 20
DIGEST = hashlib.sha256().digest_size


class Pictures:
    """Files by key in a directory, of `most_bytes` in all: the oldest leave first. Where they cannot be written, none is kept."""

    def __init__(self, directory: Path, *, most_bytes: int = MOST_BYTES) -> None:
        self._directory, self._most_bytes = directory, most_bytes

    def scratch(self) -> Path:
        """A directory beside the files for what drawing itself wants to keep: matplotlib's list of fonts."""
        place = self._directory / "fonts"
        with suppress(OSError):
            place.mkdir(parents=True, exist_ok=True)
        return place

    def get(self, key: str) -> bytes | None:
        """What is kept under a key; nothing where it was damaged."""
        try:
            data = (self._directory / key).read_bytes()
        except OSError:
            return None
        return data[DIGEST:] if hashlib.sha256(data[DIGEST:]).digest() == data[:DIGEST] else None

    def put(self, key: str, data: bytes) -> None:
        """Keep data under a key."""
        temporary = self._directory / f"{key}.{secrets.token_hex(8)}"
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(hashlib.sha256(data).digest() + data)
            temporary.replace(self._directory / key)
            self._make_room()
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _make_room(self) -> None:
        with os.scandir(self._directory) as entries:
            files = [(entry.stat().st_mtime_ns, entry.stat().st_size, entry.path) for entry in entries if entry.is_file()]
        size = sum(length for _, length, _ in files)
        for _, length, path in sorted(files):
            if size <= self._most_bytes:
                break
            Path(path).unlink(missing_ok=True)
            size -= length


def key_of(subject: bytes, kind: str, form: str) -> str:
    """The name of a drawing: equal for equal subjects drawn alike by the same code."""
    digest = hashlib.sha256(drawing_code())
    for part in (kind, form):
        digest.update(part.encode() + b"\0")
    digest.update(subject)
    return digest.hexdigest()


@cache
def drawing_code() -> bytes:
    """A digest of all that decides how a subject is drawn."""
    digest = hashlib.sha256(version("matplotlib").encode())
    for path in sorted(Path(__file__).parent.iterdir()):
        if path.suffix in (".py", ".html"):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.digest()
