"""A real Prometheus scrapes the service, and its queries give the numbers that the traffic had."""

import json
import os
import shutil
import subprocess
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.operations.processes import wait_until
from tests.support import Service, ask, free_port

CONFIG = """\
global: {{scrape_interval: 250ms, scrape_timeout: 250ms}}
scrape_configs:
  - job_name: plumbline
    static_configs: [{{targets: ["{target}"]}}]
"""
PREDICTED = 'plumbline_requests_total{method="POST",route="/predict",status="200"}'


def find_prometheus() -> str:
    """The Prometheus program, installed from the distribution where that is possible."""
    if shutil.which("prometheus") is None and shutil.which("apt-get") and os.geteuid() == 0:
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(["apt-get", "update"], check=False, **quiet)
        subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", "prometheus"], check=False, **quiet)
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("Prometheus is not installed and cannot be installed here")
    return program


@pytest.fixture
def start_prometheus(tmp_path: Path) -> Iterator[Callable[[Service], str]]:
    """Start a Prometheus that scrapes a service; returns its address."""
    running: list[subprocess.Popen[bytes]] = []

    def start(service: Service) -> str:
        config = tmp_path / "prometheus.yml"
        config.write_text(CONFIG.format(target=service.url.removeprefix("http://")))
        address = f"127.0.0.1:{free_port()}"
        arguments = [f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'tsdb'}", f"--web.listen-address={address}"]
        with (tmp_path / "prometheus.log").open("wb") as log:
            running.append(subprocess.Popen([find_prometheus(), *arguments], stdout=log, stderr=log))
        return f"http://{address}"

    yield start
    for process in running:
        process.terminate()
        process.wait(30)


