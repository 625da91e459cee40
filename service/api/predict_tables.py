"""Tables in and out of `POST /predict`: CSV, Parquet, Arrow and NDJSON bodies in batches, and predictions as CSV or Arrow.

It loads polars, so the door imports it when a request first needs it.
"""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from service.api.answers import ARROW, CSV, Answer
from service.documents import Body
from service.errors import NotAcceptable, UnsupportedMedia
from service.regression.schema import Schema
from service.rows import Rows
from service.serving.predictor import Prediction
from service.serving.tables import columns_of
from service.training.rows_to_predict import rows_to_predict
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
        batches = rows_to_predict(table, schema)
        if form == "parquet":  # it says so itself, and unpacks to far more than it is
            check(count_rows([path], form) or 0, len(schema.features))
        yield batches


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
    columns = list(columns_of(predicted))
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
