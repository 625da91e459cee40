"""Forgetting: what is left is, bit for bit, what training on the other rows gives; only what was learned can be forgotten."""

from pathlib import Path

import numpy as np
import pytest

from service.errors import Contradiction, Invalid
from service.training.segments import Entries
from tests.training.rooms import Rooms, same


@pytest.fixture
def rooms(tmp_path: Path) -> Rooms:
    return Rooms(tmp_path, 60)


@pytest.mark.parametrize("seed", range(4))
def test_any_way_of_learning_and_forgetting_ends_where_a_training_would(rooms: Rooms, seed: int) -> None:
    """Random pieces learned and forgotten, rows that stand twice among them, with folds: equal to a training on what is left."""
    random = np.random.default_rng(seed)
    rooms.train("frame", range(60))
    left = random.integers(0, 60, 30).tolist() + list(range(20))
    document = rooms.in_frame_of("frame", "m", left, folds=3)
    for _ in range(8):
        if random.random() < 0.5:
            some = random.integers(0, 60, random.integers(1, 12)).tolist()
            if rooms.table["weight"][some].any():
                document = rooms.learn("m", some)
                left += some
        else:
            some = random.choice(len(left), random.integers(1, 8), replace=False).tolist()
            gone = [left[place] for place in some]
            if rooms.table["weight"][gone].any():
                document = rooms.forget("m", gone)
                left = [row for place, row in enumerate(left) if place not in some]

    truth = rooms.in_frame_of("frame", "truth", left, folds=3)
    assert same(document, truth)
    made, true = (rooms.store.manifest(model, rooms.store.resolve(model, "live")) for model in ("m", "truth"))
    folds = [f"folds.{number}" for number in range(3)]
    assert {name: made.memory[name] for name in folds} == {name: true.memory[name] for name in folds}


def test_forgetting_forty_percent(tmp_path: Path) -> None:
    """Of many rows at once, in any order."""
    rooms = Rooms(tmp_path, 2000)
    rooms.train("m", range(2000))
    some = np.random.default_rng(1).permutation(2000)
    document = rooms.forget("m", some[:800])

    assert same(document, rooms.in_frame_of("m@1", "truth", np.sort(some[800:])))
    assert document["forgotten"] == {"rows": int((rooms.table["weight"][some[:800]] > 0).sum()), "still_in": ["1"], "purged": []}


def test_rows_never_learned_are_refused_and_named(rooms: Rooms) -> None:
    """Rows that the ledger does not know, that it knows less often, and that are forgotten already; nothing is published."""
    rooms.table["weight"][:] = 1.0
    rooms.train("m", [*range(40), 7])
    with pytest.raises(Contradiction, match=r"2 of these 4 rows were never learned.* rows 1, 2 of the request, counted from 0"):
        rooms.forget("m", [3, 50, 51, 4])
    with pytest.raises(Contradiction, match=r"1 of these 3 rows .* rows 2 of the request"):
        rooms.forget("m", [7, 7, 7])
    rooms.forget("m", [7, 7])
    with pytest.raises(Contradiction, match="rows 0 of the request"):
        rooms.forget("m", [7])
    rooms.table["rent"][8] = np.nextafter(rooms.table["rent"][8], np.inf)
    with pytest.raises(Contradiction, match="rows 0 of the request"):
        rooms.forget("m", [8])
    with pytest.raises(Contradiction, match=r"20 of these 20 .* rows 0, 1, .*, 19 of the request"):
        rooms.forget("m", range(40, 60))
    assert rooms.store.versions("m") == [1, 2]


def test_dropped_rows_keep_the_places_of_the_others(rooms: Rooms) -> None:
    """Where rows with a missing value are dropped, the rows that are named are those of the request."""
    rooms.table["weight"][:] = 1.0
    rooms.train("m", range(40), missing="drop")
    rooms.table["area"][2] = np.nan
    rooms.table["rent"][0] = np.nan
    with pytest.raises(Contradiction, match=r"1 of these 2 rows .* rows 3 of the request"):
        rooms.forget("m", [0, 2, 3, 50])


