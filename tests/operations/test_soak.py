"""A service under mixed load for minutes: its memory does not grow, its files stay as many as they were, and nothing fails.

PLUMBLINE_SOAK_SECONDS sets how long, by default 300. The slope of a worker's memory is the Theil-Sen estimate, the median of the slopes
between all pairs of samples, so that single jumps do not count; the first part of the time, in which caches fill, is left out. Memory
is the proportional share of anonymous and of shared memory: where pages of files are shared with other programs on the machine, the
share of each moves as those come and go.
"""

import itertools
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.operations.clients import Kept, connections_to
from tests.operations.processes import run_directory, trainer_pid, wait_for_trainer, wait_for_workers
from tests.support import Reply, Service

SECONDS = float(os.environ.get("PLUMBLINE_SOAK_SECONDS", "300"))
WARM = 0.5  # the share of the time that is not judged
MOST_GROWTH = 1.0  # MB in 10 minutes; in less time as much, for memory grows by steps of some hundred kB until all is warm
CSV, ARROW, JSON = "text/csv", "application/vnd.apache.arrow.stream", "application/json"
WAIT = {"Prefer": "wait=60"}
LENGTH = "Inference-Header-Content-Length"
MODELS = [f"m{number}" for number in range(24)]  # more than a worker keeps
X = np.random.default_rng(0).normal(size=(40, 3)).round(3)
NEW = np.random.default_rng(1).normal(size=(30, 3)).round(3)
Ask = tuple[str, str, Any, dict[str, str], int]  # method, path, body, headers, and the status that is due


def values(rows: np.ndarray) -> np.ndarray:
    """What every model has learned."""
    return 1 + rows @ [1.0, 2.0, 3.0]


