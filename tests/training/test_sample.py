"""The sample: the same rows whatever way they came, none of those that were forgotten, and what is asked for is what is kept."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from model_store.archive import pack
from model_store.errors import BadArchive
from model_store.store import ModelStore
from service.errors import Contradiction, Invalid
from service.regression.row_digests import RowHasher
from service.regression.row_sample import RowSample
from service.training.importing import import_version
from tests.training.rooms import Rooms

K = 12


@pytest.fixture
def rooms(tmp_path: Path) -> Rooms:
    return Rooms(tmp_path, 80)


def raw(rooms: Rooms, rows: list[int]) -> np.ndarray:
    """The rows as a sample has them: towns by their place in the alphabet, targets and weight behind."""
    towns = np.searchsorted(["Bonn", "Jena", "Ulm"], rooms.table["town"]).astype(float)
    columns = [rooms.table["area"], rooms.table["rooms"], towns, rooms.table["rent"], rooms.table["costs"], rooms.table["weight"]]
    return np.column_stack(columns)[rows]


def kept(rooms: Rooms, model: str) -> RowSample:
    """The sample of a model's live version."""
    return RowSample.from_bytes(rooms.store.remembered(rooms.store.manifest(model, rooms.store.resolve(model, "live")), "sample"))


def stored(rooms: Rooms, model: str) -> str:
    """The digest of the sample of a model's live version: equal for equal bytes."""
    return rooms.store.manifest(model, rooms.store.resolve(model, "live")).memory["sample"]


def lowest(rows: np.ndarray, most: int) -> list[tuple[tuple[float, ...], int]]:
    """The distinct rows of the smallest digests and their counts, sought one by one."""
    counts: dict[tuple[float, ...], int] = {}
    for row in rows.tolist():
        if row[-1] > 0:
            counts[tuple(row)] = counts.get(tuple(row), 0) + 1
    return [(row, counts[row]) for row in sorted(counts, key=digest)[:most]]


def digest(row: tuple[float, ...]) -> tuple[int, ...]:
    """The digest of a row under the public key of all samples."""
    X, Y, weights = np.array([row[:3]]), np.array([row[3:5]]), np.array([row[5]])
    return tuple(RowHasher(b"plumbline sample 1").digests(X, Y, weights)[0].tolist())


def shown(sample: RowSample) -> list[tuple[tuple[float, ...], int]]:
    return [(tuple(row), times) for row, times in zip(sample.rows.tolist(), sample.times.tolist(), strict=True)]


def test_it_is_the_rows_of_the_smallest_digests(rooms: Rooms) -> None:
    """Some rows stand twice or thrice, and some have weight 0: each distinct one is there once, with its count."""
    rows = [*range(80), *range(40), *range(20)]
    document = rooms.train("m", rows, sample=K)

    assert document["memory"]["sample"]
    assert shown(kept(rooms, "m")) == lowest(raw(rooms, rows), K)
    assert "sample" not in rooms.store.manifest("plain", int(rooms.train("plain", rows)["version"])).memory


@pytest.mark.parametrize("seed", range(3))
def test_any_order_pieces_and_merging_give_the_same_bytes(rooms: Rooms, seed: int) -> None:
    """One training, one that learned piece by piece in another order, and two merged ones keep the same sample."""
    rooms.train("frame", range(80))
    random = np.random.default_rng(seed)
    rows = random.permutation([*range(80), *range(15)]).tolist()
    rooms.in_frame_of("frame", "whole", sorted(rows), sample=K)
    cuts = sorted(random.choice(np.arange(20, 90), 3, replace=False).tolist())
    for name, start, stop in (("pieces", 0, cuts[0]), ("one", 0, cuts[1]), ("other", cuts[1], 95)):
        rooms.in_frame_of("frame", name, rows[start:stop], sample=K)
    for start, stop in zip(cuts, [*cuts[1:], 95], strict=True):
        rooms.learn("pieces", rows[start:stop])
    rooms.merge("one", "other")

    assert stored(rooms, "pieces") == stored(rooms, "whole") == stored(rooms, "one")
    assert shown(kept(rooms, "whole")) == lowest(raw(rooms, rows), K)


def test_the_smaller_of_two_samples_is_kept_and_one_of_all_rows_only(rooms: Rooms) -> None:
    """Merged with a smaller sample it is as small; merged with a model that kept none, there is none."""
    rooms.train("m", range(40), sample=K)
    rooms.in_frame_of("m", "small", range(40, 60), sample=5)
    rooms.in_frame_of("m", "none", range(60, 80))

    assert rooms.merge("m", "small")["memory"]["sample"]
    assert shown(kept(rooms, "m")) == lowest(raw(rooms, list(range(60))), 5)
    assert not rooms.merge("m", "none")["memory"]["sample"]


@pytest.mark.parametrize("seed", range(3))
def test_learning_and_forgetting_leave_the_learned_rows_under_the_limit(rooms: Rooms, seed: int) -> None:
    """After any course of both, the sample holds each row that is still learned and lies under its limit, as often, and no other."""
    random = np.random.default_rng(seed)
    rooms.table["weight"][:] = random.choice([0.5, 1.0], 80)
    left = list(range(80))
    rooms.train("m", left, sample=K)
    for _ in range(6):
        some = random.integers(0, 80, 12).tolist()
        rooms.learn("m", some)
        left += some
        places = random.choice(len(left), 14, replace=False).tolist()
        rooms.forget("m", [left[place] for place in places])
        left = [row for place, row in enumerate(left) if place not in places]

    sample = kept(rooms, "m")
    all_of_them = lowest(raw(rooms, left), len(left))
    under = [(row, times) for row, times in all_of_them if digest(row)[0] < sample.limit]
    assert shown(sample) == under
    assert 0 < len(under) < K


