"""The pulse of a running job: it tells how far the job is, that its process lives, and the job that it is to stop."""

import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from model_store.errors import StoreError
from service.errors import Cancelled
from service.training.jobs import STOPPED, Jobs
from service.training.train import Progress

LOOK_SECONDS = 0.5
RENEW_LOOKS = 2  # the record is written once in so many looks, and not at all for a job that ends before
SPARSER = 1.15  # each epoch whose loss is kept is later than the one before by this factor: 100 of a million


class Pulse:
    """Beats in a thread of its own while the job runs, so that the job itself only sets a few numbers."""

    def __init__(self, jobs: Jobs, job_id: str) -> None:
        self._jobs, self._job_id = jobs, job_id
        self._ended, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)
        self._began = time.monotonic()
        self._rows = 0
        self._epoch: tuple[int, int, float] | None = None
        self._epochs_began = 0.0
        self._losses: list[tuple[int, float]] = []
        self._next_kept = 1
        self._total: Callable[[], int | None] = lambda: None  # asked for once, and only of a job that lasts
        self.progress = Progress(self._on_rows, self._on_epoch, self._check, self._on_count)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def _check(self) -> None:
        """End the job here if it is to stop.

        Raises:
            Cancelled
        """
        if self._stopping.is_set():
            raise Cancelled(STOPPED)

    def _on_rows(self, rows: int) -> None:
        self._rows = rows
        self._check()

    def _on_epoch(self, epoch: int, epochs: int, loss: float) -> None:
        if self._epoch is None:
            self._epochs_began = time.monotonic()
        self._epoch = epoch, epochs, loss
        if epoch >= self._next_kept and math.isfinite(loss):
            self._losses.append((epoch, loss))
            self._next_kept = max(epoch + 1, math.ceil(SPARSER * epoch))
        self._check()

    def _on_count(self, total: Callable[[], int | None]) -> None:
        self._total = total

    def _beat(self) -> None:
        looks = 0
        total: int | None = None
        while not self._ended.wait(LOOK_SECONDS):
            looks += 1
            with suppress(StoreError):  # the job goes on without being watched, and is looked for again soon
                if self._jobs.asked_to_stop(self._job_id):
                    self._stopping.set()
                if looks % RENEW_LOOKS == 0:
                    total = self._counted() if looks == RENEW_LOOKS else total
                    self._jobs.renew(self._job_id, self._reached(total))

    def _counted(self) -> int | None:
        try:
            return self._total()
        except Exception:  # noqa: BLE001 - data that cannot be counted are told by whoever reads them
            return None

    def _reached(self, total: int | None) -> dict[str, Any]:
        """How far the job is; `seconds_left` goes by the speed so far, of epochs where there are some and else of rows."""
        now = time.monotonic()
        whole = None if total is None else max(total, self._rows)
        reached: dict[str, Any] = {"rows": self._rows, "rows_total": whole, "seconds_left": None}
        if self._epoch is not None:
            epoch, epochs, loss = self._epoch
            reached |= {"epoch": epoch, "epochs": epochs, "loss": loss if math.isfinite(loss) else None, "losses": list(self._losses)}
            if epoch > 1:  # timed from the end of the first
                reached["seconds_left"] = round((now - self._epochs_began) * (epochs - epoch) / (epoch - 1), 1)
        elif whole and self._rows:
            reached["seconds_left"] = round((now - self._began) * (whole - self._rows) / self._rows, 1)
        return reached
