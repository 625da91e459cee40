"""Whether this replica reaches its bucket, told by the one process that looks to all the others, through two small files.

Invariant: a reader never waits and never fails; what it learns is at most one look old.
"""

from contextlib import suppress
from pathlib import Path

from model_store.errors import StoreError
from model_store.objects import LocalObjects

_UNREACHABLE, _SEEN = "unreachable", "seen"


class Reach:
    """What the last look at the bucket found, kept in a local directory."""

    def __init__(self, folder: Path) -> None:
        self._state = LocalObjects(folder)

    def prepare(self) -> None:
        """Makes the directory; StoreUnavailable or StoreFull if it cannot be written."""
        self._state.prepare()

    def lost(self, reason: str) -> None:
        """Notes that the bucket cannot be used, and why."""
        self._state.replace(_UNREACHABLE, reason.encode())

    def found(self) -> None:
        """Notes that the mirror is now as the bucket."""
        self._state.delete(_UNREACHABLE)
        if not self.seen():
            self._state.replace(_SEEN, b"")

    def reason(self) -> str | None:
        """Why the bucket cannot be used; None if it can, as far as is known."""
        with suppress(StoreError):
            if self._state.exists(_UNREACHABLE):
                return self._state.read(_UNREACHABLE).decode(errors="replace")
        return None

    def seen(self) -> bool:
        """Whether the mirror was ever as the bucket, so that it can be served from."""
        with suppress(StoreError):
            return self._state.exists(_SEEN)
        return False
