"""The web worker: Gunicorn's threaded one, made quicker and made to keep three promises.

A short request that has arrived whole is answered where it is found, in the main loop: to hand it to a thread and back, and the
interpreter's lock to and fro meanwhile, costs as much as a prediction. Everything else goes to the threads.
Who connected before the worker was told to stop is answered, and who comes later is refused at once rather than taken in
by the kernel and cut off at the end; a client that is slow to close its end of a finished connection delays nobody; and
one that connects and sends nothing takes no thread.
"""

import fcntl
import re
import select
import selectors
import socket
import struct
import sys
import termios
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

LINGER_SECONDS = 2.0
SHORT = 1 << 17  # bytes of a request that is answered in the main loop, some milliseconds of work at most
STALLED = struct.pack("ll", 5, 0)  # seconds and microseconds after which a client that takes nothing of its answer is given up
MOMENT_MILLISECONDS = 2
LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,9})[ \t]*\r\n", re.IGNORECASE)
BODY_UNKNOWN = re.compile(rb"\r\n(?:transfer-encoding|content-encoding|expect|upgrade):", re.IGNORECASE)  # its size, or its size unpacked
CHUNK = 1 << 16


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no type hints
    """A threaded worker that loses no connection when it stops and never waits for a client to close."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_quick: Callable[[bytes, bytes], bool] = lambda _method, _path: False
        self._lingering: deque[tuple[float, socket.socket]] = deque()  # by the time they are closed at the latest

    def load_wsgi(self) -> None:
        """Load the application, which tells by `is_quick` what it answers at once."""
        super().load_wsgi()
        self._is_quick = getattr(self.wsgi, "is_quick", self._is_quick)

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
        """Answer a connection's next request here or in a thread, or wait for it.

        The connection's end is ours, because Gunicorn's would wait for the client in the main loop.
        """
        if not conn.initialized:
            conn.close = partial(self._close, conn.sock)
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, STALLED)
        arrived = b"" if _buffered(conn) else _peek(conn.sock)
        if arrived is None:
            self._wait(conn)
        elif self._is_short(arrived, conn.sock) and not _unsent(conn.sock):
            self._answer(conn)
        else:
            super().enqueue_req(conn)

    def _answer(self, conn: Any) -> None:
        """Answer a short request here."""
        conn.data_ready = True
        done: Future[Any] = Future()
        try:
            done.set_result(self.handle(conn))
        except Exception as error:  # noqa: BLE001 - as in a thread, whose future would hold it
            done.set_exception(error)
        self.finish_request(conn, done)

    def _wait(self, conn: Any) -> None:
        """Leave a connection on which nothing has arrived to the poller, as Gunicorn does after it held a thread for five seconds."""
        conn.sock.setblocking(False)  # noqa: FBT003 - the socket's signature
        conn.timeout = time.monotonic() + self.cfg.keepalive
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def _is_short(self, arrived: bytes, client: socket.socket) -> bool:
        """Whether one whole request is there, or is within a moment, of a kind that the application answers at once."""
        end = arrived.find(b"\r\n\r\n")
        if end < 0:
            return False
        method, _, rest = arrived[: arrived.find(b"\r\n")].partition(b" ")
        if not self._is_quick(method, rest.partition(b" ")[0].partition(b"?")[0]):
            return False
        if BODY_UNKNOWN.search(arrived, 0, end):
            return False
        length = LENGTH.search(arrived, 0, end + 2)
        whole = end + 4 + (int(length[1]) if length else 0)
        return len(arrived) >= whole or (whole <= SHORT and _arrives(client, whole))

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


def _buffered(conn: Any) -> bool:
    """Whether a further request of the connection was read already."""
    return conn.parser is not None and bool(conn.parser.unreader.buf.getvalue())


def _peek(client: socket.socket) -> bytes | None:
    """What has arrived and can be read, at most a short request of it; None when nothing has."""
    try:
        return client.recv(SHORT, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except OSError:
        return b""  # whoever reads will find out


def _arrives(client: socket.socket, whole: int) -> bool:
    """Whether the rest of a request of `whole` bytes is there within a moment, as it is when its segments are on their way."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, whole)
    waiting = select.poll()
    waiting.register(client, select.POLLIN)
    arrived = bool(waiting.poll(MOMENT_MILLISECONDS))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
    return arrived


def _unsent(client: socket.socket) -> bool:
    """Whether earlier answers still wait for the client to take them."""
    try:
        return bool(int.from_bytes(fcntl.ioctl(client, termios.TIOCOUTQ, bytes(4)), sys.byteorder))
    except OSError:
        return True
