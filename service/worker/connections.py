"""The connections of a worker: taken in, watched, and ended when their time is over or their place is needed."""

import os
import select
import selectors
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, ThreadWorker

from service.config import Config
from service.priority import behind_main_loop
from service.worker import processors
from service.worker.client import Client
from service.worker.sharing import Sharing
from service.worker.waiting import Waiting

LINGER_SECONDS = 2.0
GIVE_WAY_SECONDS = 0.005  # to a worker with fewer connections, which may be at work on a request
LOOK_AGAIN_SECONDS = 0.0001
PIECE = 1 << 18
BODIES = 2  # times the largest body: what is kept of bodies still arriving, and of answers not taken
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Connections(ThreadWorker):  # type: ignore[misc]  # gunicorn has no type hints
    """Gunicorn's threaded worker with connections that never make it wait; `_ready` is called when one can be read or written."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._settings = Config.from_environ(os.environ)
        self._most_held = BODIES * self._settings.max_body_bytes
        self._idle = Waiting(self.cfg.keepalive)
        self._heads = Waiting(self._settings.head_seconds)
        self._bodies = Waiting(self._settings.body_seconds)
        self._answers = Waiting(self._settings.body_seconds)
        self._lingering = Waiting(LINGER_SECONDS)
        self._received = memoryview(bytearray(PIECE))
        self._sharing: Sharing
        self._called = False  # whether somebody waited to be taken in, when last looked
        self._gives_way_since: float | None = None

    def _ready(self, conn: Any) -> None:
        """Go on with a connection."""
        raise NotImplementedError

    def run(self) -> None:
        """Work until the end."""
        self._sharing = Sharing(Path(self.cfg.worker_tmp_dir) / "connections")
        processors.settle(self._sharing.place, self.cfg.workers)
        super().run()

    def get_thread_pool(self) -> ThreadPoolExecutor:
        """The threads that answer what the main loop does not."""
        return ThreadPoolExecutor(self.cfg.threads, initializer=behind_main_loop)

    def accept(self, listener: Any) -> None:
        """Take in a connection, unless another worker holds fewer: that one is given a moment to take it."""
        self._called = True
        if self.alive and self._sharing.others_have_fewer(self.nr_conns):
            now = time.monotonic()
            self._gives_way_since = self._gives_way_since or now
            if now < self._gives_way_since + GIVE_WAY_SECONDS:
                time.sleep(LOOK_AGAIN_SECONDS)  # the poller would come back at once
                return
        else:
            self._gives_way_since = None
        super().accept(listener)
        self._sharing.tell(self.nr_conns)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for events and see to them."""
        self._called = False
        super().wait_for_and_dispatch_events(timeout)
        if not self._called:
            self._gives_way_since = None

    def set_accept_enabled(self, enabled: bool) -> None:  # noqa: FBT001 - Gunicorn's signature
        """Start or stop accepting; the last stop empties the queue of connections first."""
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            self._sharing.tell(None)
            for listener in self.sockets:
                listener.setblocking(False)  # noqa: FBT003 - the socket's signature
                waiting = select.poll()
                waiting.register(listener, select.POLLIN)
                while waiting.poll(0):
                    self.accept(listener)
                listener.close()

    def murder_pending(self) -> None:
        """End what has waited long enough, and make room where there is none."""
        if self.alive:
            self._sharing.tell(self.nr_conns)
        now = time.monotonic()
        for waiting in (self._idle, self._heads, self._answers, self._lingering):
            for conn in waiting.overdue(now):
                self._drop(conn)
        while self._answers and sum(conn.sock.unsent for conn in self._answers) > self._most_held:
            self._drop(self._answers.oldest())
        while self.nr_conns >= self.worker_connections:
            oldest = self._lingering.oldest() or self._idle.oldest() or self._heads.oldest()
            if oldest is None:
                break
            self._drop(oldest)

    def murder_keepalived(self, force: bool = False) -> None:  # noqa: FBT001, FBT002 - Gunicorn's signature
        """Connections that wait for nothing are ended by `murder_pending`, and at the very end by the kernel."""

    def _cap_keepalive(self, deadline: float) -> None:
        """Wait no longer than that for requests that have not arrived when the worker is to stop."""
        self._idle.cap(deadline)
        self._heads.cap(max(deadline, time.monotonic() + STOP_KEEPALIVE_LINGER))

    def _close(self, conn: Any) -> None:
        """Close a connection after the client has, for the kernel drops an answer on the way when unread bytes remain."""
        conn.parser.close()
        conn.sock.lingering = True
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._drop(conn)
        else:
            self._lingering.add(conn)
            self._watch(conn, READ)

    def _drain(self, conn: Any) -> None:
        """Throw away what a client still sends, until it closes."""
        try:
            ended = not conn.sock.recv_into(self._received)
        except BlockingIOError:
            return
        except OSError:
            ended = True
        if ended:
            self._drop(conn)

    def _drop(self, conn: Any) -> None:
        """End a connection at once."""
        self._leave(conn)
        self._answers.discard(conn)
        self._lingering.discard(conn)
        self._watch(conn, 0)
        self.nr_conns -= 1
        conn.parser.close()
        conn.sock.close()

    def _leave(self, conn: Any) -> None:
        """A connection waits for no more of a request."""
        self._idle.discard(conn)
        self._heads.discard(conn)
        self._bodies.discard(conn)

    def _watch(self, conn: Any, events: int) -> None:
        """Have the poller look for these events on a connection and no others."""
        client = conn.sock
        if events == client.watched:
            return
        if not events:
            with suppress(KeyError, ValueError, OSError):
                self.poller.unregister(client)
        elif client.watched:
            self.poller.modify(client, events, partial(self._event, conn))
        else:
            self.poller.register(client, events, partial(self._event, conn))
        client.watched = events

    def _event(self, conn: Any, client: Client) -> None:
        """Something can be read from a connection, or written to it."""
        if client.lingering:
            self._drain(conn)
        else:
            self._ready(conn)
