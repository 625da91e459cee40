"""The trainer: a process beside the web workers that runs jobs one at a time, niced, in the order they came.

Gunicorn's dirty pool starts and restarts it. Jobs come through the spool, which it looks into once a second by itself;
`ring` only wakes it at once, so a ring that is lost loses a second and nothing else. Told to stop, it finishes the job it
is at; the others stay in the spool for the next one. Web workers import this module to ring, so what only trainings need
(polars, scipy) is imported in the trainer's own process.
"""

import logging
import os
import signal
import threading
import time
from functools import partial

from gunicorn.dirty import DirtyApp, DirtyError, get_dirty_client

NICENESS = 10
LOOK_SECONDS = 1.0
log = logging.getLogger("plumbline.trainer")


def ring(job_id: str) -> None:
    """Tell a trainer that a job waits in the spool."""
    try:
        get_dirty_client().execute("service.training.trainer:Trainer", "submit", job_id)
    except DirtyError as error:  # no trainer at this moment
        log.warning("the trainer was not reached; it takes the job when it is back", extra={"job": job_id, "error": type(error).__name__})


class Trainer(DirtyApp):  # type: ignore[misc]  # gunicorn has no type hints
    """The application that Gunicorn's dirty worker loads."""

    def init(self) -> None:
        """Take up what an earlier trainer left, then wait for jobs."""
        import torch  # noqa: PLC0415 - see above

        from model_store.store import ModelStore  # noqa: PLC0415
        from service.config import Config  # noqa: PLC0415
        from service.training.jobs import Jobs  # noqa: PLC0415
        from service.training.runner import run_job  # noqa: PLC0415
        from service.training.sources import Limits  # noqa: PLC0415

        os.nice(NICENESS)
        torch.set_num_threads(1)
        config = Config.from_environ(os.environ)
        store = ModelStore.open(config.store)
        jobs = Jobs(store, config.spool, limit=config.max_queued_trainings)
        self._recover, self._run = jobs.recover, partial(run_job, jobs, store, Limits(config.max_rows, config.max_columns))
        self._rung, self._stopping = threading.Event(), threading.Event()
        # A thread of its own, so that `submit` answers at once. A fault in it must end the process, for Gunicorn to start a new one.
        self._worker = threading.Thread(target=self._work, name="trainer", daemon=True)
        self._worker.start()
        threading.Thread(target=_stop_without_parent, args=(config.graceful_seconds,), name="parent", daemon=True).start()

    def submit(self, _job_id: str) -> None:
        """Wake up: a job waits in the spool."""
        self._rung.set()

    def close(self) -> None:
        """Finish the job at hand; whoever told us to stop decides how long that may take."""
        self._stopping.set()
        self._rung.set()
        self._worker.join()

    def _work(self) -> None:
        try:
            while not self._stopping.is_set():
                self._rung.clear()  # before the look: a ring during it must not be missed
                for job_id in self._recover():
                    if self._stopping.is_set():
                        return
                    self._run(job_id)
                self._rung.wait(LOOK_SECONDS)
        except BaseException:
            log.exception("the trainer cannot go on and ends")
            os._exit(1)


def _stop_without_parent(graceful_seconds: float) -> None:
    """Do to this process what its supervisor would, once that is gone: Gunicorn's trainer pool does not watch for it."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    log.warning("the supervisor of the trainer is gone; it ends")
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(graceful_seconds)
    os._exit(1)
