"""Schemas: what the design is, against plain numpy and exact fractions; what rows must look like; what data decide."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.regression.columns import RowError, RowErrors
from service.regression.frame import Declaration, FrameBuilder
from service.regression.polynomial import PolynomialBasis
from service.regression.schema import Feature, Frame, Schema
from service.regression.terms import Term, TermError, parse_term

NAN = math.nan
HOUSES: dict[str, Any] = {
    "area": [50.0, 75.5, 120.0, 61.25, 99.0],
    "rooms": [2, 3, 5, 2, 4],
    "zip": ["20095", "10115", "80331", "10115", "80331"],
}


def schema_of(data: Mapping[str, Any], **asked: Any) -> Schema:
    asked = {"features": tuple(data), "targets": ("price",)} | asked
    builder = FrameBuilder(Declaration(**asked))
    builder.add(data)
    return builder.schema()


def errors_of(schema: Schema, data: Any, **asked: Any) -> list[RowError]:
    with pytest.raises(RowErrors) as caught:
        schema.design(data, **asked)
    return caught.value.errors


def test_each_feature_is_its_own_term_and_a_category_a_column_but_for_the_reference() -> None:
    """The default design: numbers as they are, an indicator per category, sorted, without the first."""
    schema = schema_of(HOUSES)
    assert schema.column_names == ("area", "rooms", "zip[20095]", "zip[80331]")
    expected = np.column_stack([HOUSES["area"], HOUSES["rooms"], [1, 0, 0, 0, 0], [0, 0, 1, 0, 1]])
    np.testing.assert_array_equal(schema.design(HOUSES), expected)
    assert schema.design(HOUSES).dtype == np.float64
    assert schema.raw_map() is None


def test_terms_replace_the_default() -> None:
    """Products of numbers and of categories, as plain numpy would write them."""
    data = HOUSES | {"lift": ["no", "yes", "yes", "no", "yes"]}
    terms = ("area*rooms", "zip*area", "lift*zip", "lift")
    schema = schema_of(data, terms=terms)
    area, rooms = np.array(HOUSES["area"]), np.array(HOUSES["rooms"], dtype=float)
    zips, lift = np.array(HOUSES["zip"]), np.array(data["lift"]) == "yes"
    expected = {
        "area*rooms": area * rooms,
        "zip[20095]*area": area * (zips == "20095"),
        "zip[80331]*area": area * (zips == "80331"),
        "lift[yes]*zip[20095]": lift & (zips == "20095"),
        "lift[yes]*zip[80331]": lift & (zips == "80331"),
        "lift[yes]": lift,
    }
    assert schema.column_names == tuple(expected)
    np.testing.assert_array_equal(schema.design(data), np.column_stack(list(expected.values())))


def test_a_plain_schema_hands_back_the_very_matrix() -> None:
    """All numeric, each its own term: no copy is made, at any size; in another order of columns, the columns are put right."""
    X = np.arange(12.0).reshape(4, 3)
    schema = schema_of(dict(zip("abc", X.T, strict=True)))
    assert schema.design(X) is X
    assert schema.design(X[:0]).shape == (0, 3)
    huge = np.full((4, 3), 1e308)
    assert schema.design(huge) is huge
    np.testing.assert_array_equal(schema.design(X[:, [2, 0, 1]], names=("c", "a", "b")), X)
    np.testing.assert_array_equal(schema.design({"c": X[:, 2], "a": X[:, 0], "b": X[:, 1], "price": ["?"] * 4}), X)


@given(st.permutations(list(HOUSES)), st.permutations(range(5)))
def test_order_of_columns_and_rows_does_not_matter(columns: list[str], rows: list[int]) -> None:
    """Named columns in any order make the same schema and design bits; rows in any order make the same rows."""
    terms = ("area", "area^2", "zip*area", "zip", "rooms")
    asked: dict[str, Any] = {"features": tuple(HOUSES), "terms": terms}
    schema = schema_of(HOUSES, **asked)
    shuffled = {name: [HOUSES[name][row] for row in rows] for name in columns}
    assert schema_of(shuffled, **asked) == schema
    np.testing.assert_array_equal(schema.design(shuffled), schema.design(HOUSES)[rows])


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.sampled_from("abcd")), min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_chunks_of_any_size_and_order_make_the_same_frame(rows: list[tuple[float, str]], random: Any) -> None:
    """The frame depends on the set of values alone."""
    declaration = Declaration(features=("x", "kind"), targets=("y",), terms=("x", "x^2", "kind"), missing="drop")
    gaps = [*rows, (None, "e"), (1e9, None)]
    whole = FrameBuilder(declaration)
    whole.add({"x": [x for x, _ in rows], "kind": [kind for _, kind in rows]})
    random.shuffle(gaps)
    pieces = FrameBuilder(declaration)
    while gaps:
        size = random.randint(1, len(gaps))
        chunk, gaps = gaps[:size], gaps[size:]
        pieces.add({"x": [x for x, _ in chunk], "kind": [kind for _, kind in chunk]})
    assert pieces.schema() == whole.schema()


def test_data_of_equal_scale_share_a_frame() -> None:
    """A thousand draws from one range make one frame, whatever the draws."""
    frames = []
    for seed in range(20):
        x = np.random.default_rng(seed).uniform(40.0, 190.0, 1000)
        frames.append(schema_of({"area": x}, terms=("area", "area^2")).frame)
    assert frames == [Frame(polynomials={"area": PolynomialBasis(112.0, 128.0, 0.625)})] * 20


TERMS = [
    ("x", "x^2", "x^3"),
    ("x", "x^2", "z", "x*z", "x^2*z"),
    ("x", "x^2", "z", "z^2", "x*z", "x^2*z", "z^2*x", "x^2*z^2"),
    ("x", "x^2", "kind", "kind*x", "kind*x^2"),
    ("x^2",),
    ("x^3", "x*z"),
    ("x", "x^2", "x*z"),
]


@given(st.sampled_from(TERMS), st.booleans(), st.integers(0, 10**6))
def test_the_map_to_the_raw_basis_is_exact(terms: tuple[str, ...], intercept: bool, seed: int) -> None:  # noqa: FBT001
    """For whole numbers, whose design is exact: design = raw columns times the map, in fractions, whatever the terms."""
    draw = np.random.default_rng(seed)
    data = {"x": draw.integers(-50, 90, 12), "z": draw.integers(1000, 1030, 12), "kind": ["a", "b", "c", "a"] * 3}
    schema = schema_of(data, terms=terms, intercept=intercept)
    ones = np.ones((12, int(intercept)))
    design = np.column_stack([ones, schema.design(data)])
    raw = [[Fraction(1)] * int(intercept) for _ in range(12)]
    for column in schema.columns:
        for row in range(12):
            powers = math.prod((Fraction(int(data[name][row])) ** power for name, power in column.powers), start=Fraction(1))
            raw[row].append(powers * all(data[name][row] == category for name, category in column.levels))
    M = schema.raw_map()
    assert M is not None
    exact = [[Fraction(M.hi[i, j]) + Fraction(M.lo[i, j]) for j in range(len(M.hi))] for i in range(len(M.hi))]
    product = [[sum(a * exact[i][j] for i, a in enumerate(row)) for j in range(len(exact))] for row in raw]
    assert [[Fraction(value) for value in row] for row in design.tolist()] == product


def test_polynomials_are_centred_only_where_the_span_stays_the_same() -> None:
    """A term whose lower powers are not there, or an intercept that is not, keeps the feature at powers of x / scale."""
    data = {"x": [10.0, 20.0, 30.0], "z": [1.0, 2.0, 3.0]}
    powers, centred = PolynomialBasis(0.0, 32.0, 0.0), PolynomialBasis(20.0, 16.0, 0.625)
    made = {
        terms: schema_of(data, terms=terms, intercept=intercept).frame.polynomials["x"]
        for terms, intercept in [(("x", "x^2"), True), (("x", "x^3"), True), (("x", "x^2", "x*z"), True), (("x", "x^2", "z"), False)]
    }
    assert list(made.values()) == [centred, powers, powers, powers]


@given(st.sampled_from(TERMS), st.booleans())
def test_a_schema_survives_json(terms: tuple[str, ...], intercept: bool) -> None:  # noqa: FBT001
    """Written as JSON and read again it is equal, and designs the same bits."""
    data = {"x": [0.1, 0.7, 2.3], "z": [1, 2, 3], "kind": ["a", None, "b"]}
    schema = schema_of(data, terms=terms, intercept=intercept, missing="drop", unseen="reference")
    again = Schema.from_dict(json.loads(json.dumps(schema.to_dict())))
    assert again == schema
    np.testing.assert_array_equal(again.training_design(data)[0], schema.training_design(data)[0])


def test_the_document_of_a_schema() -> None:
    """The `schema` member of a version document, whole."""
    schema = schema_of(HOUSES, terms=("area", "area^2", "area*rooms", "rooms", "area^2*rooms", "zip"), unseen="reference")
    assert schema.to_dict() == {
        "features": [{"name": "area", "type": "numeric"}, {"name": "rooms", "type": "numeric"}, {"name": "zip", "type": "categorical"}],
        "terms": ["area", "area^2", "area*rooms", "rooms", "area^2*rooms", "zip"],
        "targets": ["price"],
        "frame": {
            "intercept": True,
            "missing": "error",
            "unseen": "reference",
            "polynomials": {"area": {"centre": 88.0, "scale": 64.0, "reach": 0.625}},
            "categories": {"zip": ["10115", "20095", "80331"]},
        },
    }


def test_odd_names_are_quoted_in_terms_and_coefficients() -> None:
    """A column may have any name; where it cannot stand bare it stands in backticks."""
    schema = schema_of({"floor area": [1.0, 2.0], "a*b": [3.0, 4.0]})
    assert schema.column_names == ("`floor area`", "`a*b`")
    assert schema.is_plain


def test_numbers_declared_categorical_are_categories() -> None:
    """Zip codes that came as whole numbers, or as floats in a matrix, are the same categories."""
    declaration = Declaration(features=("x", "zip"), targets=("y",), categorical=frozenset({"zip"}))
    matrix = np.array([[1.0, 20095.0], [2.0, 10115.0]])
    schemas = []
    for data in ({"x": [1, 2], "zip": [20095, 10115]}, matrix):
        builder = FrameBuilder(declaration)
        builder.add(data)
        schemas.append(builder.schema())
        np.testing.assert_array_equal(schemas[-1].design(data), [[1.0, 1.0], [2.0, 0.0]])
    assert schemas[0] == schemas[1]
    assert schemas[0].column_names == ("x", "zip[20095]")


def test_missing_values_are_errors_by_row_and_column() -> None:
    """Under "error", training and prediction alike name each gap."""
    schema = schema_of(HOUSES)
    gaps = {"area": [1.0, NAN, 2.0], "rooms": [None, 1, 2], "zip": ["10115", "10115", None]}
    expected = [RowError(1, "area", "is missing"), RowError(0, "rooms", "is missing"), RowError(2, "zip", "is missing")]
    assert errors_of(schema, gaps) == expected
    with pytest.raises(RowErrors) as caught:
        schema.training_design(gaps)
    assert caught.value.errors == expected


def test_missing_rows_are_dropped_in_training_where_asked_but_never_in_prediction() -> None:
    """Under "drop", training keeps the complete rows and says which; a prediction for a gap is still an error."""
    schema = schema_of(HOUSES, missing="drop")
    gaps = {"area": [50.0, NAN, 99.0], "rooms": [2, 1, 4], "zip": ["20095", "10115", "80331"]}
    design, kept, _ = schema.training_design(gaps)
    assert kept is not None
    assert kept.tolist() == [True, False, True]
    np.testing.assert_array_equal(design, schema.design(HOUSES)[[0, 4]])
    assert schema.training_design(HOUSES)[1] is None
    assert errors_of(schema, gaps) == [RowError(1, "area", "is missing")]


def test_unseen_categories_are_errors_or_the_reference() -> None:
    """A category that training has not seen is named by row, or predicted as the reference where that was asked."""
    new = {"area": [1.0, 1.0], "rooms": [1, 1], "zip": ["99999", "10115"]}
    assert errors_of(schema_of(HOUSES), new) == [RowError(0, "zip", "is a category that training has not seen")]
    design = schema_of(HOUSES, unseen="reference").design(new)
    np.testing.assert_array_equal(design[0], design[1])


def test_rows_that_do_not_fit_are_refused_by_row_and_column() -> None:
    """Absent columns, wrong types, uneven lengths, gaps in matrices: each by name, at most 20."""
    schema = schema_of(HOUSES)
    plain = schema_of({"a": [1.0], "b": [2.0]})
    assert errors_of(schema, {"area": [1.0]}) == [RowError(None, "rooms", "is missing"), RowError(None, "zip", "is missing")]
    assert errors_of(schema, {"area": ["x"], "rooms": [True], "zip": ["10115"]}) == [
        RowError(0, "area", "must be a number"),
        RowError(0, "rooms", "must be a number"),
    ]
    assert errors_of(schema, HOUSES | {"zip": ["10115"]}) == [RowError(None, "zip", "has 1 rows where area has 5")]
    found = [RowError(1, "a", "must be a finite number"), RowError(0, "b", "is missing")]
    assert errors_of(plain, np.array([[1.0, NAN], [math.inf, 2.0]])) == found
    width = RowError(None, "instances", "each row must be the 2 numbers a, b, but has 3 numbers")
    assert errors_of(plain, np.zeros((2, 3))) == [width]
    assert errors_of(plain, np.zeros(3)) == [width._replace(message="each row must be the 2 numbers a, b, but has another shape")]
    assert errors_of(plain, np.zeros((1, 2)), names=("a", "c")) == [RowError(None, "b", "is missing")]
    assert len(errors_of(plain, np.full((50, 2), NAN))) == 20


def test_a_product_beyond_float64_is_refused_by_row_and_term() -> None:
    """No infinity and no NaN ever reaches the model."""
    schema = schema_of({"a": [1.0, 2.0], "b": [3.0, 4.0]}, terms=("a*b", "a", "a^2", "a^2*b"), intercept=False)
    message = "is beyond the range of float64"
    assert errors_of(schema, {"a": [1.0, 1e200], "b": [1.0, 1e200]}) == [RowError(1, name, message) for name in ("a*b", "a^2", "a^2*b")]


def test_an_intercept_alone_has_an_empty_design() -> None:
    """No terms, or a category that has one value only: no columns, and as many rows as came in."""
    assert schema_of({"a": [1.0, 2.0]}, terms=()).design({"a": [1.0, 2.0]}).shape == (2, 0)
    assert schema_of({"a": ["x", "x"]}).design({"a": ["x"]}).shape == (1, 0)


def test_a_builder_knows_when_no_row_can_change_the_schema() -> None:
    """Plain numbers are settled by the first chunk, so one pass over the data is enough; categories and polynomials need them all."""
    chunk = {"x": [1.0], "kind": ["a"]}
    settled = {}
    for features, terms in ((("x",), None), (("x", "kind"), None), (("x",), ("x", "x^2")), (("x", "y"), None)):
        builder = FrameBuilder(Declaration(features=features, targets=("t",), terms=terms))
        builder.add(chunk | {"y": [None]})
        settled[features, terms] = builder.settled
    assert list(settled.values()) == [True, False, False, False]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"features": ()}, "a schema needs a feature and a target: name at least one of each"),
        ({"targets": ()}, "a schema needs a feature and a target: name at least one of each"),
        ({"features": ("x", "y")}, "features and targets (x, y, y) need names, each another: rename or leave one out"),
        ({"features": ("x", "")}, "features and targets (x, , y) need names, each another: rename or leave one out"),
        ({"categorical": frozenset({"q"})}, "categorical names q: pass names of features, x, kind"),
        ({"terms": ("x", "z")}, "term 'z', position 0: no feature is called 'z': use one of x, kind"),
        ({"terms": ("x*",)}, "term 'x*', position 2: the name of a feature is expected here"),
        ({"terms": ("x", "x")}, "term 'x' is there twice: leave one out"),
        ({"terms": ("x*kind", "kind*x")}, "term 'kind*x' is there twice: leave one out"),
        ({"terms": ("x*kind^2",)}, "term 'x*kind^2', position 2: kind is categorical and has no powers: write it once"),
        ({"missing": "mean"}, "a policy is 'mean': pass one of error, drop"),
        ({"unseen": "mean"}, "a policy is 'mean': pass one of error, reference"),
    ],
)
def test_declarations_that_cannot_be_are_refused(asked: dict[str, Any], message: str) -> None:
    """Every contradiction says what to pass."""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        schema_of({"x": [1.0, 2.0], "kind": ["a", "b"]}, **({"targets": ("y",)} | asked))


def test_a_feature_named_intercept_cannot_stand_beside_the_intercept() -> None:
    """Coefficients have one name each."""
    with pytest.raises(ValueError, match="two coefficients would have one name"):
        schema_of({"intercept": [1.0]})
    assert schema_of({"intercept": [1.0]}, intercept=False).column_names == ("intercept",)


def test_columns_without_values_or_of_two_kinds_are_refused() -> None:
    """A feature that is all missing has no type; one that is text in one chunk and numbers in another has two."""
    for data, asked in (
        ({"x": [None, NAN]}, {}),
        ({"x": [None]}, {"categorical": frozenset({"x"})}),
        ({"x": [1.0], "z": [None]}, {"missing": "drop", "terms": ("x^2", "z")}),
    ):
        with pytest.raises(RowErrors) as caught:
            schema_of(data, **asked)
        assert {error.message for error in caught.value.errors} == {"has no values: leave it out or fill it in"}
    with pytest.raises(RowErrors, match=re.escape("x[1]: must be a finite number")):
        schema_of({"x": [1.0, math.inf]}, terms=("x", "x^2"))
    builder = FrameBuilder(Declaration(features=("x",), targets=("y",)))
    builder.add({"x": [1.0]})
    with pytest.raises(RowErrors, match="x: holds text in some rows and numbers in others: make them one kind, or declare it categorical"):
        builder.add({"x": ["a"]})


TEXT: dict[str, Any] = {"features": (Feature("x", "categorical"),), "terms": ()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frame": Frame(categories={"x": ("a",)})}, "the frame must list the categories of each categorical feature and of no other"),
        ({"frame": Frame()}, "the frame must hold a polynomial basis of each feature that stands to a power above 1, and of none"),
        (
            {"frame": Frame(intercept=False, polynomials={"x": PolynomialBasis(1.0, 1.0, 1.0)})},
            "the polynomial of x lacks lower powers: pass centre 0 and reach 0, or name them",
        ),
        (
            {"features": (Feature("x", "categorical"),), "terms": (), "frame": Frame(categories={"x": ("b", "a")})},
            "must be at least one, sorted",
        ),
        ({"features": (Feature("x", "categorical"),), "terms": (), "frame": Frame(categories={"x": ()})}, "must be at least one, sorted"),
    ],
)
def test_frames_that_contradict_the_schema_are_refused(change: dict[str, Any], message: str) -> None:
    """A stored or borrowed frame is checked against the features and terms it is to serve."""
    base = Schema(
        (Feature("x", "numeric"),), (parse_term("x"), parse_term("x^2")), ("y",), Frame(polynomials={"x": PolynomialBasis(1.0, 1.0, 1.0)})
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        replace(base, **change)


@pytest.mark.parametrize("document", [{}, {"frame": None}, {"features": [1], "terms": [], "targets": [], "frame": {}}])
def test_documents_that_are_no_schema_are_refused(document: dict[str, Any]) -> None:
    """A manifest of another kind is a ValueError, not a crash."""
    with pytest.raises(ValueError, match="this is no schema: "):
        Schema.from_dict(document)


def test_a_term_of_a_stored_schema_is_checked_against_its_features() -> None:
    """A term about a feature that is not there is refused with its position."""
    with pytest.raises(TermError, match="no feature is called 'q'"):
        Schema((Feature("x", "numeric"),), (Term((("q", 1),)),), ("y",), Frame())
