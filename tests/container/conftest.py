"""The image, built once, and containers of it that are removed when their test ends."""

import os
from collections.abc import Iterator

import pytest

from tests.container.engine import Box, Engine, find_engine, must
from tests.support import ROOT

TAG = "plumbline-test:cpu"


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The engine of this machine."""
    found = find_engine()
    if found is None:
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up("neither Docker nor podman answers here, and container-box could not set up podman")
    return found


@pytest.fixture(scope="session")
def image(engine: Engine) -> str:
    """The image, built from the Dockerfile as it is now."""
    must(*engine.build, "-t", TAG, ROOT, timeout=900)
    return engine.prefix + TAG


@pytest.fixture
def box(engine: Engine, image: str) -> Iterator[Box]:
    """Containers and volumes that end with the test."""
    box = Box(engine, image)
    yield box
    box.remove_all()


@pytest.fixture
def locked(engine: Engine) -> tuple[str, ...]:
    """The options of a container with nothing to spare: read-only, no capability, no new privilege, and a user nobody knows."""
    return (*engine.read_only, "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", "12345")
