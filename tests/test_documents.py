"""JSON numbers come in bit for bit, or are refused by row and column, whichever of the two ways reads them."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import simdjson
from hypothesis import assume, given
from hypothesis import strategies as st

from service.documents import EXACT, Document, dump, matrix_beneath
from service.errors import MOST_ERRORS, Invalid, TooLarge, Unreadable
from service.regression.columns import Column
from service.rows import Rows, check_shape, rows_of

MARKER = "zebra-payload"
exact_numbers = st.one_of(
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, -0.0, 5e-324, -5e-324, 2.0**53, -(2.0**53), 2.0**53 - 1, 1.7976931348623157e308, 0.1, 1e16, 1e22]),
)
anything = st.recursive(
    st.one_of(exact_numbers, st.integers(-(2**63), 2**63), st.booleans(), st.none(), st.text(max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=2), inner, max_size=2)),
    max_leaves=12,
)


@st.composite
def tables(draw: st.DrawFn) -> list[list[float]]:
    """Rectangular lists of numbers that float64 holds exactly, at least one row and one column."""
    columns = draw(st.integers(1, 5))
    return draw(st.lists(st.lists(exact_numbers, min_size=columns, max_size=columns), min_size=1, max_size=6))


def bits(matrix: Any) -> list[bytes]:
    """The bytes of every number, so that 0.0 and -0.0 differ."""
    return [np.float64(number).tobytes() for number in np.asarray(matrix).ravel()]


def matrix_of(rows: Rows) -> Any:
    """All numbers of rows [n, p]; a cell that is none is refused."""
    return rows.numbers(rows.names)


def vector(column: Column) -> Any:
    """All numbers of a column [n]; a cell that is none is refused by its place."""
    return rows_of(("a",), [column], lambda row, name: f"{name}[{row}]").numbers(("a",))[:, 0]


def outcome(read: Callable[[], Any]) -> Any:
    """The shape and bits read, or the paths of what was refused."""
    try:
        matrix = read()
    except Invalid as error:
        return error.errors
    return matrix.shape, bits(matrix)


def careful(document: Document) -> Document:
    """The same document, read through lists alone."""
    document._shallow = False
    return document


@given(tables(), st.sampled_from([None, 1]))
def test_a_table_comes_in_bit_for_bit(table: list[list[float]], indent: int | None) -> None:
    """A matrix of exact numbers is read as the standard library reads it, to the last bit, by rows, by names and by columns."""
    truth = np.array([[float(number) for number in row] for row in json.loads(json.dumps(table))])
    names = [f"c{i}" for i in range(truth.shape[1])]
    named = [dict(zip(names, row, strict=True)) for row in table]
    columns = {name: [row[i] for row in table] for i, name in enumerate(names)}
    document = Document(json.dumps({"m": table, "named": named, "columns": columns}, indent=indent).encode())
    alone = Document(json.dumps({"m": table, "columns": columns}, indent=indent).encode())
    read = [
        document.positional("m", None),
        alone.positional("m", None),
        alone.positional("m", names),
        alone.columns("columns", names),
        document.columns("columns", names),
        document.named("named", names),
    ]

    for rows in read:
        matrix = matrix_of(rows)
        assert matrix.dtype == np.float64
        assert (rows.count, len(rows.names)) == truth.shape
        assert (matrix.shape, bits(matrix)) == (truth.shape, bits(truth))


@given(st.lists(exact_numbers, max_size=20))
def test_a_column_comes_in_bit_for_bit(numbers: list[float]) -> None:
    """A list of exact numbers is read to the last bit; an empty list is an empty column."""
    read = vector(Document(json.dumps({"v": numbers}).encode()).column("v"))

    assert (read.dtype, read.shape, bits(read)) == (np.float64, (len(numbers),), bits(numbers))


@given(
    st.one_of(anything, st.lists(anything, max_size=3), st.lists(st.lists(anything, max_size=3), max_size=3), tables()),
    st.sampled_from([None, ("a", "b")]),
)
def test_the_fast_way_and_the_careful_way_agree(value: Any, names: tuple[str, ...] | None) -> None:
    """Whatever stands where a matrix or a column belongs, what is read or refused is what the careful way alone reads or refuses."""
    document = Document(json.dumps({"a": value}).encode())
    slowly = careful(Document(json.dumps({"a": value}).encode()))

    assert outcome(lambda: matrix_of(document.positional("a", names))) == outcome(lambda: matrix_of(slowly.positional("a", names)))
    if not (isinstance(value, list) and value and isinstance(value[0], list)):  # such a member is read as a matrix
        assert outcome(lambda: vector(document.column("a"))) == outcome(lambda: vector(slowly.column("a")))


@given(st.dictionaries(st.text(max_size=3), st.one_of(anything, st.lists(exact_numbers, max_size=3)), min_size=1, max_size=4))
def test_columns_agree_with_the_careful_way(columns: dict[str, Any]) -> None:
    """An object of columns is read as if each had been looked at number by number, whatever the others hold."""
    name = next(iter(columns))
    assume(not any("\0" in name for name in columns))
    document, slowly = (Document(json.dumps({"a": columns}).encode()) for _ in range(2))
    careful(slowly)

    assert outcome(lambda: matrix_of(document.columns("a", [name]))) == outcome(lambda: matrix_of(slowly.columns("a", [name])))


def test_the_fast_way_is_taken_for_ordinary_rows() -> None:
    """An ordinary matrix needs no careful look, so the measured speed is what everybody gets."""
    array = simdjson.Parser().parse(b"[[1, 2.5], [3, 4]]")
    fast = matrix_beneath(array)

    assert fast is not None
    assert fast.tolist() == [[1, 2.5], [3, 4]]


NUMBER, EXACTLY = "must be a number", "must be a number that float64 holds exactly; whole numbers end at 2^53"
ROW = "must be a list of values like the other rows"


@pytest.mark.parametrize(
    ("rows", "errors"),
    [
        ("[[1, [2]], [3, 4]]", {"a[0].x2": [NUMBER]}),
        ("[[1, 2], [3, [4]]]", {"a[1].x2": [NUMBER]}),
        ("[[1, 2], [3]]", {"a[1]": ["has 1 values where 2 are expected"]}),
        ("[[1], 2, [3]]", {"a[1]": [ROW]}),
        ("[1, 2]", {"a[0]": [ROW], "a[1]": [ROW]}),
        ("[[1, true], [false, 2]]", {"a[0].x2": [NUMBER], "a[1].x1": [NUMBER]}),
        (f'[["{MARKER}"]]', {"a[0].x1": [NUMBER]}),
        ('[["1"]]', {"a[0].x1": [NUMBER]}),
        ('[[{"x": 1}]]', {"a[0].x1": [NUMBER]}),
        ('[[1], {"x": 1}]', {"a[1]": [ROW]}),
        ("[[9007199254740993]]", {"a[0].x1": [EXACTLY]}),
        ("[[1], [-9007199254740993]]", {"a[1].x1": [EXACTLY]}),
        ("[[18446744073709551615]]", {"a[0].x1": [EXACTLY]}),
        ("[[], []]", {"a[0]": ["has no values"], "a[1]": ["has no values"]}),
        ("[[1], []]", {"a[1]": ["has 0 values where 1 are expected"]}),
        ("{}", {"a": ["must be a list of rows"]}),
        ("7", {"a": ["must be a list of rows"]}),
        (f'"{MARKER}"', {"a": ["must be a list of rows"]}),
        ("null", {"a": ["must be a list of rows"]}),
    ],
)
def test_a_wrong_matrix_is_refused_by_row_and_column(rows: str, errors: dict[str, list[str]]) -> None:
    """Each wrong row or number of a matrix is named, and nothing of what stood there is repeated."""
    with pytest.raises(Invalid) as caught:
        matrix_of(Document(f'{{"a": {rows}}}'.encode()).positional("a", None))

    assert caught.value.errors == errors
    assert MARKER not in str(caught.value)


@pytest.mark.parametrize("other", ['"b": [1], "b": 5', '"b": [1], "c": {"d": [1], "d": 5}', '"b": {"c": [1], "c": [2]}'])
def test_a_name_that_stands_twice_is_refused(other: str) -> None:
    """A document where a name stands twice has two meanings, and is not read by either; nor can it hide a nested list."""
    with pytest.raises(Unreadable, match="stands twice"):
        Document(f'{{"a": [[1, [2]], [3, 4]], {other}}}'.encode())


@pytest.mark.parametrize("body", [r'{"a": [[1]], "a\u0000b": [[2]]}', r'{"a": [[1]], "b": {"c\u0000": [1], "c": [2]}}'])
def test_a_name_with_a_nul_is_refused(body: str) -> None:
    """A name that the reader would cut short, and so take for another, is refused."""
    with pytest.raises(Unreadable, match="NUL"):
        Document(body.encode())


def test_a_row_that_names_a_column_twice_is_refused() -> None:
    """Of two values for one column neither is taken."""
    with pytest.raises(Invalid) as caught:
        Document(b'{"a": [{"x": 1}, {"x": 2, "x": 3}]}').named("a", ["x"])

    assert caught.value.errors == {"a[1]": ["names a column twice"]}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"a": [[NaN]]}',
        b'{"a": [[Infinity]]}',
        b'{"a": [[-Infinity]]}',
        b'{"a": [[1e400]]}',
        b'{"a": [[18446744073709551616]]}',
        b'{"a": [[1.]]}',
        b'{"a": [[01]]}',
        b'{"a": [[+1]]}',
        b'{"a": [[1]]} x',
        b'{"a": [[1]]}\x00',
        b'{"a": ["\xff"]}',
        b'{"a": "\\ud800"}',
        b"{'a': 1}",
        b'{"a": [1,]}',
        b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a": ' + b'{"a": ' * 100_000 + b"1" + b"}" * 100_001,
        '{"a": 1}'.encode("utf-16"),
    ],
)
def test_what_is_not_json_is_unreadable(body: bytes) -> None:
    """A body that is not JSON in UTF-8 is refused as a whole, whatever is wrong with it and however deep it goes."""
    with pytest.raises(Unreadable, match="not valid JSON in UTF-8"):
        Document(body)


@pytest.mark.parametrize("body", [b"[]", b"1", b'"text"', b"null", b"[[1]]"])
def test_the_body_must_be_an_object(body: bytes) -> None:
    """JSON that is not an object is refused as such."""
    with pytest.raises(Unreadable, match="must be a JSON object"):
        Document(body)


def test_a_byte_order_mark_is_no_part_of_the_document() -> None:
    """A body that some editors begin with a byte order mark reads like the same body without it."""
    assert Document(b'\xef\xbb\xbf{"a": [[1, 2]]}').positional("a", None).numbers(("x1", "x2")).tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("value", "errors"),
    [
        ("[1, [2]]", {"a[1]": [NUMBER]}),
        ("[[1], 2]", {"a[0]": [NUMBER]}),
        ('[1, "2", null, true, {"x": 1}]', {f"a[{i}]": [NUMBER] for i in (1, 3, 4)}),
        ("[9007199254740993]", {"a[0]": [EXACTLY]}),
        ("5", {"a": ["must be a list of values"]}),
        ("{}", {"a": ["must be a list of values"]}),
    ],
)
def test_a_wrong_vector_is_refused_by_place(value: str, errors: dict[str, list[str]]) -> None:
    """Each wrong number of a list is named by its place."""
    with pytest.raises(Invalid) as caught:
        vector(Document(f'{{"a": {value}}}'.encode()).column("a"))

    assert caught.value.errors == errors


def test_wrong_named_rows_are_refused_by_row_and_column() -> None:
    """Rows that are not objects or lack a column are each named, and so is each cell that is no number; other columns are not read."""
    ragged = [{"x": 1, "y": 2, "z": "text"}, 5, {"x": 1}]
    with pytest.raises(Invalid) as caught:
        Document(json.dumps({"a": ragged}).encode()).named("a", ["x", "y"])
    assert caught.value.errors == {"a[1]": ["must be an object by column name like the other rows"], "a[2].y": ["is missing"]}

    wrong = [{"x": 1, "y": 2, "z": "text"}, {"x": MARKER, "y": [1]}, {"x": 2**60, "y": True}]
    with pytest.raises(Invalid) as caught:
        matrix_of(Document(json.dumps({"a": wrong}).encode()).named("a", ["x", "y"]))
    assert caught.value.errors == {"a[1].x": [NUMBER], "a[1].y": [NUMBER], "a[2].x": [EXACTLY], "a[2].y": [NUMBER]}


def test_wrong_columns_are_refused_by_name() -> None:
    """Missing columns, columns of another length and columns that are not lists are each named."""

    def errors_of(columns: Any) -> dict[str, list[str]]:
        with pytest.raises(Invalid) as caught:
            matrix_of(Document(json.dumps({"a": columns}).encode()).columns("a", ["x", "y"]))
        return caught.value.errors

    assert errors_of({"x": [1]}) == {"a.y": ["is missing"]}
    assert errors_of([1]) == {"a": ["must be an object of columns by name"]}
    assert errors_of({"x": [1], "y": 5}) == {"a.y": ["must be a list of values"]}
    assert errors_of({"x": [1, 1], "y": [1, "2"]}) == {"a.y[1]": [NUMBER]}
    assert errors_of({"x": [1], "y": [1, 2]}) == {"a.y": ["must have as many values as x, 1"]}


def test_columns_of_no_names_are_an_empty_matrix() -> None:
    """Asking for no columns gives no rows."""
    assert matrix_of(Document(b'{"a": {}}').columns("a", [])).shape == (0, 0)


def test_column_names_come_in_their_order() -> None:
    """The names of an object of columns, or of the first of a list of objects; anything else has none and is refused."""
    document = Document(b'{"o": {"b": [1], "a": [2]}, "l": [{"z": 1, "y": 2}, {"x": 3}], "empty": [], "flat": [1], "n": 5}')

    assert document.column_names("o") == ["b", "a"]
    assert document.column_names("l") == ["z", "y"]
    for name in ("empty", "flat", "n"):
        with pytest.raises(Invalid) as caught:
            document.column_names(name)
        assert caught.value.errors == {name: ["must name its columns: an object of columns, or a list of objects by column name"]}


def test_what_a_member_holds_is_told_without_reading_it() -> None:
    """The kind of a member is told by its first element."""
    document = Document(b'{"o": [{}], "l": [[1]], "e": [], "n": 1, "d": {}}')

    assert [name for name in document.members if document.first_is(name, dict)] == ["o"]
    assert [name for name in document.members if document.first_is(name, list)] == ["l"]
    assert document.options("l", "e") == {"o": [{}], "n": 1, "d": {}}


@pytest.mark.parametrize("rows", [[["x"]] * 1000, [5] * 1000, [[1]] + [[]] * 1000])
def test_the_number_of_errors_is_bounded(rows: list[Any]) -> None:
    """However much is wrong, at most twenty places are named."""
    with pytest.raises(Invalid) as caught:
        matrix_of(Document(json.dumps({"a": rows}).encode()).positional("a", None))
    named = [{"x": "y"}] * 1000
    with pytest.raises(Invalid) as caught_named:
        matrix_of(Document(json.dumps({"a": named}).encode()).named("a", ["x"]))

    assert len(caught.value.errors) == len(caught_named.value.errors) == MOST_ERRORS


def test_missing_numbers_are_nan() -> None:
    """null is read as a missing number, whatever form it comes in; what to do about it is for the schema to say."""
    document = Document(b'{"p": [[1, null]], "n": [{"x1": 1, "x2": null}], "c": {"x1": [1], "x2": [null]}}')
    names = ("x1", "x2")

    for rows in (document.positional("p", None), document.named("n", names), document.columns("c", names)):
        assert bits(rows.numbers(names)) == bits([[1, np.nan]])


def test_text_is_read_as_text() -> None:
    """Columns of text come as they are, beside numbers."""
    document = Document('{"p": [[1, "ä"], [2, "b"]], "n": [{"x1": 1, "x2": "ä"}, {"x1": 2, "x2": "b"}]}'.encode())

    for rows in (document.positional("p", None), document.named("n", ("x1", "x2"))):
        assert (rows.pick(("x2",)), rows.numbers(("x1",)).tolist()) == ({"x2": ["ä", "b"]}, [[1], [2]])


def test_columns_are_picked_by_name() -> None:
    """Columns that stand together are a view, others are taken one by one, and either gives the numbers in the order asked for."""
    matrix = np.arange(6.0).reshape(2, 3)
    rows = Rows(("a", "b", "c"), matrix, 2, lambda _row, name: name)
    together = rows.pick(("b", "c"))

    assert isinstance(together, np.ndarray)
    assert np.shares_memory(together, matrix)
    assert rows.numbers(("c", "a")).tolist() == [[2, 0], [5, 3]]
    assert rows.numbers(()).shape == (2, 0)


def test_shapes_beyond_the_settings_are_too_large() -> None:
    """One row or column more than allowed is refused with the name of the setting."""
    check_shape(5, 3, max_rows=5, max_columns=3)
    with pytest.raises(TooLarge, match="6 rows; PLUMBLINE_MAX_ROWS allows 5"):
        check_shape(6, 3, max_rows=5, max_columns=3)
    with pytest.raises(TooLarge, match="4 columns; PLUMBLINE_MAX_COLUMNS allows 3"):
        check_shape(5, 4, max_rows=5, max_columns=3)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=10))
def test_numbers_go_out_bit_for_bit(numbers: list[float]) -> None:
    """What `dump` writes, the standard library reads back to the same bits, from lists and from arrays."""
    assert bits(json.loads(dump(numbers))) == bits(json.loads(dump(np.array(numbers)))) == bits(numbers)
    assert EXACT == 2**53
