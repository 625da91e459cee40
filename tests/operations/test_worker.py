"""The web worker: short requests are answered in its main loop, and nothing a client does holds that up."""

import http.client
import json
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from service.worker.sharing import Sharing
from tests.operations.processes import holder, wait_for_trainer, wait_for_workers, wait_until
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


def test_connections_are_shared_out_evenly(start_service: Callable[..., Service]) -> None:
    """However quickly clients come, every worker holds as many connections as the others."""
    service = start_service(WORKERS="3")

    def shares() -> list[int]:
        with ExitStack() as clients:
            held = [clients.enter_context(connect(service)) for _ in range(30)]
            for client in held:
                client.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
                answer_on(client)
            found = Counter(holder(service, client.getsockname()[1]) for client in held)
            return [found[pid] for pid in service.worker_pids()]

    wait_until(lambda: all(shares()), "three workers that take in connections")
    tries = []
    for _ in range(5):  # a busy machine may keep a worker from its share now and then
        time.sleep(0.1)  # the clients before have gone
        tries.append(shares())

    assert sorted(max(each) - min(each) for each in tries)[2] <= 3, tries


def test_a_worker_that_hangs_is_not_waited_for(start_service: Callable[..., Service]) -> None:
    """A worker that holds fewer connections, but takes in none, is given way for a moment only."""
    service = start_service(WORKERS="2")
    hung, _ = wait_for_workers(service, 2)
    os.kill(hung, signal.SIGSTOP)
    try:
        with ExitStack() as clients:
            held = [clients.enter_context(connect(service)) for _ in range(20)]
            started = time.monotonic()
            for client in held:
                client.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
                answer_on(client)
            elapsed = time.monotonic() - started
    finally:
        os.kill(hung, signal.SIGCONT)

    assert elapsed < 5  # the hung worker would be missed after two minutes


def test_only_workers_that_take_in_connections_are_counted(tmp_path: Path) -> None:
    """Nobody gives way to himself, to as many connections as his own, to a worker that has not begun, or to one that has ended."""
    one, other = Sharing(tmp_path), Sharing(tmp_path)
    one.tell(2)
    begun = other.others_have_fewer(2), other.others_have_fewer(3)
    alone = one.others_have_fewer(5)
    other.tell(1)
    fewer = one.others_have_fewer(2), one.others_have_fewer(1)
    other.tell(None)

    assert begun == (False, True)
    assert not alone
    assert fewer == (True, False)
    assert not one.others_have_fewer(2)


def test_workers_have_processors_of_their_own(start_service: Callable[..., Service]) -> None:
    """With as many workers as processors each keeps to one, its main loop and the threads that answer."""
    everywhere = os.sched_getaffinity(0)
    service = start_service(WORKERS=str(len(everywhere)))
    workers = wait_for_workers(service, len(everywhere))
    wait_until(lambda: sorted(len(os.sched_getaffinity(pid)) for pid in workers) == [1] * len(workers), "settled workers")
    assert service.post("/train", LINE | {"model": "settled"}).status == 201  # by a thread of the worker that it reached
    kept = {pid: os.sched_getaffinity(pid) for pid in workers}
    threads = [(pid, os.sched_getaffinity(thread)) for pid in workers for thread in _threads(pid) - {pid}]

    assert set.union(*kept.values()) == everywhere
    assert any(allowed == kept[pid] for pid, allowed in threads)
    assert all(allowed in (kept[pid], everywhere) for pid, allowed in threads)  # libraries make some before


def test_torch_is_in_memory_once(start_service: Callable[..., Service]) -> None:
    """The master has torch, not used: it runs no other thread; and each of its processes shares most of its memory with it."""
    service = start_service()
    assert service.process is not None
    master = service.process.pid
    workers = wait_for_workers(service, 2)
    forked = {*workers, wait_for_trainer(service)}

    assert "libtorch_cpu" in Path(f"/proc/{master}/maps").read_text()
    assert _threads(master) == {master}
    assert min(_megabytes(pid, "Shared_Dirty") for pid in forked) > 60
    assert max(_megabytes(pid, "Private_Dirty") for pid in workers) < 60
    assert max(_processor_seconds(pid) for pid in workers) < _processor_seconds(master)


def _megabytes(pid: int, kind: str) -> float:
    """Memory of a process of a kind that `smaps_rollup` tells."""
    (line,) = (line for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() if line.startswith(f"{kind}:"))
    return int(line.split()[1]) / 1024


def _processor_seconds(pid: int) -> float:
    """What a process has used up."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_threads_come_after_the_main_loop(start_service: Callable[..., Service]) -> None:
    """What answers beside a main loop never interrupts it: those threads step back, and it does not."""
    service = start_service(WORKERS="1")
    assert service.post("/train", LINE).status == 201
    assert service.post("/predict", LINE).status == 422  # in the main loop
    (pid,) = service.worker_pids()
    behind = {thread for thread in _threads(pid) if os.sched_getscheduler(thread) == os.SCHED_BATCH}

    assert pid not in behind
    assert behind
    assert {os.getpriority(os.PRIO_PROCESS, thread) for thread in behind} == {10}
    assert os.getpriority(os.PRIO_PROCESS, pid) == 0


def _threads(pid: int) -> set[int]:
    """The threads of a process."""
    return {int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()}


def test_with_another_number_of_workers_nobody_settles(start_service: Callable[..., Service]) -> None:
    """Where each cannot have one, the kernel chooses among all processors."""
    everywhere = os.sched_getaffinity(0)
    service = start_service(WORKERS=str(len(everywhere) + 1))
    pids = wait_for_workers(service, len(everywhere) + 1)
    assert service.get("/livez").status == 200

    assert {frozenset(os.sched_getaffinity(pid)) for pid in pids} == {frozenset(everywhere)}
