"""What is kept: so many versions, so many memories, and nothing that no version refers to."""

from pathlib import Path

import pytest

from model_store import ModelStore
from model_store.errors import Forgotten
from service.config import Config
from service.training import upkeep
from service.training.jobs import Jobs
from service.training.runner import run_job
from service.training.sources import Limits
from service.training.upkeep import Keep, Upkeep
from tests.training.test_jobs import queue


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore.open(tmp_path / "store")


@pytest.fixture
def jobs(store: ModelStore, tmp_path: Path) -> Jobs:
    return Jobs(store, tmp_path / "store" / "spool", limit=4)


def test_after_each_job_only_so_many_versions_and_memories_are_kept(store: ModelStore, jobs: Jobs) -> None:
    """Of six trainings the last three stay, the last two with their moments; an aliased one stays whole however old."""
    kept = Upkeep(store, jobs, Keep(versions=3, memories=2, jobs_hours=1))
    for number in range(6):
        body = f'{{"model": "line", "instances": [[0], [1], [2]], "targets": [1, 3, {number}]}}'
        model = run_job(jobs, store, Limits(100, 100), queue(jobs, body.encode()))
        assert model == "line"
        kept.after_publishing(model)
        if number == 1:
            store.move_alias("line", "stable", 2)
    assert store.versions("line") == [2, 4, 5, 6]
    for version, remembers in ((2, True), (4, False), (5, True), (6, True)):
        manifest = store.manifest("line", version)
        if remembers:
            assert store.remembered(manifest, "moments")
        else:
            with pytest.raises(Forgotten):
                store.remembered(manifest, "moments")


def test_a_job_that_publishes_nothing_retires_nothing(store: ModelStore, jobs: Jobs) -> None:
    """A refused training names no model, and so does the run of a job that another process has."""
    assert run_job(jobs, store, Limits(100, 100), queue(jobs, b'{"instances": []}')) is None
    assert run_job(jobs, store, Limits(100, 100), "0" * 32) is None


def test_what_nothing_refers_to_goes_within_the_hour(store: ModelStore, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights of a deleted version are removed by the trainer itself, once in its interval."""
    monkeypatch.setattr(upkeep, "COLLECT_SECONDS", 0.0)
    kept = Upkeep(store, jobs, Keep(versions=1, memories=1, jobs_hours=1))
    digests = []
    for text in (b'{"instances": [[0], [1], [2]], "targets": [1, 3, 5]}', b'{"instances": [[0], [1], [2]], "targets": [1, 3, 8]}'):
        model = run_job(jobs, store, Limits(100, 100), queue(jobs, text))
        assert model is not None
        digests.append(store.manifest(model, store.alias(model, "live").version or 0).blobs["state_dict"])
        kept.after_publishing(model)
    kept.now_and_then()
    assert store.blob(digests[1])
    assert not (Path(jobs.body("x")).parent.parent / "blobs/sha256" / digests[0].removeprefix("sha256:")).exists()


def test_a_store_that_fails_stops_neither_trainer_nor_client(store: ModelStore, jobs: Jobs, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be let go of now is told in the log, and goes the next time."""
    Upkeep(store, jobs, Keep(versions=1, memories=1, jobs_hours=1)).after_publishing("unknown")
    assert "there is no model unknown" in caplog.text


def test_the_settings_say_how_much_is_kept() -> None:
    """Each setting reaches the bound it names."""
    environ = {"PLUMBLINE_KEEP_VERSIONS": "7", "PLUMBLINE_KEEP_MEMORIES": "3", "PLUMBLINE_KEEP_JOBS_HOURS": "5"}
    assert Keep.of(Config.from_environ(environ)) == Keep(versions=7, memories=3, jobs_hours=5)
