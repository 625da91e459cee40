"""Rows of a file to a file of predictions, batch by batch, so that neither need fit into memory."""

import errno
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl
import torch
from polars.io.plugins import register_io_source
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from model_store.names import LIVE
from service.client.problem import Problem
from service.commands.files import whole_file
from service.commands.places import opened, service_at
from service.errors import Invalid
from service.regression.schema import Schema
from service.rows import Rows
from service.serving.certainty import MOST_PARTS
from service.serving.predictor import BLOCK, Asked, Predictor
from service.serving.registry import Loaded, Registry
from service.serving.tables import columns_of
from service.training.rows_to_predict import rows_to_predict
from service.training.tables import SUFFIXES, TableSource, count_rows

if TYPE_CHECKING:
    from service.client import Plumbline

STANDARD = "-"
WRITTEN = {"csv": "csv", "parquet": "parquet", "arrow": "ipc", "ndjson": "ndjson"}  # how polars calls the forms that it writes
MOST_CELLS = 1 << 22  # numbers sent to a service at a time: 32 MiB
ROW = re.compile(r"row (\d+), ")


class Predicts(Protocol):
    """One version that predicts; its number stays the same, however many batches there are."""

    schema: Schema
    most_rows: int

    def __call__(self, rows: Rows, first: int) -> pl.DataFrame:
        """A row of predictions for each of `rows`, which stand behind the first `first` rows of the file."""
        ...


class Here:
    """A version of the store."""

    def __init__(self, loaded: Loaded, asked: Asked) -> None:
        self.schema, self._loaded, self._asked = loaded.schema, loaded, asked
        self.most_rows = _most_rows(loaded.schema, asked.contributions)
        self._predictor = Predictor(max_rows=sys.maxsize, max_columns=sys.maxsize)

    @classmethod
    def of(cls, name: str, asked: Mapping[str, Any]) -> "Here":
        """The version that MODEL@VERSION names."""
        model, _, reference = name.partition("@")
        store = opened()
        number = store.resolve(model, reference or LIVE)
        registry = Registry(store, torch.device("cpu"), capacity=1, retry_seconds=1.0)
        return cls(registry.get(model, version=str(number)), Asked(**asked))

    def __call__(self, rows: Rows, first: int) -> pl.DataFrame:  # noqa: ARG002 - rows say themselves where they stand
        columns = list(columns_of(self._predictor.predict(self._loaded, rows, self._asked)))
        if len(dict(columns)) < len(columns):
            raise Invalid({"contributions": ["two columns of the table would have one name: ask over HTTP, for JSON"]})
        return pl.DataFrame(dict(columns))


class There:
    """A version of a running service."""

    def __init__(self, service: "Plumbline", document: Any, asked: Mapping[str, Any]) -> None:
        self.schema = Schema.from_dict(document["schema"])
        self._service, self._asked = service, asked
        self._name = f"{document['model']}@{document['version']}"
        columns = len(self.schema.feature_names)
        self.most_rows = max(1, min(_most_rows(self.schema, bool(asked.get("contributions"))), MOST_CELLS // max(columns, 1)))

    @classmethod
    def at(cls, url: str, token_file: Path | None, name: str, asked: Mapping[str, Any]) -> "There":
        """The version that MODEL@VERSION names now at the service at `url`."""
        service = service_at(url, token_file)
        return cls(service, service.version(name).document, asked)

    def __call__(self, rows: Rows, first: int) -> pl.DataFrame:
        names = self.schema.feature_names
        picked = rows.pick(names)
        columns = picked if isinstance(picked, Mapping) else {name: picked[:, place] for place, name in enumerate(names)}
        try:
            return self._service.predict(self._name, pl.DataFrame(dict(columns), strict=False), **self._asked)  # type: ignore[no-any-return]
        except Problem as problem:
            problem.errors = {ROW.sub(lambda row: f"row {int(row[1]) + first}, ", path): texts for path, texts in problem.errors.items()}
            raise


def _most_rows(schema: Schema, contributions: bool) -> int:  # noqa: FBT001
    """How many rows may be predicted at a time."""
    return max(1, min(BLOCK, MOST_PARTS // (len(schema.columns) * len(schema.targets)))) if contributions else BLOCK


def predict_file(by: Predicts, file: str, output: Path | None, form: str | None) -> None:
    """Predict the rows of a file, or of standard input, and write them to a file, or to standard output where there is none.

    `form` is how polars calls the form to write; None is that of the rows.
    """
    with _as_path(file) as path:
        read = SUFFIXES.get(path.suffix.lower())
        if read is None:
            raise Invalid({path.name: [f"must end in one of {', '.join(SUFFIXES)}"]})
        with _bar(count_rows([path], read)) as on_rows, _target(output) as target:
            batches = rows_to_predict(TableSource([path], read, numeric_missing=False), by.schema)
            _write(_predicted(by, batches, on_rows), target, form or WRITTEN[read])


def _predicted(by: Predicts, batches: Iterator[Rows], on_rows: Callable[[int], None]) -> Iterator[pl.DataFrame]:
    """The predictions of all batches, at least one frame."""
    seen = 0
    for rows in batches:
        for part in rows.parts(by.most_rows) if rows.count > by.most_rows else (rows,):
            yield by(part, seen)
            seen += part.count
        on_rows(seen)


def _write(frames: Iterator[pl.DataFrame], target: Any, form: str) -> None:
    """Write frames as they come."""
    first = next(frames)

    def source(_columns: object, _predicate: object, _n_rows: object, _batch_size: object) -> Iterator[pl.DataFrame]:
        yield first
        yield from frames

    getattr(register_io_source(source, schema=first.schema), f"sink_{form}")(target)


@contextmanager
def _as_path(file: str) -> Iterator[Path]:
    """A file by its path; standard input is put into a temporary one, whose suffix tells the form that its first bytes show."""
    if file != STANDARD:
        yield Path(file)
        return
    start = sys.stdin.buffer.read(8)
    suffix = ".parquet" if start[:4] == b"PAR1" else ".arrow" if start[:6] == b"ARROW1" or start[:4] == b"\xff" * 4 else ".csv"
    if start.lstrip().startswith(b"{"):
        suffix = ".ndjson"
    with tempfile.NamedTemporaryFile(suffix=suffix) as copy:
        copy.write(start)
        shutil.copyfileobj(sys.stdin.buffer, copy, 1 << 20)
        copy.flush()
        yield Path(copy.name)


@contextmanager
def _target(output: Path | None) -> Iterator[Any]:
    """The file to write, or standard output; who reads that may stop, as `head` does, which ends the command without a word."""
    if output is not None:
        with whole_file(output) as file:
            yield file
        return
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except OSError as error:
        if "Broken pipe" in str(error):  # polars gives no number with its errors
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from error
        raise


@contextmanager
def _bar(total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar of rows on standard error; quiet where that is no terminal, or where it would stand among the predictions."""
    errors = Console(stderr=True)
    columns = (TextColumn("rows"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    quiet = not errors.is_terminal or os.isatty(1)
    with Progress(*columns, console=errors, disable=quiet, transient=True) as progress:
        bar = progress.add_task("rows", total=total)
        yield lambda rows: progress.update(bar, completed=rows)