def test_nothing_of_a_forgotten_row_remains(rooms: Rooms) -> None:
    """Neither its numbers nor its digest stand in what the store keeps after a purge, whether the row was sampled or the next one not."""
    rooms.table["weight"][:] = 1.0
    rooms.train("m", range(80), sample=K)
    order = [list(raw(rooms, list(range(80)))[:, 0]).index(row[0]) for row, _ in lowest(raw(rooms, list(range(80))), 80)]
    for row in (order[0], order[K - 1], order[K]):
        bytes_of_it = [rooms.table["area"][row].tobytes(), rooms.table["rent"][row].tobytes(), rooms.table["costs"][row].tobytes()]
        halves = [half.to_bytes(8, "little") for half in digest(tuple(raw(rooms, [row])[0].tolist()))]
        rooms.forget("m", [row], purge=True)

        kept_bytes = b"".join(path.read_bytes() for path in (rooms.directory / "store").rglob("*") if path.is_file())
        assert not [part for part in (*bytes_of_it, *halves) if part in kept_bytes]
        assert rooms.table["area"][order[1]].tobytes() in kept_bytes


def test_the_sample_refuses_rows_that_it_would_have(rooms: Rooms) -> None:
    """Without a ledger too: a row that lies under the limit and is not there was never learned, and nothing is forgotten."""
    rooms.table["weight"][:] = 1.0
    rooms.train("m", range(40), sample=100, ledger="off")
    with pytest.raises(Contradiction, match="some of these rows were never learned"):
        rooms.forget("m", [3, 50], unchecked=True)
    rooms.forget("m", [3], unchecked=True)
    assert len(kept(rooms, "m").rows) == 39


def test_fewer_terms_keep_the_sample(rooms: Rooms) -> None:
    """Rows are kept raw, so a refit with some of the terms knows them still, and goes on to learn as one training would."""
    rooms.train("m", range(60), sample=K)
    rooms.refit("m", terms=["area"])
    rooms.learn("m", range(60, 80))

    assert shown(kept(rooms, "m")) == lowest(raw(rooms, list(range(80))), K)


def test_rows_with_gaps_are_not_sampled(rooms: Rooms) -> None:
    """Where incomplete rows are dropped, the sample is of the others."""
    rooms.table["area"][5] = np.nan
    rooms.table["rent"][6] = np.nan
    rooms.train("m", range(80), sample=100, missing="drop")

    assert shown(kept(rooms, "m")) == lowest(raw(rooms, [row for row in range(80) if row not in (5, 6)]), 100)


def test_a_sample_is_bounded(rooms: Rooms) -> None:
    """In rows by the option, in numbers by the width of the rows."""
    with pytest.raises(Invalid) as error:
        rooms.train("m", range(10), sample=10_001)
    assert "sample" in error.value.errors
    width = 500
    rooms.table |= {f"x{number}": rooms.table["area"] for number in range(width)}
    wide: dict[str, Any] = {"features": [f"x{number}" for number in range(width)], "terms": ["x0"], "target": ["rent"]}
    with pytest.raises(Invalid) as error:
        rooms.train("wide", range(10), sample=9000, **wide)
    most = 2**22 // (width + 2)
    assert error.value.errors["sample"] == [f"must be at most {most} for rows of {width} features: a sample holds 4194304 numbers"]
    rooms.train("wide", range(10), sample=most, **wide)


def test_a_sample_travels_with_its_version(rooms: Rooms, tmp_path: Path) -> None:
    """An exported version keeps it where it is imported; one whose rows are not those of the schema is refused."""
    rooms.train("m", range(80), sample=K)
    elsewhere = ModelStore.open(tmp_path / "elsewhere")
    manifest = import_version(elsewhere, pack(rooms.store, "m", 1))
    assert manifest.memory["sample"] == stored(rooms, "m")

    manifest = rooms.store.manifest("m", 1)
    memory = {name: rooms.store.remembered(manifest, name) for name in manifest.memory}
    narrow = RowSample.empty(2, 2, K).with_rows(np.ones((1, 2)), np.ones((1, 2)))
    for wrong in (narrow.to_bytes(), b"no sample", memory["moments"]):
        forged = rooms.store.publish(
            "m",
            blobs={name: rooms.store.blob(digest) for name, digest in manifest.blobs.items()},
            memory=memory | {"sample": wrong},
            document=manifest.document,
            operation="train",
            fingerprint=manifest.fingerprint,
        )
        with pytest.raises(BadArchive, match="do not belong together"):
            import_version(elsewhere, pack(rooms.store, "m", forged.version))


@pytest.mark.parametrize("part", ["rows", "times", "limit", "shape"])
def test_what_is_no_sample_is_not_read(part: str) -> None:
    """Bytes that `to_bytes` cannot have written are refused."""
    random = np.random.default_rng(3)
    sample = RowSample.empty(2, 1, 9).with_rows(random.normal(size=(50, 2)), random.normal(size=(50, 1)))
    tensors = load(sample.to_bytes())
    wrong: dict[str, np.ndarray] = {
        "rows": tensors["rows"][::-1].copy(),
        "times": np.zeros(9, dtype=np.int64),
        "limit": np.array([1], dtype=np.uint64),
        "shape": np.array([2, 1, 8]),
    }
    assert shown(RowSample.from_bytes(save(tensors))) == shown(sample)
    with pytest.raises(ValueError, match="no sample of rows"):
        RowSample.from_bytes(save(tensors | {part: wrong[part]}))
