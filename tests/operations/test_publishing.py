"""Publishing under load: every worker serves a new version at once, and nobody notices but by the version."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from tests.operations.clients import connections_to, load
from tests.operations.processes import wait_for_trainer, wait_for_workers, wait_until
from tests.support import Service

WITHIN_SECONDS = 1.0


def slope(version: int) -> dict[str, object]:
    """The training request of a version of the model whose slope is the version's number."""
    return {"model": "m", "instances": [[0], [1], [2]], "targets": [0, version, 2 * version]}


def served(service: Service) -> int:
    """The version that a prediction on a new connection names."""
    return int(service.post("/predict", {"model": "m", "instances": [[3]]}).json["version"])


def test_every_worker_serves_a_version_within_a_second_of_its_201(make_service: Callable[..., Service]) -> None:
    """After the 201 of a training, each of four workers answers with the new version within a second."""
    service = make_service(WORKERS="4").start()
    workers = wait_for_workers(service, 4)
    assert service.post("/train", slope(1)).status == 201
    with connections_to(service, workers) as kept:
        for version in range(2, 6):
            trained = service.post("/train", slope(version))
            published = time.monotonic()
            assert (trained.status, trained.json["version"]) == (201, str(version))
            for pid, connection in kept.items():
                answer = connection.ask("POST", "/predict", {"model": "m", "instances": [[3]]}).json
                while answer["version"] != str(version):
                    assert time.monotonic() - published < WITHIN_SECONDS, f"worker {pid} still serves version {answer['version']}"
                    answer = connection.ask("POST", "/predict", {"model": "m", "instances": [[3]]}).json
                assert abs(answer["predictions"][0] - 3 * version) < 1e-9


def test_no_request_fails_while_twenty_versions_are_published(make_service: Callable[..., Service]) -> None:
    """Under load every answer is a 200 with the numbers of the version it names, and no connection sees versions go back."""
    service = make_service(WORKERS="4").start()
    wait_for_workers(service, 4)
    assert service.post("/train", slope(1)).status == 201
    with load(service, 6, {"model": "m", "instances": [[3]]}, pause=0.01) as records:  # without one the trainer, which gives way, waits
        for version in range(2, 21):
            trained = service.post("/train", slope(version))
            assert (trained.status, trained.json["version"]) == (201, str(version))
            wait_until(lambda version=version: served(service) == version, f"version {version}", WITHIN_SECONDS)  # type: ignore[misc]
    answers = [answer for record in records for connection in record.connections for answer in connection]
    seen = [[int(answer.json["version"]) for answer in connection] for record in records for connection in record.connections]

    assert [lost for record in records for lost in record.lost] == []
    assert {answer.status for answer in answers} == {200}
    assert all(abs(answer.json["predictions"][0] - 3 * int(answer.json["version"])) < 1e-9 for answer in answers)
    assert all(versions == sorted(versions) for versions in seen)
    assert {1, 20} < {version for versions in seen for version in versions}, "the load met the first and the last version"


def test_a_training_gives_way_to_predictions(service: Service) -> None:
    """Every thread of the trainer, those of libraries too, runs where nothing else wants to, and never on the first processor."""
    assert service.post("/train", slope(1) | {"model": "gives-way"}).status == 201
    threads = [int(task.name) for task in Path(f"/proc/{wait_for_trainer(service)}/task").iterdir()]
    processors = os.sched_getaffinity(0)

    assert len(threads) > 1
    assert {os.sched_getscheduler(thread) for thread in threads} == {os.SCHED_IDLE}
    for thread in threads:
        assert os.sched_getaffinity(thread) == (processors - {min(processors)} or processors)
