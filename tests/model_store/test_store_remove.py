"""Deleting versions and models, and collecting what is left over."""

import os
import time
from pathlib import Path

import pytest

from model_store import Collected, ModelStore
from model_store.errors import Conflict, CorruptObject, StoreUnavailable, UnknownAlias, UnknownModel, UnknownVersion
from model_store.objects import LocalObjects


def blobs(root: Path) -> set[bytes]:
    return {path.read_bytes() for path in (root / "blobs/sha256").iterdir()}


def test_a_deleted_version_is_gone_and_its_number_stays_used(store: ModelStore, root: Path) -> None:
    """No method finds a deleted version, its manifest leaves the disk, and its number is never given again."""
    for number in range(3):
        store.publish("m", blobs={"state_dict": bytes([number])}, document={})
    store.move_alias("m", "live", 1)
    store.delete_version("m", 3)
    assert store.versions("m") == [1, 2]
    assert not (root / "models/m/versions/3.json").exists()
    for call in (store.manifest, store.delete_version):
        with pytest.raises(UnknownVersion):
            call("m", 3)
    with pytest.raises(UnknownVersion):
        store.resolve("m", "3")
    with pytest.raises(UnknownVersion):
        store.move_alias("m", "live", 3)
    assert store.publish("m", blobs={}, document={}).version == 4


def test_a_version_with_an_alias_is_not_deleted(store: ModelStore) -> None:
    """The error names every alias in the way, and the version stays."""
    store.publish("m", blobs={}, document={})
    store.move_alias("m", "stable", 1)
    with pytest.raises(Conflict, match=r"^version 1 of model m is named by live, stable: move that alias first$"):
        store.delete_version("m", 1)
    assert store.versions("m") == [1]


def test_deleting_a_model_reaches_readers_that_hold_a_hint(store: ModelStore) -> None:
    """A reader that only probes the next record learns of the deletion, and of a later model under the same name."""
    store.publish("m", blobs={"state_dict": b"x"}, document={})
    store.publish("m", blobs={"state_dict": b"y"}, document={})
    store.publish("n", blobs={}, document={})
    store.move_alias("m", "stable", 1)
    store.delete_model("m", who="ann", reason="unused")
    assert store.newer("m", "live", 2)
    assert (store.models(), store.has_model("m")) == (["n"], False)
    for call in (store.versions, store.aliases, store.delete_model):
        with pytest.raises(UnknownModel):
            call("m")
    with pytest.raises(UnknownModel):
        store.alias("m", "live")
    with pytest.raises(UnknownModel):
        store.resolve("m", "1")
    assert store.publish("m", blobs={}, document={}).version == 3
    assert store.newer("m", "live", 3)
    assert [(move.version, move.who) for move in store.alias_history("m", "live")] == [(1, ""), (2, ""), (None, "ann"), (3, "")]
    assert store.aliases("m") == {"live": 3}
    with pytest.raises(UnknownAlias):
        store.alias("m", "stable")
    with pytest.raises(Conflict):
        store.rollback("m")


def test_collect_removes_only_what_nothing_refers_to(store: ModelStore, root: Path) -> None:
    """Blobs of deleted versions go, blobs that any version of any model shares stay."""
    store.publish("m", blobs={"a": b"alone", "b": b"shared"}, document={})
    store.publish("m", blobs={"a": b"kept"}, document={})
    store.publish("n", blobs={"b": b"shared"}, document={}, promote=False)
    assert store.collect(0) == Collected(blobs=0, memories=0, manifests=0, temporary_files=0)
    store.delete_version("m", 1)
    assert store.collect() == Collected(blobs=0, memories=0, manifests=0, temporary_files=0)
    assert store.collect(0) == Collected(blobs=1, memories=0, manifests=0, temporary_files=0)
    assert blobs(root) == {b"shared", b"kept"}


def test_collect_leaves_young_temporary_files(store: ModelStore, root: Path) -> None:
    """A file of a writer that may still be at work stays; one older than the limit goes."""
    for name, age in (("young", 0), ("old", 4000)):
        path = root / "tmp" / name
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    assert store.collect() == Collected(blobs=0, memories=0, manifests=0, temporary_files=1)
    assert [path.name for path in (root / "tmp").iterdir()] == ["young"]


def test_collect_stops_before_a_manifest_it_cannot_read(store: ModelStore, root: Path) -> None:
    """With a damaged manifest nobody knows which blobs are in use, so none is removed until that version is deleted."""
    store.publish("m", blobs={"a": b"one"}, document={})
    store.publish("m", blobs={"a": b"two"}, document={})
    store.publish("m", blobs={"a": b"three"}, document={})
    store.delete_version("m", 1)
    (root / "models/m/versions/2.json").write_bytes(b"{")
    with pytest.raises(CorruptObject, match=r"models/m/versions/2.json is damaged"):
        store.collect(0)
    assert blobs(root) == {b"one", b"two", b"three"}
    store.delete_version("m", 2)
    assert store.collect(0) == Collected(blobs=2, memories=0, manifests=0, temporary_files=0)
    assert blobs(root) == {b"three"}


def test_collect_ignores_files_that_are_not_the_stores(store: ModelStore, root: Path) -> None:
    """A stray file beside the versions is neither a version nor removed."""
    store.publish("m", blobs={}, document={})
    strays = [root / "models/m/versions" / name for name in ("notes.txt", "02.json", "5.json.bak")]
    for stray in strays:
        stray.touch()
    assert store.collect(0) == Collected(blobs=0, memories=0, manifests=0, temporary_files=0)
    assert store.versions("m") == [1]
    assert all(stray.exists() for stray in strays)


def test_collect_waits_for_a_publish_and_a_publish_for_it(root: Path) -> None:
    """While a publish has stored blobs but no manifest, collect removes nothing; afterwards the blobs are in use."""

    class Collecting(LocalObjects):
        """Lets another process' collect try its luck between the blobs and the manifest."""

        refused = 0

        def create(self, key: str, data: bytes) -> None:
            if "/versions/" in key:
                impatient = LocalObjects(root)
                impatient.lock_wait_seconds = 0.02
                with pytest.raises(StoreUnavailable, match=r"^the lock of the store was held elsewhere for 0.02 s: try again;"):
                    ModelStore(impatient).collect(0)
                self.refused += 1
            super().create(key, data)

    ModelStore.open(root)
    objects = Collecting(root)
    manifest = ModelStore(objects).publish("m", blobs={"a": b"x"}, document={})
    assert objects.refused == 1
    store = ModelStore.open(root)
    assert store.collect(0) == Collected(blobs=0, memories=0, manifests=0, temporary_files=0)
    assert store.blob(manifest.blobs["a"]) == b"x"
