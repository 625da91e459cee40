"""Jobs: on disk before they are acknowledged, run once, finished whatever happens, and told by any worker."""

import errno
import math
import os
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from model_store.errors import StoreFull
from model_store.store import ModelStore
from service.errors import Invalid, QueueFull, UnknownJob
from service.training.jobs import LOST, Jobs, Submission
from service.training.pulse import Pulse
from service.training.runner import OPERATIONS, run_job
from service.training.sources import Limits
from service.training.work import Work
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


def test_waiting_ends_when_the_job_does_or_time_is_up(
    jobs: Jobs, store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wait gives the finished record, or the record as it is when the time or the patience is over; each who waits is told of the end."""
    monkeypatch.setattr("service.training.jobs.LOOK_SECONDS", 3600)
    job_id = queue(jobs)

    assert jobs.wait(job_id, 0.01)["state"] == "queued"
    assert jobs.wait(job_id, 60, until=lambda: True)["state"] == "queued"
    looked = threading.Semaphore(0)
    with ThreadPoolExecutor(3) as others:
        waiting = [others.submit(jobs.wait, job_id, 600, until=lambda: bool(looked.release())) for _ in range(3)]
        for _ in range(3):
            assert looked.acquire(timeout=60)
        run_job(jobs, store, Limits(10, 10), job_id)
        assert [one.result(timeout=60)["state"] for one in waiting] == ["succeeded"] * 3
    assert jobs.wait(job_id, 600)["state"] == "succeeded"
    assert spooled(tmp_path) == []


@pytest.mark.parametrize("room", [True, False])
def test_the_end_of_a_job_that_nobody_told_is_seen_now_and_then(
    jobs: Jobs, store: ModelStore, monkeypatch: pytest.MonkeyPatch, *, room: bool
) -> None:
    """What ends a job elsewhere rings no bell here, and on a full disk there is none."""

    def no_room(path: Path, mode: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    if not room:
        monkeypatch.setattr(os, "mkfifo", no_room)
    monkeypatch.setattr("service.training.jobs.LOOK_SECONDS", 0.01)
    job_id = queue(jobs)
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(jobs.wait, job_id, 600)
        store.job_records.put(job_id, {**store.job_records.read(job_id), "state": "succeeded"})
        assert waiting.result(timeout=60)["state"] == "succeeded"


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
    store.job_records.put(job_id, store.job_records.read(job_id) | {"created": "2020-01-01T00:00:00.000Z"})
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


def test_the_queue_is_bounded_exactly_when_processes_race(tmp_path: Path, jobs: Jobs) -> None:
    """Of many that submit at the same time exactly as many as may wait get in, and the others leave nothing behind."""

    def submit(_: int) -> bool:
        mine = Jobs(ModelStore.open(tmp_path / "store"), tmp_path / "store" / "spool", limit=4)
        with mine.receiving(again=True) as (job_id, file):  # past the first look, as in a race
            file.write(LINE)
        try:
            mine.submit(job_id, Submission(JSON))
        except QueueFull:
            return False
        return True

    with ThreadPoolExecutor(8) as many:
        admitted = list(many.map(submit, range(24)))

    assert sum(admitted) == 4
    assert len(jobs.recover()) == len(list(jobs.newest())) == 4
    assert spooled(tmp_path) == [".body"] * 4 + [".queued"] * 4


def test_a_queued_job_is_cancelled_at_once_and_never_runs(jobs: Jobs, store: ModelStore, tmp_path: Path) -> None:
    """Its record says so, its request is gone, nothing is published; a second DELETE removes the record."""
    job_id = queue(jobs)
    record = jobs.cancel(job_id)
    run_job(jobs, store, Limits(10, 10), job_id)

    assert record is not None
    assert (record["state"], record["error"]["kind"], spooled(tmp_path)) == ("cancelled", "Cancelled", [])
    assert jobs.record(job_id) == record
    assert store.models() == []
    assert jobs.cancel(job_id) is None
    with pytest.raises(UnknownJob):
        jobs.cancel(job_id)


def test_a_job_that_another_replica_queued_is_cancelled_before_it_runs(jobs: Jobs, store: ModelStore, tmp_path: Path) -> None:
    """A replica with another spool can only ask; the one that has the request hears of it before it starts the job."""
    job_id = queue(jobs)
    other = Jobs(store, tmp_path / "other", limit=4)
    asked = other.cancel(job_id)
    run_job(jobs, store, Limits(10, 10), job_id)

    assert asked is not None
    assert (asked["state"], other.record(job_id)["state"], store.models()) == ("queued", "cancelled", [])


def test_a_job_of_another_replica_lives_as_long_as_its_lease(jobs: Jobs, store: ModelStore, tmp_path: Path) -> None:
    """A running job whose record is renewed runs; one that was not renewed for some seconds is failed, by whoever looks."""
    other = Jobs(store, tmp_path / "other", limit=4)
    job_id, waiting = queue(jobs), queue(jobs)
    jobs.take(job_id)
    running = other.record(job_id)
    jobs.renew(job_id, {"rows": 7})
    renewed = other.record(job_id)
    late = (datetime.now(UTC) - timedelta(seconds=4.5)).isoformat()
    store.job_records.put(job_id, store.job_records.read(job_id) | {"lease": {"renewed": late}})
    here = jobs.record(job_id)  # where its lock is seen to be held
    gone = other.record(job_id)

    assert (running["state"], renewed["state"], renewed["progress"], here["state"]) == ("running", "running", {"rows": 7}, "running")
    assert (gone["state"], gone["error"]["kind"]) == ("failed", "JobLost")
    assert other.record(waiting)["state"] == "queued"  # its replica may be busy, for as long as it takes


def test_records_of_finished_jobs_are_removed_when_they_are_old(jobs: Jobs, store: ModelStore) -> None:
    """Only finished ones, only after their time, the oldest first and a bounded number at once; their keys are free again."""
    made = [queue(jobs, idempotency_key=f"key{number}") for number in range(4)]
    for job_id in made[:3]:
        run_job(jobs, store, Limits(10, 10), job_id)
    old = {job_id: f"{int(job_id[:12], 16) - 48 * 3_600_000:012x}{job_id[12:]}" for job_id in made}
    for job_id in made[:2] + made[3:]:
        aged = store.job_records.read(job_id) | {"id": old[job_id]}
        if "finished" in aged:
            aged["finished"] = (datetime.now(UTC) - timedelta(hours=25)).isoformat()
        store.job_records.put(old[job_id], aged)
        store.job_records.delete(job_id)

    assert jobs.remove_old(24, most=1) == 1
    assert jobs.remove_old(24, most=10) == 1
    assert [record["id"] for record in jobs.newest()] == [made[2], old[made[3]]]


def test_a_damaged_record_stands_in_nobodys_way(jobs: Jobs, store: ModelStore, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The others are listed, and removed when they are old; the damaged one is told and left for whoever restores it."""
    ages = {"damaged": 72, "old": 48, "new": 0}
    made = {name: f"{time.time_ns() // 1_000_000 - 3_600_000 * hours:012x}{name}" for name, hours in ages.items()}
    for name, hours in ages.items():
        finished = (datetime.now(UTC) - timedelta(hours=hours)).isoformat()
        store.job_records.put(made[name], {"id": made[name], "state": "succeeded", "finished": finished})
    (path,) = tmp_path.rglob(f"{made['damaged']}.json")
    path.write_bytes(b"{}")

    assert [record["id"] for record in jobs.newest()] == [made["new"], made["old"]]
    assert jobs.remove_old(24, most=10) == 1
    assert list(store.job_records.oldest()) == [made["damaged"], made["new"]]
    assert {record.error for record in caplog.records} == {"CorruptObject"}  # type: ignore[attr-defined]


def test_the_record_is_written_only_for_a_job_that_lasts(jobs: Jobs, store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A short job writes queued, running and its end; a longer one its progress too, about once a second."""
    written: list[dict[str, Any]] = []
    put = store.job_records.put
    monkeypatch.setattr(store.job_records, "put", lambda job_id, record: (written.append(dict(record)), put(job_id, record)))
    run_job(jobs, store, Limits(10, 10), queue(jobs))
    short = [record["state"] for record in written]
    written.clear()
    job_id = queue(jobs)
    jobs.take(job_id)
    with Pulse(jobs, job_id) as pulse:
        pulse.progress.count(lambda: 1000)
        started, told = time.monotonic(), 0
        while time.monotonic() - started < 2.6:
            pulse.progress.rows(500)
            told += 1
    progress = [record["progress"] for record in written if "progress" in record]

    assert short == ["queued", "running", "succeeded"]
    assert told > 10_000  # to tell costs next to nothing
    assert len(progress) == 2
    assert [(one["rows"], one["rows_total"]) for one in progress] == [(500, 1000)] * 2
    assert [one["seconds_left"] for one in progress] == pytest.approx([1, 2], abs=0.5)


def test_the_losses_of_a_run_are_told_from_its_first_epoch_on(jobs: Jobs) -> None:
    """However many epochs pass between two records, the record has the first ones, and few of the later ones; each as it was told."""
    job_id = queue(jobs)
    jobs.take(job_id)
    with Pulse(jobs, job_id) as pulse:
        for epoch in range(1, 20_001):
            pulse.progress.epoch(epoch, 1_000_000, math.inf if epoch == 2 else 1 / epoch)
        deadline = time.monotonic() + 10
        while "losses" not in (record := jobs.record(job_id)).get("progress", {}) and time.monotonic() < deadline:
            time.sleep(0.05)
    losses = record["progress"]["losses"]

    assert [epoch for epoch, _ in losses[:6]] == [1, 3, 4, 5, 6, 7]
    assert all(loss == 1 / epoch for epoch, loss in losses)
    assert 50 < len(losses) < 100
    assert losses[-1][0] > 20_000 / 1.2


def test_a_key_that_is_lost_is_tried_again_and_finds_its_commit(jobs: Jobs, store: ModelStore, tmp_path: Path) -> None:
    """When the process died after the commit, the retry answers that version; when before, the retry does the work."""

    def lost(record: Any) -> bool:
        return bool(record["state"] == "failed" and record["error"]["kind"] == "JobLost")

    def retry(key: str) -> str:
        with jobs.receiving(again=True) as (job_id, file):
            file.write(LINE)
        return jobs.submit(job_id, Submission(JSON, idempotency_key=key), request="same", again=lost)

    def die(job_id: str) -> None:
        fd, _ = jobs._held.pop(job_id)
        os.close(fd)  # as the kernel does when a process ends
        assert jobs.record(job_id)["error"]["kind"] == "JobLost"

    before = retry("before")
    assert retry("before") == before  # still waiting: the same job
    jobs.take(before)
    die(before)
    again = retry("before")
    run_job(jobs, store, Limits(10, 10), again)
    assert again != before
    assert retry("before") == again
    assert store.versions("line") == [1]

    after = retry("after")
    submission = jobs.take(after)
    assert submission is not None
    OPERATIONS["train"](Work(store, Limits(10, 10), jobs.body(after), submission))
    die(after)
    found = retry("after")
    run_job(jobs, store, Limits(10, 10), found)
    assert jobs.record(found)["result"]["version"] == "2"
    assert store.versions("line") == [1, 2]

    with pytest.raises(Invalid, match="not valid"), jobs.receiving(again=True) as (job_id, _):
        jobs.submit(job_id, Submission(JSON, idempotency_key="after"), request="another")
