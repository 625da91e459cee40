"""The trainer: a process beside the web workers that runs jobs one at a time, niced, in the order they came.

Gunicorn's dirty pool starts and restarts it. Jobs come through the spool; `ring` only wakes it, so a ring that is lost
while the process restarts loses nothing.
"""

import logging
import os
import queue
import threading
import time
from typing import Any

import torch
from gunicorn.dirty import DirtyApp, DirtyError, get_dirty_client

from model_store.errors import StoreError
from model_store.store import ModelStore
from service import metrics
from service.config import Config
from service.errors import PlumblineError
from service.training.jobs import Jobs, Submission
from service.training.sources import Limits, open_source
from service.training.train import train, version_document

NICENESS = 10
log = logging.getLogger("plumbline.trainer")


def ring(job_id: str) -> None:
    """Tell a trainer that a job waits in the spool."""
    try:
        get_dirty_client().execute("service.training.trainer:Trainer", "submit", job_id)
    except DirtyError as error:  # no trainer at this moment: the next one looks into the spool when it starts
        log.warning("the trainer was not reached; it takes the job when it is back", extra={"job": job_id, "error": type(error).__name__})


def run_job(jobs: Jobs, store: ModelStore, limits: Limits, job_id: str) -> None:
    """Run one queued job to its end, whatever that is; another process's job is left alone."""
    submission = jobs.take(job_id)
    if submission is None:
        return
    started = time.perf_counter()
    outcome = "succeeded"
    error: Exception | None = None
    with metrics.TRAINING_IN_PROGRESS.track_inprogress():
        try:
            result = _train(jobs, store, limits, job_id, submission)
        except (PlumblineError, StoreError) as refused:
            outcome, error = "refused" if isinstance(refused, PlumblineError) else "failed", refused
        except Exception as failure:  # noqa: BLE001 - whatever happens, the job must be reported failed and the next one run
            outcome, error = "failed", failure
    seconds = time.perf_counter() - started
    metrics.TRAININGS.labels(outcome).inc()
    metrics.TRAINING_SECONDS.observe(seconds)
    details = {"job": job_id, "request_id": submission.request_id, "outcome": outcome, "seconds": round(seconds, 6)}
    log.info("training", extra=details, exc_info=error if outcome == "failed" else None)
    if error is None:
        jobs.succeed(job_id, result)
    else:
        jobs.fail(job_id, error)


def _train(jobs: Jobs, store: ModelStore, limits: Limits, job_id: str, submission: Submission) -> dict[str, Any]:
    source, options = open_source(jobs.body(job_id), submission.media_type, submission.options, limits)
    manifest = train(store, source, options, who=submission.who)
    return version_document(store, manifest)


class Trainer(DirtyApp):  # type: ignore[misc]  # gunicorn has no type hints
    """The application that Gunicorn's dirty worker loads."""

    def init(self) -> None:
        """Take up what an earlier trainer left, then wait for jobs."""
        os.nice(NICENESS)
        torch.set_num_threads(1)
        config = Config.from_environ(os.environ)
        self._store = ModelStore.open(config.store)
        self._jobs = Jobs(self._store, config.spool, limit=config.max_queued_trainings)
        self._limits = Limits(config.max_rows, config.max_columns)
        self._queue: queue.SimpleQueue[str] = queue.SimpleQueue()
        for job_id in self._jobs.recover():
            self._queue.put(job_id)
        # A thread of its own, so that `submit` answers at once. A fault in it must end the process, for Gunicorn to start a new one.
        threading.Thread(target=self._work, name="trainer", daemon=True).start()

    def submit(self, job_id: str) -> None:
        """Queue a job that waits in the spool."""
        self._queue.put(job_id)

    def _work(self) -> None:
        try:
            while True:
                run_job(self._jobs, self._store, self._limits, self._queue.get())
        except BaseException:
            log.exception("the trainer cannot go on and ends")
            os._exit(1)
