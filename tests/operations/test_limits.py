"""Nobody who is slow, greedy or silent takes the service from the others: the real server, several workers, and their limits."""

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.operations.processes import wait_until
from tests.operations.test_http import BODY, MODEL, connect, head, predictions, read, request
from tests.support import Reply, Service

pytestmark = pytest.mark.slow

SLOW = 24  # slow clients: many times the threads of both workers
LINE = {"model": MODEL, "instances": [[0], [1], [2]], "targets": [1, 3, 5]}
SECONDS = 2.0


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of two workers with short limits and the line y = 2 x + 1."""
    service = Service(tmp_path_factory.mktemp("limits"), HEAD_SECONDS=str(SECONDS), BODY_SECONDS=str(SECONDS)).start()
    assert service.post("/train", LINE).status == 201
    yield service
    assert service.stop() == 0


def assert_prompt(service: Service) -> None:
    """Others get their answers, from the main loops and from the threads, each within a moment."""
    for _ in range(6):
        started = time.monotonic()
        assert service.post("/predict", {"model": MODEL, "instances": [[3]]}, timeout=10).json["predictions"] == [pytest.approx(7)]
        assert service.get("/models", timeout=10).status == service.get("/readyz", timeout=10).status == 200
        assert time.monotonic() - started < 4  # on a busy machine; a thread that is held is held for longer


def rows(count: int) -> bytes:
    """A prediction request whose answer is some 18 bytes a row, several times its own size."""
    return b'{"model":"%s","instances":[%s]}' % (MODEL.encode(), b",".join(b"[%d.1]" % (n % 7) for n in range(count)))


@contextmanager
def slow_clients(service: Service, count: int = SLOW) -> Iterator[list[socket.socket]]:
    """Connections of slow clients, which hardly take in what they are sent."""
    with ExitStack() as stack:
        clients = []
        for _ in range(count):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.connect(("127.0.0.1", int(service.url.rpartition(":")[2])))
            client.settimeout(20)
            clients.append(client)
        yield clients


def trickle(clients: list[socket.socket], text: bytes, stop: threading.Event) -> None:
    """Send a text byte by byte on all connections, as long as they take it."""
    for byte in text:
        for client in clients:
            try:
                client.send(bytes([byte]))
            except OSError:
                continue
        if stop.wait(0.02):
            return


@contextmanager
def trickling(clients: list[socket.socket], text: bytes) -> Iterator[None]:
    """All the while, a text arrives byte by byte on all connections."""
    stop = threading.Event()
    thread = threading.Thread(target=trickle, args=(clients, text, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def ended(client: socket.socket) -> bool:
    """Whether the server has ended a connection without an answer."""
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True


def takes_all(client: socket.socket) -> bool:
    """Whether the whole of an answer comes."""
    try:
        with client.makefile("rb") as stream:
            _, headers, answer = read(stream)
    except ConnectionError:
        return False
    return len(answer) == int(headers["content-length"])


def test_heads_that_trickle_hold_nobody_up(line: Service) -> None:
    """While many clients send heads that never end, others are served; then the time of the slow ones is over."""
    with slow_clients(line) as clients:
        with trickling(clients, b"GET /models HTTP/1.1\r\nHost: localhost\r\n" + b"X-More: and more\r\n" * 1000):
            started = time.monotonic()
            assert_prompt(line)
            time.sleep(max(0.0, started + SECONDS + 1.5 - time.monotonic()))
        assert [ended(client) for client in clients] == [True] * SLOW


@pytest.mark.parametrize(("path", "length"), [("/predict", {"Content_Length": "1000000"}), ("/train", {"Transfer_Encoding": "chunked"})])
def test_bodies_that_trickle_hold_nobody_up(line: Service, path: str, length: dict[str, str]) -> None:
    """While many clients send bodies that do not end, others are served; then the slow ones are told what the limit is."""
    with slow_clients(line) as clients:
        text = b"1\r\n \r\n" if "Transfer_Encoding" in length else b" "
        for client in clients:
            client.sendall(head(path, **length))
        with trickling(clients, text * 1000):
            assert_prompt(line)
            answers = [read(client.makefile("rb")) for client in clients]
    assert {(status, headers["connection"]) for status, headers, _ in answers} == {(400, "close")}
    assert {json.loads(body)["detail"] for _, _, body in answers} == {
        "the body did not arrive within 2 seconds, which PLUMBLINE_BODY_SECONDS sets"
    }
    assert not list((line.store / "spool").glob("*.body"))


@pytest.mark.parametrize("count", [14_000, 600_000])
def test_clients_that_take_answers_slowly_hold_nobody_up(line: Service, count: int) -> None:
    """While clients do not take their answers, others are served; who takes one slowly gets it whole, and who never does is dropped.

    The answer to a short request, from the main loop, fits into the kernel's buffers.
    """
    body = rows(count)
    with slow_clients(line, 4 if count > 100_000 else SLOW) as clients:
        for client in clients:
            client.sendall(request(body))
        assert_prompt(line)
        with clients[0].makefile("rb", buffering=4096) as stream:
            status, _, answer = read(stream)
        assert (status, len(json.loads(answer)["predictions"])) == (200, count)
        if count > 100_000:
            time.sleep(SECONDS + 1.5)
            assert not takes_all(clients[1])


def test_what_the_head_alone_refuses_is_refused_before_the_body(start_service: Callable[..., Service]) -> None:
    """Without a token, or with too large a body announced, the answer comes at once, no body is asked for, and the connection ends."""
    token = "a-token-for-writing"
    service = start_service(WORKERS="1", WRITE_TOKEN=token, MAX_BODY_BYTES="1000")
    for headers, expected in (
        ({}, 401),
        ({"Authorization": "Bearer not-this-one-at-all"}, 403),
        ({"Authorization": f"Bearer {token}"}, 413),
    ):
        with connect(service) as client:
            client.settimeout(5)
            client.sendall(head("/train", Content_Length="100000", Expect="100-continue", **headers))
            with client.makefile("rb") as stream:
                status, answered, _ = read(stream)
                assert (status, answered["connection"], stream.read()) == (expected, "close", b"")
    scraped = service.get("/metrics").body.decode()
    assert 'plumbline_rejected_requests_total{reason="missing token"} 1.0' in scraped
    assert 'plumbline_rejected_requests_total{reason="wrong token"} 1.0' in scraped


def test_too_many_predictions_are_refused_and_nothing_collapses(start_service: Callable[..., Service]) -> None:
    """Of many large predictions at once some are computed and the others are 503 with Retry-After, and small ones go on."""
    service = start_service(WORKERS="1", MAX_CONCURRENT_PREDICTIONS="2")
    assert service.post("/train", LINE).status == 201
    body = rows(400_000)

    def predict() -> Reply:
        return service.post_body("/predict", body)

    with ThreadPoolExecutor(12) as pool:
        waiting = [pool.submit(predict) for _ in range(12)]
        while not all(one.done() for one in waiting):
            assert service.post("/predict", {"model": MODEL, "instances": [[3]]}, timeout=10).status == 200
            assert service.get("/readyz", timeout=10).status == 200
        answers = [one.result() for one in waiting]
    refused = [answer for answer in answers if answer.status != 200]
    assert len(answers) - len(refused) >= 2
    assert refused
    assert {(answer.status, answer.headers["retry-after"]) for answer in refused} == {(503, "1")}
    assert all("PLUMBLINE_MAX_CONCURRENT_PREDICTIONS" in answer.json["detail"] for answer in refused)
    assert predict().status == 200


def test_a_storage_that_is_stuck_holds_up_only_what_needs_it(start_service: Callable[..., Service]) -> None:
    """A prediction that waits for storage too long is 504, once; loaded models, lists and probes go on, and all is well afterwards."""
    service = start_service(WORKERS="1", PREDICT_SECONDS="2")
    assert service.post("/train", LINE).status == 201
    assert service.post("/predict", {"model": MODEL, "instances": [[3]]}).status == 200
    assert service.post("/train", LINE | {"model": "cold", "targets": [2, 3, 4]}).status == 201
    with stuck_blob(service, "cold") as release:
        with ThreadPoolExecutor(3) as pool:
            started = time.monotonic()
            waiting = [pool.submit(service.post, "/predict", {"model": "cold", "instances": [[3]]}) for _ in range(3)]
            while not all(one.done() for one in waiting):
                assert_prompt(service)
            took = time.monotonic() - started
        answers = [one.result() for one in waiting]
        assert {(answer.status, answer.headers["connection"]) for answer in answers} == {(504, "close")}
        assert all("PLUMBLINE_PREDICT_SECONDS" in answer.json["detail"] for answer in answers)
        assert 2 <= took < 20
        release()
    wait_until(lambda: service.post("/predict", {"model": "cold", "instances": [[3]]}).status == 200, "the model")
    scraped = service.get("/metrics").body.decode()
    assert 'plumbline_requests_total{method="POST",route="/predict",status="504"} 3.0' in scraped


@contextmanager
def stuck_blob(service: Service, model: str) -> Iterator[Callable[[], None]]:
    """The weights of a model's first version lie in a storage that does not answer until it is released."""
    document = service.get(f"/models/{model}/versions/1").json
    path = next(Path(service.store).glob(f"blobs/sha256/**/{document['state_dict'].removeprefix('sha256:')}"))
    whole = path.read_bytes()
    path.unlink()
    os.mkfifo(path)

    def release() -> None:
        with path.open("wb") as pipe:
            path.unlink()
            path.write_bytes(whole)
            pipe.write(whole)

    yield release


def test_the_limits_leave_ordinary_requests_alone(line: Service) -> None:
    """After slow and broken clients, a connection serves request after request as ever."""
    with connect(line) as client, client.makefile("rb") as stream:
        for _ in range(3):
            client.sendall(request(BODY))
            assert predictions(read(stream)) == [pytest.approx(7)]
