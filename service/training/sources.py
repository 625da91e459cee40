"""Training data, whatever its form, as batches of rows that can be read more than once.

A source knows its columns before the first batch and never holds more than one batch, JSON bodies aside.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from service.documents import Document, plain
from service.errors import Invalid, UnsupportedMedia
from service.regression.columns import Column, Data
from service.rows import Rows, check_shape
from service.training.files import SOURCE, find_named, one_form
from service.training.options import TrainOptions
from service.training.spool import COPIES
from service.training.tables import MEDIA, TableSource

DATA = ("instances", "targets", "columns", "weights")
WEIGHTS = "weights"


@dataclass(frozen=True)
class Limits:
    """The most rows and columns (features, targets and weights together) a training may have."""

    rows: int
    columns: int


@dataclass(frozen=True)
class Chosen:
    """The columns of a training by their part in it."""

    features: tuple[str, ...]
    targets: tuple[str, ...]
    weights: str | None

    @property
    def all(self) -> tuple[str, ...]:
        """Every column to be read."""
        return (*self.features, *self.values)

    @property
    def values(self) -> tuple[str, ...]:
        """The columns that must be numbers: targets, and weights where there are any."""
        return (*self.targets, *((self.weights,) if self.weights else ()))


class Source(Protocol):
    """Rows to train on."""

    @property
    def chosen(self) -> Chosen:
        """The columns of the training."""
        ...

    def total(self) -> int | None:
        """How many rows there are, where that is quickly known or estimated."""
        ...

    def batches(self) -> Iterator[Rows]:
        """Yield all rows, of the chosen columns; every call starts anew.

        Raises:
            Invalid, Unreadable, TooLarge
        """
        ...


class JsonSource:
    """The JSON forms of `POST /train`: `instances` + `targets`, named `instances` + `target`, or `columns` + `target`."""

    def __init__(self, document: Document, options: TrainOptions, limits: Limits) -> None:
        given = [name for name in ("instances", "targets", "columns") if name in document.members]
        if given not in (["instances", "targets"], ["instances"], ["columns"]):
            forms = "instances with targets, named instances with target, or columns with target"
            raise Invalid({"instances": [f"the data must be given in one of three forms: {forms}"]})
        if given == ["instances", "targets"]:
            self.chosen, self._rows = _positional(document, options)
        else:
            self.chosen, self._rows = _named(document, options, given[0])
        check_shape(self._rows.count, len(self.chosen.all), max_rows=limits.rows, max_columns=limits.columns)

    def total(self) -> int | None:
        """The rows of the body."""
        return self._rows.count

    def batches(self) -> Iterator[Rows]:
        """The one batch of the body."""
        yield self._rows


@dataclass(frozen=True)
class Body:
    """A request body: the options given with its data, and the data once it is known which columns are meant."""

    given: Mapping[str, Any]
    source: Callable[[TrainOptions], Source]


def open_body(
    path: Path,
    media_type: str,
    given: Mapping[str, Any],
    limits: Limits,
    *,
    roots: Sequence[Path | str] = (),
    check: Callable[[], None] = lambda: None,
) -> Body:
    """A spooled request body; `given` holds the options of a body that is not JSON, and under `roots` are the files it may name.

    Copies of files from a bucket stand beside the body, and go with it; `check` may raise while they are made.

    Raises:
        Unreadable, Invalid, TooLarge, UnsupportedMedia
    """
    if media_type in MEDIA:
        return Body(given, lambda options: open_table([path], MEDIA[media_type], options, limits))
    if media_type != "application/json":
        raise UnsupportedMedia(f"training data must be application/json or one of {', '.join(MEDIA)}; say which in Content-Type")
    if given:
        raise Invalid({name: ["belongs in the JSON body, not in the query"] for name in given})
    document = Document(path.read_bytes())
    if SOURCE in document.members:
        if extra := [name for name in ("instances", "targets", "columns") if name in document.members]:
            raise Invalid({name: ["stands beside source: give the rows in one form"] for name in extra})
        paths = find_named(plain(document.members[SOURCE]), roots, copies=path.with_suffix(COPIES), check=check)
        return Body(document.options(SOURCE), partial(open_table, paths, one_form(paths), limits=limits))
    weights = isinstance(document.members.get(WEIGHTS), str)
    options = document.options(*(name for name in DATA if name != WEIGHTS or not weights))
    return Body(options, lambda options: JsonSource(document, options, limits))


def open_table(paths: Sequence[Path], form: str, options: TrainOptions, limits: Limits) -> "TableTraining":
    """Files of one form (csv, parquet, arrow, ndjson) with the same columns, as a source."""
    table = TableSource(paths, form, numeric_missing=options.missing == "drop")
    return TableTraining(table, choose(table.names, options, where="the file"), limits, categorical=options.categorical)


class TableTraining:
    """The chosen columns of files."""

    def __init__(self, table: TableSource, chosen: Chosen, limits: Limits, *, categorical: Collection[str]) -> None:
        self.chosen, self._table, self._limits, self._categorical = chosen, table, limits, categorical

    def total(self) -> int | None:
        """The rows of the files, estimated where they do not say."""
        return self._table.count()

    def batches(self) -> Iterator[Rows]:
        """Batches in file order, in bounded memory."""
        seen = 0
        for rows in self._table.batches(self.chosen.all, numbers=self.chosen.values, categorical=self._categorical):
            seen += rows.count
            check_shape(seen, len(self.chosen.all), max_rows=self._limits.rows, max_columns=self._limits.columns)
            yield rows


def choose(names: Sequence[str], options: TrainOptions, *, where: str) -> Chosen:
    """The columns that the options choose among `names`: the target must be given, the features default to the rest.

    Raises:
        Invalid: a column is missing, stands twice, or is both feature and target.
    """
    if not options.target:
        raise Invalid({"target": ["is missing: name the target column"]})
    others = {*options.target, options.weights}
    features = options.features or tuple(name for name in names if name not in others)
    chosen = Chosen(features, options.target, options.weights)
    faults = {name: [f"is not a column of {where}"] for name in chosen.all if name not in names}
    faults |= {name: [f"stands twice in {where}"] for name in chosen.all if list(names).count(name) > 1}
    faults |= {name: ["is a feature and the target or the weights at the same time"] for name in features if name in others}
    if not features:
        faults["features"] = ["there is no column left to be a feature"]
    if faults:
        raise Invalid(faults)
    return chosen


def _positional(document: Document, options: TrainOptions) -> tuple[Chosen, Rows]:
    x = document.positional("instances", options.features)
    if not x.count:
        raise Invalid({"instances": ["have no rows to train on"]})
    if document.first_is("targets", list):
        y = document.positional("targets", options.target, prefix="y")
    elif len(names := options.target or ("y",)) == 1:
        y = Rows(names, {names[0]: document.column("targets")}, 0, x.where)
    else:
        raise Invalid({"targets": [f"must be a list of {len(names)} numbers for each row: {', '.join(names)}"]})
    if len(y.names) == 1 and options.target is None:
        y = Rows(("y",), {"y": _columns(y)[y.names[0]]}, 0, y.where)
    columns = _columns(x) | _columns(y)
    chosen = Chosen(x.names, y.names, None)
    if clash := [name for name in chosen.targets if name in chosen.features]:
        raise Invalid({"features": [f"{clash[0]} is the name of the target here: name the feature otherwise"]})
    return _with_weights(document, chosen, columns, "instances")


def _named(document: Document, options: TrainOptions, member: str) -> tuple[Chosen, Rows]:
    if member == "instances" and not document.first_is("instances", dict):
        raise Invalid({"targets": ["is missing: positional instances need targets"]})
    chosen = choose(document.column_names(member), options, where=member)
    rows = document.columns(member, chosen.all) if member == "columns" else document.named(member, chosen.all)
    return _with_weights(document, chosen, _columns(rows), member)


def _with_weights(document: Document, chosen: Chosen, columns: dict[str, Column], member: str) -> tuple[Chosen, Rows]:
    """The rows of a body, with its list of weights as one more column when it has one."""
    if WEIGHTS in document.members and chosen.weights is None:
        if WEIGHTS in columns:
            raise Invalid({WEIGHTS: ["is also the name of a column: give the name of the column of weights, or rename it"]})
        columns[WEIGHTS] = document.column(WEIGHTS)
        chosen = Chosen(chosen.features, chosen.targets, WEIGHTS)
    first = len(columns[chosen.features[0]])
    if odd := {name: [f"has {len(c)} rows where {member} has {first}"] for name, c in columns.items() if len(c) != first}:
        raise Invalid({("targets" if name in chosen.targets and member == "instances" else name): text for name, text in odd.items()})

    def where(row: int | None, name: str) -> str:
        at = "" if row is None else f"[{row}]"
        if name == WEIGHTS or (name in chosen.targets and "targets" in document.members):
            return f"{'weights' if name == WEIGHTS else 'targets'}{at}" + (
                f".{name}" if len(chosen.targets) > 1 and name != WEIGHTS else ""
            )
        return f"columns.{name}{at}" if member == "columns" else f"instances{at}.{name}"

    return chosen, Rows(chosen.all, _matrix_of([columns[name] for name in chosen.all], chosen.all), first, where)


def _matrix_of(columns: list[Column], names: Sequence[str]) -> Data:
    """Columns that are all numbers as one matrix, which is looked at once instead of column by column; others by name."""
    if all(isinstance(column, np.ndarray) and column.dtype == np.float64 for column in columns):
        return np.column_stack(columns)
    return dict(zip(names, columns, strict=True))


def _columns(rows: Rows) -> dict[str, Column]:
    picked = rows.pick(rows.names)
    return {name: picked[:, i] for i, name in enumerate(rows.names)} if not isinstance(picked, Mapping) else dict(picked)
