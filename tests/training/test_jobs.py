"""Jobs: on disk before they are acknowledged, run once, finished whatever happens, and told by any worker."""

import os
import resource
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from model_store.errors import StoreFull
from model_store.store import ModelStore
from service.errors import Invalid, QueueFull, UnknownJob
from service.training.jobs import LOST, Jobs, Submission
from service.training.runner import run_job
from service.training.sources import Limits
from tests.support import ROOT

LINE = b'{"model": "line", "instances": [[0], [1], [2]], "targets": [1, 3, 5]}'
JSON = "application/json"
TAKE = """
import sys
from pathlib import Path
from model_store.store import ModelStore
from service.training.jobs import Jobs
jobs = Jobs(ModelStore.open(sys.argv[1]), Path(sys.argv[1]) / "spool", limit=100)
print("ready", flush=True)
sys.stdin.readline()
print(*[job_id for job_id in sys.argv[2:] if jobs.take(job_id) is not None], flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore.open(tmp_path / "store")


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "store" / "spool"


@pytest.fixture
def jobs(store: ModelStore, spool: Path) -> Jobs:
    return Jobs(store, spool, limit=4)


def queue(jobs: Jobs, body: bytes = LINE, media_type: str = JSON, **more: Any) -> str:
    """Queue a job as `POST /train` does; returns its id."""
    with jobs.receiving() as (job_id, file):
        file.write(body)
    jobs.submit(job_id, Submission(media_type, **more))
    return job_id


def spooled(tmp_path: Path) -> list[str]:
    """Files of requests that are still in the spool, by their ends."""
    return sorted(path.suffix for path in (tmp_path / "store" / "spool").iterdir() if path.suffix)


@contextmanager
def taker(tmp_path: Path, *job_ids: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that takes these jobs when it is told to, prints which, and waits."""
    process = subprocess.Popen(
        [sys.executable, "-c", TAKE, str(tmp_path / "store"), *job_ids], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def told(process: subprocess.Popen[str]) -> list[str]:
    """Let a taker go one step further and give what it took."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline().split()


def test_a_job_runs_from_queued_to_succeeded(jobs: Jobs, store: ModelStore, tmp_path: Path) -> None:
    """A job's record follows it; when it is finished its request is gone from the spool and its version is published."""
    job_id = queue(jobs, who="token 1", request_id="r1")
    queued = jobs.record(job_id)
    run_job(jobs, store, Limits(10, 10), job_id)
    record = jobs.record(job_id)

    assert (queued["id"], queued["state"], queued["request_id"]) == (job_id, "queued", "r1")
    assert record["state"] == "succeeded"
    assert record["created"] <= record["started"] <= record["finished"]
    assert (record["result"]["model"], record["result"]["version"]) == ("line", "1")
    assert store.alias("line", "live").who == "token 1"
    assert spooled(tmp_path) == []


def test_a_refused_job_says_why(jobs: Jobs, store: ModelStore, tmp_path: Path) -> None:
    """A request that is wrong ends as failed, with the class, the text and the paths of its error."""
    job_id = queue(jobs, b'{"instances": [[1]], "targets": ["zebra"]}')
    run_job(jobs, store, Limits(10, 10), job_id)
    record = jobs.record(job_id)

    assert record["state"] == "failed"
    assert record["error"] == {
        "kind": "Invalid",
        "detail": "some fields of the request are not valid",
        "errors": {"targets[0]": ["must be a number"]},
    }
    assert spooled(tmp_path) == []


def test_an_unforeseen_failure_stays_in_the_log(jobs: Jobs, store: ModelStore, tmp_path: Path) -> None:
    """Of an error nobody foresaw the record tells nothing but that the log has it, and the next job runs."""
    job_id = queue(jobs)
    jobs.body(job_id).unlink()
    run_job(jobs, store, Limits(10, 10), job_id)
    after = queue(jobs)
    run_job(jobs, store, Limits(10, 10), after)

    assert jobs.record(job_id)["error"] == {
        "kind": "FileNotFoundError",
        "detail": "the training failed for a reason that is in the log of the service",
        "errors": None,
    }
    assert jobs.record(after)["state"] == "succeeded"


def test_a_storage_failure_is_told_in_the_stores_words(jobs: Jobs) -> None:
    """The store's own errors are told as they are."""
    job_id = queue(jobs)
    jobs.take(job_id)
    jobs.fail(job_id, StoreFull("no space is left"))

    assert jobs.record(job_id)["error"] == {"kind": "StoreFull", "detail": "no space is left", "errors": None}


def test_the_queue_is_bounded(jobs: Jobs, store: ModelStore) -> None:
    """As many jobs wait or run as allowed, and one more is refused until one of them is finished."""
    ids = [queue(jobs) for _ in range(4)]
    jobs.take(ids[0])
    with pytest.raises(QueueFull, match=r"4 trainings wait already.*PLUMBLINE_MAX_QUEUED_TRAININGS"):
        queue(jobs)
    run_job(jobs, store, Limits(10, 10), ids[1])

    queue(jobs)
    with pytest.raises(QueueFull):
        queue(jobs)


def test_a_request_that_breaks_off_leaves_nothing(jobs: Jobs, tmp_path: Path) -> None:
    """A body that is refused or cut off while it is received is removed, and no job was made."""
    seen: list[str] = []

    def receive() -> None:
        with jobs.receiving() as (job_id, file):
            seen.append(job_id)
            file.write(b"half")
            raise Invalid({})

    with pytest.raises(Invalid):
        receive()

    assert spooled(tmp_path) == []
    with pytest.raises(UnknownJob):
        jobs.record(seen[0])


@pytest.mark.parametrize("bytes_left", [0, 100])
def test_a_full_disk_is_a_full_store(jobs: Jobs, tmp_path: Path, bytes_left: int) -> None:
    """No space for the body or for the record is told as a full store, and no request is half there."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_left, hard))
    try:
        with pytest.raises(StoreFull, match="no space is left"):
            queue(jobs, b"x" * 90)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert not any(suffix in (".queued", ".running") for suffix in spooled(tmp_path))


def test_a_job_is_taken_once(jobs: Jobs, tmp_path: Path) -> None:
    """Of several processes that want the same jobs, each job goes to exactly one."""
    wide = Jobs(ModelStore.open(tmp_path / "store"), tmp_path / "store" / "spool", limit=100)
    ids = [queue(wide) for _ in range(40)]
    with taker(tmp_path, *ids) as one, taker(tmp_path, *reversed(ids)) as two:
        with ThreadPoolExecutor(2) as both:
            taken = list(both.map(told, (one, two)))

        assert sorted(taken[0] + taken[1]) == sorted(ids)
        assert jobs.take(ids[0]) is None


def test_a_job_that_is_unknown_is_not_taken(jobs: Jobs) -> None:
    """A ring for a job that is long done does nothing."""
    assert jobs.take("nothing") is None


def test_a_job_whose_process_died_is_failed_and_the_others_wait_in_order(jobs: Jobs, tmp_path: Path) -> None:
    """After a death in the middle of a job, whoever looks finds it failed and told so; queued ones are kept in order."""
    ids = [queue(jobs) for _ in range(3)]
    for place, job_id in enumerate(ids):
        os.utime(tmp_path / "store" / "spool" / f"{job_id}.queued", ns=(place, 10 - place))
    with taker(tmp_path, ids[0]) as process:
        assert told(process) == [ids[0]]
        assert jobs.record(ids[0])["state"] == "running"
        assert jobs.recover() == [ids[2], ids[1]]
        assert jobs.record(ids[0])["state"] == "running"
        process.send_signal(signal.SIGKILL)
        process.wait()

        assert jobs.recover() == [ids[2], ids[1]]
    record = jobs.record(ids[0])
    assert (record["state"], record["error"]) == ("failed", {"kind": "JobLost", "detail": LOST, "errors": None})
    assert spooled(tmp_path) == [".body", ".body", ".queued", ".queued"]


def test_waiting_ends_when_the_job_does_or_time_is_up(jobs: Jobs, store: ModelStore) -> None:
    """A wait gives the finished record, or the record as it is when the time or the patience is over."""
    job_id = queue(jobs)

    assert jobs.wait(job_id, 0.01)["state"] == "queued"
    assert jobs.wait(job_id, 60, until=lambda: True)["state"] == "queued"
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(jobs.wait, job_id, 60)
        run_job(jobs, store, Limits(10, 10), job_id)
        assert waiting.result()["state"] == "succeeded"
    assert jobs.wait(job_id, 0)["state"] == "succeeded"


def test_a_ring_wakes_who_listens_and_waits_for_nobody(jobs: Jobs) -> None:
    """Ringing without a listener, or more often than anybody hears, does nothing and never waits; a listener hears the first ring."""
    jobs.ring("before anybody listens")
    bell = jobs.listen()
    again = jobs.listen()
    try:
        assert select.select([bell], [], [], 0)[0] == []
        for _ in range(100_000):
            jobs.ring("more than a pipe holds")
        assert select.select([bell], [], [], 0)[0] == [bell]
    finally:
        os.close(bell)
        os.close(again)


def test_an_unknown_job_is_told_as_such(jobs: Jobs) -> None:
    """Neither its record nor a wait for it pretends."""
    for look in (jobs.record, lambda job_id: jobs.wait(job_id, 1)):
        with pytest.raises(UnknownJob, match="there is no such job"):
            look("0" * 32)


def test_a_submission_that_broke_off_is_reported_lost(jobs: Jobs, store: ModelStore, spool: Path) -> None:
    """A job whose record came but whose request never reached the spool fails, instead of waiting for ever."""
    with jobs.receiving() as (job_id, file):
        file.write(b"{}")
    jobs.submit(job_id, Submission("application/json"))
    (spool / f"{job_id}.queued").unlink()
    fresh = jobs.record(job_id)
    store.put_job(job_id, store.job(job_id) | {"created": "2020-01-01T00:00:00.000Z"})
    old = jobs.record(job_id)

    assert (fresh["state"], old["state"], old["error"]["kind"]) == ("queued", "failed", "JobLost")


def test_bodies_nobody_submitted_are_removed(jobs: Jobs, spool: Path) -> None:
    """An upload whose process died before it could submit leaves nothing behind for long."""
    with jobs.receiving() as (abandoned, file):
        file.write(b"{}")
    with jobs.receiving() as (fresh, file):
        file.write(b"{}")
    os.utime(spool / f"{abandoned}.body", (0, 0))
    jobs.recover()

    assert {path.name for path in spool.iterdir() if path.suffix == ".body"} == {f"{fresh}.body"}
