"""The trainer: a process beside the web workers that runs jobs one at a time, niced, in the order they came.

Gunicorn's dirty pool starts and restarts it. Jobs come through the spool, which it looks into once a second by itself;
the bell only wakes it at once, so a ring that is lost loses a second and nothing else. Told to stop, it finishes the job it
is at; the others stay in the spool for the next one.
"""

import logging
import os
import select
import signal
import threading
import time
from contextlib import suppress
from functools import partial

import torch
from gunicorn.dirty import DirtyApp

from model_store.errors import StoreUnavailable
from model_store.opening import Opened
from service.allocator import give_back, keep_for_training
from service.config import Config
from service.errors import NotReady
from service.priority import where_nothing_else_runs
from service.training.jobs import Jobs
from service.training.runner import run_job
from service.training.sources import Limits
from service.training.syncing import start_sync
from service.training.train import require_exact_products
from service.training.upkeep import Keep, Upkeep

LOOK_SECONDS = 1.0
log = logging.getLogger("plumbline.trainer")


class Trainer(DirtyApp):  # type: ignore[misc]  # gunicorn has no type hints
    """The application that Gunicorn's dirty worker loads."""

    def init(self) -> None:
        """Take up what an earlier trainer left, then wait for jobs."""
        where_nothing_else_runs()
        keep_for_training()
        try:
            require_exact_products()
        except NotReady as error:  # trainings are refused with this text until the machine is mended; what is trained is served on
            log.error(str(error))  # noqa: TRY400 - the traceback tells nothing more
        torch.set_num_threads(1)
        config = Config.from_environ(os.environ)
        opened = Opened.at(config.store, cache=config.cache, refresh_seconds=config.refresh_seconds)
        store = opened.acting
        self._jobs = Jobs(store, config.spool, limit=config.max_queued_trainings)
        self._run = partial(run_job, self._jobs, store, Limits(config.max_rows, config.max_columns), roots=config.data_roots)
        self._upkeep = Upkeep(store, self._jobs, Keep.of(config))
        self._bell, self._stopping = self._jobs.listen(), threading.Event()
        # A thread of its own, so that signals reach the process at any time. A fault in it must end the process, for
        # Gunicorn to start a new one.
        self._worker = threading.Thread(target=self._work, name="trainer", daemon=True)
        self._worker.start()
        start_sync(opened, config)
        threading.Thread(target=_stop_without_parent, args=(config.graceful_seconds,), name="parent", daemon=True).start()

    def close(self) -> None:
        """Finish the job at hand; whoever told us to stop decides how long that may take."""
        self._stopping.set()
        self._jobs.ring("")
        self._worker.join()

    def _work(self) -> None:
        try:
            while not self._stopping.is_set():
                for job_id in self._queued():
                    if self._stopping.is_set():
                        return
                    if (model := self._run(job_id)) is not None:
                        self._upkeep.after_publishing(model)
                self._upkeep.now_and_then()
                if not select.select([self._bell], [], [], LOOK_SECONDS)[0]:
                    give_back()
                else:
                    with suppress(BlockingIOError):  # another trainer was quicker
                        os.read(self._bell, 1 << 16)
        except BaseException:
            log.exception("the trainer cannot go on and ends")
            os._exit(1)

    def _queued(self) -> list[str]:
        """The jobs to run; none while the store cannot be reached, for their records could not be kept."""
        try:
            return self._jobs.recover()
        except StoreUnavailable:  # the sync tells
            return []


def _stop_without_parent(graceful_seconds: float) -> None:
    """Do to this process what its supervisor would, once that is gone: Gunicorn's trainer pool does not watch for it."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    log.warning("the supervisor of the trainer is gone; it ends")
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(graceful_seconds)
    os._exit(1)
