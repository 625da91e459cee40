"""Answering a request without Gunicorn's response object: an environment with what the gate reads, and the head of an answer.

Gunicorn reads every head that arrives. What it does besides for an application it does not know (a full environment, callbacks,
an answer of any framing) takes longer than a prediction, and a hot door needs none of it.
"""

import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from gunicorn import SERVER
from gunicorn.util import http_date, unquote_to_wsgi_str

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
OWN = {"CONTENT-TYPE": "CONTENT_TYPE", "CONTENT-LENGTH": "CONTENT_LENGTH"}


def environ_of(request: Any, server: tuple[Any, ...]) -> dict[str, Any] | None:
    """What a request to the address `server` says, as a WSGI environment.

    None where a proxy speaks of the application's place, which is Gunicorn's to read.
    """
    path: str = request.path
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "PATH_INFO": unquote_to_wsgi_str(path) if "%" in path else path,
        "QUERY_STRING": request.query or "",
        "SERVER_PORT": str(server[1]),
        "wsgi.input": request.body,
    }
    for name, value in request.headers:
        if "_" in name:
            return None
        key = OWN.get(name) or "HTTP_" + name.replace("-", "_")
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ


def answer(app: App, request: Any, environ: dict[str, Any], send: Callable[[bytes], None], *, closing: bool) -> bool:
    """Have `app` answer with a body of known length, and `send` the answer; whether the connection may be kept."""
    head: list[str] = []

    def start_response(status: str, headers: Iterable[tuple[str, str]], _exc_info: Any = None) -> None:
        major, minor = request.version
        kept = "close" if closing else "keep-alive"
        head[:] = [f"HTTP/{major}.{minor} {status}", f"Server: {SERVER}", f"Date: {_date(int(time.time()))}", f"Connection: {kept}"]
        head.extend([f"{name}: {value}" for name, value in headers])

    closing = closing or request.should_close()
    body = b"".join(app(environ, start_response))
    if any("\n" in line or "\r" in line for line in head):
        raise ValueError("a header of an answer holds a line end")
    send("\r\n".join([*head, "\r\n"]).encode("latin-1"))
    send(body)
    return not closing


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    date: str = http_date(second)
    return date
