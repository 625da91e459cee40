"""Objects in a local directory under keys that are relative POSIX paths, with durable put-if-absent.

Invariant: under its key an object is absent or whole, and whatever `create` or `replace` reported survives a power cut.

Those who add hold one lock `shared`, those who take away hold it `alone`, so nothing is taken from under a half-done addition.
"""

import errno
import fcntl
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from model_store.errors import AlreadyExists, InvalidName, NotFound, StoreError, StoreFull, StoreUnavailable

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*")
_POLL_SECONDS = 0.005


class LocalObjects:
    """The objects under one directory, shared by any number of threads and processes of one machine.

    `OSError` never leaves: StoreFull, StoreUnavailable and NotFound say the same in the store's words.
    The underscored methods that take paths are the system-level steps; between any two of them a process may die.
    """

    lock_wait_seconds = 30.0
    settled_seconds = 0.0

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._base = f"{self._root}/"
        self._temporaries = self._root / "tmp"
        self._lasting: set[Path] = set()  # folders that this object knows to survive a power cut

    def prepare(self) -> None:
        """Makes the directory and proves that it can be written and linked in; StoreUnavailable or StoreFull otherwise."""
        with _explained("the directory of the store"):
            made = [folder for folder in (self._temporaries, *self._temporaries.parents) if not folder.exists()]
            self._temporaries.mkdir(parents=True, exist_ok=True)
            for folder in made:
                self._sync(folder.parent)
            written = self._write(b"")
            linked = written.with_suffix(".link")
            try:
                self._link(written, linked)
                self._unlink(linked)
            finally:
                self._unlink(written)

    def create(self, key: str, data: bytes) -> None:
        """Puts the object if its key is free, whole and durable; AlreadyExists (of a then durable object) if it is taken."""
        path = self._path(key)
        with _explained(key):
            self._make_folders(path)
            temporary = self._write(data)
            try:
                self._link(temporary, path)
            except FileExistsError:
                taken = True
            else:
                taken = False
            finally:
                self._unlink(temporary)
            self._sync_folders(path)
        if taken:
            raise AlreadyExists(f"{key} exists already")

    def replace(self, key: str, data: bytes) -> None:
        """Puts the object whatever was under its key, whole and durable; the last of several writers wins."""
        path = self._path(key)
        with _explained(key):
            self._make_folders(path)
            temporary = self._write(data)
            try:
                self._rename(temporary, path)
            except OSError:
                self._unlink(temporary)
                raise
            self._sync_folders(path)

    def read(self, key: str) -> bytes:
        """The object's bytes; NotFound if there is none."""
        path = self._path(key)
        with _explained(key):
            try:
                return path.read_bytes()
            except FileNotFoundError:
                raise absent(key) from None

    def exists(self, key: str) -> bool:
        """Whether there is an object under the key: one `stat`, no more than a few microseconds."""
        if not _is_key(key):
            raise _bad_key()
        try:
            os.stat(self._base + key)  # noqa: PTH116  a Path would cost more than the system call
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _translated(error, key) from error
        return True

    def age(self, key: str) -> float:
        """Seconds since the object was written; NotFound if there is none."""
        path = self._path(key)
        with _explained(key):
            try:
                return time.time() - path.stat().st_mtime
            except FileNotFoundError:
                raise absent(key) from None

    def expiring(self, key: str) -> bool:  # noqa: ARG002 - the protocol's signature
        """Never: the lock keeps what is being used."""
        return False

    def names(self, prefix: str) -> list[str]:
        """The names directly under the prefix, sorted; none if nothing is there."""
        path = self._path(prefix)
        with _explained(prefix):
            try:
                return sorted(child.name for child in path.iterdir())
            except FileNotFoundError:
                return []

    def each_object(self, prefix: str) -> Iterator[str]:
        """The names of the objects directly under the prefix, in no order and never all at once; none if nothing is there."""
        with _explained(prefix), suppress(FileNotFoundError), os.scandir(self._path(prefix)) as entries:
            yield from (entry.name for entry in entries if not entry.is_dir())

    def delete(self, key: str) -> None:
        """Removes the object, durably; it need not exist."""
        path = self._path(key)
        with _explained(key):
            try:
                self._unlink(path)
            except FileNotFoundError:
                return
            self._sync(path.parent)

    def sweep(self, older_than_seconds: float) -> int:
        """Removes what writers that died left behind, if older than that many seconds; the number of files removed."""
        removed = 0
        with _explained("tmp"):
            for path in self._temporaries.iterdir():
                # a writer may finish with its file at any moment here
                with suppress(FileNotFoundError):
                    if time.time() - path.stat().st_mtime >= older_than_seconds:
                        self._unlink(path)
                        removed += 1
        return removed

    def shared(self) -> AbstractContextManager[None]:
        """Held while something is added: any number at once, none beside `alone`; StoreUnavailable after `lock_wait_seconds`."""
        return self._locked(fcntl.LOCK_SH)

    def alone(self) -> AbstractContextManager[None]:
        """Held while something is taken away: one at a time, none beside `shared`; StoreUnavailable after `lock_wait_seconds`."""
        return self._locked(fcntl.LOCK_EX)

    @contextmanager
    def _locked(self, mode: int) -> Iterator[None]:
        with _explained("lock"):
            # the kernel drops the lock when its holder dies, however it dies
            descriptor = os.open(f"{self._base}lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            with _explained("lock"):
                self._wait_for(descriptor, mode)
            yield
        finally:
            os.close(descriptor)

    def _wait_for(self, descriptor: int, mode: int) -> None:
        deadline = time.monotonic() + self.lock_wait_seconds
        while True:
            try:
                fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise StoreUnavailable(
                        f"the lock of the store was held elsewhere for {self.lock_wait_seconds:g} s: "
                        "try again; if it lasts, look for a stuck process"
                    ) from None
                time.sleep(_POLL_SECONDS)
            else:
                return

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)

    def _sync_folders(self, path: Path) -> None:
        # up to the root, since whoever made a folder may have died, or not yet come, before its sync; but once for each folder,
        # which is never removed
        depth = len(path.relative_to(self._root).parts)
        for within, folder in zip((path, *path.parents), path.parents[:depth], strict=False):
            if within in self._lasting:
                break
            self._sync(folder)
            if within != path:
                self._lasting.add(within)

    def _make_folders(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)

    def _write(self, data: bytes) -> Path:
        temporary = self._temporaries / secrets.token_hex(16)
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return temporary

    def _link(self, temporary: Path, path: Path) -> None:
        path.hardlink_to(temporary)

    def _rename(self, temporary: Path, path: Path) -> None:
        temporary.replace(path)

    def _unlink(self, path: Path) -> None:
        path.unlink()

    def _sync(self, folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@lru_cache(maxsize=512)  # the same few are asked for again and again, and very many once
def _is_key(key: str) -> bool:
    return _KEY.fullmatch(key) is not None


@contextmanager
def _explained(key: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _translated(error, key) from error


def _translated(error: OSError, key: str) -> StoreError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return StoreFull(f"no space is left in the store to write {key}: free some, or delete versions and collect, then try again")
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return StoreUnavailable(
            f"the store does not allow this user to use {key} ({error.strerror}): "
            "give it rights to a writable file system that supports hard links"
        )
    return StoreUnavailable(f"the store failed at {key} ({error.strerror}): check its file system, then try again")


def check_key(key: str) -> str:
    """The key itself if it is one; else InvalidName."""
    if not _is_key(key):
        raise _bad_key()
    return key


def absent(key: str) -> NotFound:
    """The error where nothing is stored."""
    return NotFound(f"nothing is stored under {key}: list what is there")


def _bad_key() -> InvalidName:
    return InvalidName("not a key of the store: use a relative path of names without '..'")
