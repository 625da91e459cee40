"""Columns as callers hand them over (arrays or lists, of numbers, text and None) into float64 numbers and category codes.

Invariant: nothing is guessed. What is not a number of float64 is an error that names its row and column; NaN and None alone mean
missing, and come out as NaN, or as code -1.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Column = Sequence[Any] | NDArray[Any]
Data = Mapping[str, Column] | Array

MOST_ERRORS = 20
MISSING, UNSEEN = -1, -2  # codes that are no category

EXACT = 2**53  # whole numbers beyond this may not be float64 numbers


def all_finite(matrix: Array) -> bool:
    """Whether no value is NaN or infinite. A sum of squares that is finite tells it in one pass; one that is not may have overflowed.

    The sum over a part of a matrix would be that over a copy: the sum over all of it tells as much, and takes less time.
    """
    whole = matrix
    if not matrix.flags.contiguous and isinstance(matrix.base, np.ndarray) and matrix.base.size <= 2 * matrix.size:
        whole = matrix.base
    if whole.flags.contiguous and whole.dtype == np.float64 and math.isfinite(np.vdot(whole, whole)):
        return True
    return bool(np.isfinite(matrix).all())


class RowError(NamedTuple):
    """One fault: `row` from 0, or None where the column as a whole is at fault."""

    row: int | None
    column: str
    message: str


class RowErrors(ValueError):  # it is many errors
    """Rows that do not fit the schema: `errors` names at most 20 of the faults, by column and then by row."""

    def __init__(self, errors: Sequence[RowError]) -> None:
        self.errors = list(errors)[:MOST_ERRORS]
        super().__init__(
            "; ".join(f"{error.column}{'' if error.row is None else f'[{error.row}]'}: {error.message}" for error in self.errors)
        )


def faults(column: str, rows: NDArray[np.bool_], message: str) -> list[RowError]:
    """One error with `message` for each of the first rows that are marked."""
    return [RowError(row, column, message) for row in np.flatnonzero(rows)[:MOST_ERRORS].tolist()]


def numbers(column: str, values: Column) -> tuple[Array, list[RowError]]:
    """The column as float64 [n], NaN where missing; and the faults: text, true and false, infinities, and inexact integers."""
    array = _plain_numbers(values)
    if array is not None:
        return array, faults(column, np.isinf(array), "must be a finite number")
    wrong = {row: fault for row, value in enumerate(_listed(values)) if (fault := _fault(value))}
    cells = [0.0 if row in wrong else value for row, value in enumerate(_listed(values))]
    return np.array(cells, dtype=np.float64), [RowError(row, column, fault) for row, fault in wrong.items()]


def _plain_numbers(values: Column) -> Array | None:
    """The fast way: arrays and lists of nothing but exact numbers and None; None for what has to be looked at one by one."""
    if isinstance(values, np.ndarray):
        if values.dtype.kind == "f":
            return values.astype(np.float64, copy=False)
        exact = values.dtype.kind in "iu" and (values.size == 0 or (int(values.max()) <= EXACT and int(values.min()) >= -EXACT))
        return values.astype(np.float64) if exact else None
    types = set(map(type, values))
    if types <= {float, type(None)} or (types <= {int, float, type(None)} and _small(values)):
        return np.array(values, dtype=np.float64)
    return None


def _small(values: Sequence[Any]) -> bool:
    return all(-EXACT <= value <= EXACT for value in values if type(value) is int)


def _fault(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        return "must be a number"
    if isinstance(value, int | np.integer) and abs(int(value)) > EXACT:
        return "must be a number that float64 holds exactly; whole numbers end at 2^53"
    return "must be a finite number" if math.isinf(value) else None


def _listed(values: Column) -> Sequence[Any]:
    return values.tolist() if isinstance(values, np.ndarray) else values


def label(value: Any) -> str | None:
    """The category a value names: text as it is, 10115 and 10115.0 alike "10115", true "true"; None where missing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) else str(value)


def labels(values: Column) -> Sequence[str | None]:
    """The categories of a column, by `label`."""
    listed = _listed(values)
    return listed if set(map(type, listed)) <= {str, type(None)} else [label(value) for value in listed]


def codes(values: Column, categories: Sequence[str]) -> Codes:
    """The place [n] of each value in `categories`, MISSING or UNSEEN."""
    listed = labels(values)
    place: dict[str | None, int] = {None: MISSING}
    place |= {category: index for index, category in enumerate(categories)}
    return np.fromiter((place.get(value, UNSEEN) for value in listed), dtype=np.int64, count=len(listed))


def is_text(column: str, values: Column) -> bool | None:
    """Whether the column holds text alone (True) or no text (False); None if it is all missing. Raises RowErrors for a mixture."""
    if isinstance(values, np.ndarray) and values.dtype.kind != "O":
        return None if values.size == 0 or (values.dtype.kind == "f" and bool(np.isnan(values).all())) else values.dtype.kind in "US"
    listed = _listed(values)
    types = set(map(type, listed)) - {type(None)}
    text_types = {kind for kind in types if issubclass(kind, str)}
    if not text_types:
        floats = all(issubclass(kind, float) for kind in types)
        return None if floats and all(value is None or math.isnan(value) for value in listed) else False
    text = {row: isinstance(value, str) for row, value in enumerate(listed) if label(value) is not None} if types - text_types else {}
    if odd := [row for row, found in text.items() if found != next(iter(text.values()))]:
        raise RowErrors([RowError(odd[0], column, "text and numbers stand in one column: make them one kind, or declare it categorical")])
    return True
