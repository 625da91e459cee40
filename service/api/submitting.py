"""From a request to the trainer and back: the body is spooled, the trainer does the work, and the request waits for it a while."""

import hashlib
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Response, request

from service.api.answers import RETRY, Answer, json_answer, problem_of_job
from service.api.bodies import body_parts
from service.api.flask_answers import to_response
from service.api.gate import ID, WHO
from service.errors import Invalid
from service.training.claims import HEADER
from service.training.jobs import Jobs, Submission
from service.training.records import FINISHED, shown

DEFAULT_WAIT = 10.0
LONGEST_WAIT = 60.0
KEY = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True)
class Submitter:
    """Hands requests to the trainer: `ring` is called with each new job's id.

    `waiting` bounds how many requests of this worker wait for the trainer, and none does while it is `draining`.
    """

    jobs: Jobs
    ring: Callable[[str], None]
    max_body_bytes: int
    waiting: threading.Semaphore
    draining: Callable[[], bool]

    def submit(self, operation: str, options: Mapping[str, Any], *, model: str | None = None) -> Response:
        """Answer this request by the outcome of an operation on its body; `options` are those not in the body, `model` the address's.

        With an `Idempotency-Key`, a request that came before is answered by the outcome of the first one.

        Raises:
            Unreadable, TooLarge: of the body.
            QueueFull: as many jobs as allowed wait or run.
            Invalid: the key cannot be used, or was used for another request.
        """
        who, key = request.environ[WHO], request.headers.get(HEADER)
        if key is not None and not KEY.fullmatch(key):
            raise Invalid({HEADER: ["must be 1 to 255 visible ASCII characters, without blanks"]})
        asked = Submission(request.mimetype, dict(options), who, request.environ[ID], operation, model, key and _of(who, key))
        digest = hashlib.sha256(json.dumps([operation, model, request.mimetype, options], sort_keys=True).encode())
        with self.jobs.receiving(again=key is not None) as (job_id, file):
            for part in body_parts(request.environ, self.max_body_bytes):
                file.write(part)
                if key is not None:
                    digest.update(part)
        job_id = self.jobs.submit(job_id, asked, request=digest.hexdigest(), again=ended_in_vain)
        self.ring(job_id)
        return to_response(self._outcome(job_id, preferred_wait(request.headers.get("Prefer", ""))))

    def _outcome(self, job_id: str, seconds: float) -> Answer:
        """The finished job's answer, or 202 when it takes longer than the client or this worker will wait."""
        # The last free thread of a worker never waits: predictions and health checks keep it.
        may_wait = seconds > 0 and self.waiting.acquire(blocking=False)
        try:
            record = self.jobs.wait(job_id, seconds, until=self.draining) if may_wait else self.jobs.record(job_id)
        finally:
            if may_wait:
                self.waiting.release()
        if record["state"] not in FINISHED:
            return json_answer(shown(record), 202, (("Location", f"/jobs/{job_id}"), *RETRY))
        if record["state"] != "succeeded":
            return problem_of_job(record["error"])
        return _published(record["result"])


def ended_in_vain(record: Mapping[str, Any]) -> bool:
    """Whether a job should be done again for a retry: it was cancelled, or it failed for a reason that is not the request's."""
    return record["state"] == "cancelled" or (record["state"] == "failed" and problem_of_job(record["error"]).status >= 500)


def _of(who: str, key: str) -> str:
    """One name for a key and the identity that sent it: nobody meets another's."""
    return hashlib.sha256(json.dumps([who, key]).encode()).hexdigest()[:40]


def _published(result: Mapping[str, Any]) -> Answer:
    """The result of a job: 201 with the place of the version that it published, or 200 when it published none."""
    if "version" not in result:
        return json_answer(result)
    return json_answer(result, 201, (("Location", f"/models/{result['model']}/versions/{result['version']}"),))


def preferred_wait(prefer: str) -> float:
    """Seconds to wait for a job by the `Prefer` header (RFC 7240): `respond-async` none, `wait=N` at most N."""
    preferences = [preference.strip().lower() for preference in re.split(r"[,;]", prefer)]
    wait = next((match for match in (re.fullmatch(r"wait=(\d{1,6})", preference) for preference in preferences) if match), None)
    if wait:
        return min(float(wait[1]), LONGEST_WAIT)
    return 0.0 if "respond-async" in preferences else DEFAULT_WAIT
