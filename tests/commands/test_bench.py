"""`service bench` and its load: what it counts is what happened."""

import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from click.testing import CliRunner

from service.cli import main
from service.commands.load import Measured, Request, measure
from tests.support import Service


@contextmanager
def answering(wait: Callable[[int], float], status: int = 200) -> Iterator[tuple[str, list[float]]]:
    """A server that takes as long as `wait` says for its n-th request; yields its address and when requests came."""
    came: list[float] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            came.append(time.perf_counter())
            self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(wait(len(came)))
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/predict", came
        server.shutdown()
        thread.join()


def test_a_stall_counts_for_all_that_were_due() -> None:
    """One pause of a second: the closed loop sees one slow request, the open one all those that had to wait for it."""
    found = {}
    for rate in (None, 100.0):
        with answering(lambda n: 1.0 if n == 3 else 0.001) as (url, came):
            measured = measure(Request(url, b"{}", {}), seconds=1.5, connections=1, rate=rate)
        assert (len(measured.times) + measured.unsent, measured.failed) == (len(came) if rate is None else 150, {})
        found[rate] = sum(t > 0.6 for t in measured.times)

    assert found[None] == 1
    assert found[100.0] > 15


def test_what_fails_is_counted_apart() -> None:
    """Refusals and broken connections are told by their kind and in no time; what cannot be sent at the rate is told as such."""
    with answering(lambda _: 0.0, status=503) as (url, _):
        refused = measure(Request(url, b"{}", {}), seconds=0.3, connections=2, rate=50.0)
    gone = measure(Request(url, b"{}", {}), seconds=0.3, connections=1, rate=None)
    with answering(lambda _: 0.2) as (url, _):
        slow = measure(Request(url, b"{}", {}), seconds=0.5, connections=1, rate=100.0)

    assert (refused.times, refused.failed) == ([], {"503": 15})
    assert gone.times == []
    assert gone.failed["ConnectionRefusedError"] >= 1
    assert len(slow.times) + slow.unsent == 50
    assert slow.unsent > 30


def test_percentiles_are_those_of_the_times() -> None:
    """The nearest rank, as textbooks have it."""
    measured = Measured(times=[n / 1000 for n in range(100, 0, -1)], seconds=2.0)

    assert measured.document(10) == {
        "rows": 10, "requests": 100, "requests_per_second": 50.0, "rows_per_second": 500,
        "p50_ms": 50.0, "p99_ms": 99.0, "max_ms": 100.0, "failed": {}, "unsent": 0,
    }  # fmt: skip


def test_a_running_service_is_measured(service: Service) -> None:
    """Its model is asked in both sizes, categories and all, and the rows that it says it has predicted are those counted."""
    columns = {"area": [50.0, 60.0, 70.0, 90.0], "town": ["Ulm", "Bonn", "Ulm", "Bonn"], "rent": [600, 700, 800, 990]}
    service.post("/train", {"model": "benched", "columns": columns, "target": "rent"})
    arguments = ["bench", "--url", service.url, "--model", "benched", "--seconds", "0.5", "--connections", "2"]
    done = CliRunner().invoke(main, [*arguments, "--json"])
    document = json.loads(done.stdout)
    shown = CliRunner().invoke(main, [*arguments, "--rate", "20"], env={"COLUMNS": "100"})

    assert (done.exit_code, shown.exit_code, done.stderr) == (0, 0, "")
    assert (document["model"], document["loop"], [r["rows"] for r in document["results"]]) == ("benched", "closed", [1, 1000])
    for result in document["results"]:
        assert (result["failed"], result["requests"] > 0) == ({}, True)
        assert 0 < result["p50_ms"] <= result["p99_ms"] <= result["max_ms"]
    assert "timed from when they were due" in shown.stdout
    missing = CliRunner().invoke(main, ["bench", "--url", service.url, "--model", "none"])
    assert (missing.exit_code, "there is no model none" in missing.stderr) == (1, True)
    assert CliRunner().invoke(main, ["bench", "--model", "rent"]).exit_code == 2


@pytest.mark.slow
def test_a_service_of_its_own_is_started_and_stopped() -> None:
    """Without an address there is one for the time of the measurement, and no process is left behind."""
    done = CliRunner().invoke(main, ["bench", "--seconds", "0.5", "--json"])
    document = json.loads(done.stdout)

    assert (done.exit_code, document["model"], document["results"][0]["failed"]) == (0, "default", {})
    gone = measure(Request(f"{document['url']}/predict", b"{}", {}), seconds=0.1, connections=1, rate=None)
    assert set(gone.failed) == {"ConnectionRefusedError"}
