"""Double-double arithmetic against rational numbers."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.regression import double_double as dd
from service.regression import triangular

numbers = st.fractions(min_value=-(10**30), max_value=10**30, max_denominator=10**25)


@given(a=numbers, b=numbers)
def test_operations_lose_at_most_two_units_in_104_bits(a: Fraction, b: Fraction) -> None:
    """Sum, difference, product and quotient of rationals are right to 2^-102 of the inputs' rounding and of the result."""
    x, y = dd.from_fractions([a]), dd.from_fractions([b])
    exact_x, exact_y = dd.to_fraction(x.at(0)), dd.to_fraction(y.at(0))
    assert abs(exact_x - a) <= abs(a) * Fraction(2) ** -104
    results = [
        (dd.add(x, y), exact_x + exact_y),
        (dd.subtract(x, y), exact_x - exact_y),
        (dd.multiply(x, y), exact_x * exact_y),
        *([(dd.divide(x, y), exact_x / exact_y)] if abs(b) > Fraction(1, 10**30) else []),
    ]
    for actual, expected in results:
        assert abs(dd.to_fraction(actual.at(0)) - expected) <= abs(expected) * Fraction(2) ** -101


@given(a=st.fractions(min_value=Fraction(1, 10**25), max_value=10**30, max_denominator=10**25))
def test_square_root_squares_back(a: Fraction) -> None:
    """The square of a root differs from the number by at most 2^-100 of it."""
    root = dd.to_fraction(dd.sqrt(dd.from_fractions([a])).at(0))
    assert abs(root * root - a) <= a * Fraction(2) ** -100


@given(value=st.integers(min_value=-(2**3000), max_value=2**3000))
def test_integers_of_any_length_are_rounded_at_the_104th_bit(value: int) -> None:
    """An integer far beyond float64's range arrives, scaled down by a power of two, with all the digits double-double holds."""
    scaled = dd.from_integers(np.array([value], dtype=object), np.array([-2900]))
    assert (
        abs(dd.to_fraction(scaled.at(0)) - Fraction(value, 2**2900))
        <= abs(Fraction(value, 2**2900)) * Fraction(2) ** -104 + Fraction(2) ** -1000
    )


def test_matmul_sums_in_double_double() -> None:
    """A product whose float64 terms cancel almost wholly is right to 30 digits."""
    a = dd.exact([[1e16, 1.0, -1e16]])
    b = dd.exact([[1.0], [1e-16], [1.0]])
    assert dd.to_fraction(dd.matmul(a, b).at((0, 0))) == Fraction(1e-16)


@pytest.mark.parametrize("m", [1, 7, 40])
def test_cholesky_and_its_inverse_reproduce_the_matrix_to_30_digits(m: int) -> None:
    """R'R is G and R times its inverse is the identity, within 1e-29; solves agree with the inverse."""
    A = np.random.default_rng(m).normal(size=(m + 5, m))
    G = dd.matmul(dd.exact(A.T), dd.exact(A))
    R, independent = triangular.cholesky(G)
    transposed = dd.DoubleDouble(R.hi.T, R.lo.T)
    W = triangular.inverse(R)
    B = dd.exact(A[:3].T)
    assert independent.all()
    assert np.abs(dd.subtract(dd.matmul(transposed, R), G).hi).max() < 1e-28
    assert np.abs(dd.subtract(dd.matmul(R, W), dd.exact(np.eye(m))).hi).max() < 1e-28
    assert np.abs(dd.subtract(dd.matmul(R, triangular.solve(R, B)), B).hi).max() < 1e-28
    assert np.abs(dd.subtract(dd.matmul(transposed, triangular.solve_transposed(R, B)), B).hi).max() < 1e-28


@pytest.mark.parametrize("exponent", [-1074, -1030, -300, 0, 500, 1023, 1500, np.array([[3], [-1500]]), np.array([-40, 1023])])
@pytest.mark.filterwarnings("ignore:(over|under)flow encountered")
def test_scaling_rounds_as_the_c_library_does(exponent: object) -> None:
    """Whether done by products or not, down to subnormal numbers and up to infinity."""
    a = dd.DoubleDouble(np.array([[1 / 3, -5e-324], [1e300, 0.0]]), np.array([[1.8e-17, 0.0], [7e283, -0.0]]))
    scaled = dd.scale(a, exponent)
    for part, expected in zip(scaled, (np.ldexp(a.hi, exponent), np.ldexp(a.lo, exponent)), strict=True):  # type: ignore[call-overload]
        np.testing.assert_array_equal(part.view(np.int64), expected.view(np.int64))
