"""The polynomial basis against exact fractions: its values, its condition, and the way back to powers of x."""

import csv
import json
import math
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from service.regression.frame import Declaration, FrameBuilder
from service.regression.polynomial import PolynomialBasis, basis_for, expansion, polynomials, product

NIST = Path(__file__).parents[3] / "shared" / "nist"
NUMBERS = st.floats(-1e9, 1e9, allow_subnormal=False)


@given(NUMBERS, NUMBERS, st.integers(1, 10), st.booleans())
def test_each_value_is_the_exact_polynomial_rounded_once(low: float, high: float, degree: int, centred: bool) -> None:  # noqa: FBT001
    """p[k] of x in float64 is the nearest float64 to the exact value, but for cancellation below 2^-90 of the largest."""
    low, high = sorted((low, high))
    basis = basis_for(low, high, centred=centred)
    x = np.array([low, high, low / 2 + high / 2, low + (high - low) / 3])
    chain = polynomials(x, basis, degree=degree)
    for k, column in enumerate(chain, start=1):
        for value, found in zip(x, column.hi, strict=True):
            exact = sum(c * Fraction(float(value)) ** j for j, c in enumerate(expansion(k, basis)))
            assert abs(Fraction(float(found)) - exact) <= abs(exact) * Fraction(2) ** -53 + Fraction(2) ** -90


@given(NUMBERS, NUMBERS)
def test_the_basis_covers_the_data_with_short_constants(low: float, high: float) -> None:
    """|t| stays within the reach and a sixteenth; centre and reach are whole eighths of the scale."""
    low, high = sorted((low, high))
    assume(low == high or high - low > 1e-290)  # a scale is a normal float64: narrower ranges have the smallest
    basis = basis_for(low, high, centred=True)
    t = [(Fraction(value) - Fraction(basis.centre)) / Fraction(basis.scale) for value in (low, high)]
    if low == high:
        assert (basis.centre, basis.reach) == (0.0, 0.0)
        assert abs(t[0]) <= 1
    else:
        assert 0.625 <= basis.reach <= 1
        assert max(map(abs, t)) <= Fraction(basis.reach) + Fraction(1, 16)
        assert (t[1] - t[0]) / 2 > Fraction(basis.reach) - Fraction(1, 8)
        # up to the rounding of a centre that needs more than 53 bits
        assert (Fraction(basis.centre) * 8 / Fraction(basis.scale)).denominator == 1


@given(st.floats(-1e-300, 1e-300), st.floats(-1e308, 1e308))
def test_ranges_at_the_ends_of_float64_have_a_basis(small: float, large: float) -> None:
    """Neither subnormal nor huge ranges overflow or divide by zero."""
    for low, high in ((-abs(small), abs(small)), (-abs(large), abs(large))):
        basis = basis_for(low, high, centred=True)
        with np.errstate(all="raise", under="ignore"):
            t = polynomials(np.array([low, high]), basis, degree=1)[0].hi
        assert np.all(np.abs(t) <= 2)


def test_whole_numbers_stay_exact() -> None:
    """x = 0 … 20, as in NIST's Wampler sets: every entry to degree 5 is exact, so a perfect fit can be seen to be one."""
    x = np.arange(21.0)
    basis = basis_for(0, 20, centred=True)
    for k, column in enumerate(polynomials(x, basis, degree=5), start=1):
        exact = [sum(c * Fraction(int(value)) ** j for j, c in enumerate(expansion(k, basis))) for value in x]
        assert [Fraction(value) for value in column.hi.tolist()] == exact
        assert not column.lo.any()


def test_reach_zero_is_plain_powers() -> None:
    """Without lower powers beside it, x^k is (x / scale)^k."""
    basis = basis_for(-3.0, 5.0, centred=False)
    assert basis == PolynomialBasis(0.0, 8.0, 0.0)
    assert expansion(3, basis) == [0, 0, 0, Fraction(1, 512)]


@pytest.mark.parametrize(
    ("low", "high", "basis"),
    [
        (-8.781464495, -3.13200249, PolynomialBasis(-6.0, 4.0, 0.75)),
        (0.0, 20.0, PolynomialBasis(10.0, 16.0, 0.625)),
        (1990.0, 2020.0, PolynomialBasis(2004.0, 16.0, 1.0)),
        (-1.0, 1.0, PolynomialBasis(0.0, 1.0, 1.0)),
        (7.0, 7.0, PolynomialBasis(0.0, 8.0, 0.0)),
        (0.0, 0.0, PolynomialBasis(0.0, 1.0, 0.0)),
    ],
)
def test_the_basis_of_known_ranges(low: float, high: float, basis: PolynomialBasis) -> None:
    """The rule, by example."""
    assert basis_for(low, high, centred=True) == basis


