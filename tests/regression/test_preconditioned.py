"""The inverse factor from a float64 factor, against rational inverses and against the factor in double-double."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from service.regression import least_squares
from service.regression.double_double import exact, scale, zeros
from service.regression.moments import Moments
from service.regression.normal_equations import ExactEquations, equations
from service.regression.preconditioned import inverse_factor

Array = NDArray[np.float64]


def rational_inverse(G: list[list[int]]) -> list[list[Fraction]]:
    """By Gauss and Jordan; G is positive definite, so no pivot is zero."""
    m = len(G)
    A = [[Fraction(v) for v in row] + [Fraction(int(i == j)) for j in range(m)] for i, row in enumerate(G)]
    for k in range(m):
        A[k] = [value / A[k][k] for value in A[k]]
        for i in range(m):
            if i != k:
                A[i] = [a - A[i][k] * b for a, b in zip(A[i], A[k], strict=True)]
    return [row[m:] for row in A]


def design(rng: np.random.Generator, n: int, p: int, *, digits: float) -> Array:
    """Columns of a design whose singular values span ``digits`` orders of magnitude, each column times a power of ten."""
    left, _ = np.linalg.qr(rng.normal(size=(n, p)))
    right, _ = np.linalg.qr(rng.normal(size=(p, p)))
    scales: Array = 10.0 ** rng.integers(-9, 9, size=p)
    return left * np.logspace(0, -digits, p) @ right * scales


@pytest.mark.parametrize("spread", [1, 2**8, 2**16])
def test_the_inverse_factor_agrees_with_rational_inverses(spread: int) -> None:
    """Of integer Grams, W W' is G^-1 to 2^-49 of the diagonal, where the plain float64 factor of the worst has lost half its digits."""
    rng = np.random.default_rng(spread)
    worst = plain = 0.0
    for _ in range(20):
        m = int(rng.integers(1, 8))
        X = rng.integers(-(2**12), 2**12, size=(m + 4, m))
        X[:, -1] = X[:, :-1].sum(axis=1) * (spread > 1) + rng.integers(-(2**12), 2**12, size=m + 4) // spread
        G = (X.T @ X).astype(object)
        truth = rational_inverse(G.tolist())
        W = inverse_factor(exact(G.astype(np.float64)))
        assert W is not None
        assert np.array_equal(W, np.triu(W))
        naive = np.linalg.inv(G.astype(np.float64))
        rows = [[Fraction(v) for v in row] for row in W.tolist()]
        for i in range(m):
            square = sum((v * v for v in rows[i]), Fraction(0))
            worst = max(worst, abs(float(square / truth[i][i] - 1)))
            plain = max(plain, abs(float(Fraction(naive[i, i]) / truth[i][i] - 1)))
    assert worst < 2.0**-49
    assert spread < 2**16 or plain > 1e-8


def test_errors_have_13_digits_and_coefficients_every_bit_at_any_size() -> None:
    """40 problems of 16 to 150 columns, condition 1 to 7e6, scales of 1e-9 to 1e9, with ridge and several targets: as elementwise."""
    rng = np.random.default_rng(31)
    conditions = []
    for trial in range(40):
        p, t = int(rng.integers(15, 150 if trial % 4 == 0 else 60)), int(rng.integers(1, 4))
        n = p + int(rng.integers(5, 100))
        X = design(rng, n, p, digits=7.5 * trial / 40)
        Y = rng.normal(size=(n, t)) * 10.0 ** rng.integers(-9, 9, size=t)
        moments = Moments(p, t)
        moments.add(X, Y)
        system = equations(moments, intercept=bool(trial % 2), penalty=[0.0, 0.0, 1e-6, 1e6][trial % 4])
        exactly = ExactEquations(system)
        fits = []
        for kept, inverse, condition in (least_squares._by_blas(system), least_squares._by_elements(system)):  # type: ignore[misc]
            b = least_squares._refined(exactly, kept, inverse, shape=(len(system.exponents), t))
            fits.append(least_squares._fit(system, b, exactly.rss(b).hi, kept=kept, inverse=inverse, condition=condition))
        quick, slow = fits
        errors = [np.linalg.norm(fit.factor.hi, axis=1) for fit in fits]
        assert np.array_equal(quick.coefficients, slow.coefficients)
        assert np.array_equal(quick.rss, slow.rss)
        assert quick.condition == pytest.approx(slow.condition, rel=1e-6)
        np.testing.assert_allclose(errors[0], errors[1], rtol=1e-14)
        conditions.append(slow.condition)
    assert min(conditions) < 3
    assert max(conditions) > 5e6


def test_the_widest_quick_fit_has_the_bits_of_the_elementwise_one() -> None:
    """299 features: the largest number for which the condition is taken from all singular values."""
    rng = np.random.default_rng(299)
    moments = Moments(299, 1)
    moments.add(design(rng, 400, 299, digits=3.0), rng.normal(size=(400, 1)))
    fit = least_squares.solve(moments)
    system = equations(moments, intercept=True)
    kept, inverse, condition = least_squares._by_elements(system)
    slow = system.unscaled(least_squares._refined(ExactEquations(system), kept, inverse, shape=(300, 1)))
    assert np.array_equal(fit.coefficients, slow.hi + slow.lo)
    assert fit.condition == pytest.approx(condition, rel=1e-9)


def test_wide_ill_conditioned_designs_have_accurate_errors_too() -> None:
    """330 columns with a condition of 1e5, where plain float64 errors have 6 digits: 13 digits and more."""
    rng = np.random.default_rng(330)
    moments = Moments(330, 1)
    moments.add(design(rng, 400, 330, digits=5.0), rng.normal(size=(400, 1)))
    fit = least_squares.solve(moments)
    system = equations(moments, intercept=True)
    _, inverse, condition = least_squares._by_elements(system)
    truth = np.linalg.norm(scale(inverse, -system.exponents[:, None]).hi, axis=1)
    np.testing.assert_allclose(np.linalg.norm(fit.factor.hi, axis=1), truth, rtol=1e-13)
    assert fit.condition == pytest.approx(condition, rel=1e-2)


@pytest.mark.parametrize(("share", "aliased"), [(1.0, (20,)), (1e-9, ()), (0.0, (20,))])
def test_what_float64_cannot_start_from_is_left_to_the_elementwise_factor(share: float, aliased: tuple[int, ...]) -> None:
    """A dependent, a nearly dependent and a zero column give None; the fit is then elementwise and names what it leaves out."""
    rng = np.random.default_rng(4)
    X, noise = rng.normal(size=(60, 19)), rng.normal(size=60)
    last = {1.0: X[:, 0] + X[:, 1], 1e-9: X[:, 0] + 1e-9 * noise, 0.0: np.zeros(60)}[share]
    moments = Moments(20, 1)
    moments.add(np.column_stack([X, last]), noise[:, None])
    assert inverse_factor(equations(moments, intercept=True).gram) is None
    assert least_squares.solve(moments).aliased == aliased


def test_low_parts_of_the_gram_count() -> None:
    """G given as hi + lo: lo = 2^-56 moves the inverse of a Gram whose last pivot is 2^-40 in its fifth digit."""
    corner = 2.0**-40
    G = zeros(2, 2)
    G.hi[:] = [[1.0, 1.0], [1.0, 1.0 + corner]]
    G.lo[1, 1] = 2.0**-56
    W = inverse_factor(G)
    assert W is not None
    assert W[1, 1] == pytest.approx(float((Fraction(corner) + Fraction(2.0**-56)) ** -1) ** 0.5, rel=2.0**-49)
