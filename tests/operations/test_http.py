"""HTTP/1.1 as clients really speak it: kept and pipelined connections, chunks, 100-continue, and clients that give up."""

import json
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO

import pytest

from tests.operations.processes import wait_until
from tests.support import Service

MODEL = "http-line"
BODY = json.dumps({"model": MODEL, "instances": [[3]]}).encode()
Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture(scope="module")
def line(service: Service) -> Service:
    """The shared service with a line y = 2 x + 1."""
    assert service.post("/train", {"model": MODEL, "instances": [[0], [1], [2]], "targets": [1, 3, 5]}).status == 201
    return service


@pytest.fixture
def client(line: Service) -> Iterator[socket.socket]:
    """A plain connection to the service."""
    with closing(connect(line)) as connection:
        yield connection


def connect(service: Service) -> socket.socket:
    """A new connection to the service."""
    return socket.create_connection(("127.0.0.1", int(service.url.rpartition(":")[2])), 20)


def head(path: str = "/predict", **headers: str) -> bytes:
    """The head of a POST request."""
    lines = {"Host": "localhost", "Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return f"POST {path} HTTP/1.1\r\n".encode() + "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode() + b"\r\n"


def request(body: bytes = BODY, **headers: str) -> bytes:
    """A whole prediction request."""
    return head(Content_Length=str(len(body)), **headers) + body


def read(stream: BinaryIO) -> Answer:
    """The next answer of a stream."""
    status = int(stream.readline().split()[1])
    headers = {}
    while line := stream.readline().strip():
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    return status, headers, stream.read(int(headers.get("content-length", "0")))


def predictions(answer: Answer) -> list[float]:
    """The numbers of a prediction that succeeded."""
    assert answer[0] == 200, answer
    numbers: list[float] = json.loads(answer[2])["predictions"]
    return numbers


def test_a_connection_is_kept_for_many_requests(client: socket.socket) -> None:
    """Good and bad requests follow each other on one connection, and each gets its own answer."""
    stream = client.makefile("rb")
    seen = []
    for body in (BODY, b"{", BODY, b'{"model": "no-such-model", "instances": [[1]]}', BODY):
        client.sendall(request(body))
        status, headers, _ = read(stream)
        seen.append((status, headers["connection"]))
    stream.close()
    assert seen == [(200, "keep-alive"), (400, "keep-alive"), (200, "keep-alive"), (404, "keep-alive"), (200, "keep-alive")]


def test_pipelined_requests_are_answered_in_order(client: socket.socket) -> None:
    """Requests sent at once on one connection get their answers in the order they were sent."""
    bodies = [json.dumps({"model": MODEL, "instances": [[number]]}).encode() for number in range(20)]
    client.sendall(b"".join(request(body) for body in bodies))
    with client.makefile("rb") as stream:
        answers = [predictions(read(stream)) for _ in bodies]
    assert answers == [[pytest.approx(2 * number + 1)] for number in range(20)]


def test_expect_100_continue_is_met_before_the_body(client: socket.socket) -> None:
    """A client that waits for 100 Continue gets it, sends its body and gets its answer."""
    client.sendall(head(Content_Length=str(len(BODY)), Expect="100-continue"))
    with client.makefile("rb") as stream:
        assert stream.readline() == b"HTTP/1.1 100 Continue\r\n"
        assert stream.readline() == b"\r\n"
        client.sendall(BODY)
        assert predictions(read(stream)) == [pytest.approx(7)]


def test_chunked_bodies_are_read(client: socket.socket) -> None:
    """A body in chunks is the same body, for predictions and for trainings, and the connection goes on after it."""
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (BODY[:5], BODY[5:6], BODY[6:])) + b"0\r\n\r\n"
    csv = b"x,y\n0,1\n1,3\n2,5\n"
    with client.makefile("rb") as stream:
        for _ in range(2):
            client.sendall(head(Transfer_Encoding="chunked") + chunks)
            assert predictions(read(stream)) == [pytest.approx(7)]
        train = head(f"/train?model={MODEL}-chunked&target=y", Content_Type="text/csv", Transfer_Encoding="chunked")
        client.sendall(train + b"%x\r\n%s\r\n0\r\n\r\n" % (len(csv), csv))
        status, _, body = read(stream)
        assert (status, json.loads(body)["fit"]["n"]) == (201, 3)


