"""Predictions per second of Plumbline beside a bare Flask answer under the same Gunicorn settings, and beside MLServer.

    python -m benchmarks.serving [--rounds 5] [--seconds 3] [--mlserver VIRTUAL_ENVIRONMENT]

Rounds are interleaved, every server once and then again, so that a drift of the machine's speed meets all of them alike;
only the ratios within one run mean anything. Needs wrk (Debian package `wrk`).
"""

import argparse
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.servers import FEATURES, Server, servers

CONNECTIONS = 8
CASES = {"1 row": 1, "1,000 rows": 1000}
MILLISECONDS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
SCRIPT = """\
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local file = io.open(os.getenv("BODY"), "rb")
wrk.body = file:read("*a")
file:close()
"""


@dataclass(frozen=True)
class Figure:
    """One measurement: requests per second, and milliseconds that half and 99 % of the requests took at most."""

    rate: float
    p50: float
    p99: float


def find_wrk() -> str:
    """The wrk program, installed from the distribution where that is possible."""
    if shutil.which("wrk") is None and shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "wrk"], check=False)
    program = shutil.which("wrk")
    if program is None:
        sys.exit("wrk is needed: install the package `wrk`")
    return program


def measure(wrk: str, server: Server, body: Path, script: Path, seconds: int) -> Figure:
    """The load of one server for some seconds, after a second of warming up."""
    command = [wrk, "-t1", f"-c{CONNECTIONS}", "--latency", "-s", str(script), server.url]
    environ = os.environ | {"BODY": str(body)}
    subprocess.run([*command, "-d1s"], env=environ, capture_output=True, check=True)
    out = subprocess.run([*command, f"-d{seconds}s"], env=environ, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        sys.exit(f"{server.name} failed under load:\n{out}")
    latency = {percent: float(number) * MILLISECONDS[unit] for percent, number, unit in re.findall(r"(\d+)%\s+([\d.]+)(us|ms|s)", out)}
    rate = re.search(r"Requests/sec:\s+([\d.]+)", out)
    assert rate is not None
    return Figure(float(rate[1]), latency["50"], latency["99"])


def table(figures: dict[tuple[str, str], list[Figure]]) -> None:
    """Print medians over the rounds, and ratios of rates within each round."""
    print(f"{'case':12} {'server':22} {'requests/s':>10} {'p50 ms':>8} {'p99 ms':>8} {'plumbline is':>14}")
    for (case, name), rounds in figures.items():
        rate, p50, p99 = (statistics.median(getattr(figure, key) for figure in rounds) for key in ("rate", "p50", "p99"))
        own = figures[case, "plumbline"]
        ratio = statistics.median(mine.rate / other.rate for mine, other in zip(own, rounds, strict=True))
        compared = "" if name == "plumbline" else f"{ratio:.2f} times"
        print(f"{case:12} {name:22} {rate:10.0f} {p50:8.2f} {p99:8.2f} {compared:>14}")


def main() -> None:
    """Run all rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--mlserver", type=Path, metavar="VIRTUAL_ENVIRONMENT", help="has mlserver and mlserver-sklearn installed")
    arguments = parser.parse_args()
    wrk, numbers = find_wrk(), random.Random(1)
    figures: dict[tuple[str, str], list[Figure]] = {}
    with tempfile.TemporaryDirectory() as folder, servers(arguments.mlserver) as running:
        script = Path(folder) / "post.lua"
        script.write_text(SCRIPT)
        for case, count in CASES.items():
            rows = [[round(numbers.gauss(0, 1), 6) for _ in range(FEATURES)] for _ in range(count)]
            for server in running:
                (Path(folder) / f"{case}.{server.name}").write_bytes(server.body(rows))
        for _ in range(arguments.rounds):
            for case, count in CASES.items():
                for server in (server for server in running if server.most_rows >= count):
                    figure = measure(wrk, server, Path(folder) / f"{case}.{server.name}", script, arguments.seconds)
                    figures.setdefault((case, server.name), []).append(figure)
    table(dict(sorted(figures.items())))


if __name__ == "__main__":
    main()
