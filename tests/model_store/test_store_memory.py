"""The memory of versions: kept for few of them, dropped for good, and never mistaken."""

import hashlib
from pathlib import Path

import pytest

from model_store import ModelStore, Retired
from model_store.counting import last
from model_store.errors import Conflict, CorruptObject, Forgotten, NotFound
from tests.model_store.test_store_damage import sealed


def pieces(root: Path, model: str = "m") -> set[bytes]:
    folder = root / "memory" / model
    return {path.read_bytes() for path in folder.iterdir()} if folder.exists() else set()


def test_memory_is_read_back_as_it_was_given_and_apart_from_blobs(store: ModelStore, root: Path) -> None:
    """A version's memory comes back byte for byte, lies under its model, and is no blob."""
    manifest = store.publish("m", blobs={"state_dict": b"w"}, memory={"moments": b"sums", "ledger": b"rows"}, document={})
    assert manifest.memory == {
        name: f"sha256:{hashlib.sha256(data).hexdigest()}" for name, data in (("moments", b"sums"), ("ledger", b"rows"))
    }
    assert [store.remembered(manifest, name) for name in ("moments", "ledger")] == [b"sums", b"rows"]
    assert pieces(root) == {b"sums", b"rows"}
    assert {path.read_bytes() for path in (root / "blobs/sha256").iterdir()} == {b"w"}
    with pytest.raises(Forgotten):
        store.remembered(manifest, "folds")


def test_memory_that_the_model_has_is_named_by_its_digest(store: ModelStore, root: Path) -> None:
    """A later version takes a piece over without its bytes; another model, or a piece that is gone, cannot be taken from."""
    first = store.publish("m", blobs={}, memory={"ledger": b"rows"}, document={})
    second = store.publish("m", blobs={}, memory={"ledger": first.memory["ledger"], "moments": b"sums"}, document={}, parent=1)
    assert store.remembered(second, "ledger") == b"rows"
    for model, digest in (("n", first.memory["ledger"]), ("m", f"sha256:{'0' * 64}")):
        with pytest.raises(Forgotten):
            store.publish(model, blobs={}, memory={"ledger": digest}, document={})
    assert (store.versions("m"), store.models()) == ([1, 2], ["m"])
    assert pieces(root) == {b"rows", b"sums"}


def test_a_flipped_bit_in_memory_is_found(store: ModelStore, root: Path) -> None:
    """Damaged memory is never handed out, and the next publish of the same bytes mends it."""
    manifest = store.publish("m", blobs={}, memory={"moments": b"sums"}, document={})
    (path,) = (root / "memory/m").iterdir()
    path.write_bytes(b"sumt")
    with pytest.raises(CorruptObject, match=path.name):
        store.remembered(manifest, "moments")
    store.publish("m", blobs={}, memory={"moments": b"sums"}, document={})
    assert store.remembered(manifest, "moments") == b"sums"


def test_only_the_latest_and_the_aliased_versions_keep_their_memory(store: ModelStore, root: Path) -> None:
    """What `retire` drops is gone from the disk; versions themselves stay, and pieces that a kept version shares stay."""
    for number in range(1, 7):
        store.publish("m", blobs={}, memory={"moments": b"%d" % number, "ledger": b"shared" if number > 1 else b"old"}, document={})
    store.move_alias("m", "stable", 2)
    assert store.retire("m", keep_versions=100, keep_memories=2) == Retired(versions=0, memories=4)
    assert pieces(root) == {b"2", b"5", b"6", b"shared"}
    assert store.versions("m") == [1, 2, 3, 4, 5, 6]
    with pytest.raises(Forgotten, match="no moments of this version"):
        store.remembered(store.manifest("m", 4), "moments")
    assert store.retire("m", keep_versions=100, keep_memories=2) == Retired(versions=0, memories=0)


def test_only_so_many_versions_are_kept_and_never_fewer_than_the_aliased(store: ModelStore, root: Path) -> None:
    """Old versions go, with their memory; one with an alias stays however old, and numbers go on."""
    for number in range(1, 8):
        store.publish("m", blobs={"w": b"%d" % number}, memory={"moments": b"%d" % number}, document={}, promote=number == 3)
    assert store.retire("m", keep_versions=2, keep_memories=9) == Retired(versions=4, memories=4)
    assert store.versions("m") == [3, 6, 7]
    assert pieces(root) == {b"3", b"6", b"7"}
    assert store.publish("m", blobs={}, document={}).version == 8
    assert store.retire("m", keep_versions=1, keep_memories=1).versions == 2
    assert (store.versions("m"), store.aliases("m")) == ([3, 8], {"live": 8})  # 3 had an alias when the others went
    assert store.retire("m", keep_versions=1, keep_memories=1, thorough=True).versions == 1
    assert (store.versions("m"), store.publish("m", blobs={}, document={}).version) == ([8], 9)


