"""Rows as every door hands them on, whatever their wire form: named columns, and how to name one of their cells to the client.

Types are not checked here: what is a number, what is missing and what is a category is for the schema to say.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from service.errors import Invalid, TooLarge
from service.regression.columns import Array, Column, Data, RowErrors, numbers

Where = Callable[[int | None, str], str]


@dataclass(frozen=True)
class Rows:
    """`count` rows of the columns `names`: a matrix [count, len(names)], or columns by name; `where` names a cell: (row, column)."""

    names: tuple[str, ...]
    data: Data
    count: int
    where: Where

    def pick(self, names: Sequence[str]) -> Data:
        """Some of the columns: a view of the matrix where they stand together in it, else columns by name."""
        if isinstance(self.data, np.ndarray):
            start = self.names.index(names[0]) if names else 0
            if tuple(names) == self.names[start : start + len(names)]:
                return self.data[:, start : start + len(names)]
            return {name: self.data[:, self.names.index(name)] for name in names}
        return {name: self.data[name] for name in names}

    def numbers(self, names: Sequence[str]) -> Array:
        """Some of the columns as float64 [count, len(names)], NaN where missing.

        Raises:
            Invalid: a cell is not a number.
        """
        picked = self.pick(names)
        if isinstance(picked, np.ndarray):
            return picked
        found = [numbers(name, picked[name]) for name in names]
        with self.telling():
            if errors := [error for _, faults in found for error in faults]:
                raise RowErrors(errors)
        return np.column_stack([values for values, _ in found]) if found else np.empty((self.count, 0))

    def keep(self, marked: NDArray[np.bool_]) -> "Rows":
        """The rows that are marked [count]; their cells are named as before."""
        if marked.all():
            return self
        places = np.flatnonzero(marked)
        data: Data
        if isinstance(self.data, np.ndarray):
            data = self.data[places]
        else:
            data = {
                name: column[places] if isinstance(column, np.ndarray) else [*compress(column, marked)]
                for name, column in self.data.items()
            }
        return Rows(self.names, data, len(places), lambda row, name: self.where(None if row is None else int(places[row]), name))

    def parts(self, most: int) -> Iterator["Rows"]:
        """The rows in parts of `most`, without a copy of a matrix; their cells are named as before."""
        for start in range(0, self.count, most):
            yield self._part(start, min(start + most, self.count))

    def _part(self, start: int, stop: int) -> "Rows":
        data: Data
        if isinstance(self.data, np.ndarray):
            data = self.data[start:stop]
        else:
            data = {name: column[start:stop] for name, column in self.data.items()}
        return Rows(self.names, data, stop - start, lambda row, name: self.where(None if row is None else start + row, name))

    def telling(self) -> "_Telling":
        """A context in which the schema's errors become the client's: `Invalid`, with each cell named as the client knows it."""
        return _Telling(self.where)


class _Telling:
    """Turns RowErrors into Invalid."""

    def __init__(self, where: Where) -> None:
        self._where = where

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, RowErrors):
            raise Invalid({self._where(fault.row, fault.column): [fault.message] for fault in error.errors}) from error


def rows_of(names: Sequence[str], columns: Sequence[Column], where: Where) -> Rows:
    """Rows of columns that all have the same length."""
    return Rows(tuple(names), dict(zip(names, columns, strict=True)), len(columns[0]) if columns else 0, where)


def check_shape(rows: int, columns: int, *, max_rows: int, max_columns: int) -> None:
    """Refuse more rows or columns than the settings allow."""
    if rows > max_rows:
        raise TooLarge(f"the request has {rows} rows; PLUMBLINE_MAX_ROWS allows {max_rows}")
    if columns > max_columns:
        raise TooLarge(f"the request has {columns} columns; PLUMBLINE_MAX_COLUMNS allows {max_columns}")
