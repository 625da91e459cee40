"""Short predictions are answered without Gunicorn's response object, and nothing about them tells."""

import http.client
import io
import json
import socket
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http import wsgi
from gunicorn.http.message import Request
from hypothesis import given, settings
from hypothesis import strategies as st

from service.worker.arriving import Received
from service.worker.direct import answer, environ_of
from service.worker.worker import is_plain
from tests.support import Service

CFG = Config()
NAMES = st.sampled_from(["Accept", "X-Request-Id", "Authorization", "Content-Type", "Via", "Via", "X-A-B"])
VALUES = st.text("abcxyz019 ,;=/*.", max_size=12)
LINE = {"model": "direct", "instances": [[0], [1], [2]], "targets": [1, 3, 5]}
BODY = b'{"model": "direct", "instances": [[10]]}'


def read(head: bytes) -> Any:
    """A request as Gunicorn reads its head."""
    return Request(CFG, Received(io.BytesIO(head)), ("127.0.0.1", 1), 1)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(NAMES, VALUES), max_size=8), st.sampled_from(["/predict", "/v2/models/a%20b/infer", "/%C3%A9?x=1&y=%20"]))
def test_an_environment_says_what_gunicorn_makes_of_the_head(headers: list[tuple[str, str]], target: str) -> None:
    """Whatever headers come, repeated or not, each is under its name with the value that Gunicorn gives it."""
    once = {name: value for name, value in headers if name == "Content-Type"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in [*(h for h in headers if h[0] not in once), *once.items()])
    request = read(f"POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n{lines}\r\n{{}}".encode())
    full = wsgi.create(request, None, ("127.0.0.1", 1), ("127.0.0.1", 80), CFG)[1]
    environ = environ_of(request, ("127.0.0.1", 80))

    assert environ is not None
    assert environ == {name: full[name] for name in environ}
    assert {name for name in full if name.startswith(("HTTP_", "CONTENT_"))} <= set(environ)


@pytest.mark.parametrize(
    ("headers", "plain"),
    [
        ("Content-Type: application/json", True),
        ("Content-Type: application/octet-stream\r\nAccept: */*", True),
        ("X-Csv: text/csv", True),
        ("Content-Type: text/CSV; charset=utf-8", False),
        ("Content-Type: application/x-ndjson", False),
        ("Content-Type: application/json\r\nAccept: application/vnd.apache.arrow.stream", False),
        ("Content-Type: application/json\r\nContent-Encoding: gzip", False),
    ],
)
def test_what_may_take_long_is_not_answered_in_the_main_loop(headers: str, *, plain: bool) -> None:
    """A compressed body unfolds, and the first table makes a worker load a library; both are a thread's work."""
    assert is_plain(read(f"POST /predict HTTP/1.1\r\n{headers}\r\n\r\n".encode())) is plain


def test_what_a_proxy_says_of_the_application_is_left_to_gunicorn() -> None:
    """A name with an underscore is a variable of the server's own, which a trusted proxy may set."""
    assert environ_of(read(b"POST /a/predict HTTP/1.1\r\nSCRIPT_NAME: /a\r\n\r\n"), ("127.0.0.1", 80)) is None


@pytest.mark.parametrize(
    ("head", "closing", "kept"),
    [
        (b"POST / HTTP/1.1\r\n\r\n", False, True),
        (b"POST / HTTP/1.1\r\n\r\n", True, False),
        (b"POST / HTTP/1.1\r\nConnection: close\r\n\r\n", False, False),
        (b"POST / HTTP/1.0\r\n\r\n", False, False),
        (b"POST / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", False, True),
    ],
)
def test_the_answer_is_one_that_a_client_reads(head: bytes, *, closing: bool, kept: bool) -> None:
    """Status, headers and body arrive, and whether the connection lives on is told as it is."""

    def app(_environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", "4"), ("X-One", "1")])
        return [b"no", b"pe"]

    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert answer(app, read(head), {}, ours.sendall, closing=closing) is kept
        got = http.client.HTTPResponse(theirs)
        got.begin()

        assert (got.status, got.reason, got.headers["X-One"], got.read()) == (404, "Not Found", "1", b"nope")
        assert got.headers["Connection"] == ("keep-alive" if kept else "close")
        assert got.headers["Date"].endswith(" GMT")


def test_no_header_makes_another() -> None:
    """A value with a line end is never sent."""

    def app(_environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [("X-One", "1\r\nX-Two: 2")])
        return []

    with pytest.raises(ValueError, match="line end"):
        answer(app, read(b"POST / HTTP/1.1\r\n\r\n"), {}, pytest.fail, closing=False)


def test_the_same_head_again_with_another_body(start_service: Callable[..., Service]) -> None:
    """Requests whose heads are the same byte for byte are each answered for their own body, refusals among them, until the last."""
    service = start_service(WORKERS="1")
    assert service.post("/train", LINE).status == 201
    bodies = [BODY, BODY.replace(b"10", b"20"), BODY.replace(b"[[10]]", b"[[1]],"), BODY]
    host, _, port = service.url.removeprefix("http://").rpartition(":")
    head = "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{}\r\n"
    with socket.create_connection((host, int(port)), timeout=30) as client:
        for body in bodies:
            client.sendall(head.format(len(body), "").encode() + body)
        client.sendall(head.format(len(BODY), "Connection: close\r\n").encode() + BODY)
        answers = client.makefile("rb").read()

    documents = [json.loads(part.partition(b"\r\n\r\n")[2]) for part in answers.split(b"HTTP/1.1 ")[1:]]
    assert [document.get("predictions", document.get("status")) for document in documents] == [[21.0], [41.0], 400, [21.0], [21.0]]
    assert answers.count(b"Connection: keep-alive") == len(bodies)
    assert answers.count(b"Connection: close") == 1
