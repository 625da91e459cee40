"""Two replicas on one bucket: what one publishes the other serves, and neither needs the bucket to serve on."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.buckets import Endpoint
from tests.operations.clients import Kept, connections_to
from tests.operations.processes import alive, kill, wait_for_trainer, wait_for_workers, wait_until
from tests.support import Service

pytestmark = pytest.mark.slow

REFRESH_SECONDS = 0.5
SOON = REFRESH_SECONDS + 2.0

MakeReplica = Callable[[str], Service]


@pytest.fixture
def make_replica(make_service: Callable[..., Service], bucket: str, tmp_path: Path) -> MakeReplica:
    """Make replicas of one service, each with a cache of its own; started, unless told otherwise, with two workers."""

    def make(name: str) -> Service:
        return make_service(name, STORE=bucket, CACHE=str(tmp_path / f"cache-{name}"), REFRESH_SECONDS=str(REFRESH_SECONDS))

    return make


@pytest.fixture(scope="module")
def pair(s3: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Service]]:
    """Two replicas that several tests share, with two workers each; each test uses a model of its own, and leaves both alive."""
    with pytest.MonkeyPatch.context() as environ:
        s3.use(environ)
        settings = {"STORE": s3.bucket(), "REFRESH_SECONDS": str(REFRESH_SECONDS)}
        folders = [tmp_path_factory.mktemp(name) for name in ("one", "other")]
        one, other = (Service(folder, CACHE=str(folder / "cache"), **settings).start() for folder in folders)
    yield one, other
    assert (one.stop(), other.stop()) == (0, 0)


def asked(model: str) -> dict[str, object]:
    """One row's prediction."""
    return {"model": model, "instances": [[3]]}


def slope(model: str, version: int) -> dict[str, object]:
    """The training request of a version of the model whose slope is the version's number."""
    return {"model": model, "instances": [[0], [1], [2]], "targets": [0, version, 2 * version]}


def publish(service: Service, model: str, version: int) -> None:
    """Train the version, and be sure it is that one."""
    trained = service.post("/train", slope(model, version))
    assert (trained.status, trained.json.get("version")) == (201, str(version)), trained.body


def serves(connection: Kept, model: str, version: int) -> bool:
    """Whether the worker at the other end serves the version, with the version's numbers."""
    answer = connection.ask("POST", "/predict", asked(model))
    if answer.status != 200 or answer.json["version"] != str(version):
        return False
    assert abs(answer.json["predictions"][0] - 3 * version) < 1e-9
    return True


def predicted(service: Service, model: str) -> tuple[int, str | None]:
    """Status and version of a prediction."""
    answer = service.post("/predict", asked(model))
    return answer.status, answer.json.get("version")


def reachable(service: Service) -> bool:
    """What the metric says."""
    return b"\nplumbline_store_reachable 1.0\n" in service.get("/metrics").body


def readiness(service: Service) -> tuple[int, bool]:
    """The status of `/readyz`, and whether it gives the store as a reason."""
    answer = service.get("/readyz")
    return answer.status, "store" in answer.json.get("reasons", {})


def test_what_one_replica_publishes_every_worker_of_the_other_serves(pair: tuple[Service, Service]) -> None:
    """Each worker of the other replica answers with a version at the latest a refresh and some slack after its 201; so does a deletion."""
    (one, other), model = pair, "shared"
    publish(one, model, 1)
    wait_until(lambda: predicted(other, model) == (200, "1"), "the first version at the other replica", SOON)
    with connections_to(other, wait_for_workers(other, 2)) as kept:
        for version, publisher in ((2, one), (3, one), (4, other), (5, one)):
            publish(publisher, model, version)
            for pid, connection in kept.items():
                wait_until(lambda c=connection, v=version: serves(c, model, v), f"version {version} at {pid}", SOON)  # type: ignore[misc]
        assert predicted(other, model) == (200, "5")
        assert other.get(f"/models/{model}/versions/4").json["version"] == "4"
        job = one.post("/train", slope(model, 6), headers={"Prefer": "respond-async"}).json["id"]
        wait_until(lambda: other.get(f"/jobs/{job}").json["state"] == "succeeded", "the job's end, told by the other replica")

        assert one.get(f"/models/{model}").status == 200
        assert one.get(f"/models/{model}", method="DELETE").status == 204
        for connection in kept.values():
            wait_until(lambda c=connection: c.ask("POST", "/predict", asked(model)).status == 404, "a deletion", SOON)  # type: ignore[misc]
    wait_until(lambda: predicted(one, model)[0] == 404, "the deletion at the first replica", SOON)
    assert model not in [each["model"] for each in other.get("/models").json["models"]]
    publish(one, model, 7)
    wait_until(lambda: predicted(other, model) == (200, "7"), "a version published after the deletion", SOON)


