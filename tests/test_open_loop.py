"""The generator of benchmark loads keeps to its schedule, whatever the server does, and leaves out nothing."""

import http.server
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.open_loop import Load, OpenLoop
from benchmarks.requests import as_json

RATE = 200.0


@contextmanager
def server(answer: Any) -> Iterator[str]:
    """A server in this process that lets `answer` choose the status of each request, and wait before it; yields its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(answer())
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_arguments: Any) -> None:
            pass

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_port}"
    finally:
        running.shutdown()
        thread.join()
        running.server_close()


def load(answer: Any, seconds: float) -> Load:
    """What a load of some seconds meets at a server that answers so."""
    with server(answer) as url, OpenLoop(url, as_json("/predict", {}), RATE) as loop:
        time.sleep(seconds)
    return loop.load


def test_a_stall_counts_for_every_request_that_fell_due_meanwhile() -> None:
    """A server that stands still for most of the time: as many requests as scheduled, and most of them late."""
    first: list[float] = []

    def answer() -> int:
        first.append(time.monotonic())
        since = first[-1] - first[0]
        if 0.25 <= since < 1.75:
            time.sleep(1.75 - since)
        return 200

    met = load(answer, 2.5)

    assert met.failures == 0
    assert abs(met.requests - RATE * met.seconds) <= 2
    assert met.longest >= 1400
    assert met.p50 >= 150  # a closed loop would send but 16 requests during the stall, and half of all would be prompt


def test_what_is_not_answered_by_200_is_a_failure() -> None:
    """Every fourth answer is an error."""
    count = iter(range(1_000_000))
    met = load(lambda: 503 if next(count) % 4 == 0 else 200, 1)

    assert abs(met.requests - RATE * met.seconds) <= 2
    assert abs(met.failures - met.requests / 4) <= 2