@pytest.mark.parametrize("path", ["/predict", "/train?target=y&model=http-short"])
def test_a_body_that_ends_early_is_refused(line: Service, client: socket.socket, path: str) -> None:
    """A body shorter than its Content-Length is a 400 and never half a data set, and nothing of it is kept."""
    media_type = "text/csv" if "train" in path else "application/json"
    client.sendall(head(path, Content_Length="1000", Content_Type=media_type) + b"x,y\n0,1\n1,3\n2,5\n")
    client.shutdown(socket.SHUT_WR)
    with client.makefile("rb") as stream:
        status, headers, body = read(stream)
    assert (status, headers["content-type"]) == (400, "application/problem+json")
    assert json.loads(body)["status"] == 400
    assert line.get("/models/http-short").status == 404
    assert not list((line.store / "spool").glob("*.body"))


def test_a_chunked_body_that_ends_early_is_refused(line: Service, client: socket.socket) -> None:
    """A chunked body without its last chunk is never taken for a whole data set."""
    part = b"x,y\n0,1\n1,3\n2,5\n"
    client.sendall(head("/train?target=y&model=http-short", Content_Type="text/csv", Transfer_Encoding="chunked"))
    client.sendall(b"%x\r\n%s\r\n" % (len(part), part))
    client.shutdown(socket.SHUT_WR)
    with client.makefile("rb") as stream:
        status, _, body = read(stream)
    assert (status, json.loads(body)["detail"]) == (400, "the body ended before its last chunk, or its chunks are malformed")
    assert line.get("/models/http-short").status == 404
    assert not list((line.store / "spool").glob("*.body"))


@pytest.mark.parametrize("path", ["/predict", "/train?target=y&model=http-short"])
def test_malformed_chunks_are_refused(client: socket.socket, path: str) -> None:
    """Chunks whose size cannot be read are a 400."""
    client.sendall(head(path, Transfer_Encoding="chunked", Content_Type="application/json") + b"zz\r\nabc\r\n0\r\n\r\n")
    with client.makefile("rb") as stream:
        assert read(stream)[0] == 400


@pytest.mark.parametrize("path", ["/predict", "/train?target=y&model=http-gone"])
def test_clients_that_disconnect_in_the_middle_harm_nobody(line: Service, path: str) -> None:
    """Clients that vanish in the head, in the body or before the answer leave the workers as they were."""
    workers = line.worker_pids()
    whole = head(path, Content_Length=str(len(BODY))) + BODY
    for length in (10, len(whole) - 5, len(whole)) * 4:
        connection = connect(line)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closes with a reset
        connection.sendall(whole[:length])
        connection.close()
    wait_until(lambda: not list((line.store / "spool").glob("*.body")), "an empty spool")
    assert line.post("/predict", {"model": MODEL, "instances": [[3]]}).json["predictions"] == [pytest.approx(7)]
    assert line.worker_pids() == workers


def test_a_client_that_does_not_close_delays_nobody(line: Service) -> None:
    """Connections that the server has ended and the client has not are no burden to the next requests."""
    idle = [connect(line) for _ in range(20)]
    started = time.monotonic()
    for connection in idle:
        connection.sendall(request(Connection="close"))
        with connection.makefile("rb") as stream:
            status, headers, _ = read(stream)
        assert (status, headers["connection"]) == (200, "close")
    took = time.monotonic() - started
    for connection in idle:
        connection.close()
    assert took < 20  # one after the other, each waited for its two seconds, they would take forty


def test_clients_that_send_nothing_delay_nobody(line: Service) -> None:
    """Connections on which nothing is sent do not hold the threads for long: others are answered meanwhile."""
    silent = [connect(line) for _ in range(8)]
    with closing(connect(line)) as client:
        client.settimeout(60)
        client.sendall(request())
        with client.makefile("rb") as stream:
            assert predictions(read(stream)) == [pytest.approx(7)]
    for connection in silent:
        connection.close()


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"GET /secret-path HTTP/9.9\r\nHost: localhost\r\n\r\n", 400),
        (b"G\xffT /secret-path HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nsecret header: 1\r\n\r\n", 400),
        (b"POST /predict HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\nX: secret\r\n\r\n", 400),
        (b"POST /predict HTTP/1.1\r\nTransfer-Encoding: secret\r\n\r\n", 501),
        (b"GET /" + b"secret" * 2000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + b"X-Secret: 1\r\n" * 200 + b"\r\n", 431),
    ],
)
def test_heads_that_cannot_be_read_are_told_without_repeating_them(
    line: Service, client: socket.socket, sent: bytes, expected: int
) -> None:
    """The answer is a problem document, the connection ends, and neither the answer nor the log repeats what was sent."""
    client.sendall(sent)
    with client.makefile("rb") as stream:
        status, headers, body = read(stream)
        assert (status, headers["content-type"], headers["connection"]) == (expected, "application/problem+json", "close")
        assert json.loads(body)["status"] == expected
        assert stream.read() == b""
    assert b"secret" not in body.lower()
    assert "secret" not in line.log.read_text().lower()
