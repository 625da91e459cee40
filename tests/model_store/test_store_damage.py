"""Damage on disk is found, named and survivable."""

import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from model_store import ModelStore
from model_store.aliases import AliasRecord
from model_store.errors import CorruptObject, UnsupportedFormat
from model_store.manifest import Manifest


def audit(store: ModelStore) -> None:
    """Reads everything there is."""
    for model in store.models():
        for version in store.versions(model):
            manifest = store.manifest(model, version)
            for digest in manifest.blobs.values():
                store.blob(digest)
            for name in manifest.memory:
                store.remembered(manifest, name)
        for alias in store.aliases(model):
            store.alias_history(model, alias)
    for job in store.job_records.oldest():
        store.job_records.read(job)


def sealed(body: object, number: object = 1) -> bytes:
    """A record as another program would write it, under a right digest."""
    content = {"body": body, "format": number}
    plain = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    whole = {**content, "digest": f"sha256:{hashlib.sha256(plain).hexdigest()}"}
    return json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@pytest.fixture
def filled(store: ModelStore) -> ModelStore:
    """Two models, three versions, moved aliases, a job."""
    store.publish(
        "m",
        blobs={"state_dict": b"weights", "moments": b"moments"},
        memory={"ledger": b"rows"},
        document={"r2": 0.5, "names": ["é"]},
        who="ann",
    )
    store.publish("m", blobs={"state_dict": b"other"}, document={}, operation="learn", parent=1, labels={"a": "b"})
    store.move_alias("m", "stable", 1, reason="sound")
    store.publish("n", blobs={"state_dict": b"weights"}, document={})
    store.job_records.put("j", {"state": "queued", "n": 3})
    return store


def test_a_flipped_bit_in_any_byte_of_any_file_is_found(filled: ModelStore, root: Path) -> None:
    """Whichever byte of the store changes, reading everything raises CorruptObject that names that file."""
    audit(filled)
    random_bits = random.Random(1)
    checked = 0
    for path in [path for path in sorted(root.rglob("*")) if path.is_file() and path.stat().st_size]:
        good = path.read_bytes()
        for place in range(len(good)):
            path.write_bytes(good[:place] + bytes([good[place] ^ 1 << random_bits.randrange(8)]) + good[place + 1 :])
            with pytest.raises(CorruptObject) as caught:
                audit(filled)
            assert str(path.relative_to(root)) in str(caught.value)
            assert type(caught.value) is CorruptObject
            checked += 1
        path.write_bytes(good)
    audit(filled)
    assert checked > 2000


@pytest.mark.parametrize(
    ("key", "read"),
    [("models/m/versions/1.json", Manifest.from_bytes), ("models/m/aliases/stable/1.json", AliasRecord.from_bytes)],
)
def test_every_flipped_bit_and_every_cut_of_a_record_is_found(
    filled: ModelStore, root: Path, key: str, read: Callable[[bytes, str], object]
) -> None:
    """No single bit flip, and no truncation, of a record passes its seal."""
    good = (root / key).read_bytes()
    changed = [good[:length] for length in range(len(good))]
    changed += [good[:place] + bytes([good[place] ^ 1 << bit]) + good[place + 1 :] for place in range(len(good)) for bit in range(8)]
    for data in changed:
        with pytest.raises(CorruptObject, match=key):
            read(data, key)
    assert read(good, key)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"body":1e400}',
        sealed([]),
        sealed({"a": 1}) + b"\n",
        b'{"body":{"a":NaN},"digest":"","format":1}',
        b'{"body":{"a":' + b"9" * 5000 + b'},"digest":"","format":1}',
        b'{"body":{"a":"\\ud800"},"digest":"","format":1}',
    ],
)
def test_what_is_not_a_record_is_damage_not_a_traceback(filled: ModelStore, root: Path, data: bytes) -> None:
    """Any bytes in the place of a record give CorruptObject with the key and the ways out."""
    (root / "jobs/j.json").write_bytes(data)
    with pytest.raises(CorruptObject) as caught:
        filled.job_records.read("j")
    assert str(caught.value) == (
        "jobs/j.json is damaged: its content does not match its digest; "
        "move the alias to another version (roll back) or restore this file from a backup"
    )


