"""A load of fixed arrivals: requests fall due at even intervals, whether or not the server keeps up.

The latency of a request counts from the instant at which it was due, so that the requests that a stalled server keeps from being sent
are not left out of its figures (coordinated omission). The generator is a process of one thread on each processor, so that what it needs
of them falls evenly on all, with a few kept connections, asked in turn; it measures itself as well: how late it was to send what was due
and could be sent, and the processors that it took.
"""

import gc
import itertools
import json
import os
import select
import socket
import subprocess
import sys
import time
from array import array
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Self

from benchmarks.wrk import Request

CONNECTIONS = 16
START_SECONDS = 0.1  # from being ready to the first request
LAST_SECONDS = 5.0  # time given to the requests in flight at the end


@dataclass(frozen=True)
class Load:
    """What a load met: requests due, those not answered by 200, milliseconds of the answered from due to answered.

    `late_p99` is how late, in milliseconds, the generator sent what it could have sent when it was due; `processor` how much of one it
    took.
    """

    requests: int
    failures: int
    seconds: float
    p50: float
    p99: float
    p999: float
    longest: float
    late_p99: float
    processor: float


@dataclass(frozen=True)
class _Settings:
    """What one process of the generator is told first; when its first request is due follows."""

    host: str
    port: int
    text: str
    rate: float
    connections: int
    processor: int


@dataclass(frozen=True)
class _Seen:
    """What one process of the generator saw, as `Load` has it; times in seconds."""

    requests: int
    failures: int
    seconds: float
    processor: float
    latencies: list[float]
    late: list[float]


class OpenLoop:
    """A load on a server from entering the block to leaving it; `load` is there afterwards."""

    load: Load

    def __init__(self, url: str, request: Request, rate: float) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        headers = {"Host": f"{host}:{port}", **request.headers, "Content-Length": str(len(request.body))}
        head = f"POST {request.path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
        self._host, self._port, self._text, self._rate = host, int(port), (head.encode() + request.body).decode(), rate

    def __enter__(self) -> Self:
        """Start the generator."""
        processors = sorted(os.sched_getaffinity(0))
        rate, connections = self._rate / len(processors), -(-CONNECTIONS // len(processors))
        self._processes = []
        for processor in processors:
            share = _Settings(self._host, self._port, self._text, rate, connections, processor)
            command = [sys.executable, "-m", "benchmarks.open_loop"]
            self._processes.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            _tell(self._processes[-1], asdict(share))
        for process in self._processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        began = time.perf_counter() + START_SECONDS
        for place, process in enumerate(self._processes):
            _tell(process, began + place / self._rate)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop the generator: it stops when its standard input ends."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
            process.stdin = None  # `communicate` would write to it
        seen = [process.communicate(timeout=LAST_SECONDS + 60)[0] for process in self._processes]
        if kind is None:
            self.load = _load([_Seen(**json.loads(text)) for text in seen])


def _tell(process: subprocess.Popen[str], what: Any) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(what) + "\n")
    process.stdin.flush()


