"""Learning rows into a model of 100 features, beside training scikit-learn anew on all rows.

    OMP_NUM_THREADS=1 python -m benchmarks.living [rows, by default 1000000]

Times in milliseconds, medians over the repeats on an otherwise idle machine: from the request to its 201, and until every one of
four workers serves the new version. The model has its ledger on.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

if os.environ.get("OMP_NUM_THREADS") != "1":
    sys.exit("Set OMP_NUM_THREADS=1: scikit-learn is given one thread, as the trainer has.")

import numpy as np
from sklearn.linear_model import LinearRegression

from tests.operations.clients import Kept, connections_to
from tests.operations.processes import wait_for_workers
from tests.support import Service

FEATURES, WORKERS = 100, 4
REPEATS = {1: 41, 100: 21, 10_000: 7}


def rows(rng: np.random.Generator, count: int) -> dict[str, object]:
    """Rows as a request."""
    x = rng.normal(size=(count, FEATURES))
    return {"instances": x.tolist(), "targets": (x.sum(axis=1) + rng.normal(size=count)).tolist()}


def served_by_all(connections: list[Kept], version: str, row: dict[str, object]) -> None:
    """Return when every worker predicts with that version."""
    for connection in connections:
        while connection.ask("POST", "/predict", row).json["version"] != version:
            pass


def retraining(count: int) -> float:
    """Seconds of scikit-learn's fit on as many rows, the best of two."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(count, FEATURES))
    y = X.sum(axis=1) + rng.normal(size=count)
    times = []
    for _ in range(2):
        started = time.perf_counter()
        LinearRegression().fit(X, y)
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    """Run and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rng = np.random.default_rng(0)
    row = {"instances": [[0.5] * FEATURES]}
    with tempfile.TemporaryDirectory() as folder:
        service = Service(Path(folder), WORKERS=str(WORKERS)).start()
        try:
            trained = service.post("/train", rows(rng, 20_000) | {"ledger": "on"}, headers={"Prefer": "wait=60"})
            assert trained.status == 201, trained.body
            with connections_to(service, wait_for_workers(service, WORKERS)) as workers:
                connections = list(workers.values())
                for size, repeats in REPEATS.items():
                    answered, served = [], []
                    for _ in range(repeats):
                        body = json.dumps(rows(rng, size)).encode()
                        started = time.perf_counter()
                        reply = connections[0].ask("POST", "/models/default/learn", body)
                        answered.append(time.perf_counter() - started)
                        assert reply.status == 201, reply.body
                        served_by_all(connections, reply.json["version"], row)
                        served.append(time.perf_counter() - started)
                    print(
                        f"learn {size:6,} rows: 201 after {1e3 * statistics.median(answered):8.1f} ms (longest {1e3 * max(answered):.1f}), "
                        f"served by all {WORKERS} workers after {1e3 * statistics.median(served):8.1f} ms"
                    )
        finally:
            service.stop()
    print(f"scikit-learn retrained on {count:,} rows: {1e3 * retraining(count):8.0f} ms, from arrays in memory and without publishing")


if __name__ == "__main__":
    main()
