"""Rows for training: every form gives the same numbers, and what is wrong is named by row and column."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import Invalid, PlumblineError, TooLarge, Unreadable, UnsupportedMedia
from service.regression.moments import Moments
from service.training.framing import build_schema
from service.training.memory import Memory
from service.training.sources import Chosen, Limits
from service.training.tables import BATCH_ROWS
from service.training.train import accumulate, design_of
from tests.training.rooms import open_source

LIMITS = Limits(1000, 10)
MARKER = "zebra-payload"


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """Where a request body lies."""
    return tmp_path / "body"


def read(
    path: Path, data: str | bytes, media_type: str = "text/csv", limits: Limits = LIMITS, **given: Any
) -> tuple[Chosen, np.ndarray, np.ndarray]:
    """The columns chosen, features and targets of a body, as a training on numbers takes them."""
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    source, _ = open_source(path, media_type, given, limits)
    batches = list(source.batches())
    parts = [[rows.numbers(names) for rows in batches] for names in (source.chosen.features, source.chosen.targets)]
    x, y = (
        np.vstack(part) if part else np.zeros((0, len(names)))
        for part, names in zip(parts, (source.chosen.features, source.chosen.targets), strict=True)
    )
    return source.chosen, x, y


def trained(path: Path, data: str | bytes, media_type: str, limits: Limits, given: dict[str, Any]) -> None:
    """A whole training on a body."""
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    source, options = open_source(path, media_type, given, limits)
    schema, batches = build_schema(source, options)
    accumulate(Memory(Moments(len(schema.columns), len(schema.targets))), (design_of(rows, schema, source.chosen) for rows in batches))


def refusal(path: Path, data: Any, media_type: str = "text/csv", limits: Limits = LIMITS, **given: Any) -> Any:
    """The errors by path of a body that is refused as invalid, or the error itself; nothing of a marked payload is repeated."""
    text = data if isinstance(data, str | bytes) else json.dumps(data)
    with pytest.raises(PlumblineError) as caught:
        trained(path, text, "application/json" if not isinstance(data, str | bytes) else media_type, limits, given)
    assert MARKER not in str(caught.value)
    assert MARKER not in str(getattr(caught.value, "errors", ""))
    return caught.value.errors if isinstance(caught.value, Invalid) else caught.value


# -- JSON --------------------------------------------------------------------------------------------------------------

NAMED = {"b": [1.5, 2, 3], "y": [10, 20, 30], "a": [4, 5, 6]}
ROWS = [dict(zip(NAMED, row, strict=True)) for row in zip(*NAMED.values(), strict=True)]


@pytest.mark.parametrize(
    ("document", "schema", "x", "y"),
    [
        ({"instances": [[1, 2], [3, 4]], "targets": [5, 6]}, Chosen(("x1", "x2"), ("y",), None), [[1, 2], [3, 4]], [[5], [6]]),
        (
            {"instances": [[1], [3]], "targets": [[5], [6]], "intercept": False},
            Chosen(("x1",), ("y",), None),
            [[1], [3]],
            [[5], [6]],
        ),
        (
            {"instances": [[1], [3]], "targets": [[5, 7], [6, 8]], "features": ["a"]},
            Chosen(("a",), ("y1", "y2"), None),
            [[1], [3]],
            [[5, 7], [6, 8]],
        ),
        ({"instances": ROWS, "target": "y"}, Chosen(("b", "a"), ("y",), None), [[1.5, 4], [2, 5], [3, 6]], [[10], [20], [30]]),
        ({"columns": NAMED, "target": "y"}, Chosen(("b", "a"), ("y",), None), [[1.5, 4], [2, 5], [3, 6]], [[10], [20], [30]]),
        ({"columns": NAMED, "target": ["y", "b"]}, Chosen(("a",), ("y", "b"), None), [[4], [5], [6]], [[10, 1.5], [20, 2], [30, 3]]),
        (
            {"columns": NAMED, "target": "y", "features": ["a", "b"]},
            Chosen(("a", "b"), ("y",), None),
            [[4, 1.5], [5, 2], [6, 3]],
            [[10], [20], [30]],
        ),
        ({"instances": ROWS, "target": "a", "features": "b"}, Chosen(("b",), ("a",), None), [[1.5], [2], [3]], [[4], [5], [6]]),
        (
            {"columns": {**NAMED, "note": ["x"]}, "target": "y", "features": ["a"]},
            Chosen(("a",), ("y",), None),
            [[4], [5], [6]],
            [[10], [20], [30]],
        ),
    ],
)
def test_each_json_form_gives_its_rows(spool: Path, document: dict[str, Any], schema: Chosen, x: Any, y: Any) -> None:
    """Positional, named and columnar data give the features in the order asked for and the targets apart."""
    found = read(spool, json.dumps(document), "application/json")

    assert found[0] == schema
    np.testing.assert_array_equal(found[1], x)
    np.testing.assert_array_equal(found[2], y)


FORMS = {
    "instances": [
        "the data must be given in one of three forms: instances with targets, named instances with target, or columns with target"
    ]
}
NUMBER = ["must be a number"]


@pytest.mark.parametrize(
    ("document", "errors"),
    [
        ({}, FORMS),
        ({"targets": [1]}, FORMS),
        ({"instances": [[1]], "columns": {"a": [1]}}, FORMS),
        ({"columns": {"a": [1]}, "targets": [1]}, FORMS),
        ({"instances": [[1]]}, {"targets": ["is missing: positional instances need targets"]}),
        ({"instances": []}, {"targets": ["is missing: positional instances need targets"]}),
        ({"instances": [[1], [2]], "targets": [1]}, {"targets": ["has 1 rows where instances has 2"]}),
        (
            {"instances": [[1]], "targets": [1], "target": ["y", "z"]},
            {"targets": ["must be a list of 2 numbers for each row: y, z"]},
        ),
        ({"instances": [[1, 2]], "targets": [1], "features": ["a"]}, {"instances[0]": ["has 2 values where 1 are expected"]}),
        ({"instances": [[1]], "targets": [MARKER]}, {"targets[0]": NUMBER}),
        ({"instances": [[1]], "targets": [[MARKER]]}, {"targets[0]": NUMBER}),
        ({"instances": [[1], [2]], "targets": [[1], 2]}, {"targets[1]": ["must be a list of values like the other rows"]}),
        ({"instances": [[[1]], [[2]]], "targets": [1, 2]}, {"instances[0].x1": NUMBER, "instances[1].x1": NUMBER}),
        ({"instances": [[], []], "targets": [1, 2]}, {"instances[0]": ["has no values"], "instances[1]": ["has no values"]}),
        ({"instances": 5, "targets": [1]}, {"instances": ["must be a list of rows"]}),
        ({"columns": NAMED}, {"target": ["is missing: name the target column"]}),
        ({"columns": NAMED, "target": "z"}, {"z": ["is not a column of columns"]}),
        ({"columns": NAMED, "target": "y", "features": ["a", "z"]}, {"z": ["is not a column of columns"]}),
        ({"columns": NAMED, "target": "y", "features": ["a", "y"]}, {"y": ["is a feature and the target or the weights at the same time"]}),
        ({"columns": {"y": [1, 2]}, "target": "y"}, {"features": ["there is no column left to be a feature"]}),
        ({"columns": [], "target": "y"}, {"columns": ["must name its columns: an object of columns, or a list of objects by column name"]}),
        (
            {"columns": {"a": [1, MARKER], "y": [1, 2]}, "target": "y"},
            {"columns.a[1]": ["text and numbers stand in one column: make them one kind, or declare it categorical"]},
        ),
        ({"columns": {"a": [1], "y": [1, 2]}, "target": "y"}, {"columns.y": ["must have as many values as a, 1"]}),
        (
            {"instances": [{"a": 1, "y": 2}, {"a": None, "y": 2}, {"y": 2}], "target": "y"},
            {"instances[2].a": ["is missing"]},
        ),
        (
            {"instances": [{"a": 1, "y": 2}, {"a": None, "y": 2}, {"a": 3, "y": None}], "target": "y"},
            {"instances[2].y": ["must be a finite number"]},
        ),
        (
            {"instances": [{"a": 1, "y": 2}, {"a": None, "y": 2}], "target": "y"},
            {"instances[1].a": ["is missing"]},
        ),
        (
            {"instances": [{"a": 1, "y": 2}, [MARKER]], "target": "y"},
            {"instances[1]": ["must be an object by column name like the other rows"]},
        ),
        ({"instances": [[1]], "targets": [1], "modle": MARKER}, {"modle": ["Unknown field"]}),
        ({"instances": [[1]], "targets": [1], "model": "a/b"}, None),
    ],
)
def test_wrong_json_is_refused_by_place(spool: Path, document: dict[str, Any], errors: dict[str, list[str]] | None) -> None:
    """Whatever is wrong with a body is named where it stands, and never repeated."""
    found = refusal(spool, document)

    assert found == errors if errors is not None else list(found) == ["model"]


def test_a_column_that_stands_twice_is_refused(spool: Path) -> None:
    """A name with two meanings is no name, in rows and in columns."""
    assert isinstance(refusal(spool, b'{"columns": {"a": [1], "a": [2], "y": [3]}, "target": "y"}', "application/json"), Unreadable)
    assert refusal(spool, b'{"instances": [{"a": 1, "a": 2, "y": 3}], "target": "y"}', "application/json") == {
        "a": ["stands twice in instances"]
    }


def test_options_of_a_json_body_stand_in_it(spool: Path) -> None:
    """An option in the query of a JSON body is refused, so that none is silently ignored."""
    assert refusal(spool, {"instances": [[1]], "targets": [1]}, model="m") == {"model": ["belongs in the JSON body, not in the query"]}


@pytest.mark.parametrize("media_type", ["", "application/xml", "text/plain", "application/x-www-form-urlencoded"])
def test_another_media_type_is_not_read(spool: Path, media_type: str) -> None:
    """Only JSON and CSV are read here, and the text says so."""
    error = refusal(spool, b"a,y\n1,2\n", media_type)

    assert isinstance(error, UnsupportedMedia)
    assert "application/json or one of text/csv" in str(error)


# -- CSV ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "features", "x", "y"),
    [
        ("a,y\n1,2\n3,4\n", ("a",), [[1], [3]], [[2], [4]]),
        ("a,y\n1,2\n3,4", ("a",), [[1], [3]], [[2], [4]]),
        ("a,y\n1,2\n\n\n", ("a",), [[1]], [[2]]),
        ("\ufeffa,y\n1,2\n", ("a",), [[1]], [[2]]),
        ("a,y\r\n1,2\r\n3,4\r\n", ("a",), [[1], [3]], [[2], [4]]),
        ("y,b,a\n2,1,3\n", ("b", "a"), [[1, 3]], [[2]]),
        ('"a","y"\n1,2\n', ("a",), [[1]], [[2]]),
        ('"a, in m²",y\n"1.5","2"\n', ("a, in m²",), [[1.5]], [[2]]),
        ('"say ""a""",y\n1,2\n', ('say "a"',), [[1]], [[2]]),
        ("floor area,y\n1,2\n", ("floor area",), [[1]], [[2]]),
        (" a ,y\n 1,2\n", (" a ",), [[1]], [[2]]),
        ("a,y\n+1,-2e3\n1e-310,.5\n", ("a",), [[1], [1e-310]], [[-2000], [0.5]]),
        ("a,y\n", ("a",), np.zeros((0, 1)), np.zeros((0, 1))),
        ("a,y", ("a",), np.zeros((0, 1)), np.zeros((0, 1))),
    ],
)
def test_a_csv_file_gives_its_rows(spool: Path, data: str, features: tuple[str, ...], x: Any, y: Any) -> None:
    """Quotes, byte order marks, either line end and a missing last one, and names with blanks or commas are read as meant."""
    found = read(spool, data, target="y")

    assert found[0] == Chosen(features, ("y",), None)
    np.testing.assert_array_equal(found[1], x)
    np.testing.assert_array_equal(found[2], y)


