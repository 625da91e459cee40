"""Starting the servers that are measured, and stopping them again."""

import os
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression

from benchmarks import peers
from benchmarks.processes import running
from benchmarks.requests import FORMS, Rows, as_json
from benchmarks.wrk import Request
from service.config import Config
from tests.support import ROOT, Service, free_port

FEATURES = 10
TOKEN = secrets.token_urlsafe(32)
READ_TOKEN = secrets.token_urlsafe(32)
Started = AbstractContextManager[tuple[str, int]]  # the address of a server, and the id of its first process


@dataclass(frozen=True)
class Server:
    """A server: how it is started in a folder with a number of workers, and where it takes rows in which form."""

    name: str
    start: Callable[[Path, int], Started]
    paths: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict)
    most_rows: int = 100_000
    predicts: bool = True
    version: str = ""

    def request(self, form: str, rows: Rows) -> Request:
        """The request for rows."""
        made = FORMS[form](self.paths[form], rows)
        return Request(made.path, made.body, {**made.headers, **self.headers})


def training() -> dict[str, Any]:
    """The diabetes data, 442 rows of 10 features, as a training request."""
    data = load_diabetes()
    return {"instances": data.data.tolist(), "targets": data.target.tolist()}


def fitted() -> tuple[list[float], float]:
    """Weight and bias of the model of these data."""
    data = load_diabetes()
    fit = LinearRegression().fit(data.data, data.target)
    return fit.coef_.tolist(), float(fit.intercept_)


@contextmanager
def plumbline(directory: Path, *, workers: int = 1, **settings: str) -> Iterator[Service]:
    """The service as it ships, with tokens to write and to read, and the diabetes model trained."""
    service = Service(directory, WORKERS=str(workers), WRITE_TOKEN=TOKEN, READ_TOKEN=READ_TOKEN, **settings).start()
    try:
        trained = service.post("/train", training(), headers=bearer(TOKEN) | {"Prefer": "wait=60"}, timeout=90)
        assert trained.status == 201, trained.body
        yield service
    finally:
        service.stop()


def bearer(token: str) -> dict[str, str]:
    """The header that shows a token."""
    return {"Authorization": f"Bearer {token}"}


@contextmanager
def _plumbline(directory: Path, workers: int) -> Iterator[tuple[str, int]]:
    with plumbline(directory, workers=workers) as service:
        assert service.process is not None
        yield service.url, service.process.pid


@contextmanager
def _bare_flask(directory: Path, workers: int, *, path: str) -> Iterator[tuple[str, int]]:
    """The yardstick under Gunicorn with the settings of the service."""
    address = f"127.0.0.1:{free_port()}"
    options = {
        "bind": address,
        "workers": str(workers),
        "threads": str(Config.from_environ({}).threads),
        "worker-class": "service.worker.worker.Worker",
        "keep-alive": "75",
        "worker-tmp-dir": "/dev/shm" if Path("/dev/shm").is_dir() else str(directory),
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "gunicorn", *arguments, "--no-control-socket", "--chdir", str(ROOT), "benchmarks.bare:app"]
    with running(command, directory, os.environ, f"http://{address}", as_json(path, {})) as pid:
        yield f"http://{address}", pid


def _peer(directory: Path, workers: int, *, name: str, model: tuple[list[float], float]) -> Started:
    return peers.peer(name, directory, model, workers=workers)


def servers(chosen: Sequence[str]) -> list[Server]:
    """Plumbline, the yardsticks, and the chosen peers, none of them started."""
    model = fitted()
    ours = [
        Server("plumbline", _plumbline, {"instances": "/predict", "v2 binary": "/v2/models/default/infer"}, bearer(READ_TOKEN)),
        # Gunicorn cuts off a large body that is not read
        Server("bare flask", partial(_bare_flask, path="/answer"), {"instances": "/answer"}, most_rows=1, predicts=False),
        Server("bare flask, body read", partial(_bare_flask, path="/read"), {"instances": "/read"}, most_rows=1000, predicts=False),
    ]
    others = [
        Server(name, partial(_peer, name=name, model=model), dict.fromkeys(peer.forms, peer.path), version=peers.version(name))
        for name, peer in peers.PEERS.items()
        if name in chosen
    ]
    return ours + others


def workers(text: str) -> int:
    """A number of worker processes; "all" is one for each core."""
    return os.cpu_count() or 1 if text == "all" else int(text)
