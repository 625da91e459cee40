"""The application in this process with settings of the test's own, and a model to ask."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from model_store.store import ModelStore
from service.app import create_app
from service.config import Config
from service.training.jobs import Jobs
from service.training.runner import run_job
from service.training.sources import Limits

MakeClient = Callable[..., Client]


@pytest.fixture
def store(config: Config) -> ModelStore:
    """The store of `config`, which every client of the test shares."""
    return ModelStore.open(config.store)


@pytest.fixture
def make_client(tmp_path: Path) -> MakeClient:
    """Applications with these settings over the test's store; with `trainer=False` nobody runs the trainings.

    `platform` are variables that a platform sets by names of its own.
    """

    def make(*, trainer: bool = True, platform: Mapping[str, str] | None = None, **settings: str) -> Client:
        environ = {"PLUMBLINE_STORE": str(tmp_path / "store")} | {f"PLUMBLINE_{name}": text for name, text in settings.items()}
        config = Config.from_environ(environ | dict(platform or {}))
        store = ModelStore.open(config.store)
        jobs = Jobs(store, config.spool, limit=config.max_queued_trainings)
        limits = Limits(config.max_rows, config.max_columns)
        return Client(
            create_app(config, ring=lambda job_id: run_job(jobs, store, limits, job_id, roots=config.data_roots) if trainer else None)
        )

    return make


@pytest.fixture
def line(client: Client) -> TestResponse:
    """The answer to training y = 2 x + 1 as model `line`."""
    document: Any = {"model": "line", "instances": [[0], [1], [2]], "targets": [1, 3, 5]}
    return client.post("/train", json=document)
