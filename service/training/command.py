"""`service train`: the training of the trainer process, run here and shown in a terminal."""

import os
from pathlib import Path
from typing import Any

import rich.progress
from rich.console import Console
from rich.table import Table

from model_store.store import ModelStore
from service.config import Config
from service.training.document import version_document
from service.training.sources import Limits, open_source
from service.training.train import train


def train_file(path: Path, given: dict[str, Any]) -> None:
    """Train on a CSV file, publish in the configured store, and print the version.

    The progress bar and the messages go to standard error and are quiet when that is not a terminal.
    """
    config = Config.from_environ(os.environ)
    source, options = open_source(path, "text/csv", given, Limits(config.max_rows, config.max_columns))
    store = ModelStore.open(config.store)
    columns = (rich.progress.TextColumn("{task.description}"), rich.progress.MofNCompleteColumn(), rich.progress.TimeElapsedColumn())
    with rich.progress.Progress(*columns, console=Console(stderr=True), disable=not Console(stderr=True).is_terminal) as bar:
        task = bar.add_task("rows", total=None)
        manifest = train(store, source, options, progress=lambda rows: bar.update(task, completed=rows), who="command line")
    show(version_document(store, manifest))


def show(document: dict[str, Any]) -> None:
    """Print a version document as a heading and its coefficient table."""
    fit = document["fit"]
    console = Console()
    console.print(
        f"{document['model']} version {document['version']}: n = {fit['n']}, R² = {fit['r2']}, residual sd = {fit['residual_std']}"
    )
    table = Table("target", "term", "estimate", "std error", "t", "p")
    for row in fit["coefficients"]:
        table.add_row(row["target"], row["term"], *(_number(row[name]) for name in ("estimate", "std_error", "t", "p")))
    console.print(table)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"