def test_columns_that_are_not_asked_for_are_not_read(spool: Path) -> None:
    """Text, empty cells and names that stand twice do no harm in columns that are neither feature nor target."""
    found = read(spool, f"note,a,y,z,z\n{MARKER},1,2,,x\n,3,4,,\n", features=["a"], target=["y"], intercept="false")

    assert found[0] == Chosen(("a",), ("y",), None)
    assert (found[1].tolist(), found[2].tolist()) == ([[1], [3]], [[2], [4]])


def test_targets_come_in_the_order_asked_for(spool: Path) -> None:
    """Several targets stand as they were named, not as the file has them."""
    found = read(spool, "b,a,c\n1,2,3\n", target=["c", "b"])

    assert (found[0].targets, found[1].tolist(), found[2].tolist()) == (("c", "b"), [[2]], [[3, 1]])


FINITE, MISSING = ["must be a finite number"], ["is missing"]


@pytest.mark.parametrize(
    ("data", "errors"),
    [
        ("a,y\n1,2\n,4\n", {"row 2, column a": MISSING}),
        ('a,y\n1,2\n"",4\n', {"row 2, column a": MISSING}),
        (f"a,y\n1,2\n3,{MARKER}\n", {"row 2, column y": NUMBER}),
        ("a,y\n1,2\n3,4e5e\n", {"row 2, column y": NUMBER}),
        ("a,y\nNaN,1\n2,3\n", {"row 1, column a": MISSING}),
        ("a,y\n1,NaN\n2,inf\n", {"row 1, column y": FINITE, "row 2, column y": FINITE}),
        ("a,y\n1e400,2\n", {"row 1, column a": FINITE}),
        ("a,y\n1,true\n", {"row 1, column y": NUMBER}),
        ("a,y\n1,1_000\n2,0x10\n", {"row 1, column y": NUMBER, "row 2, column y": NUMBER}),
        ("a,b,y\n1,2,3\n4,5\n", {"row 2, column y": FINITE}),
        ("a,y\n1,2\n\n3,4\n", {"row 2, column y": FINITE}),
        ("a,b\n1,2\n", {"y": ["is not a column of the file"]}),
        ("a, y\n1,2\n", {"y": ["is not a column of the file"]}),
        ("a;y\n1;2\n", {"y": ["is not a column of the file"]}),
        ("a,a,y\n1,2,3\n", {"a": ["stands twice in the file"]}),
        ("a,y,y\n1,2,3\n", {"y": ["stands twice in the file"]}),
        ("y\n1\n", {"features": ["there is no column left to be a feature"]}),
    ],
)
def test_a_wrong_csv_file_is_refused_by_row_and_column(spool: Path, data: str, errors: dict[str, list[str]]) -> None:
    """Cells that are empty, not numbers or not finite are named by row, counted from 1 after the header, and column."""
    assert refusal(spool, data, target="y") == errors


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("a,y\n1,2,3\n", "every line must have as many fields as the header"),
        (f"a,y\n1,2\n3,{MARKER},5\n", "every line must have as many fields as the header"),
        ("", "are empty; the first line must name the columns"),
        ("\n\na,y\n1,2\n", "are empty; the first line must name the columns"),
        (b"\xff,y\n1,2\n", "are not UTF-8"),
        (b"\x1f\x8b\x08\x00\xff\xff", "are not UTF-8"),
    ],
)
def test_what_is_no_csv_file_is_unreadable(spool: Path, data: str | bytes, text: str) -> None:
    """Lines with too many fields, an empty file and other encodings are told as such."""
    error = refusal(spool, data, target="y")

    assert isinstance(error, Unreadable)
    assert text in str(error)


