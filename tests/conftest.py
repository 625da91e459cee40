"""Fixtures that every room's tests share: a clean environment, a running service, and the application in this process."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from werkzeug.test import Client

from model_store.store import ModelStore
from service.app import create_app
from service.config import Config
from service.training.jobs import Jobs
from service.training.runner import run_job
from service.training.sources import Limits
from tests.buckets import Endpoint
from tests.support import Service


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse tests that share an id: of those, a run in several processes would carry out one and leave out the others in silence."""
    shared = [name for name, count in Counter(item.nodeid for item in items).items() if count > 1]
    if shared:
        raise pytest.UsageError(f"give each test an id of its own: {', '.join(shared)}")


@pytest.fixture(autouse=True)
def clean_environ(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the person who runs the tests reaches them."""
    for name in [name for name in os.environ if name.startswith("PLUMBLINE_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with two workers that the tests of a file share; each test uses models of its own."""
    running = Service(tmp_path_factory.mktemp("service")).start()
    yield running
    assert running.stop() == 0


@pytest.fixture
def start_service(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start services with settings of the test's own; they are stopped at its end."""
    started: list[Service] = []

    def start(**settings: str) -> Service:
        running = Service(tmp_path, **settings)
        started.append(running)
        return running.start()

    yield start
    for running in started:
        if running.process is not None and running.process.poll() is None:
            running.stop()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """The default settings with a store of the test's own."""
    return Config.from_environ({"PLUMBLINE_STORE": str(tmp_path / "store")})


@pytest.fixture
def client(config: Config) -> Client:
    """The application in this process; a training runs to its end while `POST /train` waits, by the trainer's own code."""
    store = ModelStore.open(config.store)
    jobs = Jobs(store, config.spool, limit=config.max_queued_trainings)
    limits = Limits(config.max_rows, config.max_columns)
    return Client(create_app(config, ring=lambda job_id: run_job(jobs, store, limits, job_id, roots=config.data_roots)))


@pytest.fixture(scope="session")
def s3() -> Iterator[Endpoint]:
    """An S3 endpoint that many tests share; `endpoint` is the way to it."""
    endpoint = Endpoint()
    endpoint.start()
    yield endpoint
    endpoint.stop()


@pytest.fixture
def endpoint(s3: Endpoint, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """An S3 endpoint to which this process, and those it starts, are pointed; it may be stopped."""
    s3.use(monkeypatch)
    yield s3
    if not s3.running:
        s3.start()


@pytest.fixture
def bucket(endpoint: Endpoint) -> str:
    """The address of a prefix in a bucket of the test's own."""
    return endpoint.bucket()
