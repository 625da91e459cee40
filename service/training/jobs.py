"""Jobs: work that outlives its request. The truth is on disk, so that any worker can answer for it and any process may die.

A job's record stands in the store; its request waits in the spool until it is finished:
`ID.body` the request body, `ID.queued` what was asked, renamed to `ID.running` by the one trainer that takes it.
That trainer holds a lock on the file, which the kernel releases when its process has ended, however it ended;
so whoever looks at a running job, in whatever process or container, sees at once that its runner is gone, and fails it.
`bell` is a named pipe through which whoever queues a job wakes a trainer.
States: queued -> running -> succeeded | failed.
"""

import errno
import fcntl
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from model_store.errors import NotFound, StoreFull
from model_store.store import ModelStore
from service import metrics
from service.errors import PlumblineError, QueueFull, UnknownJob

BELL = "bell"
FINISHED = ("succeeded", "failed")
SUBMITTED_WITHIN = timedelta(seconds=10)  # from a job's record to its request in the spool: a millisecond, with room for a stall
RECEIVED_WITHIN_SECONDS = 24 * 3600.0  # no upload takes longer
LOST = "the trainer process ended while the job ran; nothing was published unless the model says so: send the request again"


@dataclass(frozen=True)
class Submission:
    """What was asked of a job: the operation, the model that the address names, the body's media type and the options not in the body."""

    media_type: str
    options: dict[str, Any] = field(default_factory=dict)
    who: str = ""
    request_id: str = ""
    operation: str = "train"
    model: str | None = None
    idempotency_key: str | None = None


