"""A store in a fresh place for every test: in a directory, in a bucket, and in a bucket with a mirror."""

from pathlib import Path

import pytest

from model_store import ModelStore
from model_store.bucket import BucketObjects
from model_store.mirror import MirroredObjects
from model_store.objects import LocalObjects

PLACES = ("directory", "bucket", "mirrored")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test of the store runs in every place; one that also looks at files, in a directory alone."""
    if "store" in metafunc.fixturenames:
        metafunc.parametrize("store", PLACES[:1] if "root" in metafunc.fixturenames else PLACES, indirect=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ModelStore:
    if request.param == "directory":
        return ModelStore.open(tmp_path / "store")
    bucket = BucketObjects(request.getfixturevalue("bucket"), settled_seconds=0)
    if request.param == "bucket":
        return ModelStore(bucket)
    local = LocalObjects(tmp_path / "mirror")
    local.prepare()
    return ModelStore(MirroredObjects(bucket, local))
