"""Version documents and other tables in a terminal."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

WIDEST = 10_000


def show(document: dict[str, Any]) -> None:
    """Print a version document: a heading, the history of gradient training if there is one, and the coefficient table."""
    fit = document["fit"]
    console = _console()
    r2, sd = _cells(fit["r2"]), _cells(fit["residual_std"])
    console.print(f"{document['model']} version {document['version']}: n = {fit['n']}, R² = {r2}, residual sd = {sd}")
    for entry in document.get("history", ()):
        console.print(f"epoch {entry['epoch']:>6}  loss {entry['loss']:.8g}  weight {entry['weight']}  bias {entry['bias']}")
    if forgotten := document.get("forgotten"):
        held = [f"{name.replace('_', ' ')} {', '.join(forgotten[name])}" for name in ("still_in", "purged") if forgotten[name]]
        console.print("; ".join([f"forgotten: {forgotten['rows']} rows", *held]))
    for line in fit.get("advice", ()):
        console.print(line)
    show_coefficients({name: name.replace("_", " ") for name in ("term", "estimate", "std_error", "t", "p")}, fit["coefficients"])


def show_coefficients(columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Print these members of coefficients, by the names given; of several targets with the target before them."""
    named = dict(columns) if len({row["target"] for row in rows}) < 2 else {"target": "target", **columns}
    show_table(named.values(), [[row[member] for member in named] for row in rows])


def show_selection(document: dict[str, Any]) -> None:
    """Print what `select` found: candidates, path and inflation factors, and the version if it was published."""
    chosen = document["selection"]
    if "subset" in chosen:
        rows = [[", ".join(row["terms"]), row["coefficients"], row["value"]] for row in chosen["subset"]["candidates"]]
        show_table(["terms", "coefficients", chosen["subset"]["criterion"]], rows)
    if "ridge" in chosen:
        rows = [[row["penalty"], row["effective_dof"]] for row in chosen["ridge"]["path"]]
        show_table(["penalty", "effective dof"], [*rows, [chosen["ridge"]["penalty"], "chosen"]])
    show_table(["column", "vif"], [[row["column"], row["vif"]] for row in chosen["inflation"]["columns"]])
    if "version" in document:
        show(document)


def show_table(columns: Iterable[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows beneath the names of their columns; numbers with six digits and to the right, nothing as a dash."""
    rows = list(rows)
    table = Table()
    for place, name in enumerate(columns):
        numeric = all(row[place] is None or isinstance(row[place], int | float) for row in rows)
        table.add_column(name, overflow="fold", justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    console = _console()
    if console.measure(table, options=console.options.update(max_width=WIDEST)).maximum > console.width:
        table.box, table.padding = box.SIMPLE_HEAD, 0  # rather than cut numbers off
    console.print(table)


def _console() -> Console:
    console = Console(markup=False, emoji=False, highlight=False)  # a category such as [red] or :smile: is shown as it is
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDEST  # nothing is cut off for whoever reads a pipe
    return console


def _cells(value: object) -> str:
    return ", ".join(map(_cell, value)) if isinstance(value, list) else _cell(value)


def _cell(value: object) -> str:
    if value is None or value == "":
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
