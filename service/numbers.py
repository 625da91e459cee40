"""JSON numbers into float64 matrices: one fast way for what is right, one careful way that says what is wrong and where.

The fast way reads a whole matrix in one sweep and accepts only what it can prove rectangular, numeric and exact;
everything else goes the careful way, which either finds the fault or agrees that there is none.
"""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import orjson
import simdjson

from service.errors import MOST_ERRORS, Invalid, TooLarge, Unreadable

Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]

EXACT = 2.0**53  # whole numbers beyond this may not be float64 numbers


def check_finite(matrix: Matrix, names: Sequence[str], *, path: str) -> None:
    """Refuse NaN and infinities in matrix [n, p], naming row and column."""
    finite = np.isfinite(matrix)
    if not finite.all():
        where = np.argwhere(~finite)[:MOST_ERRORS].tolist()
        raise Invalid({f"{path}[{row}].{names[column]}": ["must be a finite number"] for row, column in where})


class Document:
    """A JSON object read from a request body; numbers stay unread until they are asked for as a vector or matrix.

    Raises:
        Unreadable: not JSON, not an object, or a member stands twice.
    """

    def __init__(self, body: bytes) -> None:
        try:
            document = simdjson.Parser().parse(body)
        except (ValueError, RuntimeError) as error:
            raise Unreadable("the body is not valid JSON in UTF-8, or holds a number beyond the range of float64") from error
        if not isinstance(document, simdjson.Object):
            raise Unreadable("the body must be a JSON object")
        _check_names(document)
        # Members are taken one by one: simdjson's `items` and `values` would turn whole matrices into Python lists.
        self.members = {name: document[name] for name in document}
        for value in self.members.values():
            if isinstance(value, simdjson.Object):
                _check_names(value)
        # simdjson hands out all numbers beneath an array in one sweep, whatever the nesting. When the body has no more
        # brackets than its rows need, nothing is nested deeper than it should be and the sweep can be trusted. A member whose
        # rows are not all arrays is counted too high; it is refused when its own turn comes, as data or as an option.
        self._shallow = body.count(b"[") == sum(map(_brackets, self.members.values()))

    def options(self, *data: str) -> dict[str, Any]:
        """All members but `data`, as ordinary Python values."""
        return {name: plain(value) for name, value in self.members.items() if name not in data}

    def has_objects(self, name: str) -> bool:
        """Whether member `name` is a list whose first row is an object."""
        value = self.members[name]
        return isinstance(value, simdjson.Array) and len(value) > 0 and isinstance(value[0], simdjson.Object)

    def first_is_list(self, name: str) -> bool:
        """Whether member `name` is a list whose first element is a list."""
        value = self.members[name]
        return isinstance(value, simdjson.Array) and len(value) > 0 and isinstance(value[0], simdjson.Array)

    def matrix(self, name: str, *, columns: int | None = None) -> Matrix:
        """Member `name`, a list of rows of numbers, as a C-ordered matrix [n, p]; `columns` is the p expected, when known.

        Raises:
            Invalid: names each row or cell that is wrong.
        """
        value = self.members[name]
        matrix = _fast_matrix(value, columns) if self._shallow and isinstance(value, simdjson.Array) else None
        return _careful_matrix(plain(value), path=name, columns=columns) if matrix is None else matrix

    def vector(self, name: str) -> Vector:
        """Member `name`, a list of numbers, as a vector [n]."""
        return self._vector(self.members[name], path=name)

    def named_matrix(self, name: str, columns: Sequence[str]) -> Matrix:
        """Member `name`, a list of objects by column name, as a matrix [n, len(columns)]; other columns are ignored."""
        value = self.members[name]
        rows = plain(value)
        if isinstance(value, simdjson.Array):
            twice = [i for i, view in enumerate(value) if isinstance(view, simdjson.Object) and len(view) > len(rows[i])]
            if twice:
                raise Invalid({f"{name}[{index}]": ["names a column twice"] for index in twice})
        return _named_matrix(rows, columns, path=name)

    def column_names(self, name: str) -> list[str]:
        """The column names in member `name`: an object of columns, or the first of a list of objects."""
        value = self.members[name]
        first = value[0] if isinstance(value, simdjson.Array) and len(value) else value
        if not isinstance(first, simdjson.Object):
            raise Invalid({name: ["must be an object of columns by name"]})
        return list(first.keys())

    def columns(self, name: str, columns: Sequence[str]) -> Matrix:
        """Member `name`, an object of columns by name, as a matrix [n, len(columns)]; other columns are ignored."""
        value = self.members[name]
        if not isinstance(value, simdjson.Object):
            raise Invalid({name: ["must be an object of columns by name"]})
        missing = {f"{name}.{column}": ["is missing"] for column in columns if column not in value}
        if missing:
            raise Invalid(missing)
        vectors = [self._vector(value[column], path=f"{name}.{column}") for column in columns]
        lengths = {len(vector) for vector in vectors}
        if len(lengths) > 1:
            found = {
                f"{name}.{column}": [f"has {len(v)} rows"] for column, v in zip(columns, vectors, strict=True) if len(v) != len(vectors[0])
            }
            raise Invalid(found, f"all columns must have as many rows as the first, {len(vectors[0])}")
        return np.ascontiguousarray(np.column_stack(vectors)) if vectors else np.zeros((0, 0))

    def _vector(self, value: Any, *, path: str) -> Vector:
        vector = _buffer(value) if self._shallow and isinstance(value, simdjson.Array) else None
        return _careful_vector(plain(value), path=path) if vector is None or len(vector) != len(value) else vector


