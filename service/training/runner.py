"""Running one job to its end, in whatever process that is: the trainer, or a test."""

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from model_store.errors import StoreError, StoreFull, StoreUnavailable
from model_store.store import ModelStore
from service import metrics
from service.errors import Cancelled, PlumblineError
from service.logs import AUDIT
from service.training.document import version_document
from service.training.framing import in_frame
from service.training.importing import import_version
from service.training.jobs import Jobs
from service.training.living_work import LIVING
from service.training.options import load_options
from service.training.pulse import Pulse
from service.training.sources import Limits
from service.training.train import train
from service.training.work import Work

AGAIN_SECONDS = 1.0
log = logging.getLogger("plumbline.trainer")
audit = logging.getLogger(AUDIT)


def run_job(jobs: Jobs, store: ModelStore, limits: Limits, job_id: str, *, roots: Sequence[Path | str] = ()) -> str | None:
    """Run one queued job to its end, whatever that is; another process's job is left alone.

    Returns the model that has a new version, if one has.
    """
    submission = jobs.take(job_id)
    if submission is None:
        return None
    started = time.perf_counter()
    outcome = "succeeded"
    error: Exception | None = None
    with metrics.TRAINING_IN_PROGRESS.track_inprogress(), Pulse(jobs, job_id) as pulse:
        work = Work(store, limits, jobs.body(job_id), submission, pulse.progress, roots)
        try:
            done = work.committed(submission.model) if submission.model else None
            result = OPERATIONS[submission.operation](work) if done is None else done
        except Cancelled:
            outcome = "cancelled"
        except (PlumblineError, StoreError) as refused:
            outcome, error = "refused" if isinstance(refused, PlumblineError) else "failed", refused
        except Exception as failure:  # noqa: BLE001 - whatever happens, the job must be reported failed and the next one run
            outcome, error = "failed", failure
    seconds = time.perf_counter() - started
    metrics.TRAININGS.labels(outcome).inc()
    metrics.TRAINING_SECONDS.observe(seconds)
    details = {"job": job_id, "request_id": submission.request_id, "outcome": outcome, "seconds": round(seconds, 6)}
    log.info("training", extra=details, exc_info=error if outcome == "failed" else None)
    if outcome == "cancelled":
        _record(partial(jobs.stop, job_id))
    elif error is not None:
        _record(partial(jobs.fail, job_id, error))
    else:
        if "version" in result:  # whoever asked may have been answered before
            told = {"who": submission.who, "operation": submission.operation, "model": result["model"], "version": result["version"]}
            audit.info("published", extra={"job": job_id, "request_id": submission.request_id, **told})
        _record(partial(jobs.succeed, job_id, result))
        return result.get("model")
    return None


def _record(finish: Callable[[], None]) -> None:
    """Record how a job ended, as soon as the store can: what was published must not be told as lost."""
    told = False
    while True:
        try:
            return finish()
        except (StoreFull, StoreUnavailable) as error:
            if not told:
                log.error("the end of a job cannot be recorded; trying again every second: %s", error)  # noqa: TRY400 - says it all
            told = True
            time.sleep(AGAIN_SECONDS)


def _train(work: Work) -> dict[str, Any]:
    """Train on the rows of the request; the version document."""
    asked = work.submission
    body = work.open()
    options = in_frame(work.store, load_options(body.given))
    if (done := work.committed(options.model)) is not None:
        return done
    manifest = train(
        work.store, body.source(options), options, progress=work.progress, who=asked.who, idempotency_key=asked.idempotency_key
    )
    return version_document(work.store, manifest)


def _import(work: Work) -> dict[str, Any]:
    """Publish the exported version that the body is; the version document."""
    asked = work.submission
    key = asked.idempotency_key
    manifest = import_version(work.store, work.body.read_bytes(), model=asked.model, **asked.options, who=asked.who, idempotency_key=key)
    return version_document(work.store, manifest)


# What the trainer can do: each takes a piece of work and returns the job's result. Where the address names the model, whether an
# earlier attempt was committed has been looked up before.
OPERATIONS: dict[str, Callable[[Work], dict[str, Any]]] = {"train": _train, "import": _import, **LIVING}
