"""`service predict`: files of rows to files of predictions."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from service.commands.completing import VERSION
from service.commands.places import at_service
from service.commands.telling import one_blas_thread, tells_errors

STANDARD = "-"
# How polars calls the form that a suffix names.
FORMS = {
    ".csv": "csv", ".parquet": "parquet", ".pq": "parquet", ".arrow": "ipc", ".feather": "ipc", ".ipc": "ipc",
    ".ndjson": "ndjson", ".jsonl": "ndjson",
}  # fmt: skip


class Level(click.FloatRange):
    """A level of an interval."""

    def __init__(self) -> None:
        super().__init__(0, 1, min_open=True, max_open=True)


@click.command(short_help="Predict the rows of a file.")
@click.argument("version", metavar="MODEL[@VERSION]", shell_complete=VERSION)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("-o", "--output", type=click.Path(dir_okay=False, allow_dash=True), help="File to write, of the form its suffix names.")
@click.option("--interval", type=Level(), metavar="LEVEL", help="lower and upper: where a new observation falls, say with 0.95.")
@click.option("--mean-interval", type=Level(), metavar="LEVEL", help="mean_lower and mean_upper: the same for the mean.")
@click.option("--std-error", is_flag=True, help="std_error of the mean.")
@click.option("--leverage", is_flag=True, help="leverage, and extrapolating: whether a row lies beyond those learned.")
@click.option("--contributions", is_flag=True, help="What each design column adds to the baseline.")
@at_service
@tells_errors
def predict(version: str, file: str, output: str | None, url: str | None, token_file: Path | None, **asked: Any) -> None:
    """Predict the rows of FILE by a version; without @VERSION by the live one.

    FILE is CSV, Parquet, Arrow or NDJSON, by its suffix or, of `-`, standard input, by its first bytes. The predictions have a row for
    each of its rows, and go to standard output in the form of FILE (to a terminal as CSV), or to the file of -o. Files may be larger
    than the memory.

    \b
    Examples:
      python -m service predict rent flats.csv
      python -m service predict rent@3 flats.parquet --interval 0.95 -o rents.parquet
      cat flats.csv | python -m service predict rent - --url http://127.0.0.1:8080
    """
    form = _form_of(output) if output not in (None, STANDARD) else None
    one_blas_thread()
    from service.commands.predicting import Here, There, predict_file  # noqa: PLC0415 - torch takes a second to import

    wanted: Mapping[str, Any] = {name: value for name, value in asked.items() if value}
    by = There.at(url, token_file, version, wanted) if url else Here.of(version, wanted)
    if form is None:
        predict_file(by, file, None, "csv" if sys.stdout.isatty() else None)
    else:
        predict_file(by, file, Path(str(output)), form)


def _form_of(output: str | None) -> str:
    suffix = Path(str(output)).suffix.lower()
    if suffix not in FORMS:
        raise click.BadParameter(f"must end in one of {', '.join(FORMS)}", param_hint="'-o'")
    return FORMS[suffix]