def _check_names(members: simdjson.Object) -> None:
    """Refuse names by which a member would not be found, or another one would."""
    names = list(members)
    if len(set(names)) < len(names):
        raise Unreadable("a name stands twice in the JSON object or in one of its members")
    if "\0" in "".join(names):  # simdjson looks a name up only as far as its first NUL
        raise Unreadable("a name in the JSON object holds a NUL character")


def plain(value: Any) -> Any:
    """A simdjson view as ordinary lists and dictionaries; anything else as it is."""
    return value.as_list() if isinstance(value, simdjson.Array) else value.as_dict() if isinstance(value, simdjson.Object) else value


def _brackets(value: Any) -> int:
    """How many arrays stand in a member that is a vector, a matrix or an object of vectors."""
    if isinstance(value, simdjson.Array):
        return 1 + (len(value) if len(value) and isinstance(value[0], simdjson.Array) else 0)
    if isinstance(value, simdjson.Object):
        return sum(isinstance(value[name], simdjson.Array) for name in value)
    return 0


def _buffer(array: simdjson.Array) -> Vector | None:
    """All numbers beneath an array, in order; None when there is anything else or a number may not be exact."""
    try:
        flat = np.frombuffer(array.as_buffer(of_type="d")).copy() if len(array) else np.zeros(0)
    except (TypeError, ValueError):
        return None
    return flat if np.abs(flat).max(initial=0.0) < EXACT else None


def _fast_matrix(array: simdjson.Array, columns: int | None) -> Matrix | None:
    """The matrix when every row is an array of the same length; the document is known to be shallow."""
    rows = cast("list[simdjson.Array]", list(array))  # checked in the next line
    if set(map(type, rows)) != {simdjson.Array}:
        return None
    width = len(rows[0])
    if width == 0 or set(map(len, rows)) != {width if columns is None else columns}:
        return None
    flat = _buffer(array)
    return flat.reshape(len(rows), width) if flat is not None else None


def _fault(value: Any) -> str | None:
    """What is wrong with one number, or nothing."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "must be a number"
    if isinstance(value, int) and abs(value) > EXACT:
        return "must be a number that float64 holds exactly; whole numbers end at 2^53"
    return None if abs(value) < float("inf") else "must be a finite number"


def _careful_vector(value: Any, *, path: str) -> Vector:
    if not isinstance(value, list):
        raise Invalid({path: ["must be a list of numbers"]})
    faults = {f"{path}[{index}]": [fault] for index, fault in enumerate(map(_fault, value)) if fault}
    if faults:
        raise Invalid(faults)
    return np.array(value, dtype=np.float64)


def _careful_matrix(value: Any, *, path: str, columns: int | None) -> Matrix:
    if not isinstance(value, list):
        raise Invalid({path: ["must be a list of rows"]})
    faults: dict[str, list[str]] = {}
    width = columns
    for index, row in enumerate(value):
        if not isinstance(row, list):
            faults[f"{path}[{index}]"] = ["must be a list of numbers like the other rows"]
        elif not row and not width:
            faults[f"{path}[{index}]"] = ["has no numbers"]
        elif len(row) != (width := len(row) if width is None else width):
            faults[f"{path}[{index}]"] = [f"has {len(row)} numbers where {width} are expected"]
        else:
            faults |= {f"{path}[{index}][{column}]": [fault] for column, fault in enumerate(map(_fault, row)) if fault}
        if len(faults) >= MOST_ERRORS:
            break
    if faults:
        raise Invalid(faults)
    return np.array(value, dtype=np.float64).reshape(len(value), width or 0)


def _named_matrix(rows: Any, names: Sequence[str], *, path: str) -> Matrix:
    faults: dict[str, list[str]] = {}
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            faults[f"{path}[{index}]"] = ["must be an object by column name like the other rows"]
            continue
        for name in names:
            fault = _fault(row[name]) if name in row else "is missing"
            if fault:
                faults[f"{path}[{index}].{name}"] = [fault]
        if len(faults) >= MOST_ERRORS:
            break
    if faults:
        raise Invalid(faults)
    return np.array([[row[name] for name in names] for row in rows], dtype=np.float64).reshape(len(rows), len(names))


def check_shape(rows: int, columns: int, *, max_rows: int, max_columns: int) -> None:
    """Refuse more rows or columns than the settings allow."""
    if rows > max_rows:
        raise TooLarge(f"the request has {rows} rows; PLUMBLINE_MAX_ROWS allows {max_rows}")
    if columns > max_columns:
        raise TooLarge(f"the request has {columns} columns; PLUMBLINE_MAX_COLUMNS allows {max_columns}")


def dump(document: Any) -> bytes:
    """JSON that reads back to the same numbers; float64 arrays are written without becoming lists."""
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
