"""The trainer: a process beside the web workers that runs jobs one at a time, niced, in the order they came.

Gunicorn's dirty pool starts and restarts it. Jobs come through the spool; `ring` only wakes it, so a ring that is lost
while the process restarts loses nothing. Web workers import this module to ring, so what only trainings need
(polars, scipy) is imported in the trainer's own process.
"""

import logging
import os
import queue
import threading
from functools import partial

from gunicorn.dirty import DirtyApp, DirtyError, get_dirty_client

NICENESS = 10
log = logging.getLogger("plumbline.trainer")


def ring(job_id: str) -> None:
    """Tell a trainer that a job waits in the spool."""
    try:
        get_dirty_client().execute("service.training.trainer:Trainer", "submit", job_id)
    except DirtyError as error:  # no trainer at this moment: the next one looks into the spool when it starts
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
        self._run = partial(run_job, jobs, store, Limits(config.max_rows, config.max_columns))
        self._queue: queue.SimpleQueue[str] = queue.SimpleQueue()
        for job_id in jobs.recover():
            self._queue.put(job_id)
        # A thread of its own, so that `submit` answers at once. A fault in it must end the process, for Gunicorn to start a new one.
        threading.Thread(target=self._work, name="trainer", daemon=True).start()

    def submit(self, job_id: str) -> None:
        """Queue a job that waits in the spool."""
        self._queue.put(job_id)

    def _work(self) -> None:
        try:
            while True:
                self._run(self._queue.get())
        except BaseException:
            log.exception("the trainer cannot go on and ends")
            os._exit(1)
