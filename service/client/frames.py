"""Frames of polars, pandas and pyarrow to and from Arrow streams. A library is imported only when its frames come, or are asked for."""

import importlib.util
import io
import math
from typing import Any, Protocol, TypeVar

ARROW = "application/vnd.apache.arrow.stream"
CSV = "text/csv"


class Frame(Protocol):
    """A frame of polars or pandas, or a table of pyarrow."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """How all of them hand out their columns."""
        ...


FrameT = TypeVar("FrameT", bound=Frame)


def library(kind: type) -> str:
    """The library that a type is of."""
    return kind.__module__.partition(".")[0]


def is_frame(rows: object) -> bool:
    """Whether rows come as a frame."""
    return library(type(rows)) in ("polars", "pandas", "pyarrow") and hasattr(rows, "__arrow_c_stream__")


def arrow_of(frame: Any) -> bytes | None:
    """The columns of a frame as an Arrow stream, an index left out; None for pandas where no library is there to write one."""
    file = io.BytesIO()
    if library(type(frame)) == "pandas":
        if _is_there("polars"):
            import polars as pl  # noqa: PLC0415

            frame = pl.DataFrame(columns_of(frame), strict=False)
        elif _is_there("pyarrow"):
            import pyarrow as pa  # noqa: PLC0415

            frame = pa.table(columns_of(frame))
        else:
            return None
    if library(type(frame)) == "polars":
        frame.write_ipc_stream(file)
        return file.getvalue()
    import pyarrow as pa  # noqa: PLC0415

    with pa.ipc.new_stream(file, frame.schema) as stream:
        stream.write(frame)
    return file.getvalue()


def columns_of(frame: Any) -> dict[str, Any]:
    """The columns of a pandas frame by name: arrays of numbers as they are, all else as lists with None where a value is missing."""
    columns = {}
    for place, name in enumerate(frame.columns):
        column = frame.iloc[:, place]
        if str(name) in columns:
            raise ValueError(f"two columns are called {name}: rename one")
        numeric = column.dtype.kind in "iuf" and library(type(column.dtype)) == "numpy"
        columns[str(name)] = column.to_numpy() if numeric else [plain(value) for value in column.astype(object)]
    return columns


def form_for(kind: type) -> str:
    """The media type from which frames of a kind are made here."""
    return ARROW if library(kind) != "pandas" or _is_there("polars") or _is_there("pyarrow") else CSV


def frame_of(kind: type[FrameT], content: bytes, *, like: object = None) -> FrameT:
    """A frame of a kind, of a body in its `form_for`; with the index of the pandas frame `like`.

    Raises:
        TypeError: frames of this kind are not made here.
    """
    frame: Any
    if library(kind) == "polars":
        import polars as pl  # noqa: PLC0415

        frame = pl.read_ipc_stream(io.BytesIO(content))
    elif library(kind) == "pyarrow":
        import pyarrow as pa  # noqa: PLC0415

        frame = pa.ipc.open_stream(content).read_all()
    elif library(kind) == "pandas":
        frame = _pandas(content)
        if isinstance(like, kind):
            frame.index = like.index  # type: ignore[attr-defined]  # both are pandas frames
    else:
        raise TypeError("frames are made of polars.DataFrame, pandas.DataFrame or pyarrow.Table")
    return frame  # type: ignore[no-any-return]  # none of the libraries is here to say what it is


def _pandas(content: bytes) -> Any:
    import pandas as pd  # noqa: PLC0415

    if _is_there("polars"):
        import polars as pl  # noqa: PLC0415

        return pd.DataFrame({series.name: series.to_numpy() for series in pl.read_ipc_stream(io.BytesIO(content))})
    if _is_there("pyarrow"):
        import pyarrow as pa  # noqa: PLC0415

        return pa.ipc.open_stream(content).read_all().to_pandas()
    return pd.read_csv(io.BytesIO(content), float_precision="round_trip")


def plain(value: Any) -> Any:
    """A cell as every format has it: a number, a text, or None where it is missing."""
    if isinstance(value, str):
        return value
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return None if math.isnan(value) else value
    return None if value is None or str(value) in ("NaT", "<NA>") else str(value)


def _is_there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
