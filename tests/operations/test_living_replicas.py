"""Living models over two replicas on one bucket: whoever learns, forgets or merges what, it ends where one training would."""

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sklearn.datasets import load_diabetes

from tests.buckets import Endpoint
from tests.operations.processes import wait_until
from tests.support import Service

pytestmark = pytest.mark.slow

Rows = list[tuple[list[float], float]]


@pytest.fixture(scope="module")
def replicas(s3: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Service]]:
    """Two replicas of one service; each test uses models of its own."""
    with pytest.MonkeyPatch.context() as environ:
        s3.use(environ)
        settings = {"STORE": s3.bucket(), "REFRESH_SECONDS": "0.5", "WORKERS": "1", "KEEP_MEMORIES": "20"}
        folders = [tmp_path_factory.mktemp(name) for name in ("one", "other")]
        services = [Service(folder, CACHE=str(folder / "cache"), **settings).start() for folder in folders]
    yield services
    assert [service.stop() for service in services] == [0, 0]


@pytest.fixture(scope="module")
def rows() -> Rows:
    """The diabetes data, 442 rows of 10 features."""
    data = load_diabetes()
    return list(zip(data.data.tolist(), data.target.tolist(), strict=True))


def request(rows: Rows) -> dict[str, Any]:
    """Rows as a request."""
    return {"instances": [x for x, _ in rows], "targets": [y for _, y in rows]}


def asked(service: Service, path: str, document: Any) -> Any:
    """The version document that a request ends with; a model that has not reached the replica yet is asked for again."""
    deadline = time.monotonic() + 60
    while True:
        reply = service.post(path, document, headers={"Prefer": "wait=60"}, timeout=90)
        if reply.status == 202:
            place = reply.headers["location"]
            while (record := service.get(place).json)["state"] in ("queued", "running"):
                time.sleep(0.02)
            assert record["state"] == "succeeded", record
            return record["result"]
        if reply.status == 201:
            return reply.json
        assert (reply.status, time.monotonic() < deadline) == (404, True), reply.body
        time.sleep(0.1)


def identity(document: Any) -> tuple[Any, ...]:
    """What two equal models have in common, bit for bit."""
    return document["fingerprint"], document["fit"]["n"], document["fit"]["coefficients"]


def pieces(rows: Rows, rng: random.Random) -> Iterator[Rows]:
    """The rows in any order and in pieces of any size."""
    rows = rng.sample(rows, len(rows))
    while rows:
        size = rng.choice((1, 7, 40, 90))
        yield rows[:size]
        rows = rows[size:]


@pytest.mark.parametrize("writers", [1, 4])
def test_pieces_learned_at_two_replicas_are_one_training(replicas: list[Service], rows: Rows, writers: int) -> None:
    """In any order, by one to four writers at two replicas at once: the fingerprint and the coefficients of one training."""
    rng = random.Random(writers)
    one = replicas[0]
    model, complete, less = (f"{name}-{writers}" for name in ("m", "whole", "left"))
    whole = asked(one, "/train", {"model": complete, **request(rows)})
    asked(one, "/train", {"model": model, "like": f"{complete}@1", "ledger": "on", **request(rows[:20])})
    todo = list(pieces(rows[20:], rng))
    with ThreadPoolExecutor(writers) as pool:
        learned = list(pool.map(lambda i: asked(replicas[i % 2], f"/models/{model}/learn", request(todo[i])), range(len(todo))))
    assert len({document["version"] for document in learned}) == len(todo)
    for replica in replicas:
        wait_until(lambda r=replica: r.get(f"/models/{model}/versions/live").json["fit"]["n"] == len(rows), "the last version", 10)  # type: ignore[misc]
        assert identity(replica.get(f"/models/{model}/versions/live").json) == identity(whole)

    gone = rng.sample(rows, int(0.4 * len(rows)))
    for i, piece in enumerate(pieces(gone, rng)):
        asked(replicas[i % 2], f"/models/{model}/forget", request(piece))
    left = asked(replicas[1], "/train", {"model": less, "like": f"{complete}@1", **request([row for row in rows if row not in gone])})
    for replica in replicas:
        wait_until(lambda r=replica: r.get(f"/models/{model}/versions/live").json["fit"]["n"] == left["fit"]["n"], "the last version", 10)  # type: ignore[misc]
        assert identity(replica.get(f"/models/{model}/versions/live").json) == identity(left)


@pytest.mark.parametrize("frame", ["own", "like"])
def test_models_made_apart_merge_into_one_training(replicas: list[Service], rows: Rows, frame: str) -> None:
    """Three models made at different replicas from different rows of one scale, each in its own frame or in that of the first."""
    a, b, c, complete = (f"{name}-{frame}" for name in ("a", "b", "c", "whole"))
    whole = asked(replicas[0], "/train", {"model": complete, **request(rows)})
    for i, name in enumerate((a, b, c)):
        like = {"like": f"{a}@1"} if frame == "like" and i else {}
        asked(replicas[i % 2], "/train", {"model": name, **like, **request(rows[i::3])})
    merged = asked(replicas[1], f"/models/{a}/merge", {"with": [b, f"{c}@1"]})
    assert identity(merged) == identity(whole)
