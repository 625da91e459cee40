"""Running one job to its end, in whatever process that is: the trainer, or a test."""

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from model_store.errors import StoreError
from model_store.store import ModelStore
from service import metrics
from service.errors import PlumblineError
from service.training.document import version_document
from service.training.framing import in_frame
from service.training.importing import import_version
from service.training.jobs import Jobs
from service.training.living_work import LIVING
from service.training.sources import Limits, open_source
from service.training.train import train
from service.training.work import Work

log = logging.getLogger("plumbline.trainer")


def run_job(jobs: Jobs, store: ModelStore, limits: Limits, job_id: str) -> None:
    """Run one queued job to its end, whatever that is; another process's job is left alone."""
    submission = jobs.take(job_id)
    if submission is None:
        return
    work = Work(store, limits, jobs.body(job_id), submission)
    started = time.perf_counter()
    outcome = "succeeded"
    error: Exception | None = None
    with metrics.TRAINING_IN_PROGRESS.track_inprogress():
        try:
            result = OPERATIONS[submission.operation](work)
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


def _train(work: Work) -> dict[str, Any]:
    """Train on the rows of the body; the version document."""
    asked = work.submission
    source, options = open_source(work.body, asked.media_type, asked.options, work.limits, complete=partial(in_frame, work.store))
    manifest = train(work.store, source, options, progress=work.progress, who=asked.who)
    return version_document(work.store, manifest)


def _import(work: Work) -> dict[str, Any]:
    """Publish the exported version that the body is; the version document."""
    asked = work.submission
    key = asked.idempotency_key
    manifest = import_version(work.store, work.body.read_bytes(), model=asked.model, **asked.options, who=asked.who, idempotency_key=key)
    return version_document(work.store, manifest)


# What the trainer can do: each takes a piece of work and returns the job's result.
OPERATIONS: dict[str, Callable[[Work], dict[str, Any]]] = {"train": _train, "import": _import, **LIVING}
