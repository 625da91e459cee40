"""`/jobs`: what became of the work that was asked for."""

from flask import Blueprint, Response

from service.api.answers import json_answer
from service.api.flask_answers import to_response
from service.training.jobs import Jobs


def job_doors(jobs: Jobs) -> Blueprint:
    """Doors to the records of jobs."""
    doors = Blueprint("jobs", __name__)

    @doors.get("/jobs/<job_id>")
    def job(job_id: str) -> Response:
        return to_response(json_answer(jobs.record(job_id)))

    return doors
