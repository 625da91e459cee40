"""Files of rows (CSV, Parquet, Arrow, NDJSON) read by polars in batches, in bounded memory.

Numbers come as float64, everything else as text; a cell that is neither empty nor of its column's type is an error, never skipped.
"""

import csv
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from service.errors import MOST_ERRORS, Invalid, TooLarge, Unreadable
from service.regression.columns import EXACT
from service.rows import Rows, Where

BATCH_ROWS, BATCH_NUMBERS = 65_536, 1 << 22  # at most: 32 MiB
PIECE_NUMBERS = 3_000_000  # read of a Parquet file at once, about
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
            self._check_alike("columns", map(_header, self._paths))
            self._whole = set[str]()
            with self._told():
                numeric = self._numeric_in_csv()
        else:
            with self._told():
                schemas = [self._scan([path], {}).collect_schema() for path in self._paths]
                self.names = list(schemas[0])
                self._check_alike("columns", map(list, schemas))
                if form == "parquet":
                    self._check_alike("types of columns", schemas)
                types = self._scan(self._paths, {}).collect_schema()
            numeric = [dtype.is_numeric() for dtype in types.values()]
            self._whole = {name for name, dtype in types.items() if dtype.is_integer()}
        self._numeric = dict(zip(self.names, numeric, strict=True))

    def batches(self, names: Sequence[str], *, numbers: Sequence[str] = (), categorical: Collection[str] = ()) -> Iterator[Rows]:
        """The columns `names` of all rows, in order; in a CSV file those of them that are `numbers` hold numbers, whatever it seems.

        Where files do not type their columns (CSV, NDJSON), numbers may stand among the texts of `categorical` columns alone.

        Raises:
            Unreadable: the data are not of their form.
            Invalid: a cell is not of its column's type.
        """
        csv = self._form == "csv"
        # A category in a CSV file is its text: 01067 is not 1067.
        numeric = {name: (self._numeric[name] and not (csv and name in categorical)) or (csv and name in numbers) for name in names}
        first = 0
        with self._told():
            for frame in self._frames(names, [name for name in names if csv and name in categorical]):
                yield _rows(frame, numeric, first=first, mixed=names if self._form in {"parquet", "arrow"} else categorical)
                first += len(frame)
            rows = self._rows_told()
        if rows is not None and first != rows:  # polars ends early, and says nothing, where a thread of its own breaks on damaged data
            raise Unreadable(f"the data cannot be read as {self._form}: {first} of their {rows} rows could be read")

    def count(self) -> int | None:
        """How many rows there are, as `count_rows` has it."""
        return count_rows(self._paths, self._form)

    def _rows_told(self) -> int | None:
        """How many rows the files say they have; None where they do not say."""
        if self._form == "parquet":
            return self.count()
        if self._form == "arrow" and all(map(_is_arrow_file, self._paths)):
            return sum(int(pl.scan_ipc(path).select(pl.len()).collect().item()) for path in self._paths)
        return None

    def _frames(self, names: Sequence[str], texts: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Batches of the columns: numbers as float64 (typed whole ones as they are), all else as text; no blank lines at a CSV's end."""
        as_text = self._form == "csv" and self._numeric_missing
        types = {name: pl.Float64() if self._numeric[name] and not as_text and name not in texts else pl.String() for name in names}
        # By place, not by name: polars and the standard library do not read every quoted header alike.
        called = {name: str(self.names.index(name)) if self._form == "csv" else name for name in names}
        cells = {name: pl.col(called[name]) for name in names}
        picked = [(cell if name in self._whole else cell.cast(types[name])).alias(name) for name, cell in cells.items()]
        asked = {called[name]: types[name] for name in names}
        for paths in [[path] for path in self._paths] if self._form in {"csv", "parquet"} else [self._paths]:
            table = self._scan(paths, asked).select(picked)
            if self._form == "parquet":
                yield from _in_pieces(table, rows=count_rows(paths, self._form) or 0)
            else:
                frames = table.collect_batches(chunk_size=_batch_rows(len(names)), maintain_order=True)
                yield from _without_blank_end(frames) if self._form == "csv" else frames

    def _check_alike(self, what: str, of_files: Iterable[object]) -> None:
        """Refuse files whose columns, their order or, where files of a form must have the same ones, their types are not the first's."""
        first, *others = of_files
        if different := [path.name for path, other in zip(self._paths[1:], others, strict=True) if other != first]:
            raise Invalid({name: [f"has other {what} than the first file"] for name in different})

    def _scan(self, paths: Sequence[Path], types: Mapping[str, pl.DataType]) -> pl.LazyFrame:
        """All rows of `paths`; `types` by place are those of the columns of a CSV file that will be read."""
        if self._form == "csv":
            places = map(str, range(len(self.names)))
            schema = {place: types.get(place, pl.String()) for place in places}  # the whole one, so that a line too long is an error
            return pl.concat(_scan_csv(path, schema=schema, ignore_errors=True) for path in paths)
        if self._form == "parquet":
            return pl.scan_parquet(list(paths), glob=False)
        if self._form == "ndjson":
            return pl.concat([pl.scan_ndjson(path, infer_schema_length=LOOK_ROWS) for path in paths], how="vertical_relaxed")
        return pl.concat([_scan_arrow(path) for path in paths], how="vertical_relaxed")

    def _numeric_in_csv(self) -> list[bool]:
        """Whether each column holds numbers alone, but for what stands for a missing one, in the first rows of every file."""
        schema = {str(place): pl.String() for place in range(len(self.names))}
        looks = [_scan_csv(path, schema=schema).head(LOOK_ROWS).collect() for path in self._paths]
        return [not any(_wrong(look[place], _parsed(look[place])).any() for look in looks) for place in schema]

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what polars says of unreadable data, which may repeat the data, into our own words."""
        try:
            yield
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, UnicodeDecodeError) as error:
            hint = ": every line must have as many fields as the header" if self._form == "csv" else ""
            raise Unreadable(f"the data cannot be read as {self._form}{hint}") from error


def _in_pieces(table: pl.LazyFrame, *, rows: int) -> Iterator[pl.DataFrame]:
    """Batches of a Parquet file, read piece by piece: polars itself would hold several row groups at once, however large they are."""
    columns = len(table.collect_schema())
    piece = max(1, PIECE_NUMBERS // columns // BATCH_ROWS) * BATCH_ROWS  # not less: each decodes whole pages, and some of them again
    for start in range(0, rows, piece):
        yield from table.slice(start, piece).collect().iter_slices(_batch_rows(columns))


def _batch_rows(columns: int) -> int:
    return max(1, min(BATCH_ROWS, BATCH_NUMBERS // columns))


def _scan_csv(path: Path, **how: Any) -> pl.LazyFrame:
    return pl.scan_csv(path, has_header=False, skip_lines=1, raise_if_empty=False, glob=False, **how)


def _scan_arrow(path: Path) -> pl.LazyFrame:
    """An Arrow file is mapped and read in batches; an Arrow stream, which has no index of its batches, is read whole."""
    return pl.scan_ipc(path) if _is_arrow_file(path) else pl.read_ipc_stream(path).lazy()


def _is_arrow_file(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(6) == b"ARROW1"


def _rows(frame: pl.DataFrame, numeric: dict[str, bool], *, first: int, mixed: Collection[str]) -> Rows:
    def where(row: int | None, name: str) -> str:
        return f"column {name}" if row is None else f"row {first + row + 1}, column {name}"

    names = tuple(frame.columns)
    frame = frame.with_columns(_floats(series, where) for series in frame if series.dtype.is_integer())
    if all(numeric.values()) and all(dtype == pl.Float64 for dtype in frame.dtypes):
        return Rows(names, frame.to_numpy(order="c"), len(frame), where)
    for name in names:
        if not numeric[name] and name not in mixed:
            _check_text(frame[name], where)
    columns = {name: _numbers(frame[name], where) if numeric[name] else frame[name].to_list() for name in names}
    return Rows(names, columns, len(frame), where)


def _check_text(series: pl.Series, where: Where) -> None:
    """Refuse a column in which texts and numbers stand side by side, naming the fewer of them."""
    parsed = _parsed(series)
    numbers, texts = parsed.is_finite().fill_null(value=False), _wrong(series, parsed)
    if numbers.any() and texts.any():
        odd = (texts if texts.sum() <= numbers.sum() else numbers).arg_true().head(MOST_ERRORS).to_list()
        raise Invalid({where(row, series.name): ["text and numbers stand in one column: declare it categorical"] for row in odd})


def _floats(series: pl.Series, where: Where) -> pl.Series:
    """A column of whole numbers as float64; those beyond 2^53 are errors, since float64 would make others of them."""
    floats = series.cast(pl.Float64)
    if (floats.abs() >= EXACT).any():
        wrong = series.cast(pl.Int128).abs() > EXACT
        if rows := wrong.arg_true().head(MOST_ERRORS).to_list():
            text = "must be a number that float64 holds exactly; whole numbers end at 2^53"
            raise Invalid({where(row, series.name): [text] for row in rows})
    return floats


def _numbers(series: pl.Series, where: Where) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """A column of numbers, NaN where missing; text is parsed, and what is neither a number nor stands for a missing one is an error."""
    if series.dtype == pl.Float64:
        return series.to_numpy()
    parsed = _parsed(series)
    wrong = _wrong(series, parsed)
    if wrong.any():
        rows = wrong.arg_true().head(MOST_ERRORS).to_list()
        raise Invalid({where(row, series.name): ["must be a number"] for row in rows})
    return parsed.to_numpy()


def _parsed(text: pl.Series) -> pl.Series:
    return text.str.strip_chars().cast(pl.Float64, strict=False)


def _wrong(text: pl.Series, parsed: pl.Series) -> pl.Series:
    """Which cells are neither numbers nor stand for a missing one."""
    return parsed.is_null() & text.is_not_null() & ~text.str.strip_chars().is_in(MISSING)


def _without_blank_end(frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Without the blank lines that many programs leave at the end of a CSV file."""
    waiting: pl.DataFrame | None = None
    for frame in frames:
        if waiting is not None:
            yield waiting
        waiting = frame
    if waiting is not None:
        filled = waiting.select(~pl.all_horizontal(pl.all().is_null())).to_series().arg_true()
        yield waiting.head(filled[-1] + 1 if len(filled) else 0)


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
    return max(round(size * lines / len(sample)) - len(paths), 0) if lines else None  # the header lines are no rows
