"""Death of processes under load: what is counted stays counted, what was accepted is answered, what was lost is told."""

import http.client
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.operations.clients import connections_to, load
from tests.operations.processes import (
    alive,
    descendants,
    kill,
    metric_files,
    run_directory,
    supervisor_pid,
    trainer_pid,
    wait_for_trainer,
    wait_for_workers,
    wait_until,
)
from tests.support import Reply, Service, ask

LINE = {"model": "m", "instances": [[0], [1], [2]], "targets": [1, 3, 5]}
ROW = {"model": "m", "instances": [[3]]}
LOST = "the trainer process ended while the job ran"
REPORTED_SECONDS = 5.0

Counts = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def counts(service: Service) -> Counts:
    """Every sample that may never go down: of counters, and of histograms their buckets, counts and sums."""
    text = service.get("/metrics").body.decode()
    families = [family for family in text_string_to_metric_families(text) if family.type in ("counter", "histogram")]
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def went_down(before: Counts, after: Counts) -> Counts:
    """The samples that are smaller than before, or gone."""
    return {name: after.get(name, float("-inf")) for name, value in before.items() if after.get(name, float("-inf")) < value}


def scrape(service: Service) -> Counts:
    """`counts`, again when the worker that was asked has just been killed."""
    while True:
        try:
            return counts(service)
        except (OSError, http.client.HTTPException):
            continue


def large_csv(rows: int = 300_000) -> bytes:
    """A training body that takes long enough to be met while it runs."""
    return b"x,y\n" + b"".join(b"%d.5,%d\n" % (i, i) for i in range(rows))


class Waiting:
    """A `POST /train` in a thread of its own, whose job is held in the middle by stopping the trainer."""

    def __init__(self, service: Service, *, seconds: int = 60) -> None:
        self._service, self._seconds = service, seconds
        self.reply: Reply | None = None
        self.trainer = wait_for_trainer(service)
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()
        spool = service.store / "spool"
        wait_until(lambda: bool(list(spool.glob("*.running"))), "a running job")
        os.kill(self.trainer, signal.SIGSTOP)
        self.job = next(spool.glob("*.running")).name.partition(".")[0]

    def _ask(self) -> None:
        headers = {"Content-Type": "text/csv", "Prefer": f"wait={self._seconds}"}
        self.reply = ask_train(self._service, large_csv(), headers)

    def join(self, seconds: float = 30) -> Reply:
        """The answer."""
        self._thread.join(seconds)
        assert self.reply is not None, f"no answer within {seconds} s"
        return self.reply


def ask_train(service: Service, body: bytes, headers: dict[str, str], model: str = "slow") -> Reply:
    """POST a CSV body."""
    return ask(f"{service.url}/train?model={model}&target=y", method="POST", body=body, headers=headers, timeout=90)


@pytest.mark.slow
def test_counters_survive_killed_workers(make_service: Callable[..., Service]) -> None:
    """When workers are killed under load no counter goes down, each is replaced, and no metric file is added."""
    service = make_service(WORKERS="2").start()
    workers = wait_for_workers(service, 2)
    assert service.post("/train", LINE).status == 201
    with connections_to(service, workers) as kept:  # every worker has counted everything it will count
        for connection in kept.values():
            assert connection.ask("POST", "/predict", ROW).status == 200
            assert connection.ask("GET", "/metrics").status == 200
    files = metric_files(service)
    with load(service, 4, ROW) as records:
        before = scrape(service)
        for _ in range(3):
            victim = wait_for_workers(service, 2)[0]
            os.kill(victim, signal.SIGKILL)
            deadline = time.monotonic() + 3
            while time.monotonic() < deadline:
                after = scrape(service)
                assert went_down(before, after) == {}
                before = after
            assert victim not in wait_for_workers(service, 2)
            assert metric_files(service) == files
    answered = sum(len(connection) for record in records for connection in record.connections)
    counted = scrape(service)["plumbline_requests_total", (("method", "POST"), ("route", "/predict"), ("status", "200"))]

    # A killed worker may have counted an answer that it did not send, and each client has one request in flight at most.
    assert 0 <= counted - 2 - answered <= 3 * 4
    assert sum(len(record.lost) for record in records) <= 3 * 4