def test_an_endless_header_is_too_large(spool: Path) -> None:
    """A file without line ends is not read into memory to look for its header."""
    assert isinstance(refusal(spool, "a" * 1_000_001, target="y"), TooLarge)


def test_the_target_of_a_csv_file_must_be_named(spool: Path) -> None:
    """Without a target there is nothing to train for."""
    assert refusal(spool, "a,y\n1,2\n") == {"target": ["is missing: name the target column"]}


@pytest.mark.parametrize("name", ["data[1].csv", "data*.csv", "data?.csv"])
def test_a_file_is_the_one_named(tmp_path: Path, name: str) -> None:
    """A name that would be a pattern elsewhere names one file here."""
    (tmp_path / "data1.csv").write_text("a,y\n9,9\n")

    assert read(tmp_path / name, "a,y\n1,2\n", target="y")[1].tolist() == [[1]]


def test_rows_are_counted_across_batches(spool: Path) -> None:
    """The number of a wrong row is its place in the file, however many batches lie before it; batches keep the file's order."""
    rows = 2 * BATCH_ROWS + 5
    lines = [f"{i},{-i}" for i in range(rows)]
    _, x, y = read(spool, "a,y\n" + "\n".join(lines) + "\n", limits=Limits(rows, 2), target="y")
    np.testing.assert_array_equal(x[:, 0], np.arange(rows))
    np.testing.assert_array_equal(y[:, 0], -np.arange(rows))

    lines[rows - 2] = "?,?"
    wrong = refusal(spool, "a,y\n" + "\n".join(lines) + "\n", limits=Limits(rows, 2), target="y")

    assert wrong == {f"row {rows - 1}, column y": FINITE}


