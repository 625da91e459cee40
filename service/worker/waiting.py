"""Who waits for what, and until when."""

import time
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any


class Waiting:
    """Connections that wait for one thing, each for the same number of seconds at most, the longest waiting first."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._until: OrderedDict[Any, float] = OrderedDict()
        self._latest = float("inf")

    def __len__(self) -> int:
        return len(self._until)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._until)

    def __contains__(self, conn: object) -> bool:
        return conn in self._until

    def add(self, conn: Any) -> None:
        """Let a connection wait from now on; one that waits already goes on as it was."""
        if conn not in self._until:
            self._until[conn] = min(time.monotonic() + self.seconds, self._latest)

    def discard(self, conn: Any) -> bool:
        """A connection waits no more; whether it did."""
        return self._until.pop(conn, None) is not None

    def cap(self, latest: float) -> None:
        """Let nobody wait beyond a moment of the monotonic clock."""
        self._latest = latest
        for conn, until in self._until.items():
            self._until[conn] = min(until, latest)

    def overdue(self, now: float) -> Iterator[Any]:
        """Whose time is over, one after the other; each has to leave before the next is asked for."""
        while self._until:
            conn = next(iter(self._until))
            if self._until[conn] > now:
                return
            yield conn

    def oldest(self) -> Any:
        """Who has waited longest; None when nobody waits."""
        return next(iter(self._until), None)
