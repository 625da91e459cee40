"""Living models at the real server: writers at once, retries after kill -9; no acknowledged row is lost, and none is learned twice."""

import itertools
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from tests.operations.processes import trainer_pid, wait_until
from tests.support import Service

ROWS = np.random.default_rng(5).normal(size=(1000, 4)).round(6)


@pytest.fixture(scope="module")
def two_trainers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with two trainers; each test trains its models anew."""
    service = Service(tmp_path_factory.mktemp("living"), TRAINERS="2", DEVICE="cpu").start()
    yield service
    assert service.stop() == 0


def rows(*numbers: int) -> dict[str, Any]:
    """Some rows of the table as a body."""
    return {"instances": ROWS[list(numbers), :3].tolist(), "targets": ROWS[list(numbers), 3].tolist()}


def learn(service: Service, model: str, *numbers: int, **headers: str) -> bool:
    """Learn some rows, however long that takes: whether they were published."""
    reply = service.post(f"/models/{model}/learn", rows(*numbers), headers={"Prefer": "wait=60"} | headers, timeout=90)
    if reply.status != 202:
        return reply.status == 201
    place = reply.headers["location"]
    while (record := service.get(place).json)["state"] in ("queued", "running"):
        time.sleep(0.005)
    return bool(record["state"] == "succeeded")


def live(service: Service, model: str) -> dict[str, Any]:
    """The document of the live version."""
    document: dict[str, Any] = service.get(f"/models/{model}/versions/live").json
    return document


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(one[part] == other[part] for part in ("fingerprint", "state_dict", "fit"))


def append(service: Service, *, writers: int, batches: int) -> None:
    """Several clients append one row after another while another one predicts: nothing is lost, no answer is wrong or late for ever."""
    first, total = 10, 10 + writers * batches
    model, whole = f"appended-by-{writers}", f"whole-of-{writers}"  # other tests ask the same service
    assert service.post("/train", {"model": whole} | rows(*range(total))).status == 201
    assert service.post("/train", {"model": model} | rows(*range(first))).status == 201
    done = threading.Event()
    versions: list[int] = []

    def read() -> None:
        while not done.is_set():
            answer = service.post("/predict", {"model": model, "instances": ROWS[:2, :3].tolist()})
            assert answer.status == 200
            versions.append(int(answer.json["version"]))

    def write(mine: range) -> list[bool]:
        return [learn(service, model, number) for number in mine]

    with ThreadPoolExecutor(writers + 1) as pool:
        reading = pool.submit(read)
        try:
            learned = list(itertools.chain(*pool.map(write, [range(first + w, total, writers) for w in range(writers)])))
        finally:
            done.set()
        reading.result()

    assert learned == [True] * (total - first)
    assert len(set(versions)) > 2, "the readers saw no new version"
    assert same(live(service, model), live(service, whole))


def test_two_clients_append_while_others_read(service: Service) -> None:
    """One trainer takes them in turn; what is served at the end is one training of all rows, bit for bit."""
    append(service, writers=2, batches=10)


@pytest.mark.slow
@pytest.mark.parametrize(("writers", "trainers"), [(2, 1), (2, 2), (4, 2)])
def test_many_batches_by_several_writers_and_trainers(request: pytest.FixtureRequest, writers: int, trainers: int) -> None:
    """A hundred one-row batches; two trainers meet in the store by compare-and-set, and the loser starts again."""
    append(request.getfixturevalue("service" if trainers == 1 else "two_trainers"), writers=writers, batches=100 // writers)


@pytest.mark.slow
def test_a_retry_after_kill_9_learns_nothing_twice(start_service: Callable[..., Service]) -> None:
    """The trainer is killed at random instants; each row is sent under a key of its own until it is answered, and counts once."""
    service = start_service(DEVICE="cpu")
    service.post("/train", {"model": "whole"} | rows(*range(44)))
    service.post("/train", {"model": "m"} | rows(*range(20)))
    draws, done, kills = random.Random(3), threading.Event(), []

    def kill() -> None:
        while not done.is_set():
            time.sleep(draws.uniform(0.05, 0.6))
            pid = trainer_pid(service)
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
                kills.append(pid)
                wait_until(lambda pid=pid: trainer_pid(service) != pid, "another trainer")

    killer = threading.Thread(target=kill)
    killer.start()
    tries = 0
    try:
        for number in range(20, 44):
            while not learn(service, "m", number, **{"Idempotency-Key": f"row-{number}"}):
                tries += 1
                assert tries < 500
    finally:
        done.set()
        killer.join()

    assert kills
    assert same(live(service, "m"), live(service, "whole"))
