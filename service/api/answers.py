"""An HTTP answer before it belongs to any framework, and the problem documents (RFC 9457) that errors become.

`STATUS` is the one place where an error meets a status; a test keeps it complete.
"""

import http
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from werkzeug.exceptions import HTTPException

from model_store import errors as store_errors
from service import errors
from service.documents import dump

JSON = "application/json"
CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
PROBLEM = "application/problem+json"
log = logging.getLogger("plumbline.api")

STATUS: dict[type[Exception], int] = {
    errors.Unreadable: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.Elsewhere: 404,
    errors.UnknownJob: 404,
    errors.NotKept: 404,
    store_errors.NotFound: 404,
    errors.NotAcceptable: 406,
    errors.Contradiction: 409,
    errors.Cancelled: 409,
    store_errors.AlreadyExists: 409,
    store_errors.Conflict: 409,
    errors.PreconditionFailed: 412,
    errors.TooLarge: 413,
    errors.UnsupportedMedia: 415,
    errors.Invalid: 422,
    store_errors.InvalidName: 422,
    store_errors.BadArchive: 422,
    errors.QueueFull: 429,
    errors.BadSetting: 500,
    store_errors.CorruptObject: 500,
    store_errors.StoreError: 500,
    errors.NotReady: 503,
    errors.JobLost: 503,
    store_errors.StoreUnavailable: 503,
    errors.TimeLimit: 504,
    store_errors.StoreFull: 507,
}
RETRY = (("Retry-After", "1"),)
HEADERS = {401: (("WWW-Authenticate", 'Bearer realm="plumbline"'),), 429: RETRY, 503: RETRY}


@dataclass(frozen=True)
class Answer:
    """Status, body and headers of a response."""

    status: int
    body: bytes
    media_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Fault:
    """What is told of an error, in whatever form: the status, what is wrong, and by path what is wrong with each part."""

    status: int
    detail: str
    errors: Mapping[str, list[str]] = field(default_factory=dict)
    headers: tuple[tuple[str, str], ...] = ()


def json_answer(document: Any, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """An answer in JSON."""
    return Answer(status, dump(document), JSON, headers)


def problem(fault: Fault) -> Answer:
    """A problem document."""
    document: dict[str, Any] = {"title": http.HTTPStatus(fault.status).phrase, "status": fault.status, "detail": fault.detail}
    if fault.errors:
        document["errors"] = fault.errors
    return Answer(fault.status, dump(document), PROBLEM, fault.headers)


def status_of(kind: type[BaseException]) -> int | None:
    """The status of an error class or of the nearest of its ancestors in the table."""
    return next((STATUS[ancestor] for ancestor in kind.__mro__ if ancestor in STATUS), None)


def fault_of(error: Exception) -> Fault:
    """What to tell of any error; of one that nobody foresaw only the request's id is told, the rest is logged."""
    if isinstance(error, HTTPException) and error.code is not None:
        headers = tuple((name, value) for name, value in error.get_headers() if name in ("Allow", "Location"))
        return Fault(error.code, error.description or "", headers=headers)
    status = status_of(type(error))
    if status is None:
        log.error("an unforeseen error", exc_info=error)
        return Fault(500, "the service failed; its log says why under this answer's X-Request-Id")
    if status >= 500:
        log.warning(str(error), extra={"error": type(error).__name__})
    return Fault(status, str(error), getattr(error, "errors", {}), HEADERS.get(status, ()))


def problem_of_job(failure: Mapping[str, Any]) -> Answer:
    """The problem document of the error that ended a job; its record names the error's class."""
    kind = next((kind for kind in known_errors() if kind.__name__ == failure["kind"]), None)
    status = (kind and status_of(kind)) or 500
    return problem(Fault(status, failure["detail"], failure["errors"] or {}, HEADERS.get(status, ())))


def known_errors() -> Iterator[type[Exception]]:
    """Every class of the two error trees."""
    waiting: list[type[Exception]] = [errors.PlumblineError, store_errors.StoreError]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        yield kind
