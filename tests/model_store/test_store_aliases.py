"""Aliases: moves, history, compare-and-set, rollback, and what finding the current record costs."""

from contextlib import AbstractContextManager
from math import log2
from pathlib import Path

import pytest

from model_store import AliasRecord, ModelStore, aliases
from model_store.errors import Conflict, UnknownAlias, UnknownModel, UnknownVersion
from model_store.objects import LocalObjects


class Counting(LocalObjects):
    """Counts what a reader asks of the storage."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.probes: list[str] = []
        self.others = 0

    def exists(self, key: str) -> bool:
        self.probes.append(key)
        return super().exists(key)

    def read(self, key: str) -> bytes:
        self.others += 1
        return super().read(key)

    def names(self, prefix: str) -> list[str]:
        self.others += 1
        return super().names(prefix)


@pytest.fixture
def three(store: ModelStore) -> ModelStore:
    """A model with versions 1, 2 and 3, all of which were live in turn."""
    for number in range(3):
        store.publish("m", blobs={"state_dict": bytes([number])}, document={})
    return store


def test_every_move_is_kept(three: ModelStore) -> None:
    """The history holds each move with its cause, oldest first, and the current record is the last of it."""
    moved = three.move_alias("m", "live", 1, who="ann", reason="drift", idempotency_key="k")
    history = three.alias_history("m", "live")
    assert [(move.seq, move.version, move.who) for move in history] == [(1, 1, ""), (2, 2, ""), (3, 3, ""), (4, 1, "ann")]
    assert moved == AliasRecord(alias="live", seq=4, version=1, time=moved.time, who="ann", reason="drift", idempotency_key="k")
    assert (history[-1], three.alias("m", "live"), three.alias("m", "live", hint=2)) == (moved, moved, moved)


def test_an_alias_names_a_version_that_is_there(three: ModelStore) -> None:
    """Only a present version of a known model can be named; unknown aliases say what to do."""
    with pytest.raises(UnknownVersion):
        three.move_alias("m", "stable", 4)
    with pytest.raises(UnknownModel):
        three.move_alias("n", "stable", 1)
    with pytest.raises(UnknownAlias, match=r"^model m has no alias stable: list its aliases, or move this one to a version$"):
        three.alias("m", "stable")
    assert three.alias_history("m", "stable") == []
    three.move_alias("m", "stable", 2)
    assert (three.aliases("m"), three.resolve("m", "stable"), three.resolve("m", "live")) == ({"live": 3, "stable": 2}, 2, 3)


def test_expect_makes_a_move_a_compare_and_set(three: ModelStore) -> None:
    """A move that expects another version than the current changes nothing."""
    with pytest.raises(Conflict, match=r"^alias live of model m names version 3, not 2 as expected: read it again, then repeat$"):
        three.move_alias("m", "live", 1, expect=2)
    with pytest.raises(Conflict, match=r"names version None, not 1"):
        three.move_alias("m", "stable", 2, expect=1)
    assert three.move_alias("m", "live", 1, expect=3).seq == 4
    assert (three.aliases("m"), len(three.alias_history("m", "live"))) == ({"live": 1}, 4)


def test_the_loser_of_a_race_takes_the_next_number_or_yields(root: Path) -> None:
    """A move that finds its number taken goes on to the next, unless it expected what is no longer current."""

    class Overtaken(LocalObjects):
        """Lets another writer move `live` just before this one creates its record."""

        rival: ModelStore | None = None

        def create(self, key: str, data: bytes) -> None:
            if self.rival is not None and "/aliases/" in key:
                rival, self.rival = self.rival, None
                rival.move_alias("m", "live", 2)
            super().create(key, data)

    rival = ModelStore.open(root)
    rival.publish("m", blobs={}, document={})
    rival.publish("m", blobs={}, document={}, promote=False)
    objects = Overtaken(root)
    store = ModelStore(objects)
    objects.rival = rival
    with pytest.raises(Conflict):
        store.move_alias("m", "live", 1, expect=1)
    objects.rival = rival
    assert store.publish("m", blobs={}, document={}).version == 3
    assert [move.version for move in store.alias_history("m", "live")] == [1, 2, 2, 3]


def test_a_rollback_yields_to_a_move_made_meanwhile(root: Path) -> None:
    """A rollback that was decided on an older record does not undo a newer move."""

    class Overtaken(LocalObjects):
        """Lets another writer move `live` to version 3 once the rollback has found its target."""

        rival: ModelStore | None = None

        def shared(self) -> AbstractContextManager[None]:
            if self.rival is not None:
                self.rival.move_alias("m", "live", 3)
            return super().shared()

    rival = ModelStore.open(root)
    for promote in (True, True, False):
        rival.publish("m", blobs={}, document={}, promote=promote)
    objects = Overtaken(root)
    objects.rival = rival
    with pytest.raises(Conflict, match=r"names version 3, not 2 as expected"):
        ModelStore(objects).rollback("m")
    assert rival.aliases("m") == {"live": 3}


def test_the_loser_of_a_claim_takes_the_next_version(root: Path) -> None:
    """Two publishers that saw the same next number get different ones, and neither is lost."""

    class Overtaken(LocalObjects):
        """Lets another publisher claim the number just before this one does."""

        rival: ModelStore | None = None

        def create(self, key: str, data: bytes) -> None:
            if self.rival is not None and "/versions/" in key:
                rival, self.rival = self.rival, None
                rival.publish("m", blobs={"state_dict": b"rival"}, document={})
            super().create(key, data)

    rival = ModelStore.open(root)
    objects = Overtaken(root)
    objects.rival = rival
    manifest = ModelStore(objects).publish("m", blobs={"state_dict": b"mine"}, document={})
    assert (manifest.version, rival.versions("m"), rival.aliases("m")) == (2, [1, 2], {"live": 2})
    assert rival.blob(rival.manifest("m", 1).blobs["state_dict"]) == b"rival"


def test_rollback_returns_to_the_version_before(three: ModelStore) -> None:
    """Rollback names the version live named before the current one; a second undoes the first."""
    assert (three.rollback("m", who="ann").version, three.alias("m", "live").reason) == (2, "rollback")
    assert three.rollback("m").version == 3
    three.move_alias("m", "live", 3)
    assert three.rollback("m").version == 2


def test_rollback_skips_deleted_versions(three: ModelStore) -> None:
    """A deleted version is passed over, and with none left rollback says so and changes nothing."""
    three.delete_version("m", 2)
    assert three.rollback("m").version == 1
    three.delete_version("m", 3)
    with pytest.raises(
        Conflict, match=r"^model m has no earlier version that live named and that is still there: move the alias to another version$"
    ):
        three.rollback("m")
    assert three.aliases("m") == {"live": 1}


def test_newer_is_one_probe(root: Path) -> None:
    """Whether an alias moved costs exactly one probe, of the next number, and nothing is listed or read."""
    objects = Counting(root)
    store = ModelStore.open(root)
    store.publish("m", blobs={}, document={})
    reader = ModelStore(objects)
    assert reader.newer("m", "live", 1) is False
    store.publish("m", blobs={}, document={})
    assert reader.newer("m", "live", 1) is True
    assert (objects.probes, objects.others) == (["models/m/aliases/live/2.json"] * 2, 0)


def test_the_end_of_a_log_is_found_in_logarithmic_probes(root: Path) -> None:
    """For every length, and from every kind of hint, the end is exact; 10,000 moves cost fewer than 30 probes."""
    objects = Counting(root)
    folder = root / "models/m/aliases/live"
    folder.mkdir(parents=True)
    for length in range(130):
        assert {aliases.last(objects, "m", "live", hint=hint) for hint in range(length + 2)} == {length}
        (folder / f"{length + 1}.json").touch()
    for number in range(131, 10_001):
        (folder / f"{number}.json").touch()
    objects.probes.clear()
    assert aliases.last(objects, "m", "live") == 10_000
    assert len(objects.probes) <= 2 * log2(10_000) + 3
    objects.probes.clear()
    assert aliases.last(objects, "m", "live", hint=10_000) == 10_000
    assert len(objects.probes) == 2
    assert objects.others == 0


def test_a_hint_makes_reading_the_current_record_cheap(root: Path) -> None:
    """From the record it holds, a reader finds an unmoved alias in three probes (the model, the hint, the next) and one read."""
    objects = Counting(root)
    store = ModelStore.open(root)
    store.publish("m", blobs={}, document={})
    for _ in range(20):
        last = store.move_alias("m", "live", 1)
    assert ModelStore(objects).alias("m", "live", hint=last.seq) == last
    assert (len(objects.probes), objects.others) == (3, 1)


def test_a_deleted_alias_names_nothing_and_its_log_goes_on(store: ModelStore) -> None:
    """Deleting is a move to nothing: the alias is unknown, its readers learn of it, and `live` stays."""
    store.publish("m", blobs={}, document={})
    made = store.move_alias("m", "next", 1, who="a")
    gone = store.delete_alias("m", "next", who="b", reason="done")

    assert (gone.seq, gone.version, gone.who, gone.reason) == (made.seq + 1, None, "b", "done")
    assert store.newer("m", "next", made.seq)
    assert store.aliases("m") == {"live": 1}
    for act in (lambda: store.alias("m", "next"), lambda: store.delete_alias("m", "next")):
        with pytest.raises(UnknownAlias):
            act()
    with pytest.raises(Conflict, match="move it to another version"):
        store.delete_alias("m", "live")
    assert store.move_alias("m", "next", 1).seq == gone.seq + 1
    assert [move.version for move in store.alias_moves("m", "next", limit=9)] == [1, None, 1]


def test_the_latest_moves_are_read_from_the_end(store: ModelStore) -> None:
    """Pages of moves, newest first, join to the whole log."""
    store.publish("m", blobs={}, document={})
    for number in range(6):
        store.move_alias("m", "live", 1, reason=str(number))
    log = store.alias_history("m", "live")
    first = store.alias_moves("m", "live", limit=4)
    second = store.alias_moves("m", "live", limit=4, before=first[-1].seq)

    assert first + second == log[::-1]
    assert store.alias_moves("m", "live", limit=4, before=1) == []
