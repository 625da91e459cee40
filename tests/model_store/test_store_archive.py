"""A version as one file: the same bytes every time, whole or refused, never read beyond itself."""

import io
import zipfile
from pathlib import Path

import pytest

from model_store import ModelStore
from model_store.archive import Archive, pack, unpack
from model_store.errors import BadArchive, CorruptObject, UnknownVersion
from model_store.manifest import Manifest

BLOBS = {"state_dict": b"weights" * 9, "empty": b""}
MEMORY = {"moments": bytes(range(256)), "ledger.0": b"digests"}


@pytest.fixture
def manifest(store: ModelStore) -> Manifest:
    """A version with blobs and memory."""
    return store.publish(
        "m", blobs=BLOBS, memory=MEMORY, document={"fit": {"r2": 0.1 + 0.2}, "größe": [1, None]}, labels={"a": "ä"}, description="one"
    )


def rebuilt(data: bytes, change: dict[str, bytes], *, compress: bool = False) -> bytes:
    """The archive with entries changed or added by a common zip writer."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()} | change
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED) as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, archive.compression)
    return file.getvalue()


def test_an_archive_gives_back_what_the_store_holds(store: ModelStore, manifest: Manifest) -> None:
    """Manifest, blobs and memory are those of the version, any unzip reads them, and packing again gives the same bytes."""
    data = pack(store, "m", 1)
    archive = unpack(data)
    with zipfile.ZipFile(io.BytesIO(data)) as plain:
        listed = plain.namelist()

    assert (archive.manifest, archive.blobs, archive.memory) == (manifest, BLOBS, MEMORY)
    assert listed == ["manifest.json", "blobs/empty", "blobs/state_dict", "memory/ledger.0", "memory/moments"]
    assert pack(store, "m", 1) == archive.to_bytes() == data


def test_an_archive_does_not_tell_what_was_asked_of_its_store(store: ModelStore) -> None:
    """A key under which the version was published, and by whom, stay where that was."""
    store.publish("m", blobs={}, document={}, who="ann", idempotency_key="order-17")
    data = pack(store, "m", 1)

    assert store.manifest("m", 1).intent is not None
    assert unpack(data).manifest.intent is None
    assert b"order-17" not in data


def test_a_version_that_remembers_nothing_any_more_is_packed_without(store: ModelStore, manifest: Manifest) -> None:
    """Dropped memory is absent, all of it, and the version is an archive still."""
    for _ in range(2):
        store.publish("m", blobs={"state_dict": b"x"}, document={})
    store.retire("m", keep_versions=10, keep_memories=1)
    archive = unpack(pack(store, "m", 1))

    assert (archive.manifest, archive.blobs, archive.memory) == (manifest, BLOBS, {})


def test_what_is_not_there_or_damaged_is_not_packed(store: ModelStore, root: Path, manifest: Manifest) -> None:
    """An unknown version and a damaged blob are the errors they are elsewhere."""
    with pytest.raises(UnknownVersion):
        pack(store, "m", 2)
    (root / "blobs/sha256" / manifest.blobs["state_dict"].removeprefix("sha256:")).write_bytes(b"other")
    with pytest.raises(CorruptObject):
        pack(store, "m", 1)


def test_every_flipped_bit_is_refused(store: ModelStore, manifest: Manifest) -> None:
    """Each bit of the file, those of the zip's own fields among them, and each shortened or prolonged file."""
    data = pack(store, "m", 1)
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        with pytest.raises(BadArchive):
            unpack(bytes(changed))
    for length in range(0, len(data), 7):
        with pytest.raises(BadArchive):
            unpack(data[:length])
    for longer in (data + b"\0", b"\0" + data, data + data):
        with pytest.raises(BadArchive):
            unpack(longer)


@pytest.mark.parametrize(
    "change",
    [
        {"../../etc/passwd": b"x"},
        {"/absolute": b"x"},
        {"blobs/other": b"x"},
        {"blobs/../manifest.json": b"x"},
        {"memory/": b""},
        {"blobs/state_dict": b"other weights"},
        {"manifest.json": b"{}"},
        {"manifest.json": b'{"body": {}, "format": 2}'},
        {"manifest.json": b"[" * 100_000},
    ],
)
def test_foreign_entries_are_refused(store: ModelStore, manifest: Manifest, change: dict[str, bytes], tmp_path: Path) -> None:
    """Nothing but the parts of the version may be in the file, and nothing is written anywhere to find out."""
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BadArchive):
        unpack(rebuilt(pack(store, "m", 1), change))
    assert sorted(tmp_path.rglob("*")) == before


def test_parts_may_not_be_missing(store: ModelStore, manifest: Manifest) -> None:
    """All blobs, and all memory or none."""
    whole = unpack(pack(store, "m", 1))
    for part in (
        Archive(manifest, {"empty": b""}, MEMORY),
        Archive(manifest, {}, {}),
        Archive(manifest, BLOBS, {"moments": MEMORY["moments"]}),
    ):
        with pytest.raises(BadArchive, match="missing"):
            unpack(part.to_bytes())
    assert unpack(Archive(manifest, BLOBS, {}).to_bytes()).blobs == whole.blobs


def test_nothing_is_expanded(store: ModelStore, manifest: Manifest) -> None:
    """A compressed archive, a bomb among them, is refused before it is read; so is one whose entries claim the same bytes."""
    data = pack(store, "m", 1)
    bomb = rebuilt(data, {"blobs/state_dict": bytes(200_000_000)}, compress=True)
    assert len(bomb) < 300_000
    with pytest.raises(BadArchive, match="compressed"):
        unpack(bomb)
    with pytest.raises(BadArchive):
        unpack(rebuilt(data, {}, compress=True))


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\x05\x06" + bytes(18), b"not a zip", bytes(100_000)])
def test_other_files_are_refused(data: bytes) -> None:
    """What is no archive at all, an empty zip among them."""
    with pytest.raises(BadArchive, match="export it again"):
        unpack(data)


def test_an_archive_of_a_newer_release_says_so(store: ModelStore, manifest: Manifest) -> None:
    """A whole manifest of a later format asks for an upgrade."""
    from model_store.sealed import seal  # noqa: PLC0415 - only to write what does not exist yet

    newer = seal({"anything": 1}, number=99)
    with pytest.raises(BadArchive, match="upgrade"):
        unpack(rebuilt(pack(store, "m", 1), {"manifest.json": newer}))