def test_limits_hold_for_every_form(spool: Path) -> None:
    """A row or a column beyond the limits is refused with the name of the setting, in JSON and in CSV."""
    table = {"instances": [[1, 2]] * 3, "targets": [1, 2, 3]}
    text = "a,b,y\n1,2,3\n1,2,3\n4,5,6\n"
    read(spool, text, limits=Limits(3, 3), target="y")
    read(spool, json.dumps(table), "application/json", Limits(3, 3))

    for data in (table, text):
        given = {} if isinstance(data, dict) else {"target": "y"}
        assert "PLUMBLINE_MAX_ROWS allows 2" in str(refusal(spool, data, limits=Limits(2, 3), **given))
        assert "PLUMBLINE_MAX_COLUMNS allows 2" in str(refusal(spool, data, limits=Limits(3, 2), **given))


@given(st.lists(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3), min_size=1, max_size=20))
def test_csv_numbers_come_in_bit_for_bit(tmp_path_factory: pytest.TempPathFactory, rows: list[list[float]]) -> None:
    """What the standard library writes as the shortest decimal is read back to the same float64."""
    path = tmp_path_factory.mktemp("csv") / "body"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["a", "b", "y"], *rows])
    source, _ = open_source(path, "text/csv", {"target": "y"}, LIMITS)
    (batch,) = source.batches()

    assert batch.numbers(("a", "b", "y")).tobytes() == np.array(rows).tobytes()
