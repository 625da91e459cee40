"""Tables whose rows are to be predicted: of them only the features are read."""

from collections.abc import Iterator

from service.errors import Invalid
from service.regression.schema import Schema
from service.rows import Rows, rows_of
from service.training.tables import TableSource


def rows_to_predict(table: TableSource, schema: Schema) -> Iterator[Rows]:
    """The rows of a table, of the schema's features, in batches: at least one, of no rows where there are none.

    Other columns are ignored.

    Raises:
        Invalid: a feature is missing, or stands twice.
        Unreadable, Invalid: of the rows, while the batches are read.
    """
    _check_columns(table.names, schema)
    return _batches(table, schema)


def _batches(table: TableSource, schema: Schema) -> Iterator[Rows]:
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
