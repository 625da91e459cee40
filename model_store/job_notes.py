"""Notes beside the records of jobs: who has an idempotency key, and which jobs are asked to stop.

Invariant: of any number of claims on one name exactly one succeeds, whoever makes them.
"""

from collections.abc import Mapping
from typing import Any

from model_store.names import check_name
from model_store.sealed import seal, unseal
from model_store.storage import Objects


class JobNotes:
    """The notes of one store; each is there or not, and none is ever changed."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

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


def _claim_key(name: str) -> str:
    return f"claims/{check_name(name, 'claim')}.json"


def _stop_key(job_id: str) -> str:
    return f"stopping/{check_name(job_id, 'job')}"
