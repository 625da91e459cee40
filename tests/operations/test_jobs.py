"""Jobs in a real service: cancelled while they run, polled, retried after a crash, and run two at a time."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.operations.processes import kill, wait_for_trainer, wait_until
from tests.operations.test_death import ask_train, large_csv
from tests.support import Reply, Service, ask

STOPPED_SECONDS = 5.0  # half a second on a machine with nothing else to do, where the trainer's low priority does not count
LATER = {"Prefer": "respond-async"}
LINE = {"model": "m", "instances": [[0], [1], [2]], "targets": [1, 3, 5]}
GRADIENT: dict[str, Any] = LINE | {"model": "steps", "solver": {"name": "sgd", "learning_rate": 1e-9, "epochs": 1_000_000}}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service for several tests, each with a model of its own; its trainer may be killed."""
    service = Service(tmp_path_factory.mktemp("jobs"), WORKERS="1").start()
    yield service
    assert service.stop() == 0


def state(service: Service, reply: Reply) -> str:
    """The state of the job that an answer names."""
    return str(service.get(reply.headers["location"]).json["state"])


def cancel(service: Service, reply: Reply) -> float:
    """Cancel a job; the seconds until it has stopped."""
    started = time.monotonic()
    asked = ask(service.url + reply.headers["location"], method="DELETE")
    assert asked.status in (200, 202), asked.body
    wait_until(lambda: state(service, reply) not in ("queued", "running"), "the end of the job")
    assert state(service, reply) == "cancelled"
    return time.monotonic() - started


@pytest.mark.slow
def test_running_jobs_are_cancelled_within_about_a_second(make_service: Callable[..., Service], tmp_path: Path) -> None:
    """Gradient training and the reading of a long file stop where they are; nothing is published and the trainer goes on."""
    root = tmp_path / "data"
    root.mkdir()
    (root / "0.csv").write_bytes(large_csv(2_000_000))
    for number in range(1, 30):
        (root / f"{number}.csv").hardlink_to(root / "0.csv")
    service = make_service(DATA_ROOTS=str(root), MAX_ROWS="100000000", WORKERS="1").start()
    wait_for_trainer(service)
    jobs = [GRADIENT, {"model": "read", "source": "*.csv", "target": "y"}]
    for document in jobs:
        reply = service.post("/train", document, headers=LATER)
        wait_until(lambda reply=reply: "progress" in service.get(reply.headers["location"]).json, "progress")  # type: ignore[misc]
        assert cancel(service, reply) < STOPPED_SECONDS
    after = service.post("/train", LINE)

    assert after.status == 201
    assert [model["model"] for model in service.get("/models").json["models"]] == ["m"]
    assert sorted(path.name for path in (service.store / "spool").iterdir()) == ["bell", "queue", "reserve"]
    assert not list((service.store / "stopping").iterdir())
    assert 'plumbline_trainings_total{outcome="cancelled"} 2.0' in service.get("/metrics").body.decode()


@pytest.mark.slow
def test_a_running_job_tells_its_progress_to_who_polls(shared: Service) -> None:
    """Epochs go up, the time left goes down, and a poll with the ETag is 304 until then."""
    service = shared
    reply = service.post("/train", GRADIENT, headers=LATER)
    place = reply.headers["location"]
    wait_until(lambda: "epoch" in service.get(place).json.get("progress", {}), "the first epochs")
    seen: list[Reply] = [service.get(place)]
    unchanged = 0
    while len(seen) < 3:
        answer = service.get(place, headers={"If-None-Match": seen[-1].headers["etag"]})
        assert answer.status in (200, 304)
        unchanged += answer.status == 304
        if answer.status == 200:
            assert answer.headers["retry-after"] == "1"
            seen.append(answer)
        time.sleep(0.05)
    progress = [answer.json["progress"] for answer in seen]
    assert cancel(service, reply) < STOPPED_SECONDS

    assert unchanged > 5
    assert [told["epochs"] for told in progress] == [1_000_000] * 3
    assert 0 < progress[0]["epoch"] < progress[1]["epoch"] < progress[2]["epoch"]
    assert all((told["rows"], told["rows_total"]) == (3, 3) and told["loss"] > 0 and told["seconds_left"] > 0 for told in progress)


@pytest.mark.slow
def test_two_trainers_run_two_jobs_at_once(make_service: Callable[..., Service]) -> None:
    """With PLUMBLINE_TRAINERS=2 two long jobs run at the same time and a third waits; all can be cancelled, and short ones go on."""
    service = make_service(TRAINERS="2", WORKERS="1").start()
    replies = [service.post("/train", GRADIENT | {"model": f"steps{number}"}, headers=LATER) for number in range(3)]
    wait_until(lambda: [state(service, reply) for reply in replies] == ["running", "running", "queued"], "two running jobs")
    assert ask(service.url + replies[2].headers["location"], method="DELETE").json["state"] == "cancelled"
    assert cancel(service, replies[0]) < STOPPED_SECONDS
    assert [service.post("/train", LINE).json["version"] for _ in range(3)] == ["1", "2", "3"]
    assert cancel(service, replies[1]) < STOPPED_SECONDS


@pytest.mark.slow
def test_a_full_queue_is_told_by_every_worker(make_service: Callable[..., Service]) -> None:
    """With one place, a second training is 429 with a time to come back, until the first is done with."""
    service = make_service(MAX_QUEUED_TRAININGS="1").start()
    first = service.post("/train", GRADIENT, headers=LATER)
    refused = [service.post("/train", LINE) for _ in range(6)]
    cancel(service, first)

    assert {(reply.status, reply.headers["retry-after"]) for reply in refused} == {(429, "1")}
    assert service.post("/train", LINE).status == 201


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.0, 0.15, 0.3, 0.6, 1.0])
def test_a_retry_after_a_killed_trainer_trains_once(shared: Service, seconds: float) -> None:
    """Whenever the trainer is killed, a retry under the key publishes one version in all, of all rows, and repeats its answer."""
    service, model = shared, f"killed-{seconds}"
    body, headers = large_csv(), {"Content-Type": "text/csv", "Idempotency-Key": model}
    pid = wait_for_trainer(service)
    accepted = ask_train(service, body, headers | LATER, model)
    wait_until(lambda: state(service, accepted) != "queued", "a running job")
    time.sleep(seconds)
    kill(pid)
    killed = time.monotonic()
    wait_until(lambda: state(service, accepted) != "running", "the end of the job")
    assert time.monotonic() - killed < 5
    answers = [ask_train(service, body, headers | {"Prefer": "wait=60"}, model) for _ in range(2)]

    assert [answer.status for answer in answers] == [201, 201]
    assert answers[0].json["version"] == answers[1].json["version"]
    assert answers[0].json["fit"]["n"] == 300_000
    assert service.get(f"/models/{model}/versions").json["versions"] == ["1"]
