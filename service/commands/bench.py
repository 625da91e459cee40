"""`service bench`: how quickly a service predicts, on the machine at hand."""

import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from service.commands.completing import ROOT, VERSION
from service.commands.load import Request, measure
from service.commands.places import at_service, service_at, token_of
from service.commands.telling import tell, tells_errors
from service.config import PREFIX
from service.errors import NotReady

if TYPE_CHECKING:
    from service.client import Plumbline

SIZES = (1, 1000)  # rows of a request
WARM_SECONDS = 0.3
START_SECONDS = 120.0


@click.command(short_help="Measure how quickly a service predicts.")
@click.option("--model", "version", metavar="MODEL[@VERSION]", shell_complete=VERSION, help="Model to ask with --url.  [default: default]")
@click.option("--seconds", type=click.FloatRange(0.5, 60), default=3.0, show_default=True, help="Time for each size of request.")
@click.option("--connections", type=click.IntRange(1, 64), default=4, show_default=True, help="Connections, each kept open.")
@click.option("--rate", type=click.FloatRange(1, 20_000), help="Send so many requests a second, whatever comes back (open loop).")
@at_service
@click.option("--json", "as_json", is_flag=True, help="Print one object.")
@tells_errors
def bench(version: str | None, url: str | None, token_file: Path | None, *, as_json: bool, **how: Any) -> None:
    """Measure requests per second and their times, for 1 row and for 1,000 rows a request.

    Without --url a service of its own is started on 127.0.0.1 with a small model, and stopped again. Times are those of a client in
    Python on this machine, which takes its share of it. Without --rate each connection sends its next request when the last is
    answered; with it requests are due at that rate and timed from then, so that waiting for a slow service counts.

    \b
    Examples:
      python -m service bench
      python -m service bench --rate 500 --connections 16
      python -m service bench --url http://127.0.0.1:8080 --model rent
    """
    if url is None and version is not None:
        raise click.UsageError("--model goes with --url: the service started here has a model of its own")
    if url is not None:
        document = _measured(service_at(url, token_file), url, version or "default", token_of(token_file), **how)
    else:
        with _own_service() as (service, address):
            document = _measured(service, address, "default", None, **how)
    tell(document, _show, as_json=as_json)
    if not all(result["requests"] for result in document["results"]):
        sys.exit(1)


def _measured(
    service: "Plumbline", url: str, name: str, token: str | None, *, seconds: float, connections: int, rate: float | None
) -> dict[str, Any]:
    version = service.version(name).document
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    results = []
    for size in SIZES:
        asked = {"model": version["model"], "version": version["version"], "instances": [_row(version["schema"])] * size}
        request = Request(f"{url.rstrip('/')}/predict", json.dumps(asked).encode(), headers)
        measure(request, seconds=WARM_SECONDS, connections=connections, rate=None)
        results.append(measure(request, seconds=seconds, connections=connections, rate=rate).document(size))
    loop = {"loop": "open" if rate else "closed", "rate": rate, "connections": connections, "seconds": seconds}
    return {"url": url, "model": version["model"], "version": version["version"], **loop, "results": results}


def _row(schema: dict[str, Any]) -> list[Any]:
    """A row that the schema takes."""
    categories = schema["frame"]["categories"]
    return [categories[feature["name"]][0] if feature["name"] in categories else 1.0 for feature in schema["features"]]


@contextmanager
def _own_service() -> Iterator[tuple["Plumbline", str]]:
    """A service with a model of four features on a free port of 127.0.0.1, and its address.

    Raises:
        NotReady: it does not start.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    with tempfile.TemporaryDirectory() as directory:
        environ = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        environ |= {"PLUMBLINE_STORE": f"{directory}/store", "PLUMBLINE_BIND": address, "PYTHONPATH": str(ROOT)}
        with (Path(directory) / "log").open("wb") as log:
            process = subprocess.Popen([sys.executable, "-m", "service", "serve"], env=environ, stdout=log, stderr=log)
        try:
            service = service_at(f"http://{address}", None)
            _wait_until_ready(process, address)
            numbers = random.Random(1)  # noqa: S311 - any rows will do
            rows = [[numbers.gauss(0, 1) for _ in range(4)] for _ in range(200)]
            service.train(rows, [sum(row) + numbers.gauss(0, 0.1) for row in rows])
            yield service, f"http://{address}"
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(process: "subprocess.Popen[bytes]", address: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    host, _, port = address.partition(":")
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise NotReady("the service did not start: `python -m service serve` says why")


def _show(document: Any) -> None:
    from service.training.showing import show_table  # noqa: PLC0415 - rich takes a while to import

    loop = (
        f"at {document['rate']:g} requests a second, timed from when they were due"
        if document["rate"]
        else "each sending its next request when the last is answered"
    )
    click.echo(f"{document['model']}@{document['version']} at {document['url']}: {document['connections']} connections, {loop}")
    fields = ("rows", "requests", "requests_per_second", "rows_per_second", "p50_ms", "p99_ms", "max_ms")
    show_table(
        [name.replace("_per_second", "/s").replace("_", " ") for name in fields], [[r[f] for f in fields] for r in document["results"]]
    )
    for result in document["results"]:
        if result["failed"] or result["unsent"]:
            failed = ", ".join(f"{count} ended with {outcome}" for outcome, count in result["failed"].items())
            unsent = f"{result['unsent']} were not sent: the rate is more than can be kept up" if result["unsent"] else ""
            click.echo(f"of those of {result['rows']} rows {'; '.join(filter(None, [failed, unsent]))}")
