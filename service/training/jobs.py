"""Jobs: work that outlives its request. The truth is in the store, so that any worker of any replica can answer for it.

A job's record stands in the store; its request waits in the spool of one replica until it is finished (`spool`).
Its runner renews the record while it runs. Whoever looks and sees that the runner is gone fails the job: on the runner's own
replica by the lock that it held, elsewhere by a record that was not renewed in time.
"""

import json
import logging
import os
import secrets
import select
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from model_store.errors import CorruptObject, NotFound, StoreError, StoreFull
from model_store.store import ModelStore
from service import metrics
from service.errors import Cancelled, JobLost, UnknownJob
from service.training.claims import Claims
from service.training.records import FINISHED, LEASE, age, born, failure, is_gone, now, renewed
from service.training.spool import Spool

LOST = "the trainer process ended while the job ran; nothing was published unless the model says so: send the request again"
STOPPED = "the job was cancelled; nothing was published"
LOOK_SECONDS = 0.5
log = logging.getLogger("plumbline.trainer")


@dataclass(frozen=True)
class Submission:
    """What was asked of a job: the operation, the model that the address names, the body's media type and the options not in the body.

    `idempotency_key` is the client's together with its identity, as one name; `since` is when a request with it first came,
    if an earlier attempt at it may have been committed.
    """

    media_type: str
    options: dict[str, Any] = field(default_factory=dict)
    who: str = ""
    request_id: str = ""
    operation: str = "train"
    model: str | None = None
    idempotency_key: str | None = None
    since: str | None = None


