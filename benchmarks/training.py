"""Time of `POST /train` with 442 rows of 10 features, from the first byte sent to the 201 read, on a warm service.

python -m benchmarks.training [--requests 50]
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.servers import TOKEN, bearer, plumbline, training

WARM = 5


def main() -> None:
    """Train again and again, and print the median."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=50)
    count = parser.parse_args().requests
    request, seconds = training(), []
    with tempfile.TemporaryDirectory() as folder, plumbline(Path(folder)) as service:
        for _ in range(WARM + count):
            started = time.perf_counter()
            reply = service.post("/train", request, headers=bearer(TOKEN))
            seconds.append(time.perf_counter() - started)
            assert reply.status == 201, reply.body
    ordered = sorted(1e3 * second for second in seconds[WARM:])
    print(f"{'requests':>10} {'median ms':>10} {'fastest':>10} {'slowest':>10}")
    print(f"{count:10} {statistics.median(ordered):10.1f} {ordered[0]:10.1f} {ordered[-1]:10.1f}")


if __name__ == "__main__":
    main()
