"""The gate: what every request passes, whatever answers it. Request id, guard, body limit, metrics and the log lines are here.

Behind it stand the hot doors, reached without a framework because Flask's dispatch is a third of a one-row prediction,
and Flask for everything else. Both raise the same errors and both are wrapped by the same gate.
"""

import http
import itertools
import logging
import os
import re
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from service import metrics
from service.api.answers import Answer
from service.api.bodies import check_body, whole_body
from service.api.forms import refusal
from service.api.guard import Guard
from service.errors import Elsewhere, Forbidden, PlumblineError, Unauthorized
from service.logs import AUDIT, request_line

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HotDoor = Callable[[bytearray, "WSGIEnvironment"], Answer]
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
ROUTE, WHO, ID = "plumbline.route", "plumbline.who", "plumbline.request_id"
WRITTEN = "plumbline.written"  # what a write concerns (model, version, alias), told by the doors for the audit line
UNKNOWN = "unknown"
QUICK = frozenset({"/livez"})
METRICS = "/metrics"
MADE = (201, 202)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
REASONS = {status.value: f"{status.value} {status.phrase}" for status in http.HTTPStatus}
log = logging.getLogger("plumbline.request")
audit = logging.getLogger(AUDIT)


class Hot(NamedTuple):
    """A door reached without a framework: what its route is called, and what answers."""

    route: str
    door: HotDoor


class Gate:
    """A WSGI application: the hot doors that `find` tells by a path, for POST, and `rest` for everything else.

    The server that runs it sets `stopping`, which tells whether this worker is about to end, and `hurried`, which tells
    whether the request that is being answered must not wait for anything.
    """

    stopping: Callable[[], bool] = staticmethod(lambda: False)
    hurried: Callable[[], bool] = staticmethod(lambda: False)

    def __init__(
        self,
        guard: Guard,
        find: Callable[[str], Hot | None],
        rest: "WSGIApplication",
        *,
        max_body_bytes: int,
        metrics_port: int | None = None,
    ) -> None:
        self._guard, self._find, self._rest, self._max_body_bytes = guard, find, rest, max_body_bytes
        self._metrics_port = str(metrics_port) if metrics_port else ""
        self._counted: dict[tuple[str, str, str], tuple[Any, Any]] = {}
        self._process, self._numbers = os.urandom(8).hex(), itertools.count(1)  # random bytes for each request cost a system call

    def is_prediction(self, method: str, path: str) -> bool:
        """Whether a request is for a hot door."""
        return method == "POST" and self._find(path) is not None

    def is_quick(self, method: str, path: str) -> bool:
        """Whether a request that is no prediction is answered within milliseconds, so that it need not go to a thread."""
        return method != "POST" and path in QUICK

    def awaits(self, environ: "WSGIEnvironment") -> int:
        """The most bytes of a body that are worth waiting for; 0 when the head alone has the request refused."""
        try:
            self._check(environ)
        except PlumblineError:
            return 0
        return self._max_body_bytes

    def refuse(self, environ: "WSGIEnvironment", start_response: "StartResponse", refusal: Exception) -> Iterable[bytes]:
        """Answer one request with an error of the server that received it."""
        return self(environ, start_response, refusal)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse", refused: Exception | None = None) -> Iterable[bytes]:
        """Answer one request."""
        started = time.perf_counter()
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        environ[ID] = request_id = self._request_id(environ)
        status = 500
        environ[WRITTEN] = {}

        def begin(line: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            nonlocal status
            status = int(line[:3])
            if status in MADE:
                environ[WRITTEN] |= next((_made(value) for name, value in headers if name == "Location"), {})
            return start_response(line, [*headers, ("X-Request-Id", request_id)], exc_info)

        try:
            body = self._pass(method, path, environ, begin, refused)
        except Exception as error:  # noqa: BLE001 - the last place where an error can become an answer
            if isinstance(error, Unauthorized | Forbidden):
                metrics.REJECTED.labels(error.reason).inc()
            body = respond(refusal(path, error), method, begin)
        self._count(method, environ.get(ROUTE, UNKNOWN), status, started, request_id)
        if WHO in environ and not self._guard.is_read(method, path):
            _leave_audit_line(environ, status)
        return body

    def _pass(
        self, method: str, path: str, environ: "WSGIEnvironment", begin: "StartResponse", refused: Exception | None
    ) -> Iterable[bytes]:
        environ[WHO] = self._check(environ)
        hot = self._find(path) if method == "POST" else None
        if hot is not None:
            environ[ROUTE] = hot.route
        if refused is not None:
            raise refused
        if hot is None:
            return self._rest(environ, begin)
        return respond(hot.door(whole_body(environ, self._max_body_bytes), environ), method, begin)

    def _check(self, environ: "WSGIEnvironment") -> str:
        """Refuse by its head alone what is to be refused; who sent it.

        Raises:
            PlumblineError: the request must not be answered.
        """
        who = self._guard.check(
            environ["REQUEST_METHOD"],
            environ["PATH_INFO"],
            authorization=environ.get("HTTP_AUTHORIZATION"),
            host=environ.get("HTTP_HOST", ""),
            origin=environ.get("HTTP_ORIGIN"),
        )
        check_body(environ, self._max_body_bytes)
        if self._metrics_port and (environ["SERVER_PORT"] == self._metrics_port) != (environ["PATH_INFO"] == METRICS):
            raise Elsewhere("PLUMBLINE_METRICS_PORT sets a port of its own for /metrics, which answers nothing else")
        return who

    def _request_id(self, environ: "WSGIEnvironment") -> str:
        """The client's own request id when it is harmless, else a new one."""
        sent = environ.get("HTTP_X_REQUEST_ID")
        return sent if sent is not None and REQUEST_ID.fullmatch(sent) else f"{self._process}{next(self._numbers):016x}"

    def _count(self, method: str, route: str, status: int, started: float, request_id: str) -> None:
        seconds = time.perf_counter() - started
        key = method if method in METHODS else "other", route, str(status)
        counted = self._counted.get(key)
        if counted is None:
            counted = self._counted[key] = metrics.REQUESTS.labels(*key), metrics.REQUEST_SECONDS.labels(route)
        counted[0].inc()
        counted[1].observe(seconds)
        if log.isEnabledFor(logging.INFO):
            request_line(request_id=request_id, method=key[0], route=route, status=status, ms=round(seconds * 1e3, 3))


def _made(location: str) -> dict[str, str]:
    """The version, or the job, that an answer leads to."""
    parts = location.split("/")
    return {"job": parts[2]} if parts[1] == "jobs" else {"model": parts[2], "version": parts[4]}


def _leave_audit_line(environ: "WSGIEnvironment", status: int) -> None:
    """Log who wrote what, and how it ended; refusals of the guard are counted elsewhere."""
    method, route = environ["REQUEST_METHOD"], environ.get(ROUTE, UNKNOWN)
    told = {"request_id": environ[ID], "who": environ[WHO], "method": method if method in METHODS else "other", "route": route}
    audit.info("write", extra=told | {"status": status} | environ[WRITTEN])


def respond(answer: Answer, method: str, start_response: "StartResponse") -> list[bytes]:
    """Send an answer the WSGI way."""
    start_response(
        REASONS[answer.status],
        [("Content-Type", answer.media_type), ("Content-Length", str(len(answer.body))), *answer.headers],
    )
    return [b""] if method == "HEAD" else [answer.body]
