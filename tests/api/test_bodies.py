"""Bodies compressed on their way: read like any other, and never unfolded beyond the limit."""

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import Client, EnvironBuilder

from service.api.bodies import PART, body_parts
from service.errors import TooLarge
from tests.api.test_gate import chunked, raw

MakeClient = Callable[..., Client]
ONE = json.dumps({"model": "line", "instances": [[10]]}).encode()
CSV = b"a,y\n1,2\n2,4\n3,7\n"
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "GZIP": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
}


def environ_of(sent: bytes, encoding: str, path: str = "/predict", content_type: str = "application/json") -> dict[str, Any]:
    """The environment of a request with a compressed body."""
    return EnvironBuilder(path, method="POST", data=sent, content_type=content_type, headers={"Content-Encoding": encoding}).get_environ()


@pytest.mark.parametrize("encoding", COMPRESS)
@pytest.mark.usefixtures("line")
def test_compressed_bodies_are_read(client: Client, encoding: str) -> None:
    """A body compressed by gzip or deflate is the same body, at the hot door and at the spool of the trainer."""
    compress = COMPRESS[encoding]
    predicted = client.post("/predict", data=compress(ONE), content_type="application/json", headers={"Content-Encoding": encoding})
    trained = raw(client, environ_of(compress(CSV), encoding, "/train?model=csv&target=y", "text/csv"))

    assert (predicted.status_code, predicted.json and predicted.json["predictions"]) == (200, [pytest.approx(21)])
    assert (trained.status_code, trained.json and trained.json["fit"]["n"]) == (201, 3)


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 3 * PART + 258])
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_every_byte_comes_out(size: int, encoding: str) -> None:
    """Whatever the size, what was compressed is what is read, in parts that stay small; several gzip members are one body."""
    body = bytes(size)
    sent = COMPRESS[encoding](body) if encoding == "deflate" else gzip.compress(body[: size // 2]) + gzip.compress(body[size // 2 :])
    parts = list(body_parts(environ_of(sent, encoding), 4 * PART))

    assert b"".join(parts) == body
    assert max(map(len, parts)) <= PART


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_bomb_is_refused_before_it_fills_the_memory(make_client: MakeClient, encoding: str) -> None:
    """Two hundred megabytes in two hundred kilobytes are 413 at every kind of door, and never stand in memory."""
    client = make_client(MAX_BODY_BYTES=str(2 * PART))
    bomb = COMPRESS[encoding](bytes(200_000_000))
    assert len(bomb) < 2 * PART
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            list(body_parts(environ_of(bomb, encoding), 2 * PART))
        assert tracemalloc.get_traced_memory()[1] < 8 * PART
    finally:
        tracemalloc.stop()

    for path in ("/predict", "/train"):
        answer = client.post(path, data=bomb, content_type="application/json", headers={"Content-Encoding": encoding})
        assert answer.status_code == 413, path
        assert "PLUMBLINE_MAX_BODY_BYTES" in answer.text


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("spoil", [lambda b: b[:-1], lambda b: b[: len(b) // 2], lambda b: b + b"x", lambda b: b"x" + b, lambda _: ONE])
@pytest.mark.usefixtures("line")
def test_what_is_not_compressed_as_it_says_is_refused(client: Client, encoding: str, spoil: Callable[[bytes], bytes]) -> None:
    """A compressed body cut off, followed by something else or not compressed at all is 400, never a smaller body."""
    for path in ("/predict", "/train"):
        sent = spoil(COMPRESS[encoding](ONE))
        answer = client.post(path, data=sent, content_type="application/json", headers={"Content-Encoding": encoding})
        assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")


@pytest.mark.usefixtures("line")
def test_compressed_bodies_may_come_in_chunks(client: Client) -> None:
    """A compressed body without a length is read too."""

    def compressing(environ: Any, start_response: Any) -> Any:
        app: Any = client.application
        return app(environ | {"HTTP_CONTENT_ENCODING": "gzip"}, start_response)

    answer = chunked(Client(compressing), "/predict", gzip.compress(ONE))

    assert (answer.status_code, answer.json and answer.json["predictions"]) == (200, [pytest.approx(21)])