@given(st.floats(0.55, 1.0), st.floats(-1, 1), st.integers(2, 10))
def test_the_condition_is_low_wherever_the_data_lie(half: float, middle: float, degree: int) -> None:
    """Up to degree 10, the condition of the scaled design of evenly spread data is below 2,000 for any range."""
    x = np.linspace(middle - half, middle + half, 100)
    columns = [column.hi for column in polynomials(x, basis_for(x[0], x[-1], centred=True), degree=degree)]
    A = np.column_stack([np.ones(100), *columns])
    assert np.linalg.cond(A / np.linalg.norm(A, axis=0)) < 2000


def test_products_of_plain_columns_are_numpys() -> None:
    """One factor is the column itself; two are multiplied; what overflows is not finite, so that it can be refused."""
    a, b = np.array([1.1, -2.3]), np.array([3.7, 1e300])
    assert product([a]) is a
    np.testing.assert_array_equal(product([a, b]), a * b)
    np.testing.assert_array_equal(product([a, a, a]), [float(Fraction(v) ** 3) for v in a.tolist()])
    with np.errstate(all="ignore"):
        assert not np.isfinite(product([b, b, b])[1])


@pytest.mark.parametrize(("centre", "scale", "reach"), [(math.nan, 1.0, 1.0), (0.0, 3.0, 1.0), (0.0, 0.0, 0.0), (0.0, 1.0, 0.7)])
def test_constants_that_are_no_basis_are_refused(centre: float, scale: float, reach: float) -> None:
    """A scale that is no power of two, or a reach that is no eighth, never comes in from a stored frame."""
    with pytest.raises(ValueError, match=re.escape("pass a finite centre, a power of two as scale, and as reach 0 or eighths up to 1")):
        PolynomialBasis(centre, scale, reach)


def solved(G: list[list[Fraction]], c: list[Fraction]) -> list[Fraction]:
    """G b = c by exact elimination."""
    rows = [[*g, value] for g, value in zip(G, c, strict=True)]
    for k, pivot in enumerate(rows):
        for row in rows[:k] + rows[k + 1 :]:
            factor = row[k] / pivot[k]
            row[:] = [a - factor * b for a, b in zip(row, pivot, strict=True)]
    return [row[-1] / row[k] for k, row in enumerate(rows)]


@pytest.mark.skipif(not NIST.is_dir(), reason="NIST's data are not here")
def test_filip_has_a_low_condition_and_its_certified_coefficients_in_the_raw_basis() -> None:
    """NIST's hardest set as terms x … x^10: condition below 1e4 (of 5e9 in powers) and 14 digits after the map to the raw basis."""
    with (NIST / "filip.csv").open() as file:
        rows = [(float(row["x"]), Fraction(float(row["y"]))) for row in csv.DictReader(file)]
    terms = ("x", *(f"x^{k}" for k in range(2, 11)))
    builder = FrameBuilder(Declaration(features=("x",), targets=("y",), terms=terms))
    builder.add({"x": [x for x, _ in rows]})
    schema = builder.schema()
    A = np.column_stack([np.ones(len(rows)), schema.design({"x": [x for x, _ in rows]})])
    assert np.linalg.cond(A / np.linalg.norm(A, axis=0)) < 100
    exact = [[Fraction(value) for value in row] for row in A.tolist()]
    G = [[sum((row[i] * row[j] for row in exact), Fraction(0)) for j in range(11)] for i in range(11)]
    c = [sum((row[i] * y for row, (_, y) in zip(exact, rows, strict=True)), Fraction(0)) for i in range(11)]
    design = [Fraction(float(value)) for value in solved(G, c)]  # as a state_dict holds them
    M = schema.raw_map()
    assert M is not None
    raw = [sum((Fraction(M.hi[i, j]) + Fraction(M.lo[i, j])) * design[j] for j in range(11)) for i in range(11)]
    certified = json.loads((NIST / "certified.json").read_text())["datasets"]["filip"]["coefficients_30digits"]
    digits = [-math.log10(abs(found / Fraction(value) - 1)) for found, value in zip(raw, certified, strict=True)]
    assert min(digits) > 14
