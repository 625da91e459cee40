"""Every metric of the service, declared once.

In the service every process holds a slot whose files a restarted process takes over, so that no counter ever goes down
and the number of files stays what it was.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess, values
from prometheus_client.registry import Collector

from service.slots import take_slot

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

if directory := os.environ.get(MULTIPROCESS):  # must come before the first metric: each opens its file when it is declared
    _slot = take_slot(Path(directory))
    multiprocess.mark_process_dead(_slot)  # type: ignore[no-untyped-call]
    values.ValueClass = values.MultiProcessValue(lambda: _slot)  # type: ignore[no-untyped-call]

REQUESTS = Counter("plumbline_requests", "Requests answered.", ["method", "route", "status"])
REQUEST_SECONDS = Histogram("plumbline_request_seconds", "Time from the request's header to its answer.", ["route"], buckets=SECONDS)
ROWS_PREDICTED = Counter("plumbline_rows_predicted", "Rows predicted.", ["model"])
TRAININGS = Counter(
    "plumbline_trainings", "Trainings by outcome: succeeded, refused (the request was wrong), cancelled or failed.", ["outcome"]
)
TRAINING_SECONDS = Histogram(
    "plumbline_training_seconds",
    "Time of a training from start to publication.",
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000),
)
TRAINING_IN_PROGRESS = Gauge("plumbline_trainings_in_progress", "Trainings running now.", multiprocess_mode="livesum")
LOADS = Counter("plumbline_model_loads", "Versions loaded for serving, by outcome: loaded or failed.", ["outcome"])
LOAD_SECONDS = Histogram("plumbline_model_load_seconds", "Time to load, verify and warm a version.", buckets=SECONDS)
STORE_REACHABLE = Gauge(
    "plumbline_store_reachable",
    "Whether the last look at the store's bucket succeeded; 1 for a directory.",
    multiprocess_mode="livemostrecent",
)
REJECTED = Counter("plumbline_rejected_requests", "Requests refused for their token, Origin or Host.", ["reason"])


def render(extra: Iterable[Collector] = ()) -> bytes:
    """All metrics of all processes in Prometheus' text format; `extra` are collected at this moment, by this process."""
    now = CollectorRegistry()
    for collector in extra:
        now.register(collector)
    return generate_latest(_everywhere()) + generate_latest(now)


def rows_predicted() -> dict[str, int]:
    """Rows predicted by all processes, by model."""
    samples = (sample for metric in _everywhere().collect() for sample in metric.samples)
    return {sample.labels["model"]: int(sample.value) for sample in samples if sample.name == "plumbline_rows_predicted_total"}


def _everywhere() -> CollectorRegistry:
    """The metrics of all processes."""
    if not os.environ.get(MULTIPROCESS):
        return REGISTRY
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry
