"""Jobs: work that outlives its request. The truth is on disk, so that any worker can answer for it and any process may die.

A job's record stands in the store; its request waits in the spool until it is finished:
`ID.body` the request body, `ID.queued` what was asked, renamed to `ID.running-PID` by the one trainer that takes it.
States: queued -> running -> succeeded | failed.
"""

import json
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from model_store.errors import NotFound
from model_store.store import ModelStore
from service.errors import PlumblineError, QueueFull, UnknownJob

FINISHED = ("succeeded", "failed")
LOST = "the trainer process ended while the job ran; nothing was published unless the model says so: send the request again"


@dataclass(frozen=True)
class Submission:
    """What was asked of a job: the body's media type and the options that are not in the body."""

    media_type: str
    options: dict[str, Any] = field(default_factory=dict)
    who: str = ""
    request_id: str = ""


class Jobs:
    """The records and the spool of one service."""

    def __init__(self, store: ModelStore, spool: Path, *, limit: int) -> None:
        self._store, self._spool, self._limit = store, spool, limit
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
            with body.open("xb") as file:
                yield job_id, file
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            body.unlink(missing_ok=True)
            raise

    def submit(self, job_id: str, submission: Submission) -> dict[str, Any]:
        """Queue a job whose body has been received; returns its record."""
        record = {"id": job_id, "state": "queued", "created": _now(), "request_id": submission.request_id}
        self._store.put_job(job_id, record)
        waiting = self._spool / f"{job_id}.queued"
        temporary = waiting.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(submission)), "utf-8")
        temporary.rename(waiting)
        return record

    def body(self, job_id: str) -> Path:
        """Where a job's request body is."""
        return self._spool / f"{job_id}.body"

    def take(self, job_id: str) -> Submission | None:
        """Make a queued job this process's own and running; None when another process has it."""
        taken = self._spool / f"{job_id}.running-{os.getpid()}"
        try:
            (self._spool / f"{job_id}.queued").rename(taken)
        except FileNotFoundError:
            return None
        self._update(job_id, state="running", started=_now())
        return Submission(**json.loads(taken.read_text("utf-8")))

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
        for job_id, state, path in self._waiting():
            pid = int(state.removeprefix("running-")) if state.startswith("running-") else None
            if pid is not None and (pid == os.getpid() or not Path(f"/proc/{pid}").exists()):
                path.rename(path.with_suffix(f".running-{os.getpid()}"))
                self._finish(job_id, state="failed", error={"kind": "JobLost", "detail": LOST, "errors": None})
        queued = [(path.stat().st_mtime_ns, job_id) for job_id, state, path in self._waiting() if state == "queued"]
        return [job_id for _, job_id in sorted(queued)]

    def record(self, job_id: str) -> dict[str, Any]:
        """The record of a job.

        Raises:
            UnknownJob
        """
        try:
            return self._store.job(job_id)
        except NotFound as error:
            raise UnknownJob("there is no such job; finished jobs are kept in the store they ran in") from error

    def wait(self, job_id: str, seconds: float) -> dict[str, Any]:
        """The record once the job is finished, or as it is after `seconds`."""
        deadline = time.monotonic() + seconds
        pause = 0.001
        while (record := self.record(job_id))["state"] not in FINISHED and time.monotonic() < deadline:
            time.sleep(min(pause, max(deadline - time.monotonic(), 0)))
            pause = min(pause * 1.2, 0.05)
        return record

    def _update(self, job_id: str, **changes: Any) -> None:
        self._store.put_job(job_id, self._store.job(job_id) | changes)

    def _finish(self, job_id: str, **changes: Any) -> None:
        self._update(job_id, finished=_now(), **changes)
        (self._spool / f"{job_id}.running-{os.getpid()}").unlink(missing_ok=True)
        self.body(job_id).unlink(missing_ok=True)

    def _waiting(self) -> list[tuple[str, str, Path]]:
        """(id, state, file) of every job that is queued or running."""
        parts = ((path, path.name.partition(".")) for path in self._spool.iterdir())
        return [(name, state, path) for path, (name, _, state) in parts if state == "queued" or state.startswith("running-")]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