def test_a_record_of_a_newer_release_asks_for_an_upgrade(filled: ModelStore, root: Path) -> None:
    """A whole record of an unknown format is not called damaged."""
    (root / "models/m/versions/1.json").write_bytes(sealed({"new": "fields"}, 4))
    with pytest.raises(UnsupportedFormat) as caught:
        filled.manifest("m", 1)
    assert str(caught.value) == (
        "models/m/versions/1.json has a format that this release does not read (it reads 1 to 3): upgrade the service"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"model": "../m"},
        {"model": 5},
        {"version": "1"},
        {"version": True},
        {"version": 0},
        {"created": "yesterday"},
        {"created": "2031-02-30T00:00:00.000000Z"},
        {"created": 3},
        {"operation": None},
        {"parent": 1},
        {"labels": []},
        {"blobs": {"a": "md5:1"}},
        {"blobs": {"..": "sha256:" + "0" * 64}},
        {"document": []},
        {"libraries": {"a": 1}},
        {"extra": 1},
    ],
)
def test_a_sealed_manifest_must_also_be_valid(filled: ModelStore, root: Path, change: dict[str, object]) -> None:
    """A right digest does not excuse a wrong field."""
    path = root / "models/m/versions/1.json"
    path.write_bytes(sealed({**json.loads(path.read_bytes())["body"], **change}))
    with pytest.raises(CorruptObject, match=r"models/m/versions/1.json is damaged: .*; move the alias"):
        filled.manifest("m", 1)


@pytest.mark.parametrize(
    "change",
    [{"alias": 1}, {"seq": 0}, {"version": 0}, {"time": ""}, {"who": 1}, {"reason": None}, {"idempotency_key": 2}, {"extra": 1}],
)
def test_a_sealed_alias_record_must_also_be_valid(filled: ModelStore, root: Path, change: dict[str, object]) -> None:
    """A right digest does not excuse a wrong field."""
    path = root / "models/m/aliases/stable/1.json"
    path.write_bytes(sealed({**json.loads(path.read_bytes())["body"], **change}))
    with pytest.raises(CorruptObject, match=r"models/m/aliases/stable/1.json is damaged"):
        filled.alias("m", "stable")


def test_a_whole_record_in_the_wrong_place_is_found(filled: ModelStore, root: Path) -> None:
    """A manifest or a move copied over another is not taken for it."""
    (root / "models/m/versions/1.json").write_bytes((root / "models/m/versions/2.json").read_bytes())
    with pytest.raises(CorruptObject, match=r"models/m/versions/1.json is damaged: it is the manifest of another version"):
        filled.manifest("m", 1)
    (root / "models/m/aliases/live/2.json").write_bytes((root / "models/m/aliases/live/1.json").read_bytes())
    with pytest.raises(CorruptObject, match=r"models/m/aliases/live/2.json is damaged: it is the record of another move"):
        filled.alias("m", "live")


def test_a_missing_blob_is_damage(filled: ModelStore, root: Path) -> None:
    """A manifest that names a blob which is not there is reported with the blob's key."""
    digest = filled.manifest("m", 2).blobs["state_dict"]
    key = "blobs/sha256/" + digest.removeprefix("sha256:")
    (root / key).unlink()
    with pytest.raises(CorruptObject, match=rf"{key} is damaged: it is missing"):
        filled.blob(digest)


def test_the_advice_works(filled: ModelStore, root: Path) -> None:
    """After damage to the live record or the live version, moving the alias or rolling back serves again."""
    (root / "models/m/versions/2.json").write_bytes(b"")
    assert filled.rollback("m").version == 1
    (root / "models/m/aliases/live/3.json").write_bytes(b"")
    with pytest.raises(CorruptObject):
        filled.aliases("m")
    filled.move_alias("m", "live", 1)
    assert filled.aliases("m") == {"live": 1, "stable": 1}
    filled.delete_version("m", 2)
    assert filled.versions("m") == [1]


def test_an_alias_folder_without_a_record_is_no_alias(filled: ModelStore, root: Path) -> None:
    """A death between the folder of a new alias and its first record leaves nothing to see."""
    (root / "models/m/aliases/next").mkdir()
    assert filled.aliases("m") == {"live": 2, "stable": 1}
    assert filled.alias_history("m", "next") == []
