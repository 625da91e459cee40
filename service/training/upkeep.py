"""What is kept and for how long: versions, their memory, records of jobs, and what nothing refers to.

Nobody waits for it: it comes after a job's answer is recorded, or while the trainer has nothing else to do.
"""

import logging
import time
from dataclasses import dataclass

from model_store.errors import StoreError
from model_store.store import ModelStore
from service.config import Config
from service.training.jobs import Jobs

TIDY_SECONDS, TIDY_MOST = 60.0, 1000
COLLECT_SECONDS = 3600.0  # from one collection to the next, and the age of what it removes
log = logging.getLogger("plumbline.trainer")


@dataclass(frozen=True)
class Keep:
    """How many versions of a model are kept, how many of them keep their memory, and how many hours the record of a job is kept."""

    versions: int
    memories: int
    jobs_hours: int

    @classmethod
    def of(cls, config: Config) -> "Keep":
        """As the settings say."""
        return cls(config.keep_versions, config.keep_memories, config.keep_jobs_hours)


class Upkeep:
    """Keeps a store within its bounds. What fails now is done the next time."""

    def __init__(self, store: ModelStore, jobs: Jobs, keep: Keep) -> None:
        self._store, self._jobs, self._keep = store, jobs, keep
        self._tidied, self._collected = 0.0, time.monotonic()

    def after_publishing(self, model: str) -> None:
        """Let go of the versions and memories of a model that a new version has made too many."""
        retire(self._store, model, self._keep)

    def now_and_then(self) -> None:
        """Remove old records of jobs, a bounded number at once, and every hour what no version refers to."""
        now = time.monotonic()
        try:
            if now - self._tidied > TIDY_SECONDS:
                self._tidied = now
                self._jobs.remove_old(self._keep.jobs_hours, most=TIDY_MOST)
            if now - self._collected > COLLECT_SECONDS:
                self._collected = now
                for model in self._store.models():
                    retire(self._store, model, self._keep, thorough=True)
                self._store.collect(COLLECT_SECONDS)
        except StoreError as error:
            log.warning(str(error), extra={"error": type(error).__name__})


def retire(store: ModelStore, model: str, keep: Keep, *, thorough: bool = False) -> None:
    """Delete the versions of a model beyond those kept, and drop the memory of those beyond fewer; aliased ones stay whole."""
    try:
        store.retire(model, keep_versions=keep.versions, keep_memories=keep.memories, thorough=thorough)
    except StoreError as error:
        log.warning(str(error), extra={"error": type(error).__name__, "model": model})
