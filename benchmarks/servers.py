"""Starting the servers that are measured, one worker each, and stopping them again."""

import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sklearn.datasets import load_diabetes

from service.config import Config
from tests.support import ROOT, Service, ask, free_port

FEATURES = 10
TOKEN = secrets.token_urlsafe(32)
FIT = """\
import json, sys
import joblib, numpy
from sklearn.linear_model import LinearRegression
data = json.load(open("data.json"))
joblib.dump(LinearRegression().fit(numpy.array(data["instances"]), numpy.array(data["targets"])), "model.joblib")
"""


@dataclass(frozen=True)
class Server:
    """A running server: where it predicts, how it wants rows to be sent, and how many it can be sent at once."""

    name: str
    url: str
    body: Callable[[list[list[float]]], bytes]
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    most_rows: int = 1000


def training() -> dict[str, Any]:
    """The diabetes data, 442 rows of 10 features, as a training request."""
    data = load_diabetes()
    return {"instances": data.data.tolist(), "targets": data.target.tolist()}


def instances(rows: list[list[float]]) -> bytes:
    """Rows as a prediction request."""
    return json.dumps({"instances": rows}).encode()


@contextmanager
def plumbline(directory: Path) -> Iterator[Service]:
    """The service as it ships, with one worker and a write token, and the diabetes model trained."""
    service = Service(directory, WORKERS="1", WRITE_TOKEN=TOKEN).start()
    try:
        trained = service.post("/train", training(), headers={"Authorization": f"Bearer {TOKEN}"})
        assert trained.status == 201, trained.body
        yield service
    finally:
        service.stop()


@contextmanager
def process(arguments: list[str], directory: Path, ready: str, body: bytes, environ: dict[str, str] | None = None) -> Iterator[None]:
    """A server in a process of its own, from the moment it answers `body`."""
    with (directory / "log").open("wb") as log:
        running = subprocess.Popen(arguments, cwd=directory, env=os.environ | (environ or {}), stdout=log, stderr=log)
    try:
        for _ in range(600):
            assert running.poll() is None, (directory / "log").read_text()
            try:
                if ask(ready, method="POST", body=body, headers={"Content-Type": "application/json"}).status == 200:
                    break
            except OSError:
                pass
            subprocess.run(["sleep", "0.1"], check=True)
        yield
    finally:
        running.terminate()
        running.wait(30)


@contextmanager
def bare_flask(directory: Path) -> Iterator[str]:
    """The yardstick under Gunicorn with the settings of the service; yields its address."""
    address = f"127.0.0.1:{free_port()}"
    options = {
        "bind": address,
        "workers": "1",
        "threads": str(Config.from_environ({}).threads),
        "worker-class": "service.worker.worker.Worker",
        "keep-alive": "75",
        "worker-tmp-dir": "/dev/shm" if Path("/dev/shm").is_dir() else str(directory),
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "gunicorn", *arguments, "--no-control-socket", "--chdir", str(ROOT), "benchmarks.bare:app"]
    with process(command, directory, f"http://{address}/answer", b"{}"):
        yield f"http://{address}"


@contextmanager
def mlserver(directory: Path, venv: Path) -> Iterator[str]:
    """MLServer with its scikit-learn runtime serving the same model, from a virtual environment that has it; yields its address."""
    (directory / "data.json").write_text(json.dumps(training()))
    subprocess.run([venv / "bin" / "python", "-c", FIT], cwd=directory, check=True)
    model = {"name": "m", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": "./model.joblib", "version": "1"}}
    (directory / "model-settings.json").write_text(json.dumps(model))
    port = free_port()
    ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    (directory / "settings.json").write_text(json.dumps({"host": "127.0.0.1", "parallel_workers": 0, "debug": False} | ports))
    url = f"http://127.0.0.1:{port}/v2/models/m/infer"
    path = {"PATH": f"{venv / 'bin'}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    with process([str(venv / "bin" / "mlserver"), "start", "."], directory, url, tensor([[0.0] * FEATURES]), path):
        yield url


def tensor(rows: list[list[float]]) -> bytes:
    """Rows as an Open Inference request with flat data."""
    flat = [number for row in rows for number in row]
    return json.dumps({"inputs": [{"name": "x", "shape": [len(rows), FEATURES], "datatype": "FP64", "data": flat}]}).encode()


@contextmanager
def servers(mlserver_venv: Path | None) -> Iterator[list[Server]]:
    """All servers to be measured, running at the same time and idle until asked."""
    with ExitStack() as stack:

        def directory() -> Path:
            return Path(stack.enter_context(tempfile.TemporaryDirectory()))

        service = stack.enter_context(plumbline(directory()))
        flask = stack.enter_context(bare_flask(directory()))
        running = [
            Server("plumbline", f"{service.url}/predict", instances),
            Server("bare flask", f"{flask}/answer", instances, most_rows=1),  # Gunicorn cuts off a large body that is not read
            Server("bare flask, body read", f"{flask}/read", instances),
        ]
        if mlserver_venv is not None:
            running.append(Server("mlserver", stack.enter_context(mlserver(directory(), mlserver_venv)), tensor))
        yield running
