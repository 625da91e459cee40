"""The spool: the requests that wait on this machine, as files, so that any of its processes may die.

`ID.body` is a request's body, `ID.files` copies of files that it names in a bucket, `ID.queued` what was asked, renamed to
`ID.running` by the one trainer that takes it.
That trainer holds a lock on the file, which the kernel releases when its process has ended, however it ended;
so whoever looks at a running job, in whatever process or container, sees at once that its runner is gone.
`bell` is a named pipe through which whoever queues a job wakes a trainer, and `ID.ended` one that wakes whoever waits for a request
to leave the spool; `queue` holds the spool's own name, and its lock is held while the queue is counted and added to; `reserve` is room
held back for the ends of jobs on a disk that fills up.
"""

import errno
import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from model_store.errors import StoreFull
from service.errors import QueueFull

BELL = "bell"
QUEUE = "queue"
COPIES = ".files"  # a request's files from a bucket
RESERVE, RESERVE_BYTES = "reserve", 1 << 20
STATES = ("queued", "running")
LEFT_BEHIND = (".body", ".new", ".ended")  # by submissions and waits that broke off
RECEIVED_WITHIN_SECONDS = 24 * 3600.0  # no upload takes longer


class Spool:
    """The files of one directory; `limit` is the most requests that may wait or run."""

    def __init__(self, folder: Path, *, limit: int) -> None:
        self._folder, self._limit = folder, limit
        folder.mkdir(parents=True, exist_ok=True)

    @cached_property
    def name(self) -> str:
        """What tells this spool from those of other replicas."""
        with self._alone() as queue:
            return queue.read().decode()

    @contextmanager
    def receiving(self, job_id: str) -> Iterator[BinaryIO]:
        """The durable file that a body goes to; it is removed when receiving fails."""
        body = self.body(job_id)
        try:
            with space_left(), body.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            body.unlink(missing_ok=True)
            raise

    def check_room(self) -> None:
        """Refuse early what would be refused in the end, and what might end without room to tell it.

        Raises:
            QueueFull, StoreFull
        """
        reserve = self._folder / RESERVE
        if not reserve.exists():
            with space_left(), reserve.open("ab") as file:
                try:
                    os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
                except OSError:
                    reserve.unlink(missing_ok=True)
                    raise
        if len(self._listed()) >= self._limit:
            raise QueueFull(f"{self._limit} trainings wait already; try again later, or raise PLUMBLINE_MAX_QUEUED_TRAININGS")

    def spend_reserve(self) -> None:
        """Free the room held back; no further request is taken in until there is as much again."""
        (self._folder / RESERVE).unlink(missing_ok=True)

    def enqueue(self, job_id: str, request: str) -> None:
        """Put what is asked into the queue; the count is exact, however many processes do so at once.

        Raises:
            QueueFull, StoreFull
        """
        written = self._path(job_id, "new")
        with space_left():
            written.write_text(request, "utf-8")
        with self._alone():
            self.check_room()
            written.rename(self._path(job_id, "queued"))

    def take(self, job_id: str) -> tuple[int, str] | None:
        """Make a queued request running: the descriptor that holds its lock, and what is asked; None when another process has it."""
        queued = self._path(job_id, "queued")
        held = _lock(queued)
        if held is None:
            return None
        try:
            # Fails when another process took the job, finished it and let go between our two steps.
            running = queued.rename(self._path(job_id, "running"))
        except FileNotFoundError:
            os.close(held)
            return None
        return held, running.read_text("utf-8")

    def put_back(self, job_id: str, held: int) -> None:
        """Make a request that was taken a queued one again, and let go of it."""
        self._path(job_id, "running").rename(self._path(job_id, "queued"))
        os.close(held)

    def take_over(self, job_id: str) -> int | None:
        """A descriptor that holds the lock of a running request whose process is gone; None when there is no such one."""
        return _lock(self._path(job_id, "running"))

    def knows(self, job_id: str) -> bool:
        """Whether the request waits or runs here."""
        return any(self._path(job_id, state).exists() for state in STATES)

    def drop(self, job_id: str, held: int | None = None) -> None:
        """Remove all there is of a request, wake whoever waits for that, then let go of its lock."""
        for end in ("body", "new", *STATES):
            self._path(job_id, end).unlink(missing_ok=True)
        shutil.rmtree(self.body(job_id).with_suffix(COPIES), ignore_errors=True)
        _ring(self._path(job_id, "ended"))
        self._path(job_id, "ended").unlink(missing_ok=True)
        if held is not None:
            os.close(held)

    def body(self, job_id: str) -> Path:
        """Where a request's body is."""
        return self._path(job_id, "body")

    def waiting(self) -> list[tuple[str, str, int]]:
        """(id, state, time it was queued) of every request that is queued or running."""
        found = []
        for job_id, state in self._listed():
            with suppress(FileNotFoundError):  # it has gone on meanwhile
                found.append((job_id, state, self._path(job_id, state).stat().st_mtime_ns))
        return found

    def sweep(self) -> None:
        """Remove what is left of submissions that broke off long ago."""
        waiting = {job_id for job_id, _, _ in self.waiting()}
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):
                old = time.time() - path.stat().st_mtime > RECEIVED_WITHIN_SECONDS
                if path.suffix in LEFT_BEHIND and path.stem not in waiting and old:
                    path.unlink()

    def ring(self) -> None:
        """Wake a trainer, if one listens; never waits for it."""
        _ring(self._folder / BELL)

    def listen(self) -> int:
        """A descriptor that becomes readable when `ring` is called."""
        return _listen(self._folder / BELL)

    @contextmanager
    def ending(self, job_id: str) -> Iterator[int | None]:
        """A descriptor that becomes readable when a request leaves the spool, if it did not before; None where there is no room for one."""
        pipe = self._path(job_id, "ended")
        try:
            ended = _listen(pipe)
        except OSError:
            yield None
            return
        try:
            yield ended
        finally:
            os.close(ended)
            if not self.knows(job_id):
                pipe.unlink(missing_ok=True)

    @contextmanager
    def _alone(self) -> Iterator[BinaryIO]:
        """Hold the lock of the queue; the file, which names the spool."""
        with space_left(), (self._folder / QUEUE).open("a+b") as queue:
            fcntl.flock(queue, fcntl.LOCK_EX)
            queue.seek(0)
            if not queue.read():
                queue.write(uuid.uuid4().hex.encode())
                queue.flush()
            queue.seek(0)
            yield queue

    def _listed(self) -> list[tuple[str, str]]:
        """(id, state) of every request that is queued or running."""
        names = (path.name.partition(".") for path in self._folder.iterdir())
        return [(job_id, state) for job_id, _, state in names if state in STATES]

    def _path(self, job_id: str, end: str) -> Path:
        return self._folder / f"{job_id}.{end}"


def _ring(pipe: Path) -> None:
    with suppress(OSError):  # none listens, or it was rung so often that the pipe is full
        bell = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        try:
            os.write(bell, b"!")
        finally:
            os.close(bell)


def _listen(pipe: Path) -> int:
    while True:
        with suppress(FileExistsError):
            os.mkfifo(pipe, 0o600)
        with suppress(FileNotFoundError):  # removed between the two
            return os.open(pipe, os.O_RDWR | os.O_NONBLOCK)  # open for writing too, so that it never ends


def _lock(path: Path) -> int | None:
    """A descriptor that holds the lock of a file; None when there is no such file or another descriptor holds it."""
    try:
        held = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        return None
    return held


@contextmanager
def space_left() -> Iterator[None]:
    """Say in the store's words that the spool, which lies in it, is full."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StoreFull("no space is left in the store for the request: free some, or delete versions, then try again") from error
        raise
