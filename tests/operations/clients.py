"""HTTP clients that keep their connections, alone and as a load."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.operations.processes import holder, only
from tests.support import Reply, Service

Problem = (OSError, http.client.HTTPException)


class Kept:
    """One keep-alive connection; `announced` tells whether the server said that it will close it."""

    def __init__(self, service: Service, timeout: float = 60) -> None:
        host, _, port = service.url.removeprefix("http://").partition(":")
        self._connection = http.client.HTTPConnection(host, int(port), timeout=timeout)
        self._connection.auto_open = 0
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = int(self._connection.sock.getsockname()[1])
        self.announced = False

    def ask(self, method: str, path: str, document: Any = None, headers: dict[str, str] | None = None) -> Reply:
        """One request and its answer on this connection; a document of bytes is sent as it is."""
        body = document if document is None or isinstance(document, bytes) else json.dumps(document).encode()
        self._connection.request(method, path, body, {"Content-Type": "application/json"} | (headers or {}))
        answer = self._connection.getresponse()
        content = answer.read()
        self.announced = answer.will_close
        return Reply(answer.status, {name.lower(): value for name, value in answer.headers.items()}, content)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@contextmanager
def connections_to(service: Service, pids: list[int]) -> Iterator[dict[int, Kept]]:
    """A kept connection to each of the workers."""
    kept = {}
    for pid in pids:
        with only(service, pid):
            kept[pid] = Kept(service)
            assert kept[pid].ask("GET", "/livez").status == 200
        assert holder(service, kept[pid].port) == pid
    try:
        yield kept
    finally:
        for connection in kept.values():
            connection.close()


@dataclass
class Record:
    """What one client of a load saw: the answers of each of its connections, and the requests that got none."""

    connections: list[list[Reply]] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


@contextmanager
def load(service: Service, clients: int, document: Any, path: str = "/predict", pause: float = 0.0) -> Iterator[list[Record]]:
    """Clients that ask on kept connections, `pause` seconds after each answer, until the block ends or the service refuses connections."""
    done = threading.Event()
    records = [Record() for _ in range(clients)]
    ask = partial(_ask_on, service, document, path, pause=pause)
    threads = [threading.Thread(target=ask, args=(record, done.is_set)) for record in records]
    for thread in threads:
        thread.start()
    try:
        yield records
    finally:
        done.set()
        for thread in threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in threads)


def _ask_on(service: Service, document: Any, path: str, record: Record, done: Callable[[], bool], *, pause: float) -> None:
    while not done():
        try:
            connection = Kept(service)
        except OSError:  # nobody listens: before the service is back, or after its end
            if service.process is None or service.process.poll() is not None:
                return
            continue
        answers: list[Reply] = []
        record.connections.append(answers)
        while not done() and not connection.announced:
            try:
                answers.append(connection.ask("POST", path, document))
                time.sleep(pause)
            except Problem as error:
                record.lost.append(f"request {len(answers)} of a connection: {error!r}")
                break
        connection.close()
