"""A way to the service on which connections break where a test says so."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from tests.support import Service


class Breaking:
    """A port of 127.0.0.1 that leads to a service; the first `cuts` connections lose their answer once the request has been answered."""

    def __init__(self, service: Service, cuts: int) -> None:
        host, _, port = service.url.removeprefix("http://").partition(":")
        self._to, self._left, self.broken = (host, int(port)), cuts, 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Let no further connection through."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                self._left -= 1
                threading.Thread(target=self._join, args=(client, self._left >= 0), daemon=True).start()

    def _join(self, client: socket.socket, cut: bool) -> None:  # noqa: FBT001
        with client, socket.create_connection(self._to) as server:
            there = threading.Thread(target=self._pump, args=(client, server, False))
            there.start()
            self._pump(server, client, cut)
            there.join()

    def _pump(self, source: socket.socket, target: socket.socket, cut: bool) -> None:  # noqa: FBT001
        with suppress(OSError):
            while part := source.recv(1 << 16):
                if cut:
                    self.broken += 1
                    break
                target.sendall(part)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def breaking(service: Service) -> Iterator[Callable[[int], Breaking]]:
    """Make a way to the shared service that breaks so many times."""
    made: list[Breaking] = []

    def make(cuts: int) -> Breaking:
        made.append(Breaking(service, cuts))
        return made[-1]

    yield make
    for way in made:
        way.close()
