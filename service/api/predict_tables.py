"""Tables in and out of `POST /predict`: CSV, Parquet, Arrow and NDJSON bodies in batches, and predictions as CSV or Arrow.

It loads polars, so the door imports it when a request first needs it.
"""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl

from service.api.answers import ARROW, CSV, Answer
from service.documents import Body
from service.errors import Invalid, NotAcceptable, UnsupportedMedia
from service.regression.columns import Array
from service.regression.schema import Schema
from service.rows import Rows, rows_of
from service.serving.predictor import PER_ROW, Prediction
from service.training.tables import MEDIA, TableSource, count_rows


def form_of(media_type: str) -> str:
    """The form of a body by its media type. Raises UnsupportedMedia."""
    if media_type not in MEDIA:
        raise UnsupportedMedia(f"rows to predict must be application/json or one of {', '.join(MEDIA)}; say which in Content-Type")
    return MEDIA[media_type]


@contextmanager
def batches_of(body: Body, form: str, schema: Schema, check: Callable[[int, int], None]) -> Iterator[Iterator[Rows]]:
    """The rows of a body of this form, of the schema's features, in batches; other columns are ignored.

    `check` is called with the numbers of rows and columns where they are known before any is read.

    Raises:
        Unreadable, Invalid, TooLarge: of the body, here or while the batches are read.
    """
    with _as_file(body) as path:
        table = TableSource([path], form, numeric_missing=False)
        _check_columns(table.names, schema)
        if form == "parquet":  # it says so itself, and unpacks to far more than it is
            check(count_rows([path], form) or 0, len(schema.features))
        yield _batches(table, schema)


def _batches(table: TableSource, schema: Schema) -> Iterator[Rows]:
    """At least one batch, of no rows where there are none."""
    names, categorical = schema.feature_names, schema.frame.categories
    numeric = [name for name in names if name not in categorical]
    any_rows = False
    for batch in table.batches(names, numbers=numeric, categorical=categorical):
        any_rows = True
        yield batch
    if not any_rows:
        yield rows_of(names, [[] for _ in names], lambda _, name: f"column {name}")


def _check_columns(given: list[str], schema: Schema) -> None:
    faults = {f"column {name}": ["is missing"] for name in schema.feature_names if name not in given}
    faults |= {f"column {name}": ["stands twice in the header"] for name in schema.feature_names if given.count(name) > 1}
    if faults:
        raise Invalid(faults)


@contextmanager
def _as_file(body: Body) -> Iterator[Path]:
    """The body as a file in memory, which is gone when it is closed."""
    with os.fdopen(os.memfd_create("predict"), "wb") as file:
        file.write(body)
        file.flush()
        yield Path(f"/proc/self/fd/{file.fileno()}")


def table_answer(predicted: Prediction, media_type: str) -> Answer:
    """Predictions as CSV or as an Arrow stream, a row for each; model and version stand in the headers.

    Raises:
        NotAcceptable: two columns would have one name.
    """
    columns = list(_columns(predicted))
    table = dict(columns)
    if len(table) < len(columns):
        raise NotAcceptable("two columns of the table would have one name: ask for application/json")
    file = io.BytesIO()
    frame = pl.DataFrame(table)
    if media_type == ARROW:
        frame.write_ipc_stream(file)
    else:
        frame.write_csv(file)
    headers = ("Plumbline-Model", predicted.model), ("Plumbline-Version", predicted.version)
    return Answer(200, file.getvalue(), ARROW if media_type == ARROW else CSV, headers)


def _columns(predicted: Prediction) -> Iterator[tuple[str, Array]]:
    """Each column [n] with its name: `lower`, or `lower.rent` where there are several targets; `contributions.area`."""
    ends = [""] if len(predicted.targets) == 1 else [f".{target}" for target in predicted.targets]
    for name in PER_ROW:
        values = getattr(predicted, name)
        if values is None:
            continue
        if values.ndim == 1:
            yield name, values
        elif values.ndim == 2:
            yield from ((f"{name}{end}", values[:, t]) for t, end in enumerate(ends))
        elif predicted.baseline is not None:
            for end, baseline in zip(ends, predicted.baseline, strict=True):
                yield f"baseline{end}", np.full(len(values), baseline)
            for j, column in enumerate(predicted.columns):
                yield from ((f"{name}.{column}{end}", values[:, j, t]) for t, end in enumerate(ends))