def binary(rows: np.ndarray) -> tuple[bytes, dict[str, str]]:
    """Rows as a binary tensor of the Open Inference Protocol."""
    tensor = {"name": "x", "shape": list(rows.shape), "datatype": "FP64", "parameters": {"binary_data_size": rows.nbytes}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    return head + rows.tobytes(), {"Content-Type": "application/octet-stream", LENGTH: str(len(head))}


def predictions(reply: Reply) -> np.ndarray:
    """The predictions of an answer, whatever door gave it."""
    if LENGTH.lower() in reply.headers:
        return np.frombuffer(reply.body[int(reply.headers[LENGTH.lower()]) :])
    document = reply.json
    return np.array(document["outputs"][0]["data"] if "outputs" in document else document["predictions"])


def predicting() -> Iterator[Ask]:
    """Predictions by every protocol, of one row and of many, small and past the size that is answered in the main loop."""
    tables = {CSV: pl.DataFrame(NEW, ["x1", "x2", "x3"]).write_csv().encode()}
    large = np.tile(NEW, (400, 1))
    for model in itertools.cycle(MODELS):
        native = {"model": model, "instances": NEW.tolist()}
        tensor = {"name": "x", "shape": [30, 3], "datatype": "FP64", "data": NEW.ravel().tolist()}
        yield "POST", "/predict", native | {"instances": NEW[:1].tolist()}, {}, 200
        yield "POST", "/predict", native | {"interval": 0.9, "std_error": True, "leverage": True, "contributions": True}, {}, 200
        yield "POST", "/predict", {"model": model, "columns": {f"x{i}": NEW[:, i - 1].tolist() for i in (1, 2, 3)}}, {}, 200
        yield "POST", f"/predict?model={model}", tables[CSV], {"Content-Type": CSV, "Accept": JSON}, 200
        yield "POST", f"/v2/models/{model}/infer", {"inputs": [tensor]}, {}, 200
        yield "POST", f"/v2/models/{model}/infer", *binary(NEW), 200
        yield "POST", f"/v2/models/{model}/infer", *binary(large), 200
        yield "POST", f"/v1/models/{model}:predict", {"instances": NEW.tolist()}, {}, 200
        yield "POST", "/invocations", {"dataframe_split": {"columns": ["x1", "x2", "x3"], "data": NEW.tolist()}}, {}, 200


def reading() -> Iterator[Ask]:
    """What people and monitors look at."""
    for model in itertools.cycle(MODELS):
        for path in (
            "/metrics",
            "/readyz",
            "/models",
            f"/models/{model}",
            f"/models/{model}/versions/live",
            "/openapi.json",
            "/jobs?limit=5",
        ):
            yield "GET", path, None, {}, 200


def failing() -> Iterator[Ask]:
    """What is refused, in all the ways there are."""
    tensor = {"name": "x", "shape": [2, 3], "datatype": "FP64", "data": [1]}
    while True:
        yield "POST", "/predict", b'{"instances": [[1, 2', {}, 400
        yield "POST", "/predict", {"model": "nobody", "instances": [[1]]}, {}, 404
        yield "POST", "/predict", {"model": MODELS[0], "instances": [[1], [2, "x"]]}, {}, 422
        yield "POST", "/predict", b"<xml/>", {"Content-Type": "application/xml"}, 415
        yield "POST", "/v2/models/nobody/infer", {"inputs": []}, {}, 404
        yield "POST", f"/v2/models/{MODELS[1]}/infer", {"inputs": [tensor]}, {}, 400
        yield "PUT", "/predict", {}, {}, 405
        yield "GET", f"/nowhere/{time.monotonic_ns()}", None, {}, 404
        yield "GET", f"/models/{MODELS[0]}/versions/999999", None, {}, 404
        yield "PUT", f"/models/{MODELS[0]}/aliases/best", {"version": "999999"}, {}, 404


def publishing() -> Iterator[Ask]:
    """Versions that come and go; every one of them has learned the same plane."""
    for model in itertools.cycle(MODELS[:4]):
        learned = {"instances": NEW.tolist(), "targets": values(NEW).tolist()}
        yield "POST", "/train", {"model": model, "instances": X.tolist(), "targets": values(X).tolist(), "ledger": "on"}, WAIT, 201
        yield "POST", f"/models/{model}/learn", learned, WAIT, 201
        yield "POST", f"/models/{model}/forget", learned, WAIT, 201
        yield "POST", f"/models/{model}/rollback", {}, {}, 200
        yield "POST", f"/models/{model}/learn", {"instances": [[1]], "targets": [1, 2]}, WAIT, 422


@dataclass
class Client:
    """A client that asks one thing after the other on a connection to each worker in turn, until it is told to rest or to end."""

    asks: Iterator[Ask]
    connections: list[Kept]
    pause: float
    answered: int = 0
    wrong: list[str] = field(default_factory=list)

    def run(self, go: threading.Event, end: threading.Event, resting: threading.Barrier) -> None:
        """Ask; `resting` is where it waits whenever it may not go on."""
        for connection in itertools.cycle(self.connections):
            if not go.is_set():
                resting.wait(60)
                go.wait()
            if end.is_set():
                return
            self._ask(connection)
            time.sleep(self.pause)

    def _ask(self, connection: Kept) -> None:
        method, path, body, headers, due = next(self.asks)
        try:
            reply = connection.ask(method, path, body, headers)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test must end with it
            self.wrong.append(f"{method} {path}: {error!r}")
            return
        self.answered += 1
        if reply.status != due:
            self.wrong.append(f"{method} {path}: {reply.status} where {due} is due: {reply.body[:300]!r}")
        elif due == 200 and method == "POST" and not path.endswith("rollback"):
            found = predictions(reply)
            if not np.allclose(found, np.resize(values(NEW), found.shape), rtol=1e-9):
                self.wrong.append(f"{method} {path}: other predictions")


def memory(pid: int) -> float:
    """The anonymous and shared memory of a process in MB, what it shares divided among those who share it."""
    sizes = dict(line.split(":") for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    return sum(int(sizes[name].split()[0]) for name in ("Pss_Anon", "Pss_Shmem")) / 1024


def slope(samples: list[tuple[float, float]]) -> float:
    """MB in 10 minutes, by Theil and Sen, of (seconds, MB)."""
    pairs = itertools.combinations(samples, 2)
    return 600 * median((later - earlier) / (end - start) for (start, earlier), (end, later) in pairs)


def files(service: Service, pids: list[int]) -> dict[str, Any]:
    """What everybody has open, and what lies in the spool and in the directory in memory, as soon as the service is at rest."""
    while True:
        found = _files(service, pids)
        time.sleep(1)
        if _files(service, pids) == found:
            return found


def _files(service: Service, pids: list[int]) -> dict[str, Any]:
    run = run_directory(service)
    return {
        **{f"open in {pid}": sorted(_opened(path) for path in Path(f"/proc/{pid}/fd").iterdir()) for pid in pids},
        "run": sorted(str(path.relative_to(run)) for path in run.rglob("*")),
        "spool": sorted(path.name for path in (service.store / "spool").iterdir()),
    }


def _opened(path: Path) -> str:
    """What a descriptor is of, but for the numbers of sockets and pipes."""
    try:
        return path.readlink().name.partition(":[")[0]
    except FileNotFoundError:  # the listing's own descriptor, or one just closed
        return "gone"


class Load:
    """All clients, on connections of their own to each worker."""

    def __init__(self, stack: ExitStack, service: Service, workers: list[int]) -> None:
        kinds: list[tuple[Callable[[], Iterator[Ask]], float]] = [
            (predicting, 0), (predicting, 0), (reading, 0.05), (failing, 0.02), (publishing, 0.1)
        ]  # fmt: skip
        self.clients = [
            Client(kind(), list(stack.enter_context(connections_to(service, workers)).values()), pause) for kind, pause in kinds
        ]
        self._go, self._end = threading.Event(), threading.Event()
        self._resting = threading.Barrier(len(self.clients) + 1)
        self._threads = [
            threading.Thread(target=client.run, args=(self._go, self._end, self._resting), daemon=True) for client in self.clients
        ]
        for thread in self._threads:
            thread.start()
        self._resting.wait(60)

    def resume(self) -> None:
        """Let all go on."""
        self._go.set()

    def rest(self) -> None:
        """Return when nobody asks anything any more, with connections kept."""
        self._go.clear()
        self._resting.wait(60)

    def end(self) -> None:
        """End them, at rest."""
        self._end.set()
        self._go.set()
        for thread in self._threads:
            thread.join(60)

    @property
    def wrong(self) -> list[str]:
        """What went otherwise than is due."""
        return [wrong for client in self.clients for wrong in client.wrong]


def watch(load: Load, workers: list[int], seconds: float) -> dict[int, list[tuple[float, float]]]:
    """Let the load run, and sample (seconds, MB) of each worker meanwhile."""
    samples: dict[int, list[tuple[float, float]]] = {pid: [] for pid in workers}
    began = time.monotonic()
    load.resume()
    while time.monotonic() - began < seconds and not load.wrong:
        time.sleep(1)
        for pid in workers:
            samples[pid].append((time.monotonic() - began, memory(pid)))
    load.rest()
    assert load.wrong == []
    return samples


@pytest.mark.soak
def test_memory_and_files_stay_what_they_were_under_mixed_load(
    make_service: Callable[..., Service], capsys: pytest.CaptureFixture[str]
) -> None:
    """Predictions at every door, reads, errors, trainings, learning, forgetting and rollbacks, by two workers and one trainer."""
    service = make_service(WORKERS="2", LOADED_VERSIONS="16", KEEP_VERSIONS="8", DEFAULT_MODEL=MODELS[0]).start()
    workers = wait_for_workers(service, 2)
    trainer = wait_for_trainer(service)
    for model in MODELS:
        trained = service.post(
            "/train", {"model": model, "instances": X.tolist(), "targets": values(X).tolist(), "ledger": "on"}, headers=WAIT
        )
        assert trained.status == 201, trained.body
    with ExitStack() as stack:
        load = Load(stack, service, workers)
        watch(load, workers, WARM * SECONDS)
        before = files(service, [*workers, trainer])
        samples = watch(load, workers, (1 - WARM) * SECONDS)
        after = files(service, [*workers, trainer])
        load.end()
    slopes = {pid: round(slope(found), 2) for pid, found in samples.items()}
    with capsys.disabled():
        sys.stdout.write(f"\n  MB in 10 minutes, by worker: {slopes}\n")
    most = MOST_GROWTH * max(1.0, 600 / ((1 - WARM) * SECONDS))

    assert (wait_for_workers(service, 2), trainer_pid(service)) == (workers, trainer)
    assert after == before
    assert max(slopes.values()) <= most, (slopes, {pid: found[:: len(found) // 20] for pid, found in samples.items()})
    assert all(client.answered >= SECONDS for client in load.clients[:2])
    assert 'status="5' not in service.get("/metrics").body.decode()
    assert '"level":"error"' not in service.log.read_text().lower().replace(" ", "")
