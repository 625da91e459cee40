"""The sync of a replica: a thread of the trainer process that keeps the mirror up with the bucket.

One process per replica looks, the one that holds the lock of the cache; where there are several trainers the others stand by.
A fault in the thread ends its process, for Gunicorn to start a new one; the lock goes with the process, however it ends.
"""

import fcntl
import logging
import os
import threading
import time
from pathlib import Path

from model_store.errors import StoreError
from model_store.mirror import MirroredObjects
from model_store.opening import Opened
from model_store.reach import Reach
from model_store.sync import Sync
from service import metrics
from service.config import Config

log = logging.getLogger("plumbline.sync")


def start_sync(opened: Opened, config: Config) -> None:
    """Keep the mirror of a store in a bucket up, from now until this process ends; for a directory there is nothing to do."""
    if opened.mirrored is None or opened.reach is None:
        metrics.STORE_REACHABLE.set(1)
        return
    syncing = Syncing(opened.mirrored, opened.reach, config.cache / "sync.lock", config.refresh_seconds)
    threading.Thread(target=syncing.run, name="sync", daemon=True).start()


class Syncing:
    """Looks at the bucket every `refresh_seconds` and tells of each change: by a line in the log, a metric and `reach`."""

    def __init__(self, objects: MirroredObjects, reach: Reach, lock: Path, refresh_seconds: float) -> None:
        self._sync, self._reach = Sync(objects, refresh_seconds=refresh_seconds), reach
        self._lock, self._refresh_seconds = lock, refresh_seconds
        self._trouble: str | None = None
        self._faults: dict[str, str] = {}

    def run(self) -> None:
        """Look for ever."""
        try:
            self._wait_for_lock()
            while True:
                started = time.monotonic()
                self.look()
                time.sleep(max(0.0, self._refresh_seconds - (time.monotonic() - started)))
        except BaseException:
            log.exception("the sync cannot go on; its process ends")
            os._exit(1)

    def look(self) -> None:
        """One look at the bucket; what it finds wrong is told, not raised."""
        try:
            faults = self._sync.look()
            self._reach.found()
        except StoreError as error:
            self._unreachable(str(error))
            return
        metrics.STORE_REACHABLE.set(1)
        if self._trouble is not None:
            log.info("the bucket of the store can be used again")
        self._trouble = None
        for model, fault in faults.items():
            if self._faults.get(model) != fault:
                log.error("a model cannot be mirrored", extra={"model": model, "reason": fault})
        self._faults = faults

    def _unreachable(self, reason: str) -> None:
        metrics.STORE_REACHABLE.set(0)
        if self._trouble is None:
            log.error("the bucket of the store cannot be used; what is mirrored is served on", extra={"reason": reason})
            try:
                self._reach.lost(reason)
            except StoreError as error:  # a full disk; the metric and the log tell
                log.error("that the bucket cannot be used cannot be noted", extra={"reason": str(error)})  # noqa: TRY400 - expected
        self._trouble = reason

    def _wait_for_lock(self) -> None:
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # held through a descriptor that is never closed
            except BlockingIOError:
                time.sleep(self._refresh_seconds)
            else:
                return
