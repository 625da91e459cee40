"""A store in a fresh directory for every test."""

from pathlib import Path

import pytest

from model_store import ModelStore


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(root: Path) -> ModelStore:
    return ModelStore.open(root)
