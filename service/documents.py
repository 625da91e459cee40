"""JSON request bodies: their options as Python values, their data as rows.

All numbers of a matrix are taken in one sweep where the body is provably rectangular, numeric and exact; anything else goes
through Python lists, whose shape is checked here and whose types the schema checks.
"""

from collections.abc import Iterable, Sequence
from copy import copy
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import simdjson

from service.errors import MOST_ERRORS, Invalid, Unreadable
from service.regression.columns import EXACT, Column
from service.rows import Rows, Where, rows_of

Array = npt.NDArray[np.float64]
OPENING = ord("[")
SMALL = 1 << 12  # bytes
Body = bytes | bytearray


class Document:
    """A JSON object read from a request body; its data stay unread until they are asked for.

    Raises:
        Unreadable: not JSON, not an object, or a member stands twice.
    """

    def __init__(self, body: Body) -> None:
        document = json_object(body)
        # Members are taken one by one: simdjson's `items` and `values` would turn whole matrices into Python lists.
        self.members = {name: document[name] for name in document}
        for value in self.members.values():
            if isinstance(value, simdjson.Object):
                check_names(value)
        # simdjson hands out all numbers beneath an array in one sweep, whatever the nesting. When the body has no more
        # brackets than its rows need, nothing is nested deeper than it should be and the sweep can be trusted. A member whose
        # rows are not all arrays is counted too high; it is refused when its own turn comes, as data or as an option.
        self._arrays = count_arrays(body)
        self._shallow = self._arrays == sum(map(brackets, self.members.values()))

    def options(self, *data: str) -> dict[str, Any]:
        """All members but `data`, as ordinary Python values."""
        return {name: plain(value) for name, value in self.members.items() if name not in data}

    def inside(self, member: str) -> "Document":
        """`member`, an object, as a document of its own.

        Raises:
            Invalid: it is no object.
        """
        value = self.members[member]
        if not isinstance(value, simdjson.Object):
            raise Invalid({member: ["must be an object"]})
        inner = copy(self)
        inner.members = {name: value[name] for name in value}
        for part in inner.members.values():
            if isinstance(part, simdjson.Object):
                check_names(part)
        around = sum(brackets(other) for name, other in self.members.items() if name != member)
        inner._shallow = self._arrays == around + sum(map(brackets, inner.members.values()))  # noqa: SLF001 - a copy of itself
        return inner

    def first_is(self, member: str, kind: type) -> bool:
        """Whether `member` is a list whose first element is an object (dict) or a list."""
        value = self.members[member]
        wanted = simdjson.Object if kind is dict else simdjson.Array
        return isinstance(value, simdjson.Array) and len(value) > 0 and isinstance(value[0], wanted)

    def column_names(self, member: str) -> list[str]:
        """The column names in `member`: an object of columns, or a list of objects, whose first names them."""
        value = self.members[member]
        first = value[0] if isinstance(value, simdjson.Array) and len(value) else value
        if not isinstance(first, simdjson.Object):
            raise Invalid({member: ["must name its columns: an object of columns, or a list of objects by column name"]})
        return list(first.keys())

    def positional(self, member: str, names: Sequence[str] | None, *, prefix: str = "x") -> Rows:
        """`member`, a list of rows of values in the order of `names`; without names they are x1, x2, …

        Raises:
            Invalid: a row is no list, or has another length; each is named.
        """
        value = self.members[member]
        where = _by_row(member)
        matrix = matrix_beneath(value) if self._shallow and isinstance(value, simdjson.Array) else None
        if matrix is not None and (names is None or matrix.shape[1] == len(names)):
            names = _numbered(prefix, matrix.shape[1]) if names is None else names
            return Rows(tuple(names), matrix, len(matrix), where)
        rows = _rows(plain(value), member, width=len(names) if names is not None else None)
        names = _numbered(prefix, len(rows[0]) if rows else 0) if names is None else names
        return rows_of(names, [list(column) for column in zip(*rows, strict=True)] or [[] for _ in names], where)

    def named(self, member: str, names: Sequence[str]) -> Rows:
        """`member`, a list of objects by column name, of which the columns `names` are taken."""
        value = self.members[member]
        rows = plain(value)
        if not isinstance(value, simdjson.Array):
            raise Invalid({member: ["must be a list of objects by column name"]})
        if twice := [i for i, view in enumerate(value) if isinstance(view, simdjson.Object) and len(view) > len(rows[i])]:
            raise Invalid({f"{member}[{index}]": ["names a column twice"] for index in twice})
        faults: dict[str, list[str]] = {}
        for index, row in enumerate(rows):
            if not isinstance(row, dict):
                faults[f"{member}[{index}]"] = ["must be an object by column name like the other rows"]
            elif missing := [name for name in names if name not in row]:
                faults |= {f"{member}[{index}].{name}": ["is missing"] for name in missing}
            if len(faults) >= MOST_ERRORS:
                break
        if faults:
            raise Invalid(faults)
        return rows_of(names, [[row[name] for row in rows] for name in names], _by_row(member))

    def columns(self, member: str, names: Sequence[str]) -> Rows:
        """`member`, an object of columns by name, of which the columns `names` are taken."""
        value = self.members[member]
        if not isinstance(value, simdjson.Object):
            raise Invalid({member: ["must be an object of columns by name"]})
        if missing := {f"{member}.{name}": ["is missing"] for name in names if name not in value}:
            raise Invalid(missing)
        columns = [self._column(value[name], f"{member}.{name}") for name in names]
        if odd := [name for name, column in zip(names, columns, strict=True) if len(column) != len(columns[0])]:
            expected = f"must have as many values as {names[0]}, {len(columns[0])}"
            raise Invalid({f"{member}.{name}": [expected] for name in odd})
        return rows_of(names, columns, lambda row, name: f"{member}.{name}" if row is None else f"{member}.{name}[{row}]")

    def column(self, member: str) -> Column:
        """`member`, a list of values."""
        return self._column(self.members[member], member)

    def _column(self, value: Any, path: str) -> Column:
        vector = numbers_beneath(value) if self._shallow and isinstance(value, simdjson.Array) else None
        if vector is not None and len(vector) == len(value):
            return vector
        values = plain(value)
        if not isinstance(values, list):
            raise Invalid({path: ["must be a list of values"]})
        return values


