"""Idempotency keys: which job does what a client asked for under a key, so that a retry finds it instead of asking again.

A key is claimed once per attempt (`KEY.1`, `KEY.2`, …), gap-free; a further attempt is made only when the one before ended
without an answer worth repeating.
"""

from collections.abc import Callable
from itertools import count

from model_store.errors import AlreadyExists, NotFound
from model_store.job_records import JobRecords
from model_store.sealed import timestamp
from service.errors import Invalid, UnknownJob

HEADER = "Idempotency-Key"
USED = "was used for another request: send every new request under a key of its own, and a retry exactly as the first one"


class Claims:
    """The claims on keys in one store, made by any replica."""

    def __init__(self, notes: JobRecords) -> None:
        self._notes = notes

    def take(self, key: str, job_id: str, request: str, again: Callable[[str], bool]) -> tuple[str, str | None]:
        """Claim `key` for a job that does `request` (its digest), unless one has it whose outcome is worth repeating.

        `again` tells of a job whether it is not. Returns the job that has the key, and when it was first claimed if that was before.

        Raises:
            Invalid: the key was used for another request.
        """
        since: str | None = None
        for attempt in count(1):
            try:
                self._notes.claim(f"{key}.{attempt}", {"job": job_id, "request": request, "time": timestamp()})
            except AlreadyExists:
                claimed = self._claimed(key, attempt)
            else:
                break
            if claimed is None:  # released at this moment: the next number is free too, and all that matters is gone
                continue
            if claimed["request"] != request:
                raise Invalid({HEADER: [USED]})
            since = since or claimed["time"]
            if not _ended_in_vain(again, claimed["job"]):
                return claimed["job"], since
        return job_id, since

    def release(self, key: str, job_id: str) -> None:
        """Forget the key with the job that had it last; an earlier attempt's end changes nothing."""
        for attempt in count(1):
            claimed = self._claimed(key, attempt)
            if claimed is None:
                return
            if claimed["job"] == job_id:
                break
        if self._claimed(key, attempt + 1) is None:
            for number in range(attempt, 0, -1):  # the last first, so that they stay gap-free
                self._notes.release(f"{key}.{number}")

    def _claimed(self, key: str, attempt: int) -> dict[str, str] | None:
        try:
            return self._notes.claimed(f"{key}.{attempt}")
        except NotFound:
            return None


def _ended_in_vain(again: Callable[[str], bool], job_id: str) -> bool:
    """Whether a job should be done again; one whose record was removed should."""
    try:
        return again(job_id)
    except UnknownJob:
        return True
