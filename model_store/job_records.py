"""What the store keeps of jobs: their records, who has an idempotency key, and which jobs are asked to stop.

Invariant: of any number of claims on one name exactly one succeeds, whoever makes them.
"""

import heapq
from collections.abc import Iterator, Mapping
from typing import Any

from model_store.errors import NotFound
from model_store.names import check_name
from model_store.sealed import seal, unseal
from model_store.storage import Objects

TOGETHER = 200  # ids from one listing: most who ask need fewer, of a number that a busy service lets grow for days


class JobRecords:
    """The records of one store, and notes beside them; a note is there or not, and never changed."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def put(self, job_id: str, record: Mapping[str, Any]) -> None:
        """Stores or overwrites the record of a job; of several writers at once the last wins, so let each job have one."""
        self._objects.replace(_record_key(job_id), seal(record))

    def read(self, job_id: str) -> dict[str, Any]:
        """The record of a job; NotFound if there is none."""
        key = _record_key(job_id)
        return unseal(self._objects.read(key), key)

    def newest(self, *, before: str | None = None) -> Iterator[str]:
        """The ids of the jobs with a record, or of those that sort before the job `before`, the last first; few are held at once."""
        while found := heapq.nlargest(TOGETHER, (job_id for job_id in self._ids() if before is None or job_id < before)):
            yield from found
            before = found[-1]

    def oldest(self) -> Iterator[str]:
        """The ids of the jobs with a record, the first first; few are held at once."""
        after = ""
        while found := heapq.nsmallest(TOGETHER, (job_id for job_id in self._ids() if job_id > after)):
            yield from found
            after = found[-1]

    def _ids(self) -> Iterator[str]:
        return (name.removesuffix(".json") for name in self._objects.each_object("jobs"))

    def delete(self, job_id: str) -> None:
        """Removes the record of a job; NotFound if there is none."""
        if not self._objects.exists(_record_key(job_id)):
            raise NotFound(f"no job {job_id} is recorded: list the jobs to see those that are")
        self._objects.delete(_record_key(job_id))

    def claim(self, name: str, body: Mapping[str, Any]) -> None:
        """Takes the name for what the body says; AlreadyExists if it is taken."""
        self._objects.create(_claim_key(name), seal(body))

    def claimed(self, name: str) -> dict[str, Any]:
        """What the name was taken for; NotFound if it is free."""
        key = _claim_key(name)
        return unseal(self._objects.read(key), key)

    def release(self, name: str) -> None:
        """Frees the name; it need not be taken."""
        self._objects.delete(_claim_key(name))

    def ask_to_stop(self, job_id: str) -> None:
        """Notes that the job is to stop; whoever runs it looks for that."""
        self._objects.replace(_stop_key(job_id), b"")

    def asked_to_stop(self, job_id: str) -> bool:
        """Whether the job is to stop; one probe."""
        return self._objects.exists(_stop_key(job_id))

    def stopped(self, job_id: str) -> None:
        """Removes the note; it need not be there."""
        self._objects.delete(_stop_key(job_id))


def _record_key(job_id: str) -> str:
    return f"jobs/{check_name(job_id, 'job')}.json"


def _claim_key(name: str) -> str:
    return f"claims/{check_name(name, 'claim')}.json"


def _stop_key(job_id: str) -> str:
    return f"stopping/{check_name(job_id, 'job')}"
