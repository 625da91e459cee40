"""Training data, whatever its form, as batches of float64 rows: the features and targets chosen by the options.

A source knows its column names before the first batch and never holds more than one batch, JSON bodies aside.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from service.errors import MOST_ERRORS, Invalid, TooLarge, Unreadable, UnsupportedMedia
from service.numbers import Document, check_finite, check_shape
from service.regression.schema import Schema
from service.training.options import TrainOptions, load_options

Matrix = npt.NDArray[np.float64]
BATCH_ROWS = 65_536
DATA = ("instances", "targets", "columns")


@dataclass(frozen=True)
class Limits:
    """The most rows and columns (features and targets together) a training may have."""

    rows: int
    columns: int


@dataclass(frozen=True)
class Batch:
    """Rows of training data: x [k, features], y [k, targets]."""

    x: Matrix
    y: Matrix


class Source(Protocol):
    """Rows to train on."""

    schema: Schema

    def batches(self) -> Iterator[Batch]:
        """Yield all rows once, checked: numbers only, all finite.

        Raises:
            Invalid: names rows and columns that are wrong.
        """
        ...


class JsonSource:
    """The JSON forms of `POST /train`: `instances` + `targets`, named `instances` + `target`, or `columns` + `target`."""

    def __init__(self, document: Document, options: TrainOptions, limits: Limits) -> None:
        given = [name for name in DATA if name in document.members]
        if given not in (["instances", "targets"], ["instances"], ["columns"]):
            raise Invalid(
                {"instances": ["give the data as instances with targets, as named instances with target, or as columns with target"]}
            )
        if given == ["instances", "targets"]:
            self.schema, self._batch = _positional(document, options)
        else:
            self.schema, self._batch = _named(document, options, given[0])
        check_shape(len(self._batch.x), self._batch.x.shape[1] + self._batch.y.shape[1], max_rows=limits.rows, max_columns=limits.columns)
        check_finite(self._batch.x, self.schema.features, path=given[0])
        check_finite(self._batch.y, self.schema.targets, path=given[-1])

    def batches(self) -> Iterator[Batch]:
        """The one batch of the body."""
        yield self._batch


class CsvSource:
    """A CSV file with a header line; columns that are neither feature nor target are not read."""

    def __init__(self, path: Path, options: TrainOptions, limits: Limits) -> None:
        self._path, self._limits = path, limits
        self._columns = _header(path)
        self.schema = choose_columns(self._columns, options, where="the header line")

    def batches(self) -> Iterator[Batch]:
        """Batches in file order, read and parsed in bounded memory."""
        names = [*self.schema.features, *self.schema.targets]
        check_shape(0, len(names), max_rows=self._limits.rows, max_columns=self._limits.columns)
        seen = 0
        try:
            # By place, not by name: polars and the standard library do not read every quoted name alike.
            kinds = {str(place): pl.Float64 if name in names else pl.String for place, name in enumerate(self._columns)}
            places = [str(self._columns.index(name)) for name in names]
            scan = pl.scan_csv(
                self._path, has_header=False, skip_lines=1, schema=kinds, ignore_errors=True, glob=False, raise_if_empty=False
            )
            for frame in scan.select(places).collect_batches(chunk_size=BATCH_ROWS, maintain_order=True):
                rows = frame.to_numpy(order="c")
                _check_csv_rows(rows, names, first_row=seen)
                seen += len(rows)
                check_shape(seen, len(names), max_rows=self._limits.rows, max_columns=self._limits.columns)
                split = len(self.schema.features)
                yield Batch(np.ascontiguousarray(rows[:, :split]), np.ascontiguousarray(rows[:, split:]))
        except pl.exceptions.PolarsError as error:
            raise Unreadable("the CSV data cannot be read: every line must have as many fields as the header") from error


def open_source(path: Path, media_type: str, given: dict[str, object], limits: Limits) -> tuple[Source, TrainOptions]:
    """The source and the options of a spooled request body; `given` holds the options of a body that is not JSON.

    Raises:
        Unreadable, Invalid, TooLarge, UnsupportedMedia
    """
    if media_type == "text/csv":
        options = load_options(given)
        return CsvSource(path, options, limits), options
    if media_type != "application/json":
        raise UnsupportedMedia("training data must be application/json or text/csv; say which in Content-Type")
    if given:
        raise Invalid({name: ["belongs in the JSON body, not in the query"] for name in given})
    document = Document(path.read_bytes())
    options = load_options(document.options(*DATA))
    return JsonSource(document, options, limits), options


def choose_columns(names: list[str], options: TrainOptions, *, where: str) -> Schema:
    """The schema that the options choose from named columns: the target must be given, the features default to the rest.

    Raises:
        Invalid: a column is missing, stands twice, or is both feature and target.
    """
    if not options.target:
        raise Invalid({"target": ["is missing: name the target column"]})
    features = options.features or tuple(name for name in names if name not in options.target)
    if not features:
        raise Invalid({"features": [f"are missing: {where} has no column beside the target"]})
    wanted = [*features, *options.target]
    faults = {name: [f"is not a column of {where}"] for name in wanted if name not in names}
    faults |= {name: [f"stands twice in {where}"] for name in wanted if names.count(name) > 1}
    faults |= {name: ["is both feature and target"] for name in features if name in options.target}
    if faults:
        raise Invalid(faults)
    return Schema(features, options.target, intercept=options.intercept)


def _positional(document: Document, options: TrainOptions) -> tuple[Schema, Batch]:
    if options.target is not None:
        raise Invalid({"target": ["belongs to named data; with positional instances give targets"]})
    x = document.matrix("instances", columns=len(options.features) if options.features else None)
    several = document.first_is_list("targets")
    y = document.matrix("targets") if several else document.vector("targets").reshape(-1, 1)
    if len(x) != len(y):
        raise Invalid({"targets": [f"has {len(y)} rows where instances has {len(x)}"]})
    features = options.features or tuple(f"x{i}" for i in range(1, x.shape[1] + 1))
    targets = tuple(f"y{i}" for i in range(1, y.shape[1] + 1)) if y.shape[1] > 1 else ("y",)
    return Schema(features, targets, intercept=options.intercept), Batch(x, y)


def _named(document: Document, options: TrainOptions, member: str) -> tuple[Schema, Batch]:
    if member == "instances" and not document.has_objects("instances"):
        raise Invalid({"targets": ["is missing: positional instances need targets"]})
    schema = choose_columns(document.column_names(member), options, where=member)
    names = [*schema.features, *schema.targets]
    rows = document.columns(member, names) if member == "columns" else document.named_matrix(member, names)
    split = len(schema.features)
    return schema, Batch(np.ascontiguousarray(rows[:, :split]), np.ascontiguousarray(rows[:, split:]))


def _header(path: Path) -> list[str]:
    """The column names of a CSV file."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            line = lines.readline(1_000_000)
    except UnicodeDecodeError as error:
        raise Unreadable("the CSV data is not UTF-8") from error
    if len(line) == 1_000_000:
        raise TooLarge("the header line of the CSV data is longer than 1,000,000 characters")
    if not line.strip():
        raise Unreadable("the CSV data is empty; the first line must name the columns")
    return next(csv.reader([line]))


def _check_csv_rows(rows: Matrix, names: list[str], *, first_row: int) -> None:
    """Refuse cells that were empty, not numbers or not finite; rows are counted from 1, the header aside."""
    finite = np.isfinite(rows)
    if not finite.all():
        where = np.argwhere(~finite)[:MOST_ERRORS].tolist()
        raise Invalid({f"row {first_row + row + 1}, column {names[column]}": ["must be a finite number"] for row, column in where})
