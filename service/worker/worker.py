"""The web worker: Gunicorn's threaded one, with a main loop that receives every request and sends every answer without waiting.

A short request is answered where it has arrived, in the main loop: to hand it to a thread and back, and the interpreter's
lock to and fro meanwhile, costs as much as a prediction. Everything else goes to the threads, when it is whole. So nobody
who sends slowly, or nothing, or takes no answer, holds a thread; each only runs out of its time.
Who connected before the worker was told to stop is answered, and who comes later is refused at once rather than taken in
by the kernel and cut off at the end.
"""

import gc
import importlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from gunicorn.http import wsgi
from gunicorn.workers.gthread import TConn

from service.allocator import keep_for_requests
from service.errors import MustWait, Overloaded, TimeLimit, Unreadable
from service.worker import direct
from service.worker.arriving import Arriving
from service.worker.client import Client
from service.worker.connections import READ, WRITE, Connections
from service.worker.unreadable import answer_to
from service.worker.waiting import Waiting

log = logging.getLogger("plumbline.worker")
SHORT = 1 << 17  # bytes of a body that is answered in the main loop, some milliseconds of work at most

SHARED = ("torch", "flask")
TYPES = {"CONTENT-TYPE", "ACCEPT"}
TABLES = ("csv", "arrow", "parquet", "ndjson")


class Abandoned(BaseException):
    """The request was answered in this thread's place; it ends here."""


