"""Predictions per second of Plumbline beside other servers of predictions in Python, and beside a bare Flask answer.

    python -m benchmarks.serving [--peers NAME ...] [--workers 1|all] [--rounds 3] [--seconds 5] [--json FILE]

Rounds are interleaved: every server is started, checked to give the model's predictions, measured alone and stopped, one after the
other, and then all of them again. So a drift of the machine's speed meets all alike, and ratios are taken within a round. Needs wrk
(Debian package `wrk`), and the environments of the peers: `python -m benchmarks.peers setup`.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import peers, results, wrk
from benchmarks.processes import pss_of_all
from benchmarks.requests import LENGTH, Rows, numbers
from benchmarks.servers import FEATURES, Server, fitted, servers, workers
from tests.support import ask

JSON = ("instances", "inputs", "v2")


@dataclass(frozen=True)
class Case:
    """Rows per request, the forms that are measured, and the peers that stand beside them in JSON because they have no others."""

    rows: int
    forms: tuple[str, ...]
    beside: tuple[str, ...] = ()
    connections: int = 8
    least_seconds: int = 1

    def form(self, server: Server) -> str | None:
        """The form in which a server takes part, if it does."""
        if self.rows > server.most_rows:
            return None
        forms = (*self.forms, *JSON) if server.name in self.beside else self.forms
        return next((form for form in forms if form in server.paths), None)


CASES = {
    "1 row": Case(1, JSON),
    "1,000 rows": Case(1_000, JSON),
    "1,000 rows, binary": Case(1_000, ("v2 binary",), ("mlserver", "kserve")),
    "100,000 rows, binary": Case(100_000, ("v2 binary",), ("mlserver", "kserve"), connections=2, least_seconds=10),
}
OURS = "plumbline"


@dataclass(frozen=True)
class Measured:
    """A server in one case of one round: its figure, the MB of all its processes after the load, and how long it took to start."""

    figure: wrk.Figure
    megabytes: float
    start_seconds: float


Figures = dict[tuple[str, str], list[Measured]]


def measure(server: Server, cases: dict[str, Case], rows: Rows, expected: np.ndarray, asked: argparse.Namespace) -> dict[str, Measured]:
    """One server, started anew, in every case in which it takes part; by case."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        with server.start(Path(folder), asked.workers) as (url, pid):
            started = time.monotonic() - began
            for name, case in cases.items():
                form = case.form(server)
                if form is None:
                    continue
                request = server.request(form, rows[: case.rows])
                check(server, url, request, expected[: case.rows], binary="binary" in form)
                seconds = max(asked.seconds, case.least_seconds)
                figure = wrk.measure(url, [request], seconds=seconds, connections=case.connections)
                found[name] = Measured(figure, pss_of_all(pid), started)
    return found


def check(server: Server, url: str, request: wrk.Request, expected: np.ndarray, *, binary: bool) -> None:
    """That the server answers with the model's predictions, in the form that was asked for."""
    reply = ask(url + request.path, method="POST", body=request.body, headers=dict(request.headers), timeout=60)
    assert reply.status == 200, (server.name, reply.status, reply.body[:1000])
    if server.predicts:
        assert (LENGTH.lower() in reply.headers) == binary, (server.name, reply.headers)
        np.testing.assert_allclose(numbers(reply), expected, rtol=1e-9, err_msg=server.name)


def copied(rows: int) -> float:
    """Rows per second of copying as many rows in memory, again and again: the most that any server could reach."""
    X, times = np.random.default_rng(0).normal(size=(rows, FEATURES)), []
    Y = np.empty_like(X)
    until = time.perf_counter() + 0.3
    while time.perf_counter() < until:
        started = time.perf_counter()
        np.copyto(Y, X)
        times.append(time.perf_counter() - started)
    return rows / statistics.median(times)


def ratio(ours: Sequence[Measured], theirs: Sequence[Measured], key: str = "rate") -> float:
    """The median over the rounds of our figure as a multiple of theirs in the same round."""
    return statistics.median(getattr(a.figure, key) / getattr(b.figure, key) for a, b in zip(ours, theirs, strict=True))


