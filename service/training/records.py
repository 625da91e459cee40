"""What the record of a job says: its state, its times, and the lease by which other replicas see whether anybody cares for it.

States: queued -> running -> succeeded | failed | cancelled.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from service.errors import PlumblineError

FINISHED = ("succeeded", "failed", "cancelled")
STATES = ("queued", "running", *FINISHED)
LEASE = "lease"  # what is not for clients: the spool that has the request, the idempotency key, when the runner last renewed it
LEASE_TIME = timedelta(seconds=4)  # four renewals, and a job whose runner is gone is still told within five seconds
SUBMITTED_WITHIN = timedelta(seconds=10)  # from a job's record to its request in the spool: a millisecond, with room for a stall
QUEUED_WITHIN = timedelta(hours=24)  # in the spool of another replica, which may be gone for good


def shown(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as clients see it."""
    return {name: value for name, value in record.items() if name != LEASE}


def renewed(record: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """The record changed by its runner, which lives at this moment."""
    return {**record, **changes, LEASE: {**record.get(LEASE, {}), "renewed": now()}}


def failure(error: Exception) -> dict[str, Any]:
    """An error as the record tells it; the text of an unexpected one stays in the log."""
    known = isinstance(error, PlumblineError) or type(error).__module__.startswith("model_store.")
    detail = str(error) if known else "the training failed for a reason that is in the log of the service"
    return {"kind": type(error).__name__, "detail": detail, "errors": getattr(error, "errors", None)}


def is_gone(record: Mapping[str, Any], spool: str) -> bool:
    """Whether nobody cares any more for an unfinished job, whose request is not in this spool; clocks must agree to a second or two."""
    lease = record.get(LEASE, {})
    if record["state"] == "running":
        return age(lease.get("renewed", record["created"])) > LEASE_TIME
    return age(record["created"]) > (SUBMITTED_WITHIN if lease.get("spool") == spool else QUEUED_WITHIN)


def born(job_id: str) -> datetime:
    """When a job was made, by its id."""
    return datetime.fromtimestamp(int(job_id[:12], 16) / 1000, UTC)


def now() -> str:
    """The time as records have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def age(then: str) -> timedelta:
    """How long ago a time was that a record has."""
    return datetime.now(UTC) - datetime.fromisoformat(then)
