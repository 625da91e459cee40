"""Fixtures for tests that run services of their own."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.operations.processes import descendants
from tests.support import Service


@pytest.fixture
def make_service(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Make services, not yet started, each in a directory of its own; whatever still runs at the test's end is ended."""
    made: list[Service] = []

    def make(name: str = "one", **settings: str) -> Service:
        directory = tmp_path / name
        directory.mkdir()
        made.append(Service(directory, **settings))
        return made[-1]

    yield make
    for service in made:
        if service.process is not None and service.process.poll() is None:
            for pid in descendants(service.process.pid):
                os.kill(pid, signal.SIGCONT)  # a test that failed may have left it stopped
            service.stop()