class Jobs:
    """The records of one store and the spool of one replica; at most `limit` jobs wait or run in it."""

    def __init__(self, store: ModelStore, spool: Path, *, limit: int) -> None:
        self._store, self._spool = store, Spool(spool, limit=limit)
        self._held: dict[str, tuple[int, dict[str, Any]]] = {}  # lock and record of the jobs this process runs
        self._claims = Claims(store.job_records)

    @contextmanager
    def receiving(self, *, again: bool = False) -> Iterator[tuple[str, BinaryIO]]:
        """A new job's id and the durable file its body goes to; the file is removed when receiving fails.

        `again` says that the request may have been sent before, and so may need no room.

        Raises:
            QueueFull: as many jobs as allowed wait or run.
            StoreFull: there is no room for it, or to tell how it ended.
        """
        if not again:
            self._spool.check_room()
        # By the time first, so that the newest are found without reading them all.
        job_id = f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"
        with self._spool.receiving(job_id) as file:
            yield job_id, file

    def submit(
        self, job_id: str, submission: Submission, *, request: str = "", again: Callable[[Mapping[str, Any]], bool] = lambda _: False
    ) -> str:
        """Queue a job whose body has been received; returns its id, or that of the job that has its idempotency key already.

        `request` is the digest of what is asked, `again` tells of the other job's record whether it ended in vain.

        Raises:
            QueueFull: as many jobs as allowed wait or run.
            Invalid: the key was used for another request.
        """
        key = submission.idempotency_key
        record = {"id": job_id, "state": "queued", "operation": submission.operation, "created": now()}
        try:
            lease = {"spool": self._spool.name, "key": key}
            self._store.job_records.put(job_id, record | {"request_id": submission.request_id, LEASE: lease})
            if key is not None:
                known, since = self._claims.take(key, job_id, request, lambda other: again(self.record(other)))
                if known != job_id:
                    self._discard(job_id)
                    return known
                submission = replace(submission, since=since)
            self._spool.enqueue(job_id, json.dumps(asdict(submission)))
        except BaseException:
            self._discard(job_id)
            raise
        return job_id

    def ring(self, _job_id: str) -> None:
        """Wake a trainer, if one listens; never waits for it."""
        self._spool.ring()

    def listen(self) -> int:
        """A descriptor that becomes readable when `ring` is called."""
        return self._spool.listen()

    def body(self, job_id: str) -> Path:
        """Where a job's request body is."""
        return self._spool.body(job_id)

    def take(self, job_id: str) -> Submission | None:
        """Make a queued job this process's own and running; None when another process has it, or it is to stop.

        It stays queued while the store cannot record that it runs.
        """
        taken = self._spool.take(job_id)
        if taken is None:
            return None
        held, request = taken
        try:
            record = self._store.job_records.read(job_id)
            if record["state"] in FINISHED:  # failed by another replica, which has not heard of this one for long
                self._spool.drop(job_id, held)
                return None
            self._held[job_id] = held, record
            if self.asked_to_stop(job_id):
                self.stop(job_id)
                return None
            self._put(job_id, state="running", started=now())
        except NotFound:  # removed meanwhile
            self._spool.drop(job_id, held)
            return None
        except StoreError:
            log.exception("a job cannot be started and stays queued", extra={"job": job_id})
            self._held.pop(job_id, None)
            self._spool.put_back(job_id, held)
            return None
        return Submission(**json.loads(request))

    def renew(self, job_id: str, progress: Mapping[str, Any]) -> None:
        """Tell that a job of this process still runs, and how far it is."""
        self._put(job_id, progress=dict(progress))

    def asked_to_stop(self, job_id: str) -> bool:
        """Whether somebody cancelled the job."""
        return self._store.job_records.asked_to_stop(job_id)

    def succeed(self, job_id: str, result: dict[str, Any]) -> None:
        """Finish a job with its result."""
        self._finish(job_id, state="succeeded", result=result)

    def fail(self, job_id: str, error: Exception) -> None:
        """Finish a job with the error that ended it; the text of an unexpected one stays in the log."""
        self._finish(job_id, state="failed", error=failure(error))

    def stop(self, job_id: str) -> None:
        """Finish a job of this process that was cancelled."""
        self._finish(job_id, state="cancelled", error=failure(Cancelled(STOPPED)))
        self._store.job_records.stopped(job_id)

    def cancel(self, job_id: str) -> dict[str, Any] | None:
        """Ask an unfinished job to stop and return its record; remove the record of a finished one.

        A queued job is cancelled at once, a running one when its runner looks, within about a second.

        Raises:
            UnknownJob
        """
        if self.record(job_id)["state"] in FINISHED:
            self._discard(job_id)
            return None
        self._store.job_records.ask_to_stop(job_id)
        taken = self._spool.take(job_id)
        if taken is not None:
            try:
                self._held[job_id] = taken[0], self._store.job_records.read(job_id)
                self.stop(job_id)
            except StoreError:  # whoever takes it will see that it is to stop
                self._held.pop(job_id, None)
                self._spool.put_back(job_id, taken[0])
                raise
        record = self.record(job_id)
        if record["state"] in FINISHED:  # meanwhile, perhaps, and then nobody else removes the note
            self._store.job_records.stopped(job_id)
        return record

    def recover(self) -> list[str]:
        """Fail the jobs whose process is gone and return the ids of those still queued, oldest first."""
        self._spool.sweep()
        for job_id, state, _ in self._spool.waiting():
            if state == "running":
                with suppress(StoreError):  # the next look is soon
                    self._fail_if_lost(job_id)
        return [job_id for _, job_id in sorted((age, job_id) for job_id, state, age in self._spool.waiting() if state == "queued")]

    def record(self, job_id: str) -> dict[str, Any]:
        """The record of a job.

        Raises:
            UnknownJob
        """
        try:
            record = self._store.job_records.read(job_id)
            lost = record["state"] not in FINISHED and (self._fail_if_lost(job_id) or self._fail_if_gone(job_id))
            return self._store.job_records.read(job_id) if lost else record
        except NotFound as error:
            raise UnknownJob("there is no such job; finished jobs are kept for PLUMBLINE_KEEP_JOBS_HOURS") from error

    def newest(self, *, before: str | None = None) -> Iterator[dict[str, Any]]:
        """The records of all jobs, or of those older than the job `before`, the newest first; read as they are asked for."""
        return self._readable(self._store.job_records.newest(before=before))

    def wait(self, job_id: str, seconds: float, *, until: Callable[[], bool] = lambda: False) -> dict[str, Any]:
        """The record once the job is finished, or as it is after `seconds` or when `until` is true."""
        deadline = time.monotonic() + seconds
        bell = select.poll()  # not `select`, which knows no descriptors beyond 1023
        with self._spool.ending(job_id) as ended:
            if ended is not None:
                bell.register(ended, select.POLLIN)
            while (record := self.record(job_id))["state"] not in FINISHED and not until():
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                # Other replicas do not ring, nor does a runner that dies: a record is looked at now and then.
                if bell.poll(1e3 * min(left, LOOK_SECONDS)):
                    bell = select.poll()  # it goes on ringing
        return record

    def remove_old(self, hours: float, *, most: int) -> int:
        """Remove up to `most` records of jobs that finished more than `hours` ago; how many were removed."""
        removed, limit = 0, timedelta(hours=hours)
        for record in self._readable(self._store.job_records.oldest()):
            if removed == most or born(record["id"]) > datetime.now(UTC) - limit:  # the others are younger still
                break
            if record["state"] in FINISHED and age(record["finished"]) > limit:
                self._discard(record["id"])
                removed += 1
        return removed

    def _readable(self, ids: Iterable[str]) -> Iterator[dict[str, Any]]:
        """The records of jobs, without those removed meanwhile and damaged ones, which are told in the log and stand in nobody's way."""
        for job_id in ids:
            try:
                yield self.record(job_id)
            except UnknownJob:
                pass
            except CorruptObject as error:
                log.warning(str(error), extra={"error": type(error).__name__, "job": job_id})

    def _put(self, job_id: str, **changes: Any) -> None:
        """Change the record of a job of this process, on a full disk in the room that was held back for it."""
        held, record = self._held[job_id]
        record = renewed(record, **changes)
        self._held[job_id] = held, record
        try:
            self._store.job_records.put(job_id, record)
        except StoreFull:
            self._spool.spend_reserve()
            self._store.job_records.put(job_id, record)

    def _finish(self, job_id: str, **changes: Any) -> None:
        self.body(job_id).unlink(missing_ok=True)  # first, for the room that the record may need
        self._put(job_id, finished=now(), **changes)
        held, _ = self._held.pop(job_id)
        self._spool.drop(job_id, held)

    def _discard(self, job_id: str) -> None:
        """Remove all there is of a job that nobody runs."""
        self._spool.drop(job_id)
        with suppress(NotFound):
            key = self._store.job_records.read(job_id).get(LEASE, {}).get("key")
            if key is not None:
                self._claims.release(key, job_id)
            self._store.job_records.stopped(job_id)
            self._store.job_records.delete(job_id)

    def _fail_if_lost(self, job_id: str) -> bool:
        """Fail a running job of this spool whose process is gone; returns whether it was."""
        held = self._spool.take_over(job_id)
        if held is None:
            return False
        try:
            record = self._store.job_records.read(job_id)
            # Its process may have ended after the job did, or the job while we came for the lock.
            if record["state"] not in FINISHED:
                self._held[job_id] = held, record
                self.fail(job_id, JobLost(LOST))
                metrics.TRAININGS.labels("failed").inc()
                return True
        except StoreError as error:
            self._held.pop(job_id, None)
            if not isinstance(error, NotFound):
                os.close(held)
                raise
        self._spool.drop(job_id, held)
        return True

    def _fail_if_gone(self, job_id: str) -> bool:
        """Fail a job that this spool does not have and that nobody cares for any more; returns whether it was, or has ended."""
        if self._spool.knows(job_id):
            return False
        record = self._store.job_records.read(job_id)
        if record["state"] in FINISHED:  # meanwhile: a job is recorded as finished before its files go
            return True
        if not is_gone(record, self._spool.name):
            return False
        self._store.job_records.put(job_id, record | {"state": "failed", "finished": now(), "error": failure(JobLost(LOST))})
        return True
