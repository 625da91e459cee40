"""A disk that fills up: publishing is refused with advice, serving goes on, and space that comes back is used."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from model_store import ModelStore
from tests.support import Service

WIDTH = 200
ROW = {"instances": [[1.0] * WIDTH]}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.fail("mounting a small file system needs root: run this test as root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def wide(number: int) -> dict[str, object]:
    """A training whose version takes a few hundred kilobytes."""
    rows = [[float((i * j + number) % 97) for j in range(WIDTH)] for i in range(WIDTH + 20)]
    return {"instances": rows, "targets": [float(sum(row[:3])) for row in rows]}


@pytest.mark.slow
def test_a_full_disk_refuses_new_versions_and_harms_none(small_disk: Path, make_service: Callable[..., Service]) -> None:
    """Trainings get 507 with advice once nothing fits, predictions go on as before, and with space again trainings go on."""
    service = make_service(STORE=str(small_disk / "store"), WORKERS="1")
    service.store = small_disk / "store"
    service.start()
    live, refused = "", 0
    for number in range(200):
        reply = service.post("/train", wide(number))
        assert reply.status in (201, 507), reply.body
        live = reply.json["version"] if reply.status == 201 else live
        refused = refused + 1 if reply.status == 507 else 0
        assert service.post("/predict", ROW).json["version"] == live
        if refused:
            assert "free some" in reply.json["detail"]
        if refused == 20:
            break
    assert refused == 20
    assert int(live) > 3
    assert service.get("/models/default/versions/live").json["version"] == live
    assert service.get("/readyz").status == 200

    store = ModelStore.open(service.store)
    for version in store.versions("default"):
        manifest = store.manifest("default", version)
        for digest in manifest.blobs.values():
            store.blob(digest)
    for name in manifest.memory:
        store.remembered(manifest, name)
    for version in store.versions("default")[:-1]:
        store.delete_version("default", version)
    assert store.collect(older_than_seconds=0).blobs > 0
    again = service.post("/train", wide(100))
    assert again.status == 201, again.body
    assert service.post("/predict", ROW).json["version"] == again.json["version"]
