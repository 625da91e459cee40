"""`/jobs`: what became of the work that was asked for."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response

from service.api.answers import RETRY, Answer, json_answer, problem_of_job
from service.api.flask_answers import conditional, query, to_response
from service.api.job_schemas import JobPageSchema
from service.training.jobs import Jobs
from service.training.records import FINISHED, shown

MOST_LOOKED_AT = 1000  # records read for one page of a filtered list


def job_doors(jobs: Jobs) -> Blueprint:
    """Doors to the records of jobs."""
    doors = Blueprint("jobs", __name__)

    @doors.get("/jobs")
    def listed() -> Response:
        return to_response(json_answer(_page(jobs, **query(JobPageSchema()))))

    @doors.get("/jobs/<job_id>")
    def job(job_id: str) -> Response:
        record = jobs.record(job_id)
        return conditional(json_answer(_told(record), 200, () if record["state"] in FINISHED else RETRY))

    @doors.delete("/jobs/<job_id>")
    def cancel(job_id: str) -> Response:
        record = jobs.cancel(job_id)
        if record is None:
            return to_response(Answer(204, b""))
        if record["state"] in FINISHED:
            return to_response(json_answer(_told(record)))
        return to_response(json_answer(_told(record), 202, (("Location", f"/jobs/{job_id}"), *RETRY)))

    return doors


def _page(jobs: Jobs, *, limit: int, after: str | None, state: str | None) -> dict[str, Any]:
    """The newest jobs, or those older than the job `after`; a page may be short of `limit` where few jobs have the `state`."""
    found: list[dict[str, Any]] = []
    last = None
    for looked, record in enumerate(jobs.newest(before=after)):
        if len(found) == limit or looked == MOST_LOOKED_AT:
            return {"jobs": found, "after": last}
        last = record["id"]
        if state in (None, record["state"]):
            found.append({name: value for name, value in _told(record).items() if name != "result"})
    return {"jobs": found, "after": None}


def _told(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as clients see it, the error of a job that failed with the status that its request is answered with."""
    told = shown(record)
    if error := told.get("error"):
        told["error"] = {**error, "status": problem_of_job(error).status}
    return told
