"""The NIST reference datasets, scored in digits against certified values of 30 digits."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest

from service.regression import inference, least_squares, strd
from service.regression.double_double import DoubleDouble, from_fractions
from service.regression.least_squares import Fit
from service.regression.moments import Moments

PLACE = strd.directory()
pytestmark = pytest.mark.skipif(PLACE is None, reason="the NIST data are not here: set NIST_STRD")
DATASETS = {dataset.name: dataset for dataset in strd.load(PLACE)} if PLACE else {}

# What the float64 columns hold: the rest is lost where decimals and powers become binary, before the service sees them.
COEFFICIENT_DIGITS = {
    "norris": 13.9,
    "pontius": 13.4,
    "noint1": 15.0,
    "noint2": 15.0,
    "filip": 7.5,
    "longley": 14.6,
    "wampler1": 15.0,
    "wampler2": 13.1,
    "wampler3": 15.0,
    "wampler4": 15.0,
    "wampler5": 15.0,
}


def fitted(name: str, *, chunk: int = 7) -> Fit:
    dataset = DATASETS[name]
    moments = Moments(dataset.X.shape[1], 1)
    for start in range(0, len(dataset.X), chunk):
        moments.add(dataset.X[start : start + chunk], dataset.y[start : start + chunk])
    return least_squares.solve(moments, intercept=dataset.intercept)


def digits(estimates: np.ndarray, certified: list[Fraction]) -> float:
    return min(strd.lre(estimate, value) for estimate, value in zip(estimates.tolist(), certified, strict=True))


@pytest.mark.parametrize("name", COEFFICIENT_DIGITS)
def test_coefficients_and_errors_reach_the_digits_that_the_data_hold(name: str) -> None:
    """Every coefficient and standard error has the digits promised, from rows that came seven at a time."""
    dataset, fit = DATASETS[name], fitted(name)
    assert fit.aliased == ()
    assert digits(fit.coefficients[:, 0], dataset.coefficients) >= COEFFICIENT_DIGITS[name]
    assert digits(inference.summary(fit).std_error[:, 0], dataset.standard_errors) >= (7.5 if name == "filip" else 13.5)


@pytest.mark.parametrize("name", COEFFICIENT_DIGITS)
def test_statistics_of_the_whole_fit_are_those_certified(name: str) -> None:
    """Residual deviation, R2 (about zero without an intercept) and F agree with the certificate; F is nan where it is infinite."""
    dataset, summary = DATASETS[name], inference.summary(fitted(name))
    enough = 7.0 if name == "filip" else 13.0
    assert strd.lre(summary.residual_std[0], dataset.residual_sd) >= enough
    assert strd.lre(summary.r2[0], dataset.r_squared) >= enough
    if dataset.f_statistic is None:
        assert np.isnan(summary.f[0])
    else:
        assert strd.lre(summary.f[0], dataset.f_statistic) >= min(enough, 12.5)


def shifted_basis(x: np.ndarray, degree: int) -> tuple[np.ndarray, DoubleDouble]:
    """Powers of t = (x - m) / h, m short and h a power of two, and the matrix of their coefficients in powers of x."""
    h = 2.0 ** np.ceil(np.log2((x.max() - x.min()) / 2))
    m = np.rint((x.max() + x.min()) / 2 / h * 64) / 64 * h
    raw = [
        Fraction(comb(k, i)) * Fraction(-m) ** (k - i) / Fraction(h) ** k if i <= k else Fraction(0)
        for i in range(degree + 1)
        for k in range(degree + 1)
    ]
    flat = from_fractions(raw)
    shape = (degree + 1, degree + 1)
    return ((x - m) / h)[:, None] ** np.arange(1, degree + 1), DoubleDouble(flat.hi.reshape(shape), flat.lo.reshape(shape))


@pytest.mark.parametrize(("name", "enough"), [("filip", 14.0), ("wampler5", 15.0), ("wampler1", 15.0), ("pontius", 13.4)])
def test_polynomials_fitted_in_a_shifted_basis_are_reported_in_the_raw_one(name: str, enough: float) -> None:
    """Through the double-double map of coefficients and covariance, Filip gains six digits in both, and nobody loses."""
    dataset = DATASETS[name]
    assert dataset.degree is not None
    T, back = shifted_basis(dataset.X[:, 0], dataset.degree)
    moments = Moments(dataset.degree, 1)
    moments.add(T, dataset.y)
    raw = least_squares.in_basis(least_squares.solve(moments), back)
    assert digits(raw.coefficients[:, 0], dataset.coefficients) >= enough
    assert digits(inference.summary(raw).std_error[:, 0], dataset.standard_errors) >= 13.5
