"""Who may do what: tokens where they are configured, Host and Origin where only this machine can connect.

What is not known to be a read is a write, so a route that is added and forgotten here is closed, not open.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import SplitResult, urlsplit

from service.config import is_loopback
from service.errors import Forbidden, Unauthorized

OPEN = frozenset({
    "/", "/livez", "/readyz", "/metrics", "/openapi.json", "/docs", "/v2/health/live", "/v2/health/ready", "/ping", "/health", "/version",
})  # fmt: skip
READING_POSTS = frozenset({"/predict", "/v2/repository/index", "/invocations"})
READING_POST = re.compile(r"/v2/models/[^/]+(/versions/[^/]+)?/infer|/v1/models/.+")  # TensorFlow's and KServe's addresses change nothing
OPEN_TREES = ("/docs/", "/web/")  # the files of pages, which hold nothing of the store
READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """Checks one request's right to happen; `reading_posts` and `open_paths` are addresses that a platform chose, beside our own."""

    def __init__(
        self, *, write_tokens: Iterable[str], read_tokens: Iterable[str], reading_posts: Iterable[str] = (), open_paths: Iterable[str] = ()
    ) -> None:
        self._write = [token.encode() for token in write_tokens]
        self._read = [token.encode() for token in read_tokens]
        self._reading_posts, self._open = READING_POSTS.union(reading_posts), OPEN.union(open_paths)

    def check(self, method: str, path: str, *, authorization: str | None, host: str, origin: str | None) -> str:
        """Let a request pass and say who sent it.

        Raises:
            Unauthorized: a token is needed and none was sent.
            Forbidden: the token, Host or Origin is not one that may do this.
        """
        reading = self.is_read(method, path)
        if not self._write:
            _check_local(host, origin)
        accepted = self._read + self._write if reading and self._read else [] if reading else self._write
        if not accepted or path in self._open or path.startswith(OPEN_TREES):
            return "anonymous"
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthorized("this needs a token: send it as `Authorization: Bearer TOKEN`")
        # Every token is compared, so that the time taken does not tell which one was nearly right.
        if not sum(hmac.compare_digest(token.encode(), known) for known in accepted):
            raise Forbidden("this token may not do this", "wrong token")
        return "token " + hashlib.sha256(token.encode()).hexdigest()[:8]

    def is_read(self, method: str, path: str) -> bool:
        """Whether a request changes nothing."""
        if method == "POST":
            return path in self._reading_posts or READING_POST.fullmatch(path) is not None
        return method in READING_METHODS


def _check_local(host: str, origin: str | None) -> None:
    """Without tokens only this machine may ask, and no web page of another origin through a browser on it."""
    if not _is_local(host):
        text = "without a write token only requests to localhost are answered: set PLUMBLINE_WRITE_TOKEN to open the service"
        raise Forbidden(text, "host")
    if origin is not None and _split(origin).netloc != host:
        raise Forbidden("a page of another origin may not use this service without a token", "origin")


@lru_cache(maxsize=256)
def _is_local(host: str) -> bool:
    """Whether a Host header names this machine alone."""
    return is_loopback(_split(f"//{host}").hostname or "")


def _split(address: str) -> SplitResult:
    """The parts of an address; none when it is not one."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")