def table(figures: Figures, cases: dict[str, Case], running: Sequence[Server], copies: dict[str, list[float]]) -> list[results.Row]:
    """Print medians over the rounds, and ratios within each round; the same as rows."""
    speeds, rest = f"{'requests/s':>11} {'rows/s':>11} {'of a copy':>10}", f"{'p50 ms':>9} {'p99 ms':>9} {'MB':>6} {'start s':>8}"
    print(f"{'case':22}{'server':26}{speeds} {rest} {'plumbline is':>14}")
    taking_part = [(name, server) for name in cases for server in running if (name, server.name) in figures]
    rows = [row(name, cases[name], server, figures, copies[name]) for name, server in taking_part]
    for one in rows:
        few = one["requests_per_second"] < 100
        speeds = f"{one['requests_per_second']:11,.{1 if few else 0}f} {one['rows_per_second']:11,.0f} {one['share_of_copy']:10.2%}"
        rest = f"{one['p50_ms']:9.2f} {one['p99_ms']:9.2f} {one['megabytes']:6.0f} {one['start_seconds']:8.1f}"
        compared = "" if one["server"] == OURS else f"{one['plumbline_is']:8.2f} times"
        print(f"{one['case']:22}{one['server']:26}{speeds} {rest} {compared}")
    return rows


def row(name: str, case: Case, server: Server, figures: Figures, copies: Sequence[float]) -> results.Row:
    """A server in a case, over all rounds."""
    rounds = figures[name, server.name]
    middle = wrk.median([one.figure for one in rounds])
    return {
        "case": name,
        "server": server.name if case.form(server) in case.forms else f"{server.name} (JSON)",
        "version": server.version,
        "requests_per_second": middle.rate,
        "rows_per_second": middle.rate * case.rows,
        "share_of_copy": statistics.median(one.figure.rate * case.rows / copy for one, copy in zip(rounds, copies, strict=True)),
        "p50_ms": middle.p50,
        "p99_ms": middle.p99,
        "megabytes": statistics.median(one.megabytes for one in rounds),
        "start_seconds": statistics.median(one.start_seconds for one in rounds),
        "plumbline_is": ratio(figures[name, OURS], rounds),
    }


def verdicts(figures: Figures, cases: Sequence[str], chosen: Sequence[str]) -> None:
    """Print how Plumbline stands beside the peer that was best in each round, and beside MLServer."""
    for name in cases:
        ours, beside = figures[name, OURS], {peer: figures[name, peer] for peer in chosen if (name, peer) in figures}
        if not beside:
            continue
        best = [max(found, key=lambda one: one.figure.rate) for found in zip(*beside.values(), strict=True)]
        for label, theirs in {"the best peer": best, "mlserver": beside.get("mlserver", [])}.items():
            if theirs:
                print(f"{name}: {ratio(ours, theirs):.2f} times the requests/s of {label}, {ratio(ours, theirs, 'p99'):.2f} times its p99")


def main() -> None:
    """Run all rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", nargs="*", choices=list(peers.PEERS), metavar="NAME", help="default: those that are set up")
    parser.add_argument("--workers", type=workers, default=1, metavar="N|all", help="worker processes of each server")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES), metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args()
    chosen = peers.present() if asked.peers is None else asked.peers
    cases, running = {name: CASES[name] for name in asked.cases}, servers(chosen)
    print(results.heading() + f"; {asked.workers} worker(s) each, medians of {asked.rounds} rounds")
    print(", ".join(f"{server.name} {server.version}" for server in running if server.version) or "no peers", flush=True)
    draw = random.Random(1)
    rows = [[round(draw.gauss(0, 1), 6) for _ in range(FEATURES)] for _ in range(max(case.rows for case in cases.values()))]
    weight, bias = fitted()
    expected = np.array(rows) @ np.array(weight) + bias
    figures: Figures = {}
    copies: dict[str, list[float]] = {}
    for _ in range(asked.rounds):
        for name, case in cases.items():
            copies.setdefault(name, []).append(copied(case.rows))
        for server in running:
            for name, measured in measure(server, cases, rows, expected, asked).items():
                figures.setdefault((name, server.name), []).append(measured)
    written = table(figures, cases, running, copies)
    verdicts(figures, list(cases), chosen)
    if asked.json:
        results.save(asked.json, "serving", written, workers=asked.workers, rounds=asked.rounds)


if __name__ == "__main__":
    main()