def json_object(body: Body) -> simdjson.Object:
    """The JSON object that a body is.

    Raises:
        Unreadable: it is none, or a member stands twice.
    """
    try:
        document = simdjson.Parser().parse(body)
    except (ValueError, RuntimeError) as error:
        raise Unreadable("the body is not valid JSON in UTF-8, or holds a number beyond the range of float64") from error
    if not isinstance(document, simdjson.Object):
        raise Unreadable("the body must be a JSON object")
    check_names(document)
    return document


def check_names(members: simdjson.Object) -> None:
    """Refuse names by which a member would not be found, or another one would."""
    names = list(members)
    if len(set(names)) < len(names):
        raise Unreadable("a name stands twice in the JSON object or in one of its members")
    if "\0" in "".join(names):  # simdjson looks a name up only as far as its first NUL
        raise Unreadable("a name in the JSON object holds a NUL character")


def plain(value: Any) -> Any:
    """A simdjson view as ordinary lists and dictionaries; anything else as it is."""
    return value.as_list() if isinstance(value, simdjson.Array) else value.as_dict() if isinstance(value, simdjson.Object) else value


def dump(document: Any) -> bytes:
    """JSON that reads back to the same numbers; float64 arrays are written without becoming lists."""
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)


def count_arrays(body: Body) -> int:
    """How many times `[` stands in a body, by whichever way is the quicker."""
    return body.count(b"[") if len(body) < SMALL else int(np.count_nonzero(np.frombuffer(body, dtype=np.uint8) == OPENING))


def _numbered(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{i}" for i in range(1, count + 1)]


def _by_row(member: str) -> Where:
    return lambda row, name: f"{member}.{name}" if row is None else f"{member}[{row}].{name}"


def brackets(value: Any) -> int:
    """How many arrays stand in a member that is a vector, a matrix or an object of vectors."""
    if isinstance(value, simdjson.Array):
        return 1 + (len(value) if len(value) and isinstance(value[0], simdjson.Array) else 0)
    if isinstance(value, simdjson.Object):
        return sum(isinstance(value[name], simdjson.Array) for name in value)
    return 0


def numbers_beneath(array: simdjson.Array) -> Array | None:
    """All numbers beneath an array, in order; None when there is anything else or a number may not be exact."""
    try:
        flat = np.frombuffer(array.as_buffer(of_type="d")).copy() if len(array) else np.zeros(0)
    except (TypeError, ValueError):
        return None
    # A small sum of squares is the quicker proof that every number is small.
    return flat if np.vdot(flat, flat) < EXACT**2 or np.abs(flat).max(initial=0.0) < EXACT else None


def matrix_beneath(array: simdjson.Array) -> Array | None:
    """The matrix [n, p] when every row is an array of the same length; the document is known to be shallow."""
    rows: Iterable[Any] = array
    try:
        widths = set(map(len, rows))
    except TypeError:  # a number is no row; whatever else is none, the numbers beneath will tell
        return None
    if len(widths) != 1 or 0 in widths:
        return None
    flat = numbers_beneath(array)
    return flat.reshape(len(array), -1) if flat is not None else None


def _rows(value: Any, member: str, *, width: int | None) -> list[list[Any]]:
    """A list of lists of equal length."""
    if not isinstance(value, list):
        raise Invalid({member: ["must be a list of rows"]})
    faults: dict[str, list[str]] = {}
    for index, row in enumerate(value):
        if not isinstance(row, list):
            faults[f"{member}[{index}]"] = ["must be a list of values like the other rows"]
        elif not row and not width:
            faults[f"{member}[{index}]"] = ["has no values"]
        elif len(row) != (width := len(row) if width is None else width):
            faults[f"{member}[{index}]"] = [f"has {len(row)} values where {width} are expected"]
        if len(faults) >= MOST_ERRORS:
            break
    if faults:
        raise Invalid(faults)
    return value
