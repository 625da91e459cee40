"""How the cost of a prediction grows: with the rows of a request, with the columns of a row, and with the models that are asked in turn.

    python -m benchmarks.growth [--rounds 3] [--seconds 3] [--most 100000] [--json FILE]

Native JSON beside the binary tensors of the Open Inference Protocol, on one worker with its two threads, over one kept connection: so
the median is the time of a request by itself, and rows per second are what one client gets. Rounds are interleaved. Needs wrk (Debian
package `wrk`).
"""

import argparse
import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import results, wrk
from benchmarks.filling import fill
from benchmarks.requests import FORMS, Rows, as_json
from tests.support import Service

FORMS_MEASURED = ("JSON", "binary")
FEATURES, ROWS = 10, 100  # columns where rows or models grow; rows where columns grow
SERIES = {
    "rows": (1, 10, 100, 1_000, 10_000, 100_000),
    "columns": (1, 10, 100, 1_000),
    "models": (1, 10, 100, 1_000),
}


@dataclass(frozen=True)
class Point:
    """One place of a series: rows of so many columns, asked of so many models in turn."""

    series: str
    size: int
    rows: int
    columns: int
    models: int

    def requests(self, form: str, names: list[str]) -> list[wrk.Request]:
        """What is sent."""
        draw = random.Random(1)
        rows = [[round(draw.gauss(0, 1), 6) for _ in range(self.columns)] for _ in range(self.rows)]
        return [_request(form, name, rows) for name in names[: self.models]]


def _request(form: str, model: str, rows: Rows) -> wrk.Request:
    if form == "binary":
        return FORMS["v2 binary"](f"/v2/models/{model}/infer", rows)
    return as_json("/predict", {"model": model, "instances": rows})


def points(most: int) -> Iterator[Point]:
    """All places, up to a size."""
    for size in (size for size in SERIES["rows"] if size <= most):
        yield Point("rows", size, size, FEATURES, 1)
    for size in (size for size in SERIES["columns"] if size <= most):
        yield Point("columns", size, ROWS, size, 1)
    for size in (size for size in SERIES["models"] if size <= most):
        yield Point("models", size, 1, FEATURES, size)


def measure(all_points: list[Point], asked: argparse.Namespace) -> dict[tuple[Point, str], list[wrk.Figure]]:
    """Every point in every round; models of equal width share a service."""
    figures: dict[tuple[Point, str], list[wrk.Figure]] = {}
    with tempfile.TemporaryDirectory() as folder:
        services = {}
        for columns in sorted({point.columns for point in all_points}):
            place = Path(folder) / str(columns)
            place.mkdir()
            names = fill(place, max(point.models for point in all_points if point.columns == columns), columns)
            services[columns] = Service(place, WORKERS="1", LOADED_VERSIONS=str(len(names))), names
        try:
            for service, _ in services.values():
                service.start(ready_seconds=300)
            for _ in range(asked.rounds):
                for point in all_points:
                    service, names = services[point.columns]
                    for form in FORMS_MEASURED:
                        figure = wrk.measure(service.url, point.requests(form, names), seconds=asked.seconds, connections=1)
                        figures.setdefault((point, form), []).append(figure)
        finally:
            for service, _ in services.values():
                if service.process is not None:
                    service.stop()
    return figures


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--most", type=int, default=100_000, help="nothing larger than this")
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args()
    print(results.heading() + f"; one worker, one connection, medians of {asked.rounds} rounds", flush=True)
    figures = measure(list(points(asked.most)), asked)
    print(f"{'grows':10}{'to':>8}  {'form':8}{'median ms':>10} {'p99 ms':>9} {'requests/s':>11} {'rows/s':>12} {'numbers/s':>13}")
    rows: list[results.Row] = []
    for (point, form), rounds in figures.items():
        middle = wrk.median(rounds)
        speed = {"requests_per_second": middle.rate, "rows_per_second": middle.rate * point.rows}
        row = {"series": point.series, "size": point.size, "form": form, "p50_ms": middle.p50, "p99_ms": middle.p99} | speed
        rows.append(row)
        many = f"{row['rows_per_second']:12,.0f} {row['rows_per_second'] * point.columns:13,.0f}"
        print(f"{point.series:10}{point.size:8,}  {form:8}{middle.p50:10.2f} {middle.p99:9.2f} {middle.rate:11,.0f} {many}")
    if asked.json:
        results.save(asked.json, "growth", rows, rounds=asked.rounds)


if __name__ == "__main__":
    main()
