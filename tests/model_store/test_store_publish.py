"""Publishing a version and reading it back."""

import hashlib
import json
import random
import re
import tracemalloc
from itertools import islice
from pathlib import Path

import pytest

from model_store import AliasRecord, Manifest, ModelStore
from model_store.errors import CorruptObject, InvalidDocument, InvalidName, NotFound, UnknownModel, UnknownVersion
from model_store.job_records import TOGETHER
from model_store.manifest import Intent

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_a_version_reads_back_as_it_was_published(store: ModelStore) -> None:
    """Every field and every byte that was published is read back, and `live` names the version with its cause."""
    first = store.publish("m", blobs={}, document={})
    second = store.publish(
        "m",
        blobs={"state_dict": b"weights", "moments": b""},
        document={"fit": {"n": 3, "r2": 0.1}, "names": ["é", None, True]},
        operation="learn",
        parent=1,
        description="the second",
        labels={"team": "a"},
        fingerprint="f" * 64,
        libraries={"torch": "2"},
        who="ann",
        idempotency_key="k1",
    )
    assert second == Manifest(
        model="m",
        version=2,
        created=second.created,
        operation="learn",
        parent=1,
        description="the second",
        labels={"team": "a"},
        fingerprint="f" * 64,
        blobs={
            "state_dict": "sha256:" + hashlib.sha256(b"weights").hexdigest(),
            "moments": "sha256:" + hashlib.sha256(b"").hexdigest(),
        },
        memory={},
        document={"fit": {"n": 3, "r2": 0.1}, "names": ["é", None, True]},
        libraries={"torch": "2"},
        intent=Intent(idempotency_key="k1", who="ann", promote=True, expect=None),
    )
    assert TIME.fullmatch(second.created)
    assert (store.manifest("m", 1), store.manifest("m", 2)) == (first, second)
    assert {name: store.blob(digest) for name, digest in second.blobs.items()} == {"state_dict": b"weights", "moments": b""}
    record = store.alias("m", "live")
    assert record == AliasRecord(alias="live", seq=2, version=2, time=record.time, who="ann", reason="learn", idempotency_key="k1")


def test_the_files_are_those_of_the_plan(store: ModelStore, root: Path) -> None:
    """The layout on disk is the documented one, with blobs named by what `sha256` of their content says."""
    store.publish("m", blobs={"state_dict": b"weights"}, memory={"moments": b"sums"}, document={})
    store.job_records.put("j1", {})
    assert files(root) == {
        "lock",
        "jobs/j1.json",
        "blobs/sha256/" + hashlib.sha256(b"weights").hexdigest(),
        "memory/m/" + hashlib.sha256(b"sums").hexdigest(),
        "models/m/present",
        "models/m/versions/1.json",
        "models/m/aliases/live/1.json",
    }


def test_a_manifest_file_is_sealed_canonical_json(store: ModelStore, root: Path) -> None:
    """The manifest's bytes are sorted JSON in UTF-8 with the SHA-256 of the same JSON without its digest."""
    store.publish("m", blobs={}, document={"z": "é", "a": 1})
    data = (root / "models/m/versions/1.json").read_bytes()
    content = json.loads(data)
    digest = content.pop("digest")
    plain = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert digest == "sha256:" + hashlib.sha256(plain).hexdigest()
    assert data == json.dumps({**content, "digest": digest}, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert content["format"] == 2


def test_models_and_versions_are_listed(store: ModelStore) -> None:
    """Models are sorted by name, versions by number rather than by text."""
    assert (store.models(), store.has_model("b"), list(store.job_records.oldest())) == ([], False, [])
    for _ in range(11):
        store.publish("b", blobs={}, document={})
    store.publish("a", blobs={}, document={})
    assert (store.models(), store.has_model("b"), store.versions("b")) == (["a", "b"], True, list(range(1, 12)))


def test_an_unpromoted_version_leaves_live_alone(store: ModelStore) -> None:
    """`promote=False` publishes a version that no alias names."""
    store.publish("m", blobs={}, document={}, promote=False)
    assert (store.versions("m"), store.aliases("m")) == ([1], {})
    store.publish("m", blobs={}, document={})
    store.publish("m", blobs={}, document={}, promote=False)
    assert (store.versions("m"), store.aliases("m")) == ([1, 2, 3], {"live": 2})


def test_equal_blobs_are_stored_once(store: ModelStore, root: Path) -> None:
    """Two versions with one state share its file."""
    first = store.publish("m", blobs={"state_dict": b"same"}, document={})
    second = store.publish("n", blobs={"weights": b"same"}, document={})
    assert first.blobs["state_dict"] == second.blobs["weights"]
    assert len(list((root / "blobs/sha256").iterdir())) == 1


def test_publishing_mends_a_damaged_blob(store: ModelStore, root: Path) -> None:
    """A damaged blob under the digest of what is published is replaced, so the new version is never born broken."""
    first = store.publish("m", blobs={"state_dict": b"good"}, document={})
    digest = first.blobs["state_dict"]
    (root / "blobs/sha256" / digest.removeprefix("sha256:")).write_bytes(b"bad!")
    with pytest.raises(CorruptObject):
        store.blob(digest)
    store.publish("m", blobs={"state_dict": b"good"}, document={})
    assert store.blob(digest) == b"good"


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("document", {"x": float("nan")}, "the record cannot be written as JSON"),
        ("document", {"x": "\ud800"}, "the record cannot be written as JSON"),
        ("document", {"x": b""}, "the record cannot be written as JSON"),
        ("operation", "Two Words", "operation must be one word in lower case"),
        ("operation", "", "operation must be one word in lower case"),
        ("parent", 1, "parent must be an earlier version than the one made from it"),
        ("parent", 0, "parent must be a whole number from 1, or nothing"),
        ("parent", True, "parent must be a whole number from 1, or nothing"),
        ("description", 3, "description must be text"),
        ("labels", {"a": 1}, "labels must map text to text"),
        ("fingerprint", 5, "fingerprint must be text, or nothing"),
        ("libraries", {1: "a"}, "libraries must map text to text"),
        ("who", "\udfff", "the record cannot be written as JSON"),
        ("who", None, "who and reason must be text"),
        ("idempotency_key", 7, "idempotency_key and who must be text"),
    ],
)
def test_what_cannot_be_stored_is_refused_before_anything_is_written(
    store: ModelStore, root: Path, field: str, value: object, text: str
) -> None:
    """A field of a wrong type raises InvalidDocument with its rule and leaves the store as it was."""
    arguments = {"blobs": {"state_dict": b"x"}, "document": {}, field: value}
    with pytest.raises(InvalidDocument, match=re.escape(text)):
        store.publish("m", **arguments)  # type: ignore[arg-type]  # wrong types are the point
    assert files(root) == set()


def test_a_blob_name_is_a_name(store: ModelStore, root: Path) -> None:
    """A blob cannot be called what a file could not."""
    with pytest.raises(InvalidName, match=r"not a blob name"):
        store.publish("m", blobs={"../x": b""}, document={})
    assert files(root) == set()


def test_what_is_not_there_is_unknown(store: ModelStore) -> None:
    """Models, versions and jobs that never were are named in the error with what to do."""
    with pytest.raises(UnknownModel, match=r"^there is no model m: list the models to see those there are, or train it$"):
        store.manifest("m", 1)
    with pytest.raises(UnknownModel):
        store.versions("m")
    store.publish("m", blobs={}, document={})
    with pytest.raises(UnknownVersion, match=r"^model m has no version 2: list its versions to see those it has$"):
        store.manifest("m", 2)
    with pytest.raises(NotFound):
        store.job_records.read("j")
    with pytest.raises(NotFound, match=r"^no job j is recorded: list the jobs to see those that are$"):
        store.job_records.delete("j")


def test_job_records_are_overwritten_and_removed(store: ModelStore) -> None:
    """The last record of a job is the one read, and a removed job is gone."""
    store.job_records.put("b", {"state": "queued"})
    store.job_records.put("a.1", {"state": "queued"})
    store.job_records.put("b", {"state": "running", "digest": "mine", "format": 9})
    assert list(store.job_records.oldest()) == ["a.1", "b"]
    assert store.job_records.read("b") == {"state": "running", "digest": "mine", "format": 9}
    store.job_records.delete("b")
    assert list(store.job_records.oldest()) == ["a.1"]


def test_jobs_are_listed_in_order_without_holding_them_all(store: ModelStore, root: Path) -> None:
    """However many there are, in whatever order they came; the first few take no more memory of twenty times as many."""
    names = [f"{number:06d}" for number in range(20 * TOGETHER + 1)]
    store.job_records.put(names[0], {})
    peaks = []
    for some in (names[1 : TOGETHER + 1], names[TOGETHER + 1 :]):
        for name in random.Random(0).sample(some, len(some)):
            (root / "jobs" / f"{name}.json").touch()  # as many true ones take half a minute
        tracemalloc.start()
        assert list(islice(store.job_records.newest(), 5)) == some[:-6:-1]
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert list(store.job_records.oldest()) == names
    assert list(store.job_records.newest()) == names[::-1]
    assert list(store.job_records.newest(before=names[3 * TOGETHER])) == names[3 * TOGETHER - 1 :: -1]
    assert list(store.job_records.newest(before=names[0])) == []
    assert peaks[1] < 2 * peaks[0]


def test_a_store_opens_where_it_was_left(store: ModelStore, root: Path) -> None:
    """Another process that opens the directory, by text or by path, sees the same."""
    manifest = store.publish("m", blobs={"state_dict": b"x"}, document={"a": 1})
    assert ModelStore.open(str(root)).manifest("m", 1) == manifest
