"""What one model with many versions costs: publishing, looking, listing and starting, at 10 to 10,000 versions.

    python -m benchmarks.versions [most]

Each figure is the median of its repeats, in milliseconds. Flat means that nothing is listed or read in the way of a request.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from model_store import ModelStore
from tests.support import Service

COUNTS = (10, 100, 1_000, 10_000)
ROWS = {"instances": [[0.0, 1.0], [1.0, 3.0], [2.0, 2.0], [3.0, 0.0]], "targets": [1.0, 3.0, 5.0, 6.0]}


def median(task: Callable[[], object], repeats: int) -> float:
    """The median time of a task in milliseconds."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        task()
        times.append(time.perf_counter() - started)
    return 1e3 * statistics.median(times)


def measure(folder: Path) -> dict[str, float]:
    """The service on a store that is filled already."""
    service = Service(folder, WORKERS="1", KEEP_VERSIONS="1000000")
    started = time.perf_counter()
    service.start()
    ready = 1e3 * (time.perf_counter() - started)
    try:
        fresh = ModelStore.open(service.store)
        return {
            "start to ready": ready,
            "POST /train": median(lambda: service.post("/train", ROWS), 15),
            "GET /models": median(lambda: service.get("/models"), 15),
            "GET /models/default": median(lambda: service.get("/models/default"), 15),
            "GET …/versions?limit=100": median(lambda: service.get("/models/default/versions?limit=100"), 15),
            "GET …/versions/live": median(lambda: service.get("/models/default/versions/live"), 15),
            "store: publish": median(lambda: publish(fresh), 15),
            "store: first look at live": median(lambda: ModelStore.open(service.store).alias("default", "live"), 15),
        }
    finally:
        service.stop()


def publish(store: ModelStore) -> None:
    """One more version like the last."""
    manifest = store.manifest("default", store.alias("default", "live").version or 0)
    blobs = {name: store.blob(digest) for name, digest in manifest.blobs.items()}
    store.publish("default", blobs=blobs, memory=manifest.memory, document=manifest.document, fingerprint=manifest.fingerprint)


def main() -> None:
    """Fill the store further and further, and print a column for each number of versions."""
    most = int(sys.argv[1]) if len(sys.argv) > 1 else COUNTS[-1]
    table: dict[int, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        service = Service(Path(folder), WORKERS="1", KEEP_VERSIONS="1000000").start()
        assert service.post("/train", ROWS).status == 201
        service.stop()
        store = ModelStore.open(service.store)
        for count in (count for count in COUNTS if count <= most):
            while (store.latest("default") or 0) < count:
                publish(store)
            table[count] = measure(Path(folder))
            print(f"{count} versions measured", file=sys.stderr, flush=True)
    print(f"{'ms, versions:':28}" + "".join(f"{count:>10,}" for count in table))
    for name in next(iter(table.values())):
        print(f"{name:28}" + "".join(f"{figures[name]:10.1f}" for figures in table.values()))


if __name__ == "__main__":
    main()
