"""Many models in one store: memory of each worker once it was asked for all of them, and the first request of a model it does not hold.

    python -m benchmarks.models [--models 1000] [--kept 128 1000] [--workers 2] [--json FILE]

A worker keeps the versions it was asked for last, as many as PLUMBLINE_LOADED_VERSIONS says; so its memory stays bounded, and the
next request of a model that left reads and warms it anew. For each number of versions kept, a service of its own starts on the same
store; each of its workers is asked once for one row of every model, over a connection of its own, first in order and then again.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks import results
from benchmarks.filling import fill
from benchmarks.processes import pss
from benchmarks.servers import FEATURES
from tests.operations.clients import Kept, connections_to
from tests.operations.processes import wait_for_workers
from tests.support import Service

ROW = [[0.01] * FEATURES]


def ask_all(connection: Kept, names: list[str]) -> list[float]:
    """Milliseconds of one row's prediction by each of the models."""
    times = []
    for name in names:
        started = time.perf_counter()
        reply = connection.ask("POST", "/predict", {"model": name, "instances": ROW})
        times.append(1e3 * (time.perf_counter() - started))
        assert reply.status == 200, reply.body
    return times


def measure(folder: Path, names: list[str], *, kept: int, workers: int) -> list[results.Row]:
    """A row of figures for each worker of a service that keeps so many versions."""
    service = Service(folder, WORKERS=str(workers), LOADED_VERSIONS=str(kept)).start(ready_seconds=300)
    found = []
    try:
        with connections_to(service, wait_for_workers(service, workers)) as connections:
            for number, (pid, connection) in enumerate(connections.items(), 1):
                at_start = pss(pid)
                # A worker has loaded the first ones before it was asked; the others are cold.
                cold = ask_all(connection, names)[kept:]
                after_one = pss(pid)
                again = ask_all(connection, names)
                warm = ask_all(connection, names[-1:] * 200)
                cold += again if kept < len(names) else []  # the least recently used has always left when its turn comes
                first = {"cold_median_ms": statistics.median(cold), "cold_p99_ms": quantile(cold)} if cold else {}
                memory = {"start_mb": at_start, "once_mb": after_one, "twice_mb": pss(pid)}
                found.append({"kept": kept, "worker": number, **memory, "cold": len(cold), **first, "warm_ms": statistics.median(warm)})
    finally:
        service.stop()
    return found


def quantile(times: list[float]) -> float:
    """What 99 % of them do not exceed."""
    return sorted(times)[-1 - len(times) // 100]


def main() -> None:
    """Fill a store, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--kept", type=int, nargs="+", default=[128, 1000], help="versions a worker keeps")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args()
    print(results.heading() + f"; {asked.models:,} models of {FEATURES} features", flush=True)
    rows: list[results.Row] = []
    columns = f"{'PSS at start':>13} {'asked once':>11} {'and again':>10} {'cold asks':>10} {'median ms':>10} {'p99 ms':>8} {'warm ms':>8}"
    print(f"{'kept':>6} {'worker':>7} {columns}")
    with tempfile.TemporaryDirectory() as name:
        names = fill(Path(name), asked.models, FEATURES)
        for kept in asked.kept:
            for row in measure(Path(name), names, kept=kept, workers=asked.workers):
                rows.append(row)
                memory = f"{row['start_mb']:10.1f} MB {row['once_mb']:8.1f} MB {row['twice_mb']:7.1f} MB"
                cold = f"{row['cold_median_ms']:10.2f} {row['cold_p99_ms']:8.2f}" if row["cold"] else f"{'-':>10} {'-':>8}"
                print(f"{kept:6} {row['worker']:7} {memory} {row['cold']:10} {cold} {row['warm_ms']:8.2f}", flush=True)
    if asked.json:
        results.save(asked.json, "models", rows, models=asked.models)


if __name__ == "__main__":
    main()
