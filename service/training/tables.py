"""Files of rows (CSV, Parquet, Arrow, NDJSON) read by polars in batches, in bounded memory.

Numbers come as float64, everything else as text; a cell that is neither empty nor of its column's type is an error, never skipped.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl

from service.errors import MOST_ERRORS, Invalid, TooLarge, Unreadable
from service.rows import Rows, Where

BATCH_ROWS = 65_536
LOOK_ROWS = 1000  # rows from which a CSV column's type is taken: numbers or text
MOST_HEADER = 1_000_000
MEDIA = {
    "text/csv": "csv",
    "application/vnd.apache.parquet": "parquet",
    "application/vnd.apache.arrow.stream": "arrow",
    "application/x-ndjson": "ndjson",
}
SUFFIXES = {
    ".csv": "csv", ".parquet": "parquet", ".pq": "parquet", ".arrow": "arrow", ".arrows": "arrow", ".feather": "arrow", ".ipc": "arrow",
    ".ndjson": "ndjson", ".jsonl": "ndjson",
}  # fmt: skip
MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL"]  # what stands for a missing number in CSV files where rows with one are dropped


class TableSource:
    """Files of one form with the same columns; `numeric_missing` says that missing numbers are expected."""

    def __init__(self, paths: Sequence[Path], form: str, *, numeric_missing: bool) -> None:
        self._paths, self._form, self._numeric_missing = list(paths), form, numeric_missing
        if form == "csv":
            self.names = _header(self._paths[0])
            for path in self._paths[1:]:
                if _header(path) != self.names:
                    raise Invalid({path.name: ["has other columns than the first file"]})
        with self._told():
            types = self._scan({}).collect_schema()
        if form != "csv":
            self.names = list(types)
        # By place, not by name: polars and the standard library do not read every quoted header alike.
        self._columns = dict(zip(self.names, types.items(), strict=False))

    def batches(self, names: Sequence[str]) -> Iterator[Rows]:
        """The columns `names` of all rows, in order.

        Raises:
            Unreadable: the data are not of their form.
            Invalid: a cell is not of its column's type.
        """
        numeric = {name: self._columns[name][1].is_numeric() for name in names}
        first = 0
        with self._told():
            for frame in self._frames(names, numeric):
                yield _rows(frame, numeric, first=first)
                first += len(frame)

    def _frames(self, names: Sequence[str], numeric: dict[str, bool]) -> Iterator[pl.DataFrame]:
        """Batches of the columns, numbers as float64 and all else as text; the blank lines at the end of a CSV file left out."""
        as_text = self._form == "csv" and self._numeric_missing
        types = {name: pl.Float64() if numeric[name] and not as_text else pl.String() for name in names}
        overrides = {self._columns[name][0]: kind for name, kind in types.items()} if self._form == "csv" else {}
        picked = [pl.col(self._columns[name][0]).cast(types[name]).alias(name) for name in names]
        waiting: pl.DataFrame | None = None
        for frame in self._scan(overrides).select(picked).collect_batches(chunk_size=BATCH_ROWS, maintain_order=True):
            if waiting is not None:
                yield waiting
            waiting = frame
        if waiting is not None:
            yield _without_blank_end(waiting) if self._form == "csv" else waiting

    def _scan(self, overrides: Mapping[str, pl.DataType]) -> pl.LazyFrame:
        if self._form == "csv":
            return pl.concat(
                pl.scan_csv(
                    path,
                    has_header=False,
                    skip_lines=1,
                    schema_overrides=overrides,
                    infer_schema_length=LOOK_ROWS,
                    ignore_errors=True,
                    raise_if_empty=False,
                    glob=False,
                )
                for path in self._paths
            )
        if self._form == "parquet":
            return pl.scan_parquet(self._paths, glob=False)
        if self._form == "ndjson":
            return pl.concat(pl.scan_ndjson(path, infer_schema_length=LOOK_ROWS) for path in self._paths)
        return pl.concat(_scan_arrow(path) for path in self._paths)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what polars says of unreadable data, which may repeat the data, into our own words."""
        try:
            yield
        except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
            hint = ": every line must have as many fields as the header" if self._form == "csv" else ""
            raise Unreadable(f"the data cannot be read as {self._form}{hint}") from error


def _scan_arrow(path: Path) -> pl.LazyFrame:
    """An Arrow file is mapped and read in batches; an Arrow stream, which has no index of its batches, is read whole."""
    with path.open("rb") as file:
        is_file = file.read(6) == b"ARROW1"
    return pl.scan_ipc(path) if is_file else pl.read_ipc_stream(path).lazy()


def _rows(frame: pl.DataFrame, numeric: dict[str, bool], *, first: int) -> Rows:
    def where(row: int | None, name: str) -> str:
        return f"column {name}" if row is None else f"row {first + row + 1}, column {name}"

    names = tuple(frame.columns)
    if all(numeric.values()) and all(dtype == pl.Float64 for dtype in frame.dtypes):
        return Rows(names, frame.to_numpy(order="c"), len(frame), where)
    columns = {name: _numbers(frame[name], where) if numeric[name] else frame[name].to_list() for name in names}
    return Rows(names, columns, len(frame), where)


def _numbers(series: pl.Series, where: Where) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """A column of numbers, NaN where missing; text is parsed, and what is neither a number nor stands for a missing one is an error."""
    if series.dtype == pl.Float64:
        return series.to_numpy()
    parsed = series.cast(pl.Float64, strict=False)
    wrong = parsed.is_null() & series.is_not_null() & ~series.str.strip_chars().is_in(MISSING)
    if wrong.any():
        rows = wrong.arg_true().head(MOST_ERRORS).to_list()
        raise Invalid({where(row, series.name): ["must be a number"] for row in rows})
    return parsed.to_numpy()


def _without_blank_end(frame: pl.DataFrame) -> pl.DataFrame:
    """Without the blank lines that many programs leave at the end of a CSV file."""
    full = frame.select(~pl.all_horizontal(pl.all().is_null())).to_series()
    filled = full.arg_true()
    return frame.head(filled[-1] + 1 if len(filled) else 0)


def _header(path: Path) -> list[str]:
    """The column names of a CSV file."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            line = lines.readline(MOST_HEADER)
    except UnicodeDecodeError as error:
        raise Unreadable("the CSV data are not UTF-8") from error
    if len(line) == MOST_HEADER:
        raise TooLarge(f"the header line of the CSV data is longer than {MOST_HEADER} characters")
    if not line.strip():
        raise Unreadable("the CSV data are empty; the first line must name the columns")
    return next(csv.reader([line]))


def count_rows(paths: Sequence[Path], form: str) -> int | None:
    """How many rows files hold, for a progress bar: exactly where the files say so, else estimated from their beginning."""
    if form == "parquet":
        return int(pl.scan_parquet(list(paths), glob=False).select(pl.len()).collect().item())
    if form == "arrow":
        return None
    size = sum(path.stat().st_size for path in paths)
    with paths[0].open("rb") as file:
        sample = file.read(1 << 16)
    lines = sample.count(b"\n")
    return round(size * lines / len(sample)) if lines else None
