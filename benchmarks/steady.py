"""Latency of one-row predictions at half the idle capacity: idle, while a model trains, and while versions are published; and beside a
loop that does nothing, which tells what a training can be blamed for.

    python -m benchmarks.steady [--rounds 3] [--seconds 15] [--training-seconds 60] [--workers N|all] [--json FILE]

Requests fall due at a fixed rate, half of what the idle service answered to wrk in this run, and their latency counts from when they
were due (see `benchmarks.open_loop`). In every round the phases follow each other on one service; ratios are to the idle phase of the
same round. A training that would take longer than its phase is cancelled at its end. Needs wrk (Debian package `wrk`).
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import results, wrk
from benchmarks.open_loop import Load, OpenLoop
from benchmarks.requests import as_json
from benchmarks.servers import FEATURES, READ_TOKEN, TOKEN, bearer, plumbline, workers
from benchmarks.streaming import TARGET, write
from tests.support import Service

PUBLISHED, EVERY_SECONDS = 100, 0.5
ROWS, EPOCHS = 50_000, 1_000_000  # of the training by gradient: more than fits into any phase
FILES, FILE_ROWS = 1_000, 1_000_000  # of the training from files, which are one file under many names


@contextmanager
def running(service: Service, request: dict[str, Any]) -> Iterator[None]:
    """A training runs, and still does when the block ends; then it is cancelled."""
    headers = bearer(TOKEN) | {"Prefer": "respond-async"}
    accepted = service.post("/train", request, headers=headers, timeout=120)
    assert accepted.status == 202, accepted.body
    job = accepted.headers["location"]

    def state() -> str:
        return str(service.get(job, headers=bearer(READ_TOKEN)).json["state"])

    while state() == "queued":
        time.sleep(0.05)
    yield
    assert state() == "running", service.get(job, headers=bearer(READ_TOKEN)).body
    service.get(job, method="DELETE", headers=bearer(TOKEN))
    while state() == "running":
        time.sleep(0.1)


def idle(service: Service, rate: float, asked: argparse.Namespace) -> Load:
    """Nothing but the predictions."""
    return while_waiting(service, rate, asked.seconds)


def spinning(service: Service, rate: float, asked: argparse.Namespace) -> Load:
    """A loop that does nothing takes what a training may have of the processors: what this machine costs anyone."""
    loop = "from service.priority import where_nothing_else_runs\nwhere_nothing_else_runs()\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", loop]) as spinner:
        try:
            return while_waiting(service, rate, asked.seconds)
        finally:
            spinner.kill()


def gradient(service: Service, rate: float, asked: argparse.Namespace) -> Load:
    """The one trainer, at its low priority, takes a model through epochs."""
    X = np.random.default_rng(0).normal(size=(ROWS, FEATURES))
    solver = {"name": "gradient_descent", "learning_rate": 1e-6, "epochs": EPOCHS}
    with running(service, {"model": "other", "instances": X.tolist(), "targets": X.sum(axis=1).tolist(), "solver": solver}):
        return while_waiting(service, rate, asked.training_seconds)


def files(service: Service, rate: float, asked: argparse.Namespace) -> Load:
    """The one trainer reads CSV files and adds up their moments."""
    with running(service, {"model": "other", "source": "rows-*.csv", "target": TARGET}):
        return while_waiting(service, rate, asked.training_seconds)


def publishing(service: Service, rate: float, asked: argparse.Namespace, *, every: float = 0.0) -> Load:  # noqa: ARG001 - as long as it takes
    """Versions of the model that is asked are published, one every so many seconds."""
    small = {"instances": np.eye(FEATURES + 1, FEATURES).tolist(), "targets": list(range(FEATURES + 1)), "new_schema": True}
    with OpenLoop(service.url, request(), rate) as loop:
        began = time.perf_counter()
        for number in range(PUBLISHED):
            published = service.post("/train", small, headers=bearer(TOKEN) | {"Prefer": "wait=60"}, timeout=90)
            assert published.status == 201, published.body
            time.sleep(max(0.0, began + (number + 1) * every - time.perf_counter()))
    return loop.load


PHASES = {
    "idle": idle,
    "a loop at idle priority": spinning,
    "training by gradient": gradient,
    "training from CSV": files,
    f"publishing {PUBLISHED} versions": partial(publishing, every=EVERY_SECONDS),
    "the same without a pause": publishing,
}


def while_waiting(service: Service, rate: float, seconds: float) -> Load:
    """The load for some seconds."""
    with OpenLoop(service.url, request(), rate) as loop:
        time.sleep(seconds)
    return loop.load


def request() -> wrk.Request:
    """One row."""
    made = as_json("/predict", {"instances": [[0.01] * FEATURES]})
    return wrk.Request(made.path, made.body, {**made.headers, **bearer(READ_TOKEN)})


def one_round(service: Service, rate: float, asked: argparse.Namespace) -> dict[str, Load]:
    """Every phase once."""
    return {name: phase(service, rate, asked) for name, phase in PHASES.items()}


def table(rounds: list[dict[str, Load]]) -> list[results.Row]:
    """Print medians over the rounds, failures in all of them; the same as rows."""
    columns = f"{'requests':>9} {'failures':>8} {'p50 ms':>8} {'p99 ms':>8} {'99.9 %':>8} {'longest':>8} {'p99 is':>12}"
    print(f"{'phase':26}{columns} {'generator: late p99 ms':>23} {'processor':>9}")
    written = []
    for name in PHASES:
        loads = [one[name] for one in rounds]
        total = {key: sum(getattr(load, key) for load in loads) for key in ("requests", "failures")}
        keys = ("seconds", "p50", "p99", "p999", "longest", "late_p99", "processor")
        middle = {key: statistics.median(getattr(load, key) for load in loads) for key in keys}
        times = statistics.median(load.p99 / one["idle"].p99 for load, one in zip(loads, rounds, strict=True))
        latencies = " ".join(f"{middle[key]:8.2f}" for key in ("p50", "p99", "p999", "longest"))
        compared = f"{times:6.2f} times" if name != "idle" else " " * 12
        counts = f"{total['requests']:9,} {total['failures']:8}"
        print(f"{name:26}{counts} {latencies} {compared} {middle['late_p99']:23.2f} {middle['processor']:9.0%}")
        written.append({"phase": name, **total, **middle, "p99_is": times, "rounds": [asdict(load) for load in loads]})
    return written


def main() -> None:
    """Run all rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15, help="of the idle phase")
    parser.add_argument("--training-seconds", type=float, default=60, help="of each phase with a training")
    parser.add_argument("--workers", type=workers, default=workers("all"), metavar="N|all", help="web workers; by default all, as shipped")
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args()
    print(results.heading() + f"; {asked.workers} worker(s)", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "rows-0000.csv", rows=FILE_ROWS, columns=FEATURES + 1)
        for number in range(1, FILES):
            os.link(folder / "rows-0000.csv", folder / f"rows-{number:04}.csv")
        settings = {"DATA_ROOTS": name, "MAX_ROWS": str(FILES * FILE_ROWS)}
        with plumbline(folder, workers=asked.workers, **settings) as service:
            capacity = statistics.median(wrk.measure(service.url, [request()], seconds=3).rate for _ in range(3))
            print(f"idle capacity {capacity:,.0f} requests/s by wrk; the load is half of it, {capacity / 2:,.0f} requests/s", flush=True)
            written = table([one_round(service, capacity / 2, asked) for _ in range(asked.rounds)])
    if asked.json:
        results.save(asked.json, "steady", written, workers=asked.workers, capacity=capacity)


if __name__ == "__main__":
    main()
