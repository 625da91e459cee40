"""The web worker: short requests are answered in its main loop, and nothing a client does holds that up."""

import http.client
import json
import socket
import time
from collections.abc import Iterator

import pytest

from tests.support import Service, ask

LINE = {"model": "worker", "instances": [[0], [1], [2]], "targets": [1, 3, 5]}


def connect(service: Service) -> socket.socket:
    """A plain connection to the service."""
    host, _, port = service.url.removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=30)


def request(body: bytes) -> bytes:
    """A prediction request as bytes."""
    return b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        len(body),
        body,
    )


def answer_on(client: socket.socket) -> bytes:
    """The body of the next answer on a connection."""
    answer = http.client.HTTPResponse(client)
    answer.begin()
    return answer.read()


@pytest.fixture(scope="module")
def one_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with one worker of two threads, which serves y = 2 x + 1."""
    service = Service(tmp_path_factory.mktemp("worker"), WORKERS="1").start()
    assert service.post("/train", LINE).status == 201
    yield service
    assert service.stop() == 0


def test_silent_connections_take_no_thread(one_worker: Service) -> None:
    """With more silent clients than threads, requests are answered as if they were not there."""
    silent = [connect(one_worker) for _ in range(20)]
    started = time.monotonic()
    answer = one_worker.post("/predict", {"model": "worker", "instances": [[10]]})
    models = one_worker.get("/models")
    elapsed = time.monotonic() - started
    for client in silent:
        client.close()

    assert (answer.status, models.status) == (200, 200)
    assert elapsed < 4  # a silent connection would hold a thread for five seconds


def test_a_request_in_pieces_is_answered(one_worker: Service) -> None:
    """Whether a request arrives whole or byte by byte, the answer is the same."""
    text = request(b'{"model": "worker", "instances": [[10]]}')
    with connect(one_worker) as client:
        for byte in text:
            client.sendall(bytes([byte]))
        pieces = answer_on(client)
        client.sendall(text)
        whole = answer_on(client)

    assert pieces == whole
    assert json.loads(whole)["version"] == "1"


def test_a_client_that_takes_no_answers_holds_nobody_up(one_worker: Service) -> None:
    """While a client asks for more and more and reads nothing, others are answered."""
    rows = [[1]] * 20_000
    text = request(json.dumps({"model": "worker", "instances": rows}, separators=(",", ":")).encode())
    with connect(one_worker) as greedy:
        greedy.setblocking(False)  # noqa: FBT003 - the socket's signature
        for _ in range(40):
            try:
                greedy.send(text)
            except BlockingIOError:
                break
        answers = [ask(f"{one_worker.url}/livez", timeout=20).status for _ in range(5)]
        predicted = one_worker.post("/predict", {"model": "worker", "instances": [[10]]}, timeout=20)

    assert answers == [200] * 5
    assert predicted.status == 200
