"""One piece of work for the trainer: what an operation is given, whichever operation it is."""

from dataclasses import dataclass
from pathlib import Path

from model_store.store import ModelStore
from service.training.jobs import Submission
from service.training.sources import Limits
from service.training.train import QUIET, Progress


@dataclass(frozen=True)
class Work:
    """A job that was taken: its request body is at `body`, and `submission` says what is asked of it."""

    store: ModelStore
    limits: Limits
    body: Path
    submission: Submission
    progress: Progress = QUIET
