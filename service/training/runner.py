"""Running one job to its end, in whatever process that is: the trainer, or a test."""

import logging
import time
from functools import partial
from typing import Any

from model_store.errors import StoreError
from model_store.store import ModelStore
from service import metrics
from service.errors import PlumblineError
from service.training.document import version_document
from service.training.framing import in_frame
from service.training.jobs import Jobs, Submission
from service.training.sources import Limits, open_source
from service.training.train import train

log = logging.getLogger("plumbline.trainer")


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
    source, options = open_source(jobs.body(job_id), submission.media_type, submission.options, limits, complete=partial(in_frame, store))
    manifest = train(store, source, options, who=submission.who)
    return version_document(store, manifest)
