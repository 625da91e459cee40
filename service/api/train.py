"""`POST /train` and the jobs it makes: the body is spooled, the trainer does the work, and the request waits for it a while."""

import re
import threading
from collections.abc import Callable

from flask import Blueprint, Response, request

from service.api.answers import Answer, json_answer, problem_of_job
from service.api.flask_answers import to_response
from service.api.gate import ID, WHO, body_parts
from service.training.jobs import FINISHED, Jobs, Submission
from service.training.options import options_from_query

DEFAULT_WAIT = 10.0
LONGEST_WAIT = 60.0


def train_doors(
    jobs: Jobs, ring: Callable[[str], None], *, max_body_bytes: int, waiting: threading.Semaphore, draining: Callable[[], bool]
) -> Blueprint:
    """Doors for training; `waiting` bounds how many requests of this worker wait for the trainer, and none does while it is `draining`."""
    doors = Blueprint("train", __name__)

    @doors.post("/train")
    def train() -> Response:
        options = options_from_query(request.args.to_dict(flat=False))
        with jobs.receiving() as (job_id, file):
            file.writelines(body_parts(request.environ, max_body_bytes))
        jobs.submit(job_id, Submission(request.mimetype, options, request.environ[WHO], request.environ[ID]))
        ring(job_id)
        return to_response(_outcome(jobs, job_id, preferred_wait(request.headers.get("Prefer", "")), waiting, until=draining))

    @doors.get("/jobs/<job_id>")
    def job(job_id: str) -> Response:
        return to_response(json_answer(jobs.record(job_id)))

    return doors


def _outcome(jobs: Jobs, job_id: str, seconds: float, waiting: threading.Semaphore, *, until: Callable[[], bool]) -> Answer:
    """The finished job's answer, or 202 when it takes longer than the client or this worker will wait."""
    # The last free thread of a worker never waits: predictions and health checks keep it.
    may_wait = seconds > 0 and waiting.acquire(blocking=False)
    try:
        record = jobs.wait(job_id, seconds, until=until) if may_wait else jobs.record(job_id)
    finally:
        if may_wait:
            waiting.release()
    if record["state"] not in FINISHED:
        return json_answer(record, 202, (("Location", f"/jobs/{job_id}"),))
    if record["state"] == "failed":
        return problem_of_job(record["error"])
    result = record["result"]
    return json_answer(result, 201, (("Location", f"/models/{result['model']}/versions/{result['version']}"),))


def preferred_wait(prefer: str) -> float:
    """Seconds to wait for a job by the `Prefer` header (RFC 7240): `respond-async` none, `wait=N` at most N."""
    preferences = [preference.strip().lower() for preference in re.split(r"[,;]", prefer)]
    wait = next((match for match in (re.fullmatch(r"wait=(\d{1,6})", preference) for preference in preferences) if match), None)
    if wait:
        return min(float(wait[1]), LONGEST_WAIT)
    return 0.0 if "respond-async" in preferences else DEFAULT_WAIT