@pytest.mark.slow
def test_a_killed_trainer_is_told_and_replaced(make_service: Callable[..., Service]) -> None:
    """The job of a killed trainer fails with the reason, its client is told within seconds, and queued jobs run after it is back."""
    service = make_service(WORKERS="1").start()
    waiting = Waiting(service)
    queued = service.post("/train", LINE, headers={"Prefer": "respond-async"})
    assert (queued.status, queued.json["state"]) == (202, "queued")

    killed = time.monotonic()
    kill(waiting.trainer)
    told = waiting.join()
    assert time.monotonic() - killed < REPORTED_SECONDS
    failed = service.get(f"/jobs/{waiting.job}").json
    wait_until(lambda: service.get(queued.headers["location"]).json["state"] == "succeeded", "the queued job")

    assert (told.status, told.headers["content-type"], LOST in told.json["detail"]) == (503, "application/problem+json", True)
    assert (failed["state"], failed["error"]["kind"], LOST in failed["error"]["detail"]) == ("failed", "JobLost", True)
    assert service.get("/models/slow").status == 404
    assert service.post("/predict", ROW).json["predictions"] == [pytest.approx(7)]
    assert wait_for_trainer(service) != waiting.trainer
    assert sorted(path.name for path in (service.store / "spool").iterdir()) == ["bell", "queue", "reserve"]
    assert 'plumbline_trainings_total{outcome="failed"} 1.0' in service.get("/metrics").body.decode()


@pytest.mark.slow
def test_a_killed_supervisor_of_the_trainer_loses_no_job(make_service: Callable[..., Service]) -> None:
    """After the trainer's supervisor was killed its trainer ends by itself, another takes over, and trainings go on."""
    service = make_service(WORKERS="1").start()
    assert service.post("/train", LINE).status == 201
    supervisor, trainer = supervisor_pid(service), wait_for_trainer(service)
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: not alive(trainer), "the end of the orphaned trainer")
    wait_until(lambda: trainer_pid(service) not in (None, trainer), "a new trainer")

    for version in ("2", "3"):
        trained = service.post("/train", LINE)
        assert (trained.status, trained.json["version"]) == (201, version)
    assert service.stop() == 0


@pytest.mark.slow
def test_every_accepted_request_is_answered_when_the_service_stops(make_service: Callable[..., Service]) -> None:
    """SIGTERM under load: whatever was sent before it, or on a connection that the server did not announce to close, is answered."""
    service = make_service(WORKERS="2").start()
    wait_for_workers(service, 2)
    assert service.post("/train", LINE).status == 201
    with load(service, 8, ROW) as records:
        time.sleep(1)
        started = time.monotonic()
        assert service.stop() == 0
        took = time.monotonic() - started
    answers = [answer for record in records for connection in record.connections for answer in connection]
    lost = [lost for record in records for lost in record.lost if not lost.startswith("request 0 ")]

    assert len(answers) > 100
    assert {answer.status for answer in answers} == {200}
    assert lost == []
    assert took < 30


@pytest.mark.slow
def test_connections_that_wait_to_be_accepted_are_answered_when_the_service_stops(make_service: Callable[..., Service]) -> None:
    """A request sent before SIGTERM on a connection that no worker had accepted yet is answered too; later ones are refused."""
    service = make_service(WORKERS="2").start()
    workers = wait_for_workers(service, 2)
    assert service.process is not None
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    address = ("127.0.0.1", int(service.url.rpartition(":")[2]))
    sockets = [socket.create_connection(address, 30) for _ in range(20)]
    for client in sockets:
        client.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
    service.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    for pid in workers:
        os.kill(pid, signal.SIGCONT)
    answers = [client.makefile("rb").read() for client in sockets]
    for client in sockets:
        client.close()

    assert [answer.partition(b"\r\n")[0] for answer in answers] == [b"HTTP/1.1 200 OK"] * 20
    assert all(b'{"status":"alive"}' in answer for answer in answers)
    assert service.process.wait(30) == 0


@pytest.mark.slow
def test_nobody_can_connect_to_a_service_that_is_stopping(make_service: Callable[..., Service]) -> None:
    """While a training in flight delays the stop, new connections are refused at once rather than left to hang."""
    service = make_service(WORKERS="1").start()
    waiting = Waiting(service)
    assert service.process is not None
    service.process.send_signal(signal.SIGTERM)
    answered = waiting.join()
    wait_until(lambda: not service.worker_pids(), "the end of the web workers")
    try:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", int(service.url.rpartition(":")[2])), 5)
    finally:
        os.kill(waiting.trainer, signal.SIGCONT)
    assert (answered.status, answered.headers["location"]) == (202, f"/jobs/{waiting.job}")
    assert service.process.wait(30) == 0

    service.start()
    job = service.get(answered.headers["location"]).json
    assert (job["state"], job["result"]["model"], job["result"]["fit"]["n"]) == ("succeeded", "slow", 300_000)
    assert service.post("/predict", {"model": "slow", "instances": [[7.5]]}).json["predictions"] == [pytest.approx(7)]


