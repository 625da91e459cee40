"""The web worker: Gunicorn's threaded one, made to keep two promises.

Who connected before the worker was told to stop is answered, and who comes later is refused at once rather than taken in
by the kernel and cut off at the end; and a client that is slow to close its end of a finished connection delays nobody.
"""

import select
import selectors
import socket
import time
from collections import deque
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

LINGER_SECONDS = 2.0
CHUNK = 1 << 16


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no type hints
    """A threaded worker that loses no connection when it stops and never waits for a client to close."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lingering: deque[tuple[float, socket.socket]] = deque()  # by the time they are closed at the latest

    def set_accept_enabled(self, enabled: bool) -> None:  # noqa: FBT001 - Gunicorn's signature
        """Start or stop accepting; the last stop empties the queue of connections first."""
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            for listener in self.sockets:
                listener.setblocking(False)  # noqa: FBT003 - the socket's signature
                waiting = select.poll()
                waiting.register(listener, select.POLLIN)
                while waiting.poll(0):
                    self.accept(listener)
                listener.close()

    def enqueue_req(self, conn: Any) -> None:
        """Hand a connection to the threads; its end is ours, because Gunicorn's would wait for the client in the main loop."""
        conn.close = partial(self._close, conn.sock)
        super().enqueue_req(conn)

    def murder_pending(self) -> None:
        """Close what has waited long enough."""
        super().murder_pending()
        while self._lingering and self._lingering[0][0] < time.monotonic():
            self._drop(self._lingering[0][1])

    def _close(self, client: socket.socket, *, graceful: bool = False) -> None:
        """Close a connection; gracefully means after the client has, for the kernel drops an answer on the way when unread bytes remain."""
        if not graceful:
            client.close()
            return
        try:
            client.shutdown(socket.SHUT_WR)
            client.setblocking(False)  # noqa: FBT003 - the socket's signature
            self.poller.register(client, selectors.EVENT_READ, self._drain)
        except (OSError, ValueError, KeyError):
            client.close()
        else:
            self.nr_conns += 1  # it still counts, and a worker that stops waits for it
            self._lingering.append((time.monotonic() + LINGER_SECONDS, client))

    def _drain(self, client: socket.socket) -> None:
        """Throw away what a client still sends, until it closes."""
        try:
            ended = not client.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            ended = True
        if ended:
            self._drop(client)

    def _drop(self, client: socket.socket) -> None:
        self._lingering = deque(entry for entry in self._lingering if entry[1] is not client)
        self.nr_conns -= 1
        with suppress(KeyError, ValueError, OSError):
            self.poller.unregister(client)
        client.close()