def test_replicas_serve_on_without_the_bucket(pair: tuple[Service, Service], endpoint: Endpoint) -> None:
    """Without the bucket predictions go on, from memory and after a restart from the mirror; writing is refused, and all mends itself."""
    (one, other), model = pair, "kept"
    publish(one, model, 1)
    wait_until(lambda: predicted(other, model) == (200, "1"), "the version at the other replica")
    assert (reachable(one), readiness(one)) == (True, (200, False))

    endpoint.stop()
    wait_until(lambda: readiness(other) == (200, True) and readiness(one) == (200, True), "readiness to tell of the store")
    assert not reachable(other)
    started = time.monotonic()
    refused = one.post("/train", slope(model, 2))
    assert (refused.status, time.monotonic() - started < 8) == (503, True)
    assert refused.headers["content-type"] == "application/problem+json"
    for service in (one, other):
        assert [predicted(service, model) for _ in range(20)] == [(200, "1")] * 20
    old = wait_for_workers(other, 2)
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(map(alive, old)), "the workers' end")
    wait_for_workers(other, 2)
    assert [predicted(other, model) for _ in range(20)] == [(200, "1")] * 20
    assert other.stop() == 0
    other.start()
    assert [predicted(other, model) for _ in range(20)] == [(200, "1")] * 20
    told = [json.loads(line)["message"] for line in one.log.read_text().splitlines() if line.startswith("{")]
    assert len([message for message in told if message.startswith("the bucket of the store cannot be used")]) == 1
    assert "not-a-secret" not in one.log.read_text()

    endpoint.start()
    wait_until(lambda: readiness(one) == (200, False) and readiness(other) == (200, False), "the bucket to be found again")
    assert reachable(one)
    assert one.get(f"/models/{model}/versions").json["versions"] == ["1"]
    publish(other, model, 2)
    wait_until(lambda: predicted(one, model) == (200, "2"), "a version published afterwards")


def test_the_sync_goes_on_after_its_death(pair: tuple[Service, Service]) -> None:
    """A trainer that is killed takes the sync with it, and the one that follows brings the news."""
    (one, other), model = pair, "synced"
    publish(one, model, 1)
    wait_until(lambda: predicted(other, model) == (200, "1"), "the first version")
    killed = wait_for_trainer(other)
    kill(killed)
    publish(one, model, 2)
    wait_until(lambda: predicted(other, model) == (200, "2"), "a version after the sync's death")
    assert wait_for_trainer(other) != killed


def test_a_fault_in_the_sync_ends_its_process_and_another_starts(make_replica: MakeReplica, tmp_path: Path) -> None:
    """A sync that cannot go on is not left dead in a living process."""
    (tmp_path / "cache-one" / "sync.lock").mkdir(parents=True)
    one = make_replica("one")
    with pytest.raises(AssertionError, match="not ready within"):
        one.start(ready_seconds=1)
    wait_until(lambda: one.log.read_text().count("the sync cannot go on") >= 2, "the end of the process, and of its follower", 60)
    (tmp_path / "cache-one" / "sync.lock").rmdir()
    one.wait_ready()
    publish(one, "m", 1)


def test_a_replica_that_never_saw_the_bucket_is_not_ready(make_replica: MakeReplica, endpoint: Endpoint) -> None:
    """It starts, says why it is not ready, and becomes ready by itself when the bucket comes."""
    endpoint.stop()
    one = make_replica("one")
    with pytest.raises(AssertionError, match="not ready within"):
        one.start(ready_seconds=1)
    wait_until(lambda: "the bucket of the store cannot be used" in one.log.read_text(), "the first look")
    wait_for_workers(one, 2)
    assert readiness(one) == (503, True)
    endpoint.start()
    one.wait_ready()
    publish(one, "m", 1)
