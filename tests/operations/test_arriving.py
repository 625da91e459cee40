"""Requests put together from bytes as they arrive: however the bytes are cut, the requests are those that were sent."""

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import InvalidHeader, LimitRequestHeaders, LimitRequestLine, ParseException
from hypothesis import given, settings
from hypothesis import strategies as st

from service.worker import arriving as module
from service.worker.arriving import Arriving

CFG = Config()
TEMPORARY = Path(tempfile.gettempdir())
HEAD = b"POST /p%d HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n"


def wire(number: int, body: bytes, pieces: list[int] | None) -> bytes:
    """A request, with its length told or in chunks of these sizes."""
    if pieces is None:
        return HEAD % (number, b"Content-Length: %d" % len(body)) + body
    chunks, at = b"", 0
    for piece in [*pieces, len(body)]:
        part, at = body[at : at + piece], at + piece
        chunks += b"%x;x=1\r\n%s\r\n" % (len(part), part) if part else b""
    return HEAD % (number, b"Transfer-Encoding: chunked") + chunks + b"0\r\nX-Trailer: 1\r\n\r\n"


@contextmanager
def arriving(directory: Path = TEMPORARY, *, limit: int = 1 << 30) -> Iterator[Arriving]:
    """A new connection."""
    made = Arriving(CFG, ("127.0.0.1", 1), directory)
    made.limit = limit
    with closing(made):
        yield made


def read_all(request: Any) -> bytes:
    """A request's body, read as the gate reads it."""
    return b"".join(iter(lambda: request.body.read(7), b""))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.binary(max_size=60), st.none() | st.lists(st.integers(1, 9), max_size=9)), min_size=1, max_size=4),
    st.lists(st.integers(1, 70), max_size=40),
)
def test_the_cuts_do_not_matter(sent: list[tuple[bytes, list[int] | None]], cuts: list[int]) -> None:
    """Requests one behind the other arrive with their own paths and bodies, whatever pieces the network makes of them."""
    stream = b"".join(wire(number, body, pieces) for number, (body, pieces) in enumerate(sent))
    got = []
    with arriving() as connection:
        for cut in [*cuts, len(stream)]:
            part, stream = stream[:cut], stream[cut:]
            if part:
                connection.feed(part)
            while connection.ready:
                assert connection.error is None
                request = next(connection)
                got.append((request.path, read_all(request)))
                assert connection.finish_body()
                connection.next()

    assert got == [(f"/p{number}", body) for number, (body, _) in enumerate(sent)]


@pytest.mark.parametrize("pieces", [None, [1, 2, 3]])
def test_a_request_can_be_read_again(pieces: list[int] | None) -> None:
    """After a rewind the body is there from its beginning."""
    with arriving() as connection:
        connection.feed(wire(0, b"0123456789", pieces))
        first = read_all(next(connection))
        connection.rewind()

        assert first == read_all(next(connection)) == b"0123456789"


def test_a_head_that_comes_again_is_not_spoilt_by_what_became_of_the_first() -> None:
    """What is done to one request of a connection does not show in the next, though their heads are the same."""
    text = wire(0, b"0123456789", None)
    with arriving() as connection:
        connection.feed(text)
        first = next(connection)
        first.force_close()
        first.headers = []
        connection.next()
        connection.feed(text[:-10] + b"abcdefghij")
        second = next(connection)

        assert second is not first
        assert (second.should_close(), len(second.headers), read_all(second)) == (False, 2, b"abcdefghij")


def test_a_large_body_goes_on_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is too large for memory is kept in a file without a name, and read from there."""
    monkeypatch.setattr(module, "IN_MEMORY", 1000)
    body = bytes(range(256)) * 20
    text = wire(0, body, None)
    with arriving(tmp_path) as connection:
        for at in range(0, len(text), 500):
            connection.feed(text[at : at + 500])

        kept: Any = connection.request.body
        assert kept._rolled
        assert list(tmp_path.iterdir()) == []
        assert read_all(connection.request) == body


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n", LimitRequestLine),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 6000, LimitRequestHeaders),
        (b"GET / HTTP/1.1\nHost: x\n\n", ParseException),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", InvalidHeader),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", InvalidHeader),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", InvalidHeader),
        (b"\x16\x03\x01\x02\r\n\r\n", ParseException),
    ],
)
def test_heads_that_cannot_be_read_are_errors_at_once(text: bytes, error: type[Exception]) -> None:
    """A head that is too long or ambiguous is refused, and nothing after it is read as a request."""
    with arriving() as connection:
        connection.feed(text)

        assert connection.ready
        with pytest.raises(error):
            next(connection)


@pytest.mark.parametrize(
    "chunks", [b"zz\r\nabc\r\n", b"-1\r\n", b"3\nabc\r\n0\r\n\r\n", b"3\r\nabcd0\r\n\r\n", b"1" * 70_000, b"0\r\n" + b"A: b\r\n" * 20_000]
)
def test_after_malformed_chunks_no_request_follows(chunks: bytes) -> None:
    """A body whose chunks are wrong ends its connection, because nobody knows where the next request begins."""
    with arriving() as connection:
        connection.feed(HEAD % (0, b"Transfer-Encoding: chunked") + chunks)
        if not connection.ready:
            connection.end()
        request = next(connection)
        with pytest.raises(ParseException):
            read_all(request)

        assert not connection.finish_body()


def test_a_chunked_body_over_the_limit_is_not_waited_for() -> None:
    """As soon as more has arrived than may, the request is handed on, to be refused."""
    with arriving(limit=100) as connection:
        connection.feed(HEAD % (0, b"Transfer-Encoding: chunked"))
        connection.feed(b"ff\r\n" + b"a" * 255)

        assert connection.ready
        assert not connection.finish_body()
