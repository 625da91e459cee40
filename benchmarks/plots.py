"""Draw what a benchmark wrote with --json: throughput and latency, as SVG files.

python -m benchmarks.plots RESULT.json [RESULT.json ...] --to DIRECTORY
"""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")  # before pyplot is imported; nothing here has a screen

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.results import Row

ACCENT, CONTRAST, GREY = "#2563eb", "#d97706", "#9ca3af"
STYLE = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "font.size": 9,
    "svg.hashsalt": "plumbline",  # equal results give equal files
    "svg.fonttype": "none",
}
Drawing = tuple[str, Figure]


def serving(document: dict[str, Any]) -> Iterator[Drawing]:
    """For each case, requests per second of every server, and what half and 99 % of the requests took."""
    rows: list[Row] = document["rows"]
    for case in dict.fromkeys(row["case"] for row in rows):
        mine = sorted((row for row in rows if row["case"] == case), key=lambda row: row["requests_per_second"])
        figure, (rate, latency) = plt.subplots(1, 2, figsize=(9, 0.6 + 0.35 * len(mine)), sharey=True, layout="constrained")
        colours = [ACCENT if row["server"] == "plumbline" else GREY for row in mine]
        names = [row["server"] for row in mine]
        bars = rate.barh(names, [row["requests_per_second"] for row in mine], color=colours, height=0.6)
        rate.bar_label(bars, [f"{row['requests_per_second']:,.4g}" for row in mine], padding=3)
        rate.set_xlabel("requests/s")
        rate.margins(x=0.15)
        for row, colour in zip(mine, colours, strict=True):
            latency.plot([row["p50_ms"], row["p99_ms"]], [row["server"]] * 2, color=colour, linewidth=1)
        latency.scatter([row["p50_ms"] for row in mine], names, color=colours, s=18, label="half of the requests")
        latency.scatter([row["p99_ms"] for row in mine], names, color=colours, s=18, marker="|", label="99 %")
        latency.set(xscale="log", xlabel="ms: half of the requests (dot), 99 % (bar)")
        figure.suptitle(f"{case}, {document['measured']['workers']} worker(s)")
        yield f"serving-{_slug(case)}", figure


def steady(document: dict[str, Any]) -> Iterator[Drawing]:
    """The latency of every phase."""
    rows = document["rows"][::-1]
    figure, axes = plt.subplots(figsize=(7, 0.8 + 0.4 * len(rows)), layout="constrained")
    names = [row["phase"] for row in rows]
    for key, colour, label in (("p50", ACCENT, "half of the requests"), ("p99", CONTRAST, "99 %"), ("p999", GREY, "99.9 %")):
        axes.scatter([row[key] for row in rows], names, color=colour, s=22, label=label)
    axes.set(xscale="log", xlabel="milliseconds from when a request was due until it was answered")
    axes.legend(frameon=False)
    yield "steady", figure


def growth(document: dict[str, Any]) -> Iterator[Drawing]:
    """For each series, the time of a request and the rows per second, in JSON and in binary."""
    labels = {"rows": "rows in a request", "columns": "columns of 100 rows", "models": "models asked in turn, one row each"}
    for series, label in labels.items():
        figure, (latency, rate) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
        for form, colour in (("JSON", CONTRAST), ("binary", ACCENT)):
            rows = [row for row in document["rows"] if (row["series"], row["form"]) == (series, form)]
            sizes = [row["size"] for row in rows]
            latency.plot(sizes, [row["p50_ms"] for row in rows], "o-", color=colour, markersize=3, linewidth=1, label=form)
            rate.plot(sizes, [row["rows_per_second"] for row in rows], "o-", color=colour, markersize=3, linewidth=1, label=form)
        _both_logarithmic(latency, label, "milliseconds, median")
        _both_logarithmic(rate, label, "rows/s")
        latency.legend(frameon=False)
        yield f"growth-{series}", figure


def _both_logarithmic(axes: Axes, x: str, y: str) -> None:
    axes.set(xscale="log", yscale="log", xlabel=x, ylabel=y)


def _slug(text: str) -> str:
    return text.replace(",", "").replace(" ", "-")


DRAWN: dict[str, Callable[[dict[str, Any]], Iterator[Drawing]]] = {"serving": serving, "steady": steady, "growth": growth}


def main() -> None:
    """Draw every file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+", metavar="RESULT.json")
    parser.add_argument("--to", type=Path, required=True, metavar="DIRECTORY")
    asked = parser.parse_args()
    asked.to.mkdir(parents=True, exist_ok=True)
    for path in asked.results:
        document = json.loads(path.read_text())
        if document["benchmark"] not in DRAWN:
            parser.error(f"{path} is of {document['benchmark']}, which is not drawn; these are: {', '.join(DRAWN)}")
        with plt.rc_context(STYLE):
            for name, figure in DRAWN[document["benchmark"]](document):
                written = asked.to / f"{name}.svg"
                figure.savefig(written, metadata={"Date": None})
                plt.close(figure)
                print(written)


if __name__ == "__main__":
    main()