class Worker(Connections):
    """A threaded worker that no client can hold up."""

    wsgi: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._at_once = max(1, self.cfg.threads - 1)
        self._most_predictions = self._settings.max_concurrent_predictions
        self._predictions = Waiting(self._settings.predict_seconds)
        self._queue: deque[Any] = deque()  # predictions that wait for a thread
        self._running = 0  # predictions in threads
        self._app: Any = None

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """The master's last step before it forks, its sockets open: have torch, and Flask, in the memory that all its processes share.

        A worker takes an eighth of the processor time to start then, a trainer a third. To import it starts no thread and touches no
        device. What is frozen is not walked by any process's garbage collector, which would write to every page of it and so copy it.
        """
        super().check_config(cfg, log)
        for name in SHARED:
            importlib.import_module(name)
        gc.collect()
        gc.freeze()

    def load_wsgi(self) -> None:
        """Load the application, and let it know of this worker."""
        keep_for_requests()
        super().load_wsgi()
        self._app, self.wsgi = self.wsgi, self._call
        main = threading.get_ident()
        self._app.stopping = lambda: not self.alive
        self._app.hurried = lambda: threading.get_ident() == main

    def _call(self, environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The application, or the refusal that is due."""
        client = environ["gunicorn.socket"]

        def begin(*args: Any) -> Any:
            if client.abandoned:
                raise Abandoned
            return start_response(*args)

        if client.refusal is not None:
            refused: Iterable[bytes] = self._app.refuse(environ, start_response, client.refusal)
            return refused
        answered: Iterable[bytes] = self._app(environ, begin if client.predicting else start_response)
        return answered

    # Receiving

    def enqueue_req(self, conn: Any) -> None:
        """Take in a new connection."""
        conn.sock = Client(conn.sock.detach())
        conn.parser = Arriving(self.cfg, conn.client, self._settings.spool)
        conn.initialized = True
        self._heads.add(conn)
        self._receive(conn)

    def _ready(self, conn: Any) -> None:
        """Go on with a connection that can be read or, where an answer waits, written."""
        if conn.sock.unsent:
            self._send(conn, keep=conn.sock.keep)
        else:
            self._receive(conn)

    def _receive(self, conn: Any) -> None:
        """Take in what has arrived of a request."""
        try:
            count = conn.sock.recv_into(self._received)
        except BlockingIOError:
            self._watch(conn, READ)
            return
        except OSError:
            count = 0
        try:
            if count:
                conn.parser.feed(bytes(self._received[:count]))
            else:
                conn.parser.end()
        except OSError:
            self._refuse(conn, Overloaded("there is no space to keep the body until it has arrived: try again later"))
        else:
            self._advance(conn)

    def _advance(self, conn: Any) -> None:
        """Answer a request that has arrived, or wait for the rest of it."""
        arriving = conn.parser
        if arriving.ready:
            self._dispatch(conn)
        elif arriving.closed:
            self._drop(conn)
        elif arriving.request is None:
            if arriving.begun:
                self._idle.discard(conn)
                self._heads.add(conn)
            self._watch(conn, READ)
        elif conn not in self._bodies and not self._admits(conn):
            arriving.cut()  # the application refuses it without reading the body
            self._answer_here(conn)
        elif sum(other.parser.size for other in self._bodies) > self._most_held:
            self._refuse(conn, Overloaded("too many bodies are arriving at the same time: try again later"))
        else:
            self._watch(conn, READ)

    def _admits(self, conn: Any) -> bool:
        """Whether the body of a request that begins like this is waited for; a client that asks first is told to send it."""
        request = conn.parser.request
        environ = direct.environ_of(request, conn.server) or wsgi.create(request, conn.sock, conn.client, conn.server, self.cfg)[1]
        conn.parser.limit = self._app.awaits(environ)
        if not conn.parser.limit:
            return False
        if conn.parser.expects:
            conn.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            with suppress(OSError):  # whoever reads next will find out
                conn.sock.flush()
        self._leave(conn)
        self._bodies.add(conn)
        return True

    # Answering

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:  # noqa: ARG002 - Gunicorn's signature
        """Answer a request that never reached the application. Gunicorn's own answer, and its log line, repeat what was sent."""
        status, answer = answer_to(exc)
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("a request could not be handed to the application", exc_info=exc)
        else:
            log.warning("a request's head cannot be read", extra={"error": type(exc).__name__, "status": status.value})
        with suppress(OSError):  # the client has gone
            client.sendall(answer)

    def _dispatch(self, conn: Any) -> None:
        """Answer a request here or in a thread."""
        request = conn.parser.request
        if request is None:
            self._answer_here(conn)
            return
        predicts = self._app.is_prediction(request.method, request.path)
        if conn.parser.size > SHORT or not (predicts or self._app.is_quick(request.method, request.path)) or not is_plain(request):
            self._leave(conn)
            self._answer_in_thread(conn)
        else:
            self._answer_here(conn, direct.environ_of(request, conn.server) if predicts and "%" not in request.path else None)

    def _answer_here(self, conn: Any, environ: dict[str, Any] | None = None) -> None:
        """Answer a request at once, directly where its environment is given; one that turns out to need a wait goes to a thread."""
        self._leave(conn)
        try:
            keep = self.handle(conn) if environ is None else self._answer_directly(conn, environ)
        except MustWait:
            conn.parser.rewind()
            conn.sock.short = True
            self._answer_in_thread(conn)
        else:
            self._send(conn, keep=keep)

    def _answer_directly(self, conn: Any, environ: dict[str, Any]) -> bool:
        """Answer a request without Gunicorn; whether the connection may be kept."""
        request = conn.parser.request
        try:
            keep = direct.answer(self._app, request, environ, conn.sock.sendall, closing=not self.alive)
        except Exception as error:  # noqa: BLE001 - as Gunicorn has it: the connection fails, the worker does not
            self.handle_error(request, conn.sock, conn.client, error)
            return False
        return keep and conn.parser.finish_body()

    def _refuse(self, conn: Any, refusal: Exception) -> None:
        """Answer a request by an error of ours; what has not arrived of it is not waited for."""
        if not conn.parser.ready:
            conn.parser.cut()
        conn.sock.refusal = refusal
        self._answer_here(conn)

    def _answer_in_thread(self, conn: Any) -> None:
        """Have a thread answer, a prediction as soon as one is free for it: the last one never predicts.

        Short ones, which only wait for storage, come before large ones and are not counted with them.
        """
        short = conn.sock.short
        request = conn.parser.request
        self._watch(conn, 0)
        if not self._app.is_prediction(request.method, request.path):
            super().enqueue_req(conn)
        elif not short and sum(not other.sock.short for other in self._predictions) >= self._most_predictions:
            text = f"{self._most_predictions} predictions wait already, as many as PLUMBLINE_MAX_CONCURRENT_PREDICTIONS allows: try again"
            self._refuse(conn, Overloaded(text))
        else:
            conn.sock.predicting = True
            self._predictions.add(conn)
            (self._queue.appendleft if short else self._queue.append)(conn)
            self._predict_next()

    def _predict_next(self) -> None:
        """Let as many predictions run as there are threads for them."""
        while self._queue and self._running < self._at_once:
            self._running += 1
            super().enqueue_req(self._queue.popleft())

    def finish_request(self, conn: Any, fs: Future[Any]) -> None:
        """A thread has answered."""
        client = conn.sock
        if client.predicting:
            self._running -= 1
            self._predictions.discard(conn)
            self._predict_next()
        if client.abandoned:
            self._drop(conn)
        else:
            self._send(conn, keep=fs.exception() is None and bool(fs.result()))

    def _give_up(self, conn: Any) -> None:
        """Answer a prediction whose time is over; a thread that is at it goes on, but nobody hears of it."""
        self._predictions.discard(conn)
        refusal = TimeLimit(f"the prediction took longer than {self._predictions.seconds:g} seconds, which PLUMBLINE_PREDICT_SECONDS sets")
        if conn in self._queue:
            self._queue.remove(conn)
            conn.sock.predicting = False
            self._refuse(conn, refusal)
            return
        conn.sock.abandoned = True
        other = TConn(self.cfg, Client(os.dup(conn.sock.fileno())), conn.client, conn.server)
        other.parser, other.initialized = conn.parser.stand_in(), True
        self.nr_conns += 1
        self._refuse(other, refusal)

    def _send(self, conn: Any, *, keep: bool) -> None:
        """Send the answer as the client takes it, then go on to its next request or close."""
        client = conn.sock
        client.keep = keep
        try:
            sent = client.flush()
        except OSError:
            self._drop(conn)
            return
        if not sent:
            self._answers.add(conn)
            self._watch(conn, WRITE)
            return
        self._answers.discard(conn)
        client.refusal, client.predicting, client.short = None, False, False
        if not keep:
            self._close(conn)
        elif conn.parser.next():
            self._watch(conn, 0)
            self.method_queue.defer(self._advance, conn)  # by way of the loop, so that others have their turn
        else:
            self._idle.add(conn)
            self._watch(conn, READ)

    def murder_pending(self) -> None:
        """Tell clients whose request has taken too long."""
        super().murder_pending()
        now = time.monotonic()
        for conn in self._bodies.overdue(now):
            text = f"the body did not arrive within {self._bodies.seconds:g} seconds, which PLUMBLINE_BODY_SECONDS sets"
            self._refuse(conn, Unreadable(text))
        for conn in self._predictions.overdue(now):
            self._give_up(conn)


def is_plain(request: Any) -> bool:
    """Whether a body is as long as it is, for a compressed one unfolds, and needs no library that takes a second to load at first."""
    return not any(
        name == "CONTENT-ENCODING" or (name in TYPES and any(table in value.lower() for table in TABLES)) for name, value in request.headers
    )
