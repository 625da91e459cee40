"""The local directory: put-if-absent, and storage that refuses."""

import os
import re
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from model_store import ModelStore
from model_store.errors import AlreadyExists, NotFound, StoreError, StoreFull, StoreUnavailable
from model_store.objects import LocalObjects

NOBODY = 65534


@pytest.fixture
def objects(root: Path) -> LocalObjects:
    objects = LocalObjects(root)
    objects.prepare()
    return objects


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "small", disk], check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a file system")
    yield disk
    subprocess.run(["umount", disk], check=True)


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """Within the block no file may grow past `size` bytes; around it, one that takes the tests' own output may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def locked_folder(tmp_path: Path) -> Iterator[Path]:
    """A directory that this process may not write in; a user who may everything becomes nobody meanwhile."""
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    user = os.geteuid()
    if os.access(folder, os.W_OK):
        os.seteuid(NOBODY)
    yield folder
    os.seteuid(user)


def test_create_puts_only_where_nothing_is(objects: LocalObjects) -> None:
    """The first object under a key stays; the second is refused and leaves no litter."""
    objects.create("a/b/c", b"first")
    with pytest.raises(AlreadyExists, match=r"^a/b/c exists already$"):
        objects.create("a/b/c", b"second")
    assert (objects.read("a/b/c"), objects.exists("a/b/c"), objects.exists("a/b/d")) == (b"first", True, False)
    assert (objects.names("a"), objects.names("tmp"), objects.names("nothing")) == (["b"], [], [])
    assert [list(objects.each_object(prefix)) for prefix in ("a", "a/b", "nothing")] == [[], ["c"], []]
    assert 0 <= objects.age("a/b/c") < 60


def test_replace_overwrites_and_delete_is_idempotent(objects: LocalObjects) -> None:
    """The last object written is read, and what is deleted can be deleted again."""
    objects.replace("a/b", b"first")
    objects.replace("a/b", b"second")
    assert objects.read("a/b") == b"second"
    objects.delete("a/b")
    objects.delete("a/b")
    for call in (objects.read, objects.age):
        with pytest.raises(NotFound, match=r"^nothing is stored under a/b: list what is there$"):
            call("a/b")
    assert objects.names("a") == []


def test_a_relative_root_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store opened by a relative path is the same after the process changes its directory."""
    monkeypatch.chdir(tmp_path)
    store = ModelStore.open("here")
    store.publish("m", blobs={}, document={})
    monkeypatch.chdir("/")
    assert store.models() == ["m"]


def test_a_full_disk_is_reported_and_survived(small_disk: Path) -> None:
    """What does not fit raises StoreFull and frees what it took; what was there stays and what fits can follow."""
    store = ModelStore.open(small_disk / "store")
    store.publish("m", blobs={"state_dict": b"small"}, document={})
    with pytest.raises(StoreFull, match=r"free some, or delete versions and collect, then try again"):
        store.publish("m", blobs={"state_dict": bytes(100_000)}, document={})
    assert list((small_disk / "store/tmp").iterdir()) == []
    assert (store.versions("m"), store.resolve("m", "live")) == ([1], 1)
    assert store.publish("m", blobs={"state_dict": b"other"}, document={}).version == 2


def test_a_limit_on_files_is_a_full_store(store: ModelStore, root: Path) -> None:
    """A write stopped part-way by the kernel raises StoreFull, leaves nothing half-written, and smaller ones still work."""
    with small_files(4096), pytest.raises(StoreFull):
        store.publish("m", blobs={"state_dict": bytes(8192)}, document={})
    assert (list((root / "tmp").iterdir()), store.models()) == ([], [])
    with small_files(4096):
        published = store.publish("m", blobs={"state_dict": bytes(4096)}, document={})
    assert published.version == 1


def test_a_directory_without_rights_is_reported_at_the_start(locked_folder: Path) -> None:
    """Opening a store where this user may not write says so, with what to do."""
    with pytest.raises(StoreUnavailable, match=re.escape("give it rights to a writable file system that supports hard links")):
        ModelStore.open(locked_folder / "store")


def test_storage_that_fails_is_unavailable_not_a_traceback(objects: LocalObjects, root: Path) -> None:
    """A file where a folder should be fails every call with a store error that names the key."""
    (root / "models").touch()
    calls: list[Callable[[], object]] = [
        lambda: objects.create("models/m", b""),
        lambda: objects.replace("models/m", b""),
        lambda: objects.read("models/m"),
        lambda: objects.exists("models/m"),
        lambda: objects.age("models/m"),
        lambda: objects.names("models"),
        lambda: next(objects.each_object("models")),
        lambda: objects.delete("models/m"),
    ]
    for call in calls:
        with pytest.raises(StoreUnavailable, match=r"^the store failed at models(/m)? \(.*\): check its file system, then try again$"):
            call()


def test_a_store_whose_directory_vanished_is_unavailable(objects: LocalObjects, root: Path) -> None:
    """A volume that went away is a failing store, not an unknown model."""
    (root / "tmp").rmdir()
    root.rmdir()
    store = ModelStore(objects)
    with pytest.raises(StoreUnavailable):
        store.publish("m", blobs={}, document={})
    with pytest.raises(StoreUnavailable):
        store.collect(0)


def test_every_object_is_synced_before_it_is_named(root: Path) -> None:
    """A create makes folders, data and name, tidies, and then syncs each folder up to the root once; a replace has no link."""

    class Logging(LocalObjects):
        """Notes its steps; what is synced must exist at that moment."""

        def __init__(self, root: Path) -> None:
            super().__init__(root)
            self.steps: list[str] = []

        def _write(self, data: bytes) -> Path:
            self.steps.append("write")
            return super()._write(data)

        def _link(self, temporary: Path, path: Path) -> None:
            self.steps.append("link")
            super()._link(temporary, path)

        def _rename(self, temporary: Path, path: Path) -> None:
            self.steps.append("rename")
            super()._rename(temporary, path)

        def _sync(self, folder: Path) -> None:
            self.steps.append(f"sync {os.path.relpath(folder, root)}")
            super()._sync(folder)

    objects = Logging(root)
    objects.prepare()
    assert objects.steps == ["sync .", "sync ..", "write", "link"]
    objects.steps.clear()
    objects.create("a/b/c", b"x")
    objects.replace("a/d", b"x")
    with pytest.raises(StoreError):
        objects.create("a/d", b"x")
    objects.delete("a/d")
    create = ["write", "link", "sync a/b", "sync a", "sync ."]
    assert objects.steps == [*create, "write", "rename", "sync a", "write", "link", "sync a", "sync a"]


def test_what_is_reported_was_synced(objects: LocalObjects, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel is asked to sync the file itself and every folder that leads to it, by each process, even if another made them."""
    synced: list[int] = []
    fsync = os.fsync

    def recording(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recording)
    for put in (objects.create, LocalObjects(root).replace):
        synced.clear()
        put("a/b/c", b"data")
        assert synced == [path.stat().st_ino for path in (root / "a/b/c", root / "a/b", root / "a", root)]
    synced.clear()
    objects.replace("a/b/c", b"data")
    assert synced == [path.stat().st_ino for path in (root / "a/b/c", root / "a/b")]
    synced.clear()
    objects.delete("a/b/c")
    assert synced == [(root / "a/b").stat().st_ino]