class _Connection:
    """A kept connection; `due` is when the request that it waits for was due."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(0)
        self.due, self.received = 0.0, b""

    def fileno(self) -> int:
        return self.socket.fileno()

    def take(self) -> int | None:
        """The status of the answer once it has arrived whole; 0 when there will be none."""
        try:
            piece = self.socket.recv(1 << 16)
        except BlockingIOError:
            return None
        except OSError:
            piece = b""
        if not piece:
            return 0
        self.received += piece
        head = self.received.find(b"\r\n\r\n")
        if head < 0:
            return None
        start = self.received.lower().index(b"content-length:", 0, head) + 15
        if len(self.received) < head + 4 + int(self.received[start : self.received.index(b"\r", start)]):
            return None
        status, self.received = int(self.received[9:12]), b""
        return status


class _Generator:
    """The loop; times are those of `time.perf_counter`."""

    def __init__(self, asked: _Settings) -> None:
        self._asked, self._text = asked, asked.text.encode()
        self._free = deque(_Connection((asked.host, asked.port)) for _ in range(asked.connections))
        self._busy: set[_Connection] = set()
        self._waiting: deque[float] = deque()  # due, and not sent yet
        self._latencies, self._late = array("d"), array("d")
        self._failures = 0

    def run(self, began: float) -> _Seen:
        """Send from `began` until standard input ends, then wait for what is in flight."""
        used, sent = time.process_time(), 0
        due, interval, stopping = began, 1 / self._asked.rate, False
        while not stopping:
            ready, _, _ = select.select([sys.stdin, *self._busy], [], [], max(0.0, due - time.perf_counter()))
            stopping = self._answered(ready)
            now = time.perf_counter()
            while due <= now:
                self._waiting.append(due)
                sent += 1
                due = began + sent * interval
            self._send()
        seconds, used = now - began, time.process_time() - used
        self._end()
        return _Seen(sent, self._failures, seconds, used / seconds, self._latencies.tolist(), self._late.tolist())

    def _send(self) -> None:
        """Send what waits, as long as there are free connections."""
        held_up = len(self._waiting) > len(self._free)
        while self._waiting and self._free:
            connection = self._free.popleft()
            connection.due = self._waiting.popleft()
            if not held_up:
                self._late.append(time.perf_counter() - connection.due)
            try:
                connection.socket.send(self._text)
            except OSError:
                self._replace(connection)
            else:
                self._busy.add(connection)

    def _answered(self, ready: list[Any]) -> bool:
        """Take in what has arrived; whether it is time to stop."""
        stopping = False
        for found in ready:
            if found is sys.stdin:
                stopping = True
                continue
            status = found.take()
            if status is None:
                continue
            self._busy.discard(found)
            if status == 0:
                self._replace(found)
                continue
            if status == 200:
                self._latencies.append(time.perf_counter() - found.due)
            else:
                self._failures += 1
            self._free.append(found)
        return stopping

    def _replace(self, connection: _Connection) -> None:
        """A connection that broke took its request with it."""
        self._failures += 1
        connection.socket.close()
        self._free.append(_Connection((self._asked.host, self._asked.port)))

    def _end(self) -> None:
        until = time.perf_counter() + LAST_SECONDS
        while (self._busy or self._waiting) and (left := until - time.perf_counter()) > 0:
            self._send()
            ready, _, _ = select.select(list(self._busy), [], [], left)
            self._answered(ready)
        self._failures += len(self._busy) + len(self._waiting)


def _load(seen: list[_Seen]) -> Load:
    """What all processes of the generator met together."""
    latencies, late = (
        sorted(itertools.chain.from_iterable(values)) for values in ((one.latencies for one in seen), (one.late for one in seen))
    )
    p50, p99, p999, longest = (_quantile(latencies, share) for share in (0.5, 0.99, 0.999, 1.0))
    requests, failures = sum(one.requests for one in seen), sum(one.failures for one in seen)
    seconds, processor = max(one.seconds for one in seen), sum(one.processor for one in seen)
    return Load(requests, failures, seconds, p50, p99, p999, longest, _quantile(late, 0.99), processor)


def _quantile(ordered: list[float], share: float) -> float:
    """The smallest value that a share of them does not exceed, in milliseconds; nan when there are none."""
    return 1e3 * ordered[max(0, -int(-share * len(ordered) // 1) - 1)] if ordered else float("nan")


def main() -> None:
    """Read the settings from standard input, run, and write what was seen to standard output."""
    asked = _Settings(**json.loads(sys.stdin.readline()))
    os.sched_setaffinity(0, {asked.processor})
    generator = _Generator(asked)
    print("ready", flush=True)
    began = json.loads(sys.stdin.readline())
    # Where it may, it runs before anything else: a client on another machine would not wait for this one's processors either.
    with suppress(AttributeError, OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    gc.disable()  # nothing in the loop makes cycles; a collection would be taken for the server's latency
    print(json.dumps(asdict(generator.run(began))))


if __name__ == "__main__":
    main()
