"""What a command line asks for, as a request does: options, and files."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from service.errors import Invalid

LISTS = ("target", "features", "terms", "categorical")
TEXT = (".csv", ".ndjson", ".jsonl")  # forms whose files can be put together line by line


def options_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Options as in a JSON request: lists repeated or separated by commas, labels KEY=VALUE, a solver its name or its JSON.

    Raises:
        Invalid: the solver is not valid JSON.
    """
    options: dict[str, Any] = {}
    for name, value in given.items():
        if value is None or value == ():
            continue
        if name in LISTS:
            options[name] = list(value) if len(value) > 1 else value[0].split(",")
        elif name == "labels":
            options[name] = dict(pair.partition("=")[::2] for pair in value)
        elif name == "solver" and value.lstrip().startswith("{"):
            try:
                options[name] = json.loads(value)
            except ValueError as error:
                raise Invalid({name: ["is not valid JSON"]}) from error
        else:
            options[name] = value
    return options


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


@contextmanager
def one_file(paths: Sequence[Path]) -> Iterator[Path]:
    """Files of one form as one file to send; several are put together in a temporary one, without a second look at what they say.

    Raises:
        Invalid: they are of several forms, or of one that cannot be put together here.
    """
    if len(paths) == 1:
        yield paths[0]
        return
    suffix = paths[0].suffix.lower()
    if wrong := [path.name for path in paths if path.suffix.lower() != suffix]:
        raise Invalid({name: ["is of another form than the first file"] for name in wrong})
    with tempfile.TemporaryDirectory() as directory:
        whole = Path(directory) / f"rows{suffix if suffix in TEXT else '.arrow'}"
        if suffix in TEXT:
            _put_together(paths, whole)
        else:
            _read_together(paths, whole, parquet=suffix in (".parquet", ".pq"))
        yield whole


def _put_together(paths: Sequence[Path], whole: Path) -> None:
    """Text files one after the other, of CSV with the header of the first alone."""
    header = b""
    with whole.open("wb") as file:
        for path in paths:
            with path.open("rb") as lines:
                if whole.suffix == ".csv":
                    first = lines.readline().removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n") + b"\n"
                    if not header:
                        file.write(first)
                    elif first != header:
                        raise Invalid({path.name: ["has other columns than the first file"]})
                    header = first
                shutil.copyfileobj(lines, file)
            file.flush()
            with whole.open("rb") as written:
                written.seek(-1, 2)
                if written.read(1) != b"\n":
                    file.write(b"\n")


def _read_together(paths: Sequence[Path], whole: Path, *, parquet: bool) -> None:
    import polars as pl  # noqa: PLC0415 - half a second to import

    try:
        frames = [pl.scan_parquet(path, glob=False) if parquet else pl.scan_ipc(path, glob=False) for path in paths]
        pl.concat(frames, how="vertical_relaxed").sink_ipc(whole)
    except pl.exceptions.PolarsError as error:
        raise Invalid({path.name: ["cannot be put together with the others: send them one by one"] for path in paths}) from error