def query(prometheus: str, expression: str) -> list[tuple[dict[str, str], float]]:
    """The labels and values of an instant query."""
    try:
        reply = ask(f"{prometheus}/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
    except OSError:  # it still starts
        return []
    if reply.status != 200:
        return []
    return [(sample["metric"], float(sample["value"][1])) for sample in reply.json["data"]["result"]]


def value(prometheus: str, expression: str) -> float:
    """The value of a query with one result; not a number when there is none yet."""
    found = query(prometheus, expression)
    return found[0][1] if len(found) == 1 else float("nan")


def quantile(service: Service, q: float, route: str) -> float:
    """The q-quantile that `histogram_quantile` is documented to give: linear within the bucket that holds it."""
    families = text_string_to_metric_families(service.get("/metrics").body.decode())
    buckets = sorted(
        (float(sample.labels["le"]), sample.value)
        for family in families
        for sample in family.samples
        if sample.name == "plumbline_request_seconds_bucket" and sample.labels["route"] == route
    )
    rank = q * buckets[-1][1]
    lower, below = 0.0, 0.0
    for upper, count in buckets:
        if count >= rank:
            return lower + (upper - lower) * (rank - below) / (count - below)
        lower, below = upper, count
    raise AssertionError("the last bucket holds everything")


def series(service: Service) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    """Every time series of the service."""
    families = text_string_to_metric_families(service.get("/metrics").body.decode())
    return {(sample.name, tuple(sorted(sample.labels.items()))) for family in families for sample in family.samples}


def test_a_port_of_its_own(start_service: Callable[..., Service]) -> None:
    """With a port for them, the metrics are there and nothing else is, and they are nowhere else."""
    port = free_port()
    service = start_service(METRICS_PORT=str(port), WORKERS="1")
    apart = f"http://127.0.0.1:{port}"
    line = {"model": "m", "instances": [[0], [1], [2]], "targets": [1, 3, 5]}
    asked = {"model": "m", "instances": [[3]]}
    sent = {"method": "POST", "body": json.dumps(asked).encode(), "headers": {"Content-Type": "application/json"}}

    assert (service.get("/metrics").status, service.post("/train", line).status, service.post("/predict", asked).status) == (404, 201, 200)
    assert [ask(f"{apart}{path}").status for path in ("/metrics", "/readyz", "/models", "/")] == [200, 404, 404, 404]
    assert [ask(f"{apart}{path}", **sent).status for path in ("/predict", "/train", "/metrics")] == [404, 404, 405]
    assert b'plumbline_rows_predicted_total{model="m"} 1.0' in ask(f"{apart}/metrics").body


@pytest.mark.slow
def test_prometheus_sees_the_traffic(make_service: Callable[..., Service], start_prometheus: Callable[[Service], str]) -> None:
    """The target is up, counters are exact, rates are positive, and quantiles are those of the histogram."""
    service = make_service().start()
    prometheus = start_prometheus(service)
    assert service.post("/train", {"model": "m", "instances": [[0], [1], [2]], "targets": [1, 3, 5]}).status == 201
    assert service.post("/predict", {"model": "m", "instances": [[3]]}).status == 200
    wait_until(lambda: value(prometheus, 'up{job="plumbline"}') == 1, "the target to be up")
    wait_until(lambda: value(prometheus, f"sum({PREDICTED})") == 1, "the first request")
    for number in range(59):
        assert service.post("/predict", {"model": "m", "instances": [[number], [0]]}).status == 200
    assert service.post("/predict", {"model": "m", "instances": [["x"]]}).status == 422
    wait_until(lambda: value(prometheus, f"sum({PREDICTED})") == 60, "sixty requests")
    wait_until(lambda: value(prometheus, 'plumbline_request_seconds_count{route="/predict"}') == 61, "the histogram")

    assert value(prometheus, 'plumbline_requests_total{route="/predict",status="422"}') == 1
    assert value(prometheus, 'plumbline_rows_predicted_total{model="m"}') == 1 + 59 * 2
    assert value(prometheus, 'plumbline_trainings_total{outcome="succeeded"}') == 1
    assert value(prometheus, "plumbline_training_seconds_count") == 1
    assert value(prometheus, "plumbline_trainings_in_progress") == 0
    assert query(prometheus, "plumbline_model_info")[0][0].items() >= {"model": "m", "version": "1", "device": "cpu"}.items()
    assert value(prometheus, f"increase({PREDICTED}[1m])") == pytest.approx(59, rel=0.25)  # it extrapolates to the window's ends
    assert value(prometheus, f"sum(rate({PREDICTED}[1m]))") > 0
    for q in (0.5, 0.99):
        found = value(prometheus, f'histogram_quantile({q}, plumbline_request_seconds_bucket{{route="/predict"}})')
        assert found == pytest.approx(quantile(service, q, "/predict"), rel=1e-9)
        assert (
            value(prometheus, f'histogram_quantile({q}, sum by (le) (rate(plumbline_request_seconds_bucket{{route="/predict"}}[1m])))') > 0
        )


@pytest.mark.slow
def test_what_clients_invent_makes_no_series(service: Service) -> None:
    """Two hundred unknown models, paths, methods and jobs add no time series after the first of each kind."""
    assert service.post("/train", {"model": "invented", "instances": [[0], [1], [2]], "targets": [1, 3, 5]}).status == 201

    def invent(number: int) -> None:
        statuses = [
            service.post("/predict", {"model": f"model-{number}", "instances": [[1]]}).status,
            service.post("/predict", {"model": "invented", "version": str(number + 100), "instances": [[1]]}).status,
            service.get(f"/path/{number}").status,
            service.get(f"/models/model-{number}").status,
            service.get(f"/models/invented/versions/{number + 100}").status,
            service.get(f"/jobs/{number:032x}").status,
            service.get(f"/livez{number}?x={number}").status,
            ask(f"{service.url}/livez", method=f"BREW{number}").status,
        ]
        assert statuses == [404] * 7 + [405]

    invent(0)
    service.get("/metrics")
    before = series(service)
    for number in range(1, 200):
        invent(number)

    assert series(service) == before
    assert not [name for name, labels in before if "0" in json.dumps(labels) and "model-0" in json.dumps(labels)]
