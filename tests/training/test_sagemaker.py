"""The image as SageMaker runs it: `train` and `serve` without arguments over a directory in the place of /opt/ml."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from model_store.archive import unpack
from model_store.store import ModelStore
from service.cli import main
from service.commands.sagemaker import take_in_model
from service.config import Config
from service.errors import Invalid
from tests.operations.processes import wait_until
from tests.support import ROOT, ask, free_port

ROWS = "area,rooms,rent\n50,2,600\n70,3,800\n90,3,990\n110,5,1250\n"
TRUTH = np.linalg.lstsq([[1, 50, 2], [1, 70, 3], [1, 90, 3], [1, 110, 5]], [600, 800, 990, 1250], rcond=None)[0]


class Mounted:
    """A directory as SageMaker mounts it at /opt/ml, for training or for serving."""

    def __init__(self, directory: Path) -> None:
        self.root, self.store = directory / "ml", directory / "store"
        self.environ = {"PLUMBLINE_SAGEMAKER_ROOT": str(self.root), "PLUMBLINE_STORE": str(self.store)}

    def job(self, hyperparameters: Any, *, channels: dict[str, Any] | None = None, hosts: tuple[str, ...] = ("algo-1",)) -> None:
        """Write the configuration of a training job."""
        config = self.root / "input" / "config"
        config.mkdir(parents=True, exist_ok=True)
        (config / "hyperparameters.json").write_text(json.dumps(hyperparameters))
        channels = {"train": {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated"}} if channels is None else channels
        (config / "inputdataconfig.json").write_text(json.dumps(channels))
        (config / "resourceconfig.json").write_text(json.dumps({"current_host": hosts[0], "hosts": hosts}))

    def data(self, name: str = "train/rent.csv", text: str = ROWS) -> None:
        """Write a file of a channel."""
        path = self.root / "input" / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def train(self) -> Result:
        """`docker run IMAGE train`."""
        return CliRunner().invoke(main, ["train"], env=self.environ | {"COLUMNS": "120"})

    @property
    def failure(self) -> str:
        """Why the job failed, as SageMaker shows it."""
        path = self.root / "output" / "failure"
        return path.read_text() if path.exists() else ""

    @property
    def config(self) -> Config:
        """The settings."""
        return Config.from_environ(self.environ)


@pytest.fixture
def mounted(tmp_path: Path) -> Mounted:
    return Mounted(tmp_path)


def test_a_training_job_leaves_one_archive(mounted: Mounted) -> None:
    """Hyperparameters are strings, some of them JSON; the model that SageMaker keeps is what numpy fits, and is what export writes."""
    mounted.job({"target": '"rent"', "features": '["rooms", "area"]', "model": "rent", "ledger": "off", "folds": "3", "intercept": "true",
                 "sagemaker_region": '"eu-central-1"', "_tuning_objective_metric": "r2"})  # fmt: skip
    mounted.data()
    done = mounted.train()

    assert (done.exit_code, mounted.failure) == (0, ""), done.output
    assert done.stdout.startswith("rent version 1: n = 4")
    (path,) = (mounted.root / "model").iterdir()
    archive = unpack(path.read_bytes())
    assert (path.name, archive.manifest.model) == ("rent.zip", "rent")
    table = {row["term"]: row["estimate"] for row in archive.manifest.document["fit"]["coefficients"]}
    assert [table[term] for term in ("intercept", "area", "rooms")] == pytest.approx(TRUTH.tolist(), rel=1e-9)
    assert ModelStore.open(mounted.store).alias("rent", "live").who == "SageMaker"


@pytest.mark.parametrize(
    ("channels", "files"),
    [
        ({"training": {}}, ["training/a.csv"]),
        ({"rows": {"ContentType": "text/csv; charset=utf-8"}}, ["rows/deeper/part-00000", "rows/deeper/.hidden"]),
        ({"train": {}, "validation": {}}, ["train/a.csv", "validation/b.csv"]),
    ],
)
def test_the_channel_that_is_trained_on(mounted: Mounted, channels: dict[str, Any], files: list[str]) -> None:
    """It is the one called train or training, or the only one; a ContentType says what files without a suffix are."""
    mounted.job({"target": "rent"}, channels=channels)
    for name in files:
        mounted.data(name)
    done = mounted.train()

    assert done.exit_code == 0, done.output
    assert "n = 4" in done.stdout


@pytest.mark.parametrize(
    ("hyperparameters", "changes", "says"),
    [
        ({}, {}, "target: is missing"),
        ({"target": "rents"}, {}, "rents: is not a column of the file"),
        ({"target": "rent", "tarmac": "1"}, {}, "tarmac: Unknown field"),
        ({"target": "rent", "folds": 3}, {}, "folds: must be a string"),
        ({"target": "rent", "solver": "{"}, {}, "solver: is not valid JSON"),
        (["target"], {}, "hyperparameters.json must be a JSON object"),
        ({"target": "rent"}, {"channels": {}}, "channels: must be one called train or training"),
        ({"target": "rent"}, {"channels": {"a": {}, "b": {}}}, "channels: must be one called train or training"),
        ({"target": "rent"}, {"channels": {"other": {}}}, "other: has no files"),
        ({"target": "rent"}, {"channels": {"train": {"TrainingInputMode": "Pipe"}}}, "train: comes as a pipe"),
        ({"target": "rent"}, {"channels": {"train": {"ContentType": "application/x-recordio"}}}, "ContentType that is not read here"),
        ({"target": "rent"}, {"hosts": ("algo-1", "algo-2")}, "hosts: are 2: train on one instance"),
    ],
)
def test_a_job_that_fails_says_why(mounted: Mounted, hyperparameters: Any, changes: dict[str, Any], says: str) -> None:
    """The exit code is 1, the reason stands where SageMaker looks for it, and no model is left."""
    mounted.job(hyperparameters, **changes)
    mounted.data()
    done = mounted.train()

    assert (done.exit_code, says in mounted.failure, says in done.stderr) == (1, True, True), done.output
    assert "Traceback" not in done.output
    assert not (mounted.root / "model").exists()


def test_a_reason_is_as_long_as_sagemaker_shows(mounted: Mounted) -> None:
    """At most 1024 characters; the rest stands in the log."""
    mounted.job({"target": "rent"} | {f"misspelt_{i:030}": "1" for i in range(20)})
    mounted.data()
    done = mounted.train()

    assert (len(mounted.failure), len(done.stderr) > 1024) == (1024, True)


def test_an_unforeseen_failure_is_told_without_its_text(mounted: Mounted, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw is a failure too; its traceback is in the log alone."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("zebra")

    monkeypatch.setattr("service.training.command.train_paths", broken)
    mounted.job({"target": "rent"})
    mounted.data()
    done = mounted.train()

    assert (done.exit_code, mounted.failure) == (1, "the training failed unexpectedly; the log of the job says why")


def test_a_model_directory_that_cannot_be_written_fails(mounted: Mounted) -> None:
    """A model that cannot be kept is a failed job."""
    mounted.job({"target": "rent"})
    mounted.data()
    (mounted.root / "model").write_text("")
    done = mounted.train()

    assert done.exit_code == 1
    assert "cannot be written" in mounted.failure


def test_without_a_job_train_needs_files(mounted: Mounted) -> None:
    """Where SageMaker has mounted nothing, a command line without files is wrong, as ever."""
    done = mounted.train()

    assert (done.exit_code, "name the FILES to train on" in done.stderr) == (2, True)


def test_an_archive_is_taken_in_once(mounted: Mounted) -> None:
    """However often the service starts, the mounted model is published once, under the name that is asked; another one is again."""
    mounted.job({"target": "rent", "model": "rent"})
    mounted.data()
    take_in_model(mounted.config)  # nothing is there yet, and nothing is needed
    assert mounted.train().exit_code == 0
    serving = Config.from_environ(mounted.environ | {"PLUMBLINE_STORE": str(mounted.store) + "-2"})
    for _ in range(3):
        take_in_model(serving)
    store = ModelStore.open(serving.store)
    assert (store.models(), store.versions("default"), store.alias("default", "live").version) == (["default"], [1], 1)

    mounted.data(text=ROWS + "130,4,1400\n")
    assert mounted.train().exit_code == 0
    take_in_model(serving)
    assert store.alias("default", "live").version == 2

    (mounted.root / "model" / "other.zip").write_bytes(b"")
    with pytest.raises(Invalid, match="not valid"):
        take_in_model(serving)


def test_a_damaged_archive_is_told_plainly(mounted: Mounted) -> None:
    """`serve` ends with a sentence, not with a service that has no model."""
    (mounted.root / "model").mkdir(parents=True)
    (mounted.root / "model" / "rent.zip").write_bytes(b"zebra")
    done = CliRunner().invoke(main, ["serve"], env=mounted.environ)

    assert done.exit_code == 1
    assert "this is not a version as `export` writes it" in done.stderr


def pings(url: str) -> bool:
    try:
        return ask(f"{url}/ping", timeout=2).status == 200
    except OSError:
        return False


@pytest.mark.slow
def test_trained_and_served_as_sagemaker_does(mounted: Mounted, tmp_path: Path) -> None:
    """Two real processes, `train` and then `serve` with a store of its own over the same model: pinged, invoked, stopped by SIGTERM."""
    mounted.job({"target": "rent"})
    mounted.data()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PLUMBLINE_")} | mounted.environ
    trained = subprocess.run([sys.executable, "-m", "service", "train"], cwd=ROOT, env=environ, capture_output=True, check=False)
    assert trained.returncode == 0, trained.stderr

    url = f"http://127.0.0.1:{(port := free_port())}"
    served = environ | {"PLUMBLINE_STORE": str(tmp_path / "fresh"), "PLUMBLINE_BIND": f"127.0.0.1:{port}", "PLUMBLINE_WORKERS": "1"}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "service", "serve"], cwd=ROOT, env=served, stdout=log, stderr=log)
    try:
        wait_until(lambda: pings(url), "a ping that is answered by 200", 60)
        body, kinds = b"70,3\n90,3\n", {"Content-Type": "text/csv", "Accept": "text/csv"}
        answer = ask(f"{url}/invocations", method="POST", body=body, headers=kinds)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()

    expected = [TRUTH @ [1, 70, 3], TRUTH @ [1, 90, 3]]
    np.testing.assert_allclose([float(line) for line in answer.body.split()], expected, rtol=1e-9)