class Jobs:
    """The records and the spool of one service."""

    def __init__(self, store: ModelStore, spool: Path, *, limit: int) -> None:
        self._store, self._spool, self._limit = store, spool, limit
        self._held: dict[str, int] = {}  # the locked files of the jobs this process runs
        spool.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def receiving(self) -> Iterator[tuple[str, BinaryIO]]:
        """A new job's id and the durable file its body goes to; the file is removed when receiving fails.

        Raises:
            QueueFull: as many jobs as allowed wait or run.
        """
        if len(self._waiting()) >= self._limit:
            raise QueueFull(f"{self._limit} trainings wait already; try again later, or raise PLUMBLINE_MAX_QUEUED_TRAININGS")
        job_id = uuid.uuid4().hex
        body = self.body(job_id)
        try:
            with _space_left(), body.open("xb") as file:
                yield job_id, file
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            body.unlink(missing_ok=True)
            raise

    def submit(self, job_id: str, submission: Submission) -> dict[str, Any]:
        """Queue a job whose body has been received; returns its record."""
        record = {"id": job_id, "state": "queued", "created": _now(), "request_id": submission.request_id}
        waiting = self._spool / f"{job_id}.queued"
        temporary = waiting.with_suffix(".new")
        with _space_left():
            temporary.write_text(json.dumps(asdict(submission)), "utf-8")
        self._store.put_job(job_id, record)
        temporary.rename(waiting)
        return record

    def ring(self, _job_id: str) -> None:
        """Wake a trainer, if one listens; never waits for it."""
        with suppress(OSError):  # none listens, or it was rung so often that the pipe is full
            bell = os.open(self._spool / BELL, os.O_WRONLY | os.O_NONBLOCK)
            try:
                os.write(bell, b"!")
            finally:
                os.close(bell)

    def listen(self) -> int:
        """A descriptor that becomes readable when `ring` is called."""
        with suppress(FileExistsError):
            os.mkfifo(self._spool / BELL, 0o600)
        return os.open(self._spool / BELL, os.O_RDWR | os.O_NONBLOCK)  # open for writing too, so that it never ends

    def body(self, job_id: str) -> Path:
        """Where a job's request body is."""
        return self._spool / f"{job_id}.body"

    def take(self, job_id: str) -> Submission | None:
        """Make a queued job this process's own and running; None when another process has it."""
        queued, running = self._spool / f"{job_id}.queued", self._running(job_id)
        held = _lock(queued)
        if held is None:
            return None
        try:
            queued.rename(running)  # fails when another process took the job, finished it and let go between our two steps
        except FileNotFoundError:
            os.close(held)
            return None
        self._held[job_id] = held
        self._update(job_id, state="running", started=_now())
        return Submission(**json.loads(running.read_text("utf-8")))

    def succeed(self, job_id: str, result: dict[str, Any]) -> None:
        """Finish a job with its result."""
        self._finish(job_id, state="succeeded", result=result)

    def fail(self, job_id: str, error: Exception) -> None:
        """Finish a job with the error that ended it; the text of an unexpected one stays in the log."""
        known = isinstance(error, PlumblineError) or type(error).__module__.startswith("model_store.")
        detail = str(error) if known else "the training failed for a reason that is in the log of the service"
        failure = {"kind": type(error).__name__, "detail": detail, "errors": getattr(error, "errors", None)}
        self._finish(job_id, state="failed", error=failure)

    def recover(self) -> list[str]:
        """Fail the jobs whose process is gone and return the ids of those still queued, oldest first."""
        self._sweep()
        for job_id, state, _ in self._waiting():
            if state == "running":
                self._fail_if_lost(job_id)
        return [job_id for _, job_id in sorted((age, job_id) for job_id, state, age in self._waiting() if state == "queued")]

    def record(self, job_id: str) -> dict[str, Any]:
        """The record of a job.

        Raises:
            UnknownJob
        """
        try:
            record = self._store.job(job_id)
            lost = record["state"] not in FINISHED and (self._fail_if_lost(job_id) or self._never_came(job_id))
            return self._store.job(job_id) if lost else record
        except NotFound as error:
            raise UnknownJob("there is no such job; finished jobs are kept in the store they ran in") from error

    def wait(self, job_id: str, seconds: float, *, until: Callable[[], bool] = lambda: False) -> dict[str, Any]:
        """The record once the job is finished, or as it is after `seconds` or when `until` is true."""
        deadline = time.monotonic() + seconds
        pause = 0.001
        while (record := self.record(job_id))["state"] not in FINISHED and time.monotonic() < deadline and not until():
            time.sleep(min(pause, max(deadline - time.monotonic(), 0)))
            pause = min(pause * 1.2, 0.05)
        return record

    def _update(self, job_id: str, **changes: Any) -> None:
        self._store.put_job(job_id, self._store.job(job_id) | changes)

    def _finish(self, job_id: str, **changes: Any) -> None:
        self._update(job_id, finished=_now(), **changes)
        self._forget(job_id)

    def _forget(self, job_id: str) -> None:
        """Remove the request of a finished job, and let go of it."""
        self.body(job_id).unlink(missing_ok=True)
        self._running(job_id).unlink(missing_ok=True)
        if job_id in self._held:
            os.close(self._held.pop(job_id))

    def _fail_if_lost(self, job_id: str) -> bool:
        """Fail a running job whose process is gone; returns whether it was."""
        held = _lock(self._running(job_id))
        if held is None:
            return False
        try:
            # Its process may have ended after the job did, or the job while we came for the lock.
            if self._store.job(job_id)["state"] in FINISHED:
                self._forget(job_id)
            else:
                metrics.TRAININGS.labels("failed").inc()
                self._finish(job_id, state="failed", error={"kind": "JobLost", "detail": LOST, "errors": None})
        finally:
            os.close(held)
        return True

    def _never_came(self, job_id: str) -> bool:
        """Fail a job that has long had no request in the spool: its submission broke off; returns whether it did."""
        if any((self._spool / f"{job_id}.{state}").exists() for state in ("queued", "running")):
            return False
        if datetime.now(UTC) - datetime.fromisoformat(self._store.job(job_id)["created"]) < SUBMITTED_WITHIN:
            return False
        if self._store.job(job_id)["state"] not in FINISHED:  # a job is recorded as finished before its files go
            self._finish(job_id, state="failed", error={"kind": "JobLost", "detail": LOST, "errors": None})
        return True

    def _sweep(self) -> None:
        """Remove bodies whose submission broke off long ago."""
        waiting = {job_id for job_id, _, _ in self._waiting()}
        for path in self._spool.iterdir():
            with suppress(FileNotFoundError):
                old = time.time() - path.stat().st_mtime > RECEIVED_WITHIN_SECONDS
                if path.suffix in (".body", ".new") and path.stem not in waiting and old:
                    path.unlink()

    def _running(self, job_id: str) -> Path:
        return self._spool / f"{job_id}.running"

    def _waiting(self) -> list[tuple[str, str, int]]:
        """(id, state, time it was queued) of every job that is queued or running."""
        found = []
        for path in self._spool.iterdir():
            job_id, _, state = path.name.partition(".")
            if state in ("queued", "running"):
                with suppress(FileNotFoundError):  # it has gone on meanwhile
                    found.append((job_id, state, path.stat().st_mtime_ns))
        return found


def _lock(path: Path) -> int | None:
    """A descriptor that holds the lock of a file; None when there is no such file or another descriptor holds it."""
    try:
        held = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        return None
    return held


@contextmanager
def _space_left() -> Iterator[None]:
    """Say in the store's words that the spool, which lies in it, is full."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StoreFull("no space is left in the store for the request: free some, or delete versions, then try again") from error
        raise


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
