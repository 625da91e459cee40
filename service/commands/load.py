"""Requests on several connections for a few seconds, and how long each took.

In a closed loop a connection sends its next request when the answer to the last has come: a service that stalls is asked less, and the
stall counts once per connection. In an open loop requests are due at a fixed rate, whatever the service does, and each is timed from
when it was due, so that one that had to wait for others counts with its wait ("coordinated omission" is what leaves that out).
"""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from typing import Any
from urllib.parse import SplitResult, urlsplit

SILENCE = 10.0  # seconds without an answer until a request is given up
OVERTIME = 2.0  # times the seconds asked for, after which an open loop leaves what is still due unsent


@dataclass(frozen=True)
class Request:
    """What is sent over and over."""

    url: str
    body: bytes
    headers: dict[str, str]


@dataclass
class Measured:
    """Seconds of each request that was answered with 200, by order of answers; what became of all others; the seconds it all took."""

    times: list[float] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    unsent: int = 0
    seconds: float = 0.0

    def percentile(self, percent: float) -> float | None:
        """The time within which so many percent of the requests were answered."""
        ordered = sorted(self.times)
        return ordered[max(ceil(len(ordered) * percent / 100), 1) - 1] if ordered else None

    def document(self, rows: int) -> dict[str, Any]:
        """The figures, for requests of so many rows; times in milliseconds."""
        rate = len(self.times) / self.seconds if self.seconds else 0.0
        shown = {"p50_ms": 50.0, "p99_ms": 99.0, "max_ms": 100.0}
        milliseconds = {name: None if (t := self.percentile(p)) is None else round(1000 * t, 3) for name, p in shown.items()}
        figures = {"rows": rows, "requests": len(self.times), "requests_per_second": round(rate, 1), "rows_per_second": round(rate * rows)}
        return figures | milliseconds | {"failed": dict(self.failed), "unsent": self.unsent}


def measure(request: Request, *, seconds: float, connections: int, rate: float | None) -> Measured:
    """Send a request over and over: in a closed loop, or at a rate per second in an open one."""
    measured, lock = Measured(), threading.Lock()
    start = time.perf_counter()
    due = _schedule(start, seconds, rate, measured)
    threads = [threading.Thread(target=_ask, args=(request, due, measured, lock), daemon=True) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(OVERTIME * seconds + SILENCE + 1)
    measured.seconds = time.perf_counter() - start
    return measured


def _schedule(start: float, seconds: float, rate: float | None, measured: Measured) -> Callable[[], float | None]:
    """When the next request is due, None when there is no more; now in a closed loop."""
    if rate is None:
        return lambda: now if (now := time.perf_counter()) < start + seconds else None
    lock, total, sent = threading.Lock(), ceil(rate * seconds), 0

    def due() -> float | None:
        nonlocal sent
        with lock:
            if sent == total:
                return None
            if time.perf_counter() > start + OVERTIME * seconds:
                measured.unsent += total - sent
                sent = total
                return None
            sent += 1
            return start + (sent - 1) / rate

    return due


def _ask(request: Request, due: Callable[[], float | None], measured: Measured, lock: threading.Lock) -> None:
    """One connection."""
    parts = urlsplit(request.url)
    connection = _connection(parts)
    while (when := due()) is not None:
        time.sleep(max(when - time.perf_counter(), 0.0))
        try:
            connection.request("POST", parts.path, request.body, request.headers)
            answer = connection.getresponse()
            answer.read()
            outcome = "" if answer.status == http.HTTPStatus.OK else str(answer.status)
        except (OSError, http.client.HTTPException) as error:
            outcome = type(error).__name__
            connection.close()
            connection = _connection(parts)
            time.sleep(0.05)  # a service that is gone is not asked a million times
        took = time.perf_counter() - when
        with lock:
            if outcome:
                measured.failed[outcome] += 1
            else:
                measured.times.append(took)
    connection.close()


def _connection(parts: SplitResult) -> http.client.HTTPConnection:
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=SILENCE)
