"""One service as HTTP sees it: its address, its token, and sending again what may be sent again."""

import http
import io
import json
import random
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from service.client.problem import Problem

TRIES = 6
FIRST_PAUSE = 0.2  # seconds; doubled with each further try
LONGEST_PAUSE = 10.0
TRY_LATER = (429, 503)
Content = bytes | Path | BinaryIO
Again = Literal["always", "unsent"]
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
NO_NAME = "must be 1 to 64 letters, digits, dots, underscores or hyphens, the first a letter or digit"
UNSENT = (NewConnectionError, ConnectTimeoutError)


@dataclass(frozen=True)
class Body:
    """What a request sends: bytes, a file by its path, or an open file, which is read from where it stands."""

    content: Content
    media_type: str


@dataclass(frozen=True)
class Answer:
    """An answer that is no error; the names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def document(self) -> Any:
        """The body, which is JSON."""
        return json.loads(self.content)


class Connection:
    """Requests to the service at an address; connections are kept and shared between threads.

    `timeout` is how many seconds the service may be silent, `token` the bearer token that goes with each request.
    """

    def __init__(self, url: str, *, token: str | None, timeout: float) -> None:
        parsed = urllib3.util.parse_url(url)
        if parsed.scheme not in ("http", "https") or not parsed.host or parsed.auth:
            raise ValueError("url must be that of a service, such as http://127.0.0.1:8080; a token is given as token")
        self.url = f"{parsed.scheme}://{parsed.netloc}{(parsed.path or '').rstrip('/')}"
        self._headers = {"User-Agent": "plumbline-client"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self._pool = urllib3.PoolManager(
            maxsize=8, timeout=urllib3.Timeout(connect=min(timeout, 10.0), read=timeout), retries=False, headers=self._headers
        )

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        again: Again = "always",
    ) -> Answer:
        """The answer to a request.

        A connection that breaks, 429 and 503 are tried again, at most `TRIES` times in all and not before `Retry-After`; with `again`
        "unsent" only where nothing has reached the service.

        Raises:
            Problem: the service refuses, or cannot be asked.
        """
        url = self.url + path + (f"?{urlencode(query, doseq=True)}" if query else "")
        sent = dict(self._headers) | dict(headers or {}) | ({"Content-Type": body.media_type} if body else {})
        with _opened(body) as file:
            start = file.tell() if file and file.seekable() else None
            tries = TRIES if file is None or start is not None else 1  # what has been read of a pipe cannot be sent again
            for attempt in range(1, tries + 1):
                if file is not None and start is not None:
                    file.seek(start)
                answer, problem, pause = self._once(method, url, file, sent, again)
                if answer is not None:
                    return answer
                if pause is None or attempt == tries:
                    raise problem
                time.sleep(min(max(pause, FIRST_PAUSE * 2 ** (attempt - 1) * random.uniform(0.5, 1)), LONGEST_PAUSE))  # noqa: S311
        raise AssertionError("unreachable")  # pragma: no cover

    def _once(
        self, method: str, url: str, file: BinaryIO | None, headers: dict[str, str], again: Again
    ) -> tuple[Answer | None, Problem, float | None]:
        """The answer, or what is wrong and after how many seconds at least to try again, None for not at all."""
        try:
            response = self._pool.request(method, url, body=file, headers=headers | _length(file), redirect=False)
            answer = Answer(response.status, {name.lower(): value for name, value in response.headers.items()}, response.data)
        except (HTTPError, OSError) as error:
            reason = f"{self.url} cannot be asked ({type(error).__name__}): is the service running there?"
            return None, Problem(reason), 0.0 if again == "always" or isinstance(error, UNSENT) else None
        if answer.status < 300 or answer.status == http.HTTPStatus.NOT_MODIFIED:
            return answer, Problem(""), None
        later = answer.status in TRY_LATER and again == "always"
        return None, problem_of(answer), _seconds(answer.headers.get("retry-after")) if later else None


def problem_of(answer: Answer) -> Problem:
    """The error that an answer tells."""
    try:
        document = json.loads(answer.content)
        detail, errors = str(document["detail"]), document.get("errors")
    except (ValueError, KeyError, TypeError):  # not the service's own words: of a proxy, or of another server
        phrase = {status.value: status.phrase for status in http.HTTPStatus}.get(answer.status, "")
        detail, errors = f"the answer is {answer.status} {phrase}".rstrip(), None
    return Problem(detail, status=answer.status, errors=errors, request_id=answer.headers.get("x-request-id"))


@contextmanager
def _opened(body: Body | None) -> Iterator[BinaryIO | None]:
    """The content of a body as a file; one that is opened here is closed here."""
    if body is None:
        yield None
    elif isinstance(body.content, bytes):
        yield io.BytesIO(body.content)
    elif isinstance(body.content, Path):
        with body.content.open("rb") as file:
            yield file
    else:
        yield body.content


def _length(file: BinaryIO | None) -> dict[str, str]:
    """The header that announces the length of what is left of a file, where that is known."""
    if file is None or not file.seekable():
        return {}
    here = file.tell()
    length = file.seek(0, io.SEEK_END) - here
    file.seek(here)
    return {"Content-Length": str(length)}


def _seconds(retry_after: str | None) -> float:
    try:
        return max(float(retry_after or 0), 0.0)
    except ValueError:  # a date; the pauses between the tries are long enough
        return 0.0


def path_of(*parts: str) -> str:
    """The path that is made of names; what is no name is refused here, before it could lead elsewhere.

    Raises:
        Problem: names a part that is not one; its status is None.
    """
    if wrong := [part for part in parts if not NAME.fullmatch(part)]:
        raise Problem("the names in a request must be those of models, versions, aliases or jobs", errors={wrong[0]: [NO_NAME]})
    return "/" + "/".join(parts)
