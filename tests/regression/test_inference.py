"""Inference against textbook formulas on the rows themselves, which moments never see again."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from service.regression import inference
from service.regression.least_squares import Fit, solve
from service.regression.moments import Moments

Array = NDArray[np.float64]
RNG = np.random.default_rng(11)
X = RNG.normal(size=(60, 3)) * [1.0, 20.0, 0.3] + [5.0, -100.0, 2.0]
Y = np.column_stack([X @ [1.0, 0.2, -4.0], X @ [0.0, 0.1, 1.0]]) + RNG.normal(size=(60, 2)) * [2.0, 0.1]


def fitted(X: Array = X, Y: Array = Y, **options: bool) -> Fit:
    moments = Moments(X.shape[1], Y.shape[1])
    moments.add(X, Y)
    return solve(moments, **options)


@pytest.mark.parametrize("intercept", [True, False])
def test_the_summary_is_the_textbook_one(*, intercept: bool) -> None:
    """Errors, tests, intervals, R2, F, likelihood and criteria equal those computed from the rows, for two targets."""
    design = np.column_stack([np.ones(60), X]) if intercept else X
    b = np.linalg.lstsq(design, Y, rcond=None)[0]
    residuals = Y - design @ b
    rank, dof, first = design.shape[1], 60 - design.shape[1], int(intercept)
    rss = (residuals**2).sum(axis=0)
    tss = ((Y - Y.mean(axis=0) * first) ** 2).sum(axis=0)
    error = np.sqrt(np.diag(np.linalg.inv(design.T @ design))[:, None] * rss / dof)
    f = ((tss - rss) / (rank - first)) / (rss / dof)
    likelihood = stats.norm.logpdf(residuals, scale=np.sqrt(rss / 60)).sum(axis=0)
    expected = {
        "std_error": error,
        "t": b / error,
        "p": 2 * stats.t.sf(np.abs(b / error), dof),
        "lower": b - stats.t.ppf(0.95, dof) * error,
        "upper": b + stats.t.ppf(0.95, dof) * error,
        "residual_std": np.sqrt(rss / dof),
        "r2": 1 - rss / tss,
        "adjusted_r2": 1 - (rss / dof) / (tss / (60 - first)),
        "f": f,
        "f_p": stats.f.sf(f, rank - first, dof),
        "log_likelihood": likelihood,
        "aic": 2 * (rank + 1) - 2 * likelihood,
        "bic": np.log(60) * (rank + 1) - 2 * likelihood,
    }
    summary = inference.summary(fitted(intercept=intercept), level=0.9)
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(summary, name), value, rtol=1e-8, atol=1e-300, err_msg=name)


@pytest.mark.parametrize("intercept", [True, False])
def test_leverage_and_intervals_are_those_of_the_hat_matrix(*, intercept: bool) -> None:
    """Leverages of the training rows are the hat matrix's diagonal and sum to the rank; intervals follow from them."""
    fit = fitted(intercept=intercept)
    design = np.column_stack([np.ones(60), X]) if intercept else X
    hat = np.diag(design @ np.linalg.solve(design.T @ design, design.T))
    leverage = inference.leverage(fit, X)
    np.testing.assert_allclose(leverage, hat, rtol=1e-10)
    assert leverage.sum() == pytest.approx(fit.rank)
    predictions = design @ fit.coefficients
    s, quantile = np.sqrt(fit.rss / fit.dof), stats.t.ppf(0.995, fit.dof)
    given = inference.intervals(fit, X, predictions, level=0.99)
    np.testing.assert_allclose(given.std_error, s * np.sqrt(hat)[:, None], rtol=1e-9)
    np.testing.assert_allclose(given.mean_lower, predictions - quantile * s * np.sqrt(hat)[:, None], rtol=1e-9)
    np.testing.assert_allclose(given.mean_upper, predictions + quantile * s * np.sqrt(hat)[:, None], rtol=1e-9)
    np.testing.assert_allclose(given.lower, predictions - quantile * s * np.sqrt(1 + hat)[:, None], rtol=1e-9)
    np.testing.assert_allclose(given.upper, predictions + quantile * s * np.sqrt(1 + hat)[:, None], rtol=1e-9)


def test_extrapolation_begins_at_the_chi_squared_quantile_of_the_mahalanobis_distance() -> None:
    """Rows just inside and just outside of the ellipsoid, along a random direction, are told apart; training rows are inside."""
    fit = fitted()
    covariance, mean = np.cov(X.T), X.mean(axis=0)
    direction = np.array([1.0, -3.0, 0.5])
    radius = np.sqrt(stats.chi2.ppf(0.9999, 3) / (direction @ np.linalg.solve(covariance, direction)))
    rows = mean + np.array([[0.0], [0.999], [1.001], [-1.001], [1e6]]) * radius * direction
    assert inference.extrapolating(fit, rows).tolist() == [False, False, True, True, True]
    assert not inference.extrapolating(fit, X).any()


def test_contributions_add_up_to_the_prediction() -> None:
    """The baseline is the prediction at the training means; with the columns' parts it makes each row's prediction."""
    fit = fitted()
    baseline, parts = inference.contributions(fit, X)
    np.testing.assert_allclose(baseline, Y.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(baseline + parts.sum(axis=1), np.column_stack([np.ones(60), X]) @ fit.coefficients, rtol=1e-12)
    np.testing.assert_allclose(parts.mean(axis=0), 0.0, atol=1e-12)
    assert parts.shape == (60, 3, 2)


def test_leverage_does_not_cancel_far_from_the_origin() -> None:
    """Columns whose mean is 1e9 times their spread have the leverages of the same columns about zero."""
    centred = RNG.integers(-8, 9, size=(40, 2)).astype(np.float64)
    y = RNG.normal(size=(40, 1))
    far = inference.leverage(fitted(centred + 1e9, y), centred + 1e9)
    np.testing.assert_allclose(far, inference.leverage(fitted(centred, y), centred), rtol=1e-6)


def test_what_the_data_cannot_give_is_nan() -> None:
    """No rows to spare: no errors, tests or intervals. An aliased column: none for it. A perfect fit: errors of 0, no tests."""
    full = inference.summary(fitted(X[:4], Y[:4]))
    assert np.isnan([full.std_error, full.t, full.p, full.lower, full.upper]).all()
    assert np.isnan([full.residual_std, full.adjusted_r2, full.f, full.f_p]).all()
    assert np.isnan(inference.intervals(fitted(X[:4], Y[:4]), X[:2], Y[:2]).lower).all()
    aliased = inference.summary(fitted(np.column_stack([X, X[:, 0]])))
    assert np.isnan(aliased.std_error).tolist() == [[False] * 2] * 4 + [[True] * 2]
    perfect = inference.summary(fitted(X[:, :1].round(), 3 * X[:, :1].round() + 1))
    assert perfect.std_error.tolist() == [[0.0], [0.0]]
    assert (perfect.lower.tolist(), perfect.upper.tolist(), perfect.r2.tolist()) == ([[1.0], [3.0]], [[1.0], [3.0]], [1.0])
    assert np.isnan([*perfect.t.ravel(), *perfect.p.ravel(), *perfect.f, *perfect.f_p, *perfect.aic, *perfect.bic]).all()
    constant = inference.summary(fitted(X, np.ones((60, 1))))
    assert np.isnan(constant.r2).all()


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_a_level_is_a_share(level: float) -> None:
    """A level outside of (0, 1) is refused, and the error says what was expected."""
    with pytest.raises(ValueError, match=r"expected a share between 0 and 1 such as 0.95"):
        inference.summary(fitted(), level=level)
