"""Version documents and other tables in a terminal."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table


def show(document: dict[str, Any]) -> None:
    """Print a version document: a heading, the history of gradient training if there is one, and the coefficient table."""
    fit = document["fit"]
    console = _console()
    console.print(
        f"{document['model']} version {document['version']}: n = {fit['n']}, R² = {fit['r2']}, residual sd = {fit['residual_std']}"
    )
    for entry in document.get("history", ()):
        console.print(f"epoch {entry['epoch']:>6}  loss {entry['loss']:.8g}  weight {entry['weight']}  bias {entry['bias']}")
    if forgotten := document.get("forgotten"):
        held = [f"{name.replace('_', ' ')} {', '.join(forgotten[name])}" for name in ("still_in", "purged") if forgotten[name]]
        console.print("; ".join([f"forgotten: {forgotten['rows']} rows", *held]))
    for line in fit.get("advice", ()):
        console.print(line)
    columns = ("target", "term", "estimate", "std_error", "t", "p")
    show_table([name.replace("_", " ") for name in columns], [[row[name] for name in columns] for row in fit["coefficients"]])


def show_table(columns: Iterable[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows beneath the names of their columns; numbers with six digits, nothing as a dash."""
    table = Table(*columns)
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    _console().print(table)


def _console() -> Console:
    return Console(markup=False, emoji=False, highlight=False)  # a category such as [red] or :smile: is shown as it is


def _cell(value: object) -> str:
    if value is None or value == "":
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