def test_losing_a_coefficient_is_refused(rooms: Rooms) -> None:
    """A removal that would drop the rank names the columns that would be lost, and one of all rows is refused too."""
    rooms.table["weight"][:] = 1.0
    rooms.train("m", range(60))
    with pytest.raises(Contradiction, match=r"do not determine town\[Ulm\], area\*town\[Ulm\]: refit without"):
        rooms.forget("m", np.flatnonzero(rooms.table["town"] == "Ulm"))
    with pytest.raises(Contradiction, match="these are 60 rows, and the model has learned 60"):
        rooms.forget("m", range(60))
    rooms.table["weight"][:] = 0.0
    with pytest.raises(Invalid, match="not valid"):
        rooms.forget("m", range(5))


def test_without_a_ledger_only_unchecked(rooms: Rooms) -> None:
    """A version without a ledger forgets on the client's word, and still refuses what cannot be."""
    rooms.table["weight"][:] = 1.0
    document = rooms.train("m", range(60), ledger="off")
    assert document["memory"] == {"ledger": False, "folds": 0, "sample": False}
    with pytest.raises(Contradiction, match='"unchecked": true'):
        rooms.forget("m", range(10))
    forgot = rooms.forget("m", range(10), unchecked=True)
    assert same(forgot, rooms.in_frame_of("m@1", "truth", range(10, 60)))
    rooms.table["rent"] *= 1000
    with pytest.raises(Contradiction, match="never learned"):
        rooms.forget("m", range(10), unchecked=True)
    with pytest.raises(Contradiction, match="the model has learned 50"):
        rooms.forget("m", range(60), unchecked=True)


def test_what_else_remembers_is_told_and_purged(rooms: Rooms) -> None:
    """Versions that hold the rows are listed, and deleted when asked to; those known not to hold them stay."""
    rooms.table["weight"][:] = 1.0
    rooms.train("m", range(30))
    rooms.learn("m", range(30, 40))  # 2
    rooms.learn("m", range(40, 50))  # 3
    assert rooms.forget("m", [31])["forgotten"] == {"rows": 1, "still_in": ["2", "3"], "purged": []}  # 4
    rooms.store.move_alias("m", "kept", 3)
    with pytest.raises(Contradiction, match=r"named by kept \(version 3\)"):
        rooms.forget("m", [45], purge=True)
    with pytest.raises(Contradiction, match=r"kept \(version 3\), live \(version 4\)"):
        rooms.forget("m", [45], purge=True, promote=False)
    rooms.store.move_alias("m", "kept", 1)

    memory = rooms.store.manifest("m", 4).memory
    purged = rooms.forget("m", [45], purge=True)
    assert purged["forgotten"] == {"rows": 1, "still_in": [], "purged": ["3", "4"]}
    assert rooms.store.versions("m") == [1, 2, 5]
    kept = {piece for version in (1, 2, 5) for piece in rooms.store.manifest("m", version).memory.values()}
    there = {f"sha256:{path.name}" for path in (rooms.directory / "store" / "memory" / "m").iterdir()}
    assert there == kept
    assert set(memory.values()) - kept, "the purged versions had memory of their own"


def test_versions_that_keep_no_memory_are_told_where_they_may_hold_the_rows(rooms: Rooms) -> None:
    """An ancestor from before the rows came is left out even without its ledger; one from after is not."""
    rooms.table["weight"][:] = 1.0
    rooms.train("m", range(30))
    for row in range(30, 40):
        rooms.learn("m", [row])
    rooms.store.retire("m", keep_versions=99, keep_memories=1)

    assert rooms.forget("m", [39])["forgotten"]["still_in"] == ["10", "11"]  # 10, for its segment was joined with that of 11
    told = rooms.forget("m", [0])["forgotten"]["still_in"]
    assert told == [str(version) for version in range(1, 13)]


def test_the_ledger_stays_small_and_holds_nothing_of_what_is_forgotten(rooms: Rooms) -> None:
    """Rows learned one by one fill few segments; after a forget none of them has the digest of a row that is gone."""
    rooms.table["weight"][:] = 1.0
    rooms.train("m", range(20))
    for row in range(20, 60):
        rooms.learn("m", [row])

    def segments(version: int) -> list[bytes]:
        manifest = rooms.store.manifest("m", version)
        return [rooms.store.remembered(manifest, name) for name in manifest.memory if name.startswith("ledger.")]

    before = segments(41)
    assert len(before) <= 6
    rooms.forget("m", range(10, 30))
    after = segments(42)
    known = {tuple(digest) for data in after for digest in Entries.from_bytes(data).digests.tolist()}
    were = {tuple(digest) for data in before for digest in Entries.from_bytes(data).digests.tolist()}
    assert (len(were), len(known), known <= were) == (60, 40, True)
