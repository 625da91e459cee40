"""A process that dies at any instant leaves the store as it was before, or as it is after."""

import hashlib
import json
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from model_store import Manifest, ModelStore
from model_store.errors import Conflict, StoreUnavailable
from model_store.objects import LocalObjects

Action = Callable[[ModelStore], object]


class Dying(LocalObjects):
    """Kills its process before its system-level step number `last_step`; a write it dies in leaves half of the data."""

    def __init__(self, root: Path, last_step: int) -> None:
        super().__init__(root)
        self._steps_left = last_step

    def _step(self) -> None:
        self._steps_left -= 1
        if self._steps_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def _make_folders(self, path: Path) -> None:
        self._step()
        super()._make_folders(path)

    def _write(self, data: bytes) -> Path:
        if self._steps_left == 1:
            (self._temporaries / "half").write_bytes(data[: len(data) // 2])
        self._step()
        return super()._write(data)

    def _link(self, temporary: Path, path: Path) -> None:
        self._step()
        super()._link(temporary, path)

    def _rename(self, temporary: Path, path: Path) -> None:
        self._step()
        super()._rename(temporary, path)

    def _unlink(self, path: Path) -> None:
        self._step()
        super()._unlink(path)

    def _sync(self, folder: Path) -> None:
        self._step()
        super()._sync(folder)


def dies(root: Path, step: int, action: Action) -> bool:
    """Whether a child process that runs the action was killed before the step; False if it finished first."""
    child = os.fork()
    if child == 0:
        try:
            action(ModelStore(Dying(root, step)))
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert status in {0, signal.SIGKILL}
    return status == signal.SIGKILL


def after_every_death(root: Path, prepare: Action, action: Action, check: Action) -> int:
    """Runs `check` on a fresh store after `action` was killed before every one of its steps; the number of steps."""
    step = 0
    died = True
    while died:
        step += 1
        folder = root / str(step)
        prepare(ModelStore.open(folder))
        died = dies(folder, step, action)
        check(ModelStore.open(folder))
        check_collect(folder)
    return step - 1


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def check_collect(root: Path) -> None:
    """Collect removes exactly the temporary files, the blobs and memory that no manifest names, and the manifests with a tombstone."""
    before = files(root)
    buried = {key for key in before if key.endswith(".json") and key.replace(".json", ".tombstone") in before}
    manifests = [root / key for key in before - buried if "/versions/" in key and key.endswith(".json")]
    bodies = [json.loads(path.read_bytes())["body"] for path in manifests]
    used = {digest.removeprefix("sha256:") for body in bodies for part in ("blobs", "memory") for digest in body[part].values()}
    unused = {key for key in before if key.startswith("blobs/") and key.rsplit("/", 1)[1] not in used}
    forgotten = {key for key in before if key.startswith("memory/") and key.rsplit("/", 1)[1] not in used}
    temporary = {key for key in before if key.startswith("tmp/")}
    store = ModelStore.open(root)
    collected = store.collect(0)
    assert (collected.blobs, collected.memories) == (len(unused), len(forgotten))
    assert (collected.manifests, collected.temporary_files) == (len(buried), len(temporary))
    assert before - files(root) == unused | forgotten | buried | temporary
    check_readable(store)


def check_readable(store: ModelStore) -> None:
    """All that is listed reads back with the digests it should have."""
    for model in store.models():
        for version in store.versions(model):
            for digest in store.manifest(model, version).blobs.values():
                assert "sha256:" + hashlib.sha256(store.blob(digest)).hexdigest() == digest
            if version in store.aliases(model).values():
                remember(store, store.manifest(model, version))
        for alias, version in store.aliases(model).items():
            assert version in store.versions(model)
            assert [move.seq for move in store.alias_history(model, alias)][-1] == store.alias(model, alias).seq


def remember(store: ModelStore, manifest: Manifest) -> None:
    """All of a version's memory is there and whole."""
    for name, digest in manifest.memory.items():
        assert "sha256:" + hashlib.sha256(store.remembered(manifest, name)).hexdigest() == digest


def publish(number: int) -> Action:
    content, memory = {"state_dict": b"weights %d" % number}, {"moments": b"moments %d" % number, "ledger": b"rows"}
    return lambda store: store.publish("m", blobs=content, memory=memory, document={"number": number})


def live(store: ModelStore) -> int | None:
    return store.aliases("m").get("live") if store.has_model("m") else None


def test_a_first_publish_may_die_anywhere(tmp_path: Path) -> None:
    """After every death the model is there and live, or not; the next publish works."""
    seen = set()

    def check(store: ModelStore) -> None:
        seen.add(live(store))
        check_readable(store)
        manifest = store.publish("m", blobs={"state_dict": b"next"}, document={})
        assert (live(store), store.blob(manifest.blobs["state_dict"])) == (manifest.version, b"next")

    steps = after_every_death(tmp_path, ModelStore.models, publish(1), check)
    assert seen == {None, 1}
    assert steps > 30


def test_a_second_publish_may_die_anywhere(tmp_path: Path) -> None:
    """After every death the first version is whole and `live` names the first or the second; the next publish works."""
    seen = set()

    def check(store: ModelStore) -> None:
        seen.add(live(store))
        check_readable(store)
        first = store.manifest("m", store.resolve("m", "1"))
        assert (first.document, store.blob(first.blobs["state_dict"])) == ({"number": 1}, b"weights 1")
        manifest = store.publish("m", blobs={"state_dict": b"next"}, document={})
        assert (live(store), store.versions("m")) == (manifest.version, list(range(1, manifest.version + 1)))

    steps = after_every_death(tmp_path, publish(1), publish(2), check)
    assert seen == {1, 2}
    assert steps > 30


LONG_AGO = "2000-01-01T00:00:00.000000Z"


@pytest.mark.parametrize("promote", [True, False])
def test_a_publish_under_a_key_may_die_anywhere_and_be_repeated(tmp_path: Path, *, promote: bool) -> None:
    """After every death, a retry that asks first whether it was committed leaves one version, live if it was to be."""
    seen = set()

    def publish(store: ModelStore) -> Manifest:
        content, memory = {"state_dict": b"weights"}, {"moments": b"moments"}
        return store.publish("m", blobs=content, memory=memory, document={}, who="ann", promote=promote, idempotency_key="k")

    def check(store: ModelStore) -> None:
        found = store.committed("m", "k", since=LONG_AGO)
        seen.add(found)
        version = found or publish(store).version
        assert (version, store.versions("m"), live(store)) == (1, [1], 1 if promote else None)
        assert [(move.version, move.who, move.reason) for move in store.alias_history("m", "live")] == [(1, "ann", "train")] * promote
        assert store.committed("m", "k", since=LONG_AGO) == 1
        assert store.committed("m", "another", since=LONG_AGO) is None
        check_readable(store)

    after_every_death(tmp_path, ModelStore.models, publish, check)
    assert seen == {None, 1}


@pytest.mark.parametrize("overtaken", [True, False])
def test_an_expecting_publish_may_die_anywhere_and_be_repeated(tmp_path: Path, *, overtaken: bool) -> None:
    """After every death, what expected another version to be live is deleted unless it was committed in time; else it is committed once."""
    seen = set()

    def change(store: ModelStore) -> Manifest:
        return store.publish("m", blobs={}, document={}, parent=1, expect=1, idempotency_key="k")

    def check(store: ModelStore) -> None:
        committed_before = live(store) == 2
        if overtaken:
            winner = store.publish("m", blobs={}, document={})
        found = store.committed("m", "k", since=LONG_AGO)
        seen.add((committed_before, found))
        history = [move.version for move in store.alias_history("m", "live")]
        if overtaken:
            assert (found, live(store)) == (2 if committed_before else None, winner.version)
            assert history == ([1, 2] if committed_before else [1]) + [winner.version]
            assert store.versions("m") == history
        else:
            version = found or change(store).version
            assert (version, live(store), store.versions("m")) == (2, 2, [1, 2])
        check_readable(store)

    after_every_death(tmp_path, publish(1), change, check)
    assert seen == ({(False, None), (True, 2)} if overtaken else {(False, None), (False, 2), (True, 2)})


def test_a_retry_may_end_what_its_first_attempt_still_works_on(root: Path) -> None:
    """A process that was given up but lives on meets its own version as `live`, or behind others, and takes its publish for done."""

    class Slow(LocalObjects):
        """Does `meanwhile` before it makes the move of `live`."""

        meanwhile: Action

        def create(self, key: str, data: bytes) -> None:
            if "/aliases/" in key and (meanwhile := self.__dict__.pop("meanwhile", None)):
                meanwhile(ModelStore.open(root))
            super().create(key, data)

    def retried(store: ModelStore) -> None:
        assert store.committed("m", "first", since=LONG_AGO) == 2

    def overtaken(store: ModelStore) -> None:
        assert store.committed("m", "second", since=LONG_AGO) == 3
        store.publish("m", blobs={}, document={})

    store = ModelStore.open(root)
    store.publish("m", blobs={}, document={})
    for parent, key, meanwhile in ((1, "first", retried), (2, "second", overtaken)):
        objects = Slow(root)
        objects.meanwhile = meanwhile
        manifest = ModelStore(objects).publish("m", blobs={}, document={}, parent=parent, expect=parent, idempotency_key=key)
        assert manifest.version == parent + 1
    assert (store.versions("m"), live(store)) == ([1, 2, 3, 4], 4)
    assert [move.version for move in store.alias_history("m", "live")] == [1, 2, 3, 4]


def test_a_deletion_may_die_anywhere(tmp_path: Path) -> None:
    """After every death the version is there and whole or gone, and the next publish gets a number of its own."""
    seen = set()

    def prepare(store: ModelStore) -> None:
        publish(1)(store)
        store.publish("m", blobs={"state_dict": b"last"}, document={}, promote=False)

    def check(store: ModelStore) -> None:
        seen.add(tuple(store.versions("m")))
        check_readable(store)
        assert store.publish("m", blobs={}, document={}).version == 3

    after_every_death(tmp_path, prepare, lambda store: store.delete_version("m", 2), check)
    assert seen == {(1, 2), (1,)}


def test_the_deletion_of_a_model_may_die_anywhere_and_be_repeated(tmp_path: Path) -> None:
    """After every death the model is gone or can be deleted again, and then no file of its versions is left."""

    def prepare(store: ModelStore) -> None:
        publish(1)(store)
        publish(2)(store)
        store.move_alias("m", "stable", 1)

    def check(store: ModelStore) -> None:
        check_readable(store)
        for model in store.models():
            store.delete_model(model)
        assert store.models() == []
        assert store.newer("m", "live", 2)
        assert store.newer("m", "stable", 1)

    after_every_death(tmp_path, prepare, lambda store: store.delete_model("m"), check)
    last = max(tmp_path.iterdir(), key=lambda folder: int(folder.name))
    assert {key for key in files(last) if key.startswith("blobs/") or "/versions/" in key} == {
        "models/m/versions/1.tombstone",
        "models/m/versions/2.tombstone",
    }


def test_retirement_may_die_anywhere_and_be_repeated(tmp_path: Path) -> None:
    """After every death the live version is whole with its memory, and repeating leaves exactly what should be left."""

    def prepare(store: ModelStore) -> None:
        for number in (1, 2, 3):
            publish(number)(store)

    def retire(store: ModelStore) -> None:
        store.retire("m", keep_versions=2, keep_memories=1)

    def check(store: ModelStore) -> None:
        check_readable(store)
        retire(store)
        assert (store.versions("m"), live(store)) == ([2, 3], 3)
        check_readable(store)

    after_every_death(tmp_path, prepare, retire, check)
    last = max(tmp_path.iterdir(), key=lambda folder: int(folder.name))
    assert {(last / key).read_bytes() for key in files(last) if key.startswith("memory/")} == {b"moments 3", b"rows"}


def test_a_lost_race_may_die_anywhere(tmp_path: Path) -> None:
    """After every death of a writer that lost, `live` is the winner's, and the loser's version is whole or gone."""

    def prepare(store: ModelStore) -> None:
        publish(1)(store)
        publish(2)(store)

    def lose(store: ModelStore) -> None:
        with suppress(Conflict):
            store.publish("m", blobs={"state_dict": b"lost"}, memory={"moments": b"lost"}, document={}, parent=1, expect=1)

    def check(store: ModelStore) -> None:
        check_readable(store)
        assert live(store) == 2
        assert store.versions("m") in ([1, 2], [1, 2, 3])
        assert store.publish("m", blobs={}, document={}, parent=2, expect=2).version in (3, 4)

    after_every_death(tmp_path, prepare, lose, check)


def test_a_job_record_may_die_anywhere(tmp_path: Path) -> None:
    """After every death the record is the old one or the new one."""
    seen = []
    after_every_death(
        tmp_path,
        lambda store: store.job_records.put("j", {"state": "queued"}),
        lambda store: store.job_records.put("j", {"state": "running"}),
        lambda store: seen.append(store.job_records.read("j")["state"]),
    )
    assert seen == sorted(seen)
    assert set(seen) == {"queued", "running"}


def test_the_lock_of_a_dead_process_is_free(root: Path) -> None:
    """A process killed in the middle of a publish does not keep others from removing."""
    ModelStore.open(root)
    objects = LocalObjects(root)
    objects.lock_wait_seconds = 0
    assert dies(root, 5, publish(1))
    ModelStore(objects).collect(0)
    with objects.shared(), objects.shared():
        with pytest.raises(StoreUnavailable):
            ModelStore(objects).collect(0)
        ModelStore(objects).publish("m", blobs={}, document={})
    with objects.alone(), pytest.raises(StoreUnavailable):
        ModelStore(objects).publish("m", blobs={}, document={})


def test_a_failed_overwrite_leaves_the_old_record_and_no_litter(store: ModelStore, root: Path) -> None:
    """If the rename of an overwrite fails, the temporary file is gone and what stood there still stands."""
    (root / "jobs/j.json/in the way").mkdir(parents=True)
    with pytest.raises(StoreUnavailable, match=r"^the store failed at jobs/j.json \(Is a directory\): check its file system"):
        store.job_records.put("j", {"state": "running"})
    assert files(root) == set()
    assert (root / "jobs/j.json/in the way").is_dir()