def test_young_memory_stays_where_it_is_asked_for(store: ModelStore, root: Path) -> None:
    """With an age, what was just written is not dropped: a publish under way may be about to name it."""
    store.publish("m", blobs={}, memory={"moments": b"1"}, document={})
    store.publish("m", blobs={}, memory={"moments": b"2"}, document={})
    assert store.retire("m", keep_versions=9, keep_memories=1, older_than_seconds=60) == Retired(versions=0, memories=0)
    assert pieces(root) == {b"1", b"2"}


def test_the_memory_of_deleted_versions_and_models_goes(store: ModelStore, root: Path) -> None:
    """Deleting a model drops its memory at once; that of a deleted version goes with the next `retire` or `collect`."""
    for number in range(3):
        store.publish("m", blobs={}, memory={"moments": b"%d" % number}, document={})
        store.publish("n", blobs={}, memory={"moments": b"%d" % number}, document={})
    store.delete_version("n", 2)
    assert store.collect(older_than_seconds=0).memories == 1
    assert pieces(root, "n") == {b"0", b"2"}
    store.delete_model("m")
    assert pieces(root) == set()
    assert pieces(root, "n") == {b"0", b"2"}


def test_a_version_of_format_1_is_read_with_its_memory(store: ModelStore, root: Path) -> None:
    """A store of the first format goes on: its versions are read, their moments too, and new ones are written beside them."""
    manifest = store.publish("m", blobs={"state_dict": b"w", "moments": b"sums"}, document={"a": 1})
    path = root / "models/m/versions/1.json"
    body = {name: getattr(manifest, name) for name in vars(manifest) if name not in ("intent", "memory")}
    path.write_bytes(sealed(body, 1))
    assert store.manifest("m", 1) == manifest
    assert store.remembered(store.manifest("m", 1), "moments") == b"sums"
    assert store.publish("m", blobs={}, memory={"moments": b"sums"}, document={}, parent=1).version == 2
    assert store.collect(older_than_seconds=0).blobs == 0
    body_with_memory = body | {"memory": {}}
    path.write_bytes(sealed(body_with_memory | {"more": 1}, 1))
    with pytest.raises(CorruptObject):
        store.manifest("m", 1)


def test_a_publish_that_expects_another_live_version_leaves_nothing_visible(store: ModelStore, root: Path) -> None:
    """The loser of a race gets Conflict, its version is deleted and its number stays used; the winner's record is the last."""
    store.publish("m", blobs={}, document={})
    store.publish("m", blobs={}, document={}, parent=1, expect=1)
    with pytest.raises(Conflict):
        store.publish("m", blobs={}, document={}, parent=1, expect=1)
    assert (store.versions("m"), store.aliases("m"), store.latest("m")) == ([1, 2], {"live": 2}, 2)
    assert store.publish("m", blobs={}, document={}, parent=2, expect=2).version == 4
    assert [move.version for move in store.alias_history("m", "live")] == [1, 2, 4]


def test_a_commit_is_found_by_its_key_and_no_further_back_than_asked(store: ModelStore) -> None:
    """The version with a key is found among the later ones; before `since` nobody looks."""
    assert store.committed("m", "k1", since="2000-01-01T00:00:00.000000Z") is None
    store.publish("m", blobs={}, document={}, idempotency_key="k1")
    times = [store.alias("m", "live").time]
    for key in ("k2", None, "k3"):
        store.publish("m", blobs={}, document={}, idempotency_key=key)
        times.append(store.alias("m", "live").time)
    assert store.committed("m", "k2", since=times[0]) == 2
    assert store.committed("m", "k1", since=times[3]) is None
    assert store.committed("m", "k4", since=times[0]) is None


def test_the_newest_versions_are_found_without_listing(store: ModelStore) -> None:
    """Pages from the newest downwards, deleted ones left out."""
    for _ in range(9):
        store.publish("m", blobs={}, document={})
    for number in (3, 7):
        store.delete_version("m", number)
    assert store.newest_versions("m", limit=3) == [9, 8, 6]
    assert store.newest_versions("m", limit=3, before=6) == [5, 4, 2]
    assert store.newest_versions("m", limit=3, before=2) == [1]
    assert store.latest("m") == 9
    with pytest.raises(NotFound):
        store.latest("n")


@pytest.mark.parametrize("numbers", [0, 1, 2, 3, 7, 8, 1000])
@pytest.mark.parametrize("hint", [0, 1, 5, 2000])
def test_the_last_of_a_run_is_found_with_few_probes(numbers: int, hint: int) -> None:
    """Whatever the hint, the last number is found, with about 2 log2(n) probes."""
    probes: list[int] = []

    def is_taken(number: int) -> bool:
        probes.append(number)
        return number <= numbers

    assert last(is_taken, hint=hint) == numbers
    assert len(probes) <= 2 * max(1, numbers).bit_length() + 2
