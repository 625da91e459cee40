"""`service train`: the training of the trainer process, run here and shown in a terminal."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from model_store.manifest import Manifest
from model_store.opening import Opened
from model_store.store import ModelStore
from service.allocator import keep_for_training
from service.config import Config
from service.errors import Invalid
from service.training.document import version_document
from service.training.files import one_form
from service.training.framing import in_frame
from service.training.options import load_options, options_from_query
from service.training.showing import show
from service.training.sources import Limits, open_table
from service.training.tables import count_rows
from service.training.train import Progress as Told
from service.training.train import train
from service.training.upkeep import Keep, retire

LISTS = ("target", "features", "terms", "categorical", "labels")


def train_files(patterns: Sequence[str], given: Mapping[str, Any]) -> None:
    """Train on the files that names and globs mean, with the command line's options."""
    train_paths(find_files(patterns), None, parse(given), who="command line")


def train_paths(paths: Sequence[Path], form: str | None, given: Mapping[str, Any], *, who: str) -> tuple[ModelStore, Manifest]:
    """Train on files, publish in the configured store, and print the version; returns the store and the manifest.

    The form (csv, parquet, arrow, ndjson) is by default that of their suffixes; `given` are options as of a request.
    The progress bar goes to standard error and is quiet when that is not a terminal.
    """
    keep_for_training()
    config = Config.from_environ(os.environ)
    store = Opened.at(config.store, cache=config.cache).acting
    options = in_frame(store, load_options(given))
    form = form or one_form(paths)
    source = open_table(paths, form, options, Limits(config.max_rows, config.max_columns))
    errors = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=errors, disable=not errors.is_terminal, transient=True) as bar:
        reading = bar.add_task("rows", total=count_rows(paths, form), rate="")
        epochs = bar.add_task("epochs", total=None, rate="", visible=False)

        def on_rows(rows: int) -> None:
            speed = bar.tasks[reading].speed
            bar.update(reading, completed=rows, rate=f"{speed:,.0f} rows/s" if speed else "")

        def on_epoch(epoch: int, asked: int, loss: float) -> None:
            bar.update(epochs, completed=epoch, total=asked, rate=f"loss {loss:.6g}", visible=True)

        manifest = train(store, source, options, progress=Told(on_rows, on_epoch), who=who, threads=os.cpu_count() or 1)
    retire(store, manifest.model, Keep.of(config))
    show(version_document(store, manifest))
    return store, manifest


def find_files(patterns: Sequence[str]) -> list[Path]:
    """The files that names and globs mean, sorted within each glob.

    Raises:
        Invalid: a pattern matches nothing.
    """
    paths: list[Path] = []
    for pattern in patterns:
        path = Path(pattern)
        found = [path] if path.is_file() else sorted(Path(path.anchor or ".").glob(str(path.relative_to(path.anchor))))
        if not found:
            raise Invalid({pattern: ["matches no file"]})
        paths += found
    return paths


def parse(given: Mapping[str, Any]) -> dict[str, Any]:
    """The command line's options as those of a request."""
    lists = options_from_query({name: given[name] for name in LISTS if given[name]} | {"solver": [given["solver"]]})
    others = {name: value for name, value in given.items() if name not in LISTS and value is not None}
    return others | lists