def test_a_stopping_worker_says_that_it_is_not_ready(make_service: Callable[..., Service]) -> None:
    """On a kept connection `/readyz` turns to 503 when the service stops, and that answer announces the end of the connection."""
    service = make_service().start()
    workers = wait_for_workers(service, 2)
    assert service.process is not None
    with connections_to(service, workers) as kept:
        service.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        answers = [connection.ask("GET", "/readyz") for connection in kept.values()]
        announced = [connection.announced for connection in kept.values()]
    assert [(answer.status, answer.json["reasons"]) for answer in answers] == [(503, {"worker": "is stopping"})] * 2
    assert announced == [True, True]
    assert service.process.wait(30) == 0


@pytest.mark.slow
def test_a_service_stopped_before_its_trainer_has_loaded_stops_at_once(make_service: Callable[..., Service]) -> None:
    """SIGTERM while the trainer still imports what it needs ends the service well before the graceful time is over."""
    service = make_service(WORKERS="1").start()
    pid = wait_for_trainer(service)
    spawned = service.log.read_text().count("Spawned dirty worker")
    kill(pid)
    wait_until(lambda: service.log.read_text().count("Spawned dirty worker") > spawned, "a new trainer")
    started = time.monotonic()
    assert service.stop() == 0
    assert time.monotonic() - started < 20


@pytest.mark.slow
def test_two_services_on_one_machine_leave_each_other_alone(make_service: Callable[..., Service]) -> None:
    """Two services started and stopped beside each other keep their trainers, their models and their metrics apart."""
    one = make_service("one", WORKERS="1").start()
    first = wait_for_trainer(one)
    two = make_service("two", WORKERS="1").start()
    second = wait_for_trainer(two)
    assert one.post("/train", LINE | {"targets": [0, 1, 2]}).status == 201
    assert two.post("/train", LINE | {"targets": [0, 2, 4]}).status == 201

    assert [trainer_pid(one), trainer_pid(two)] == [first, second]
    assert one.post("/predict", ROW).json["predictions"] == [pytest.approx(3)]
    assert two.post("/predict", ROW).json["predictions"] == [pytest.approx(6)]
    assert run_directory(one).exists()
    assert run_directory(one) != run_directory(two)
    assert two.stop() == 0
    assert alive(first)
    assert one.post("/train", LINE).status == 201
    assert 'plumbline_trainings_total{outcome="succeeded"} 2.0' in one.get("/metrics").body.decode()
    two.start()
    assert alive(first)
    assert two.post("/predict", ROW).json["predictions"] == [pytest.approx(6)]


@pytest.fixture
def alike() -> Iterator[Path]:
    """A directory that is not ours, among those of running services, with a name like theirs."""
    path = Path("/dev/shm/plumbline-notes-of-mine")
    path.mkdir()
    yield path
    path.rmdir()


@pytest.mark.slow
def test_a_killed_master_leaves_nothing_that_hinders_the_next(make_service: Callable[..., Service], alike: Path) -> None:
    """After kill -9 of the master all its processes end, and the next start serves the same models and clears its directory alone."""
    service = make_service().start()
    wait_for_workers(service, 2)
    wait_for_trainer(service)
    assert service.post("/train", LINE).status == 201
    assert service.process is not None
    left, orphans = run_directory(service), descendants(service.process.pid)
    assert len(orphans) == 4
    service.process.kill()
    service.process.wait()
    wait_until(lambda: not any(alive(pid) for pid in orphans), "the end of the orphans")
    assert left.exists()
    service.start()

    assert not left.exists()
    assert alike.exists()
    assert service.post("/predict", ROW).json == {"model": "m", "version": "1", "predictions": [pytest.approx(7)]}
    assert service.post("/train", LINE).json["version"] == "2"
    directory = run_directory(service)
    assert service.stop() == 0
    assert not directory.exists()
