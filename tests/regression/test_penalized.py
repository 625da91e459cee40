"""Penalised fits against augmented least squares and the conditions that only the optimum meets."""

import exact
import numpy as np
import pytest
from numpy.typing import NDArray

from service.regression import least_squares, strd
from service.regression.moments import Moments
from service.regression.penalized import elastic_net, ridge

Array = NDArray[np.float64]
RNG = np.random.default_rng(12)
X = RNG.normal(size=(80, 6)) * [1.0, 10.0, 0.1, 1.0, 3.0, 1.0] + [0.0, 100.0, 0.0, 1.0, 0.0, 5.0]
Y = np.column_stack([X @ [2.0, 0.0, 5.0, -1.0, 0.0, 0.3], X @ [0.0, 0.1, 0.0, 0.0, 1.0, 0.0]]) + RNG.normal(size=(80, 2))


def learned(X: Array = X, Y: Array = Y) -> Moments:
    moments = Moments(X.shape[1], Y.shape[1])
    moments.add(X, Y)
    return moments


@pytest.mark.parametrize("intercept", [True, False])
def test_ridge_is_least_squares_on_rows_of_the_penalty(*, intercept: bool) -> None:
    """With the integer penalty 4 the coefficients are the rational ones of the data with rows 2 e_j and targets 0 appended."""
    rng = np.random.default_rng(1)
    A, y = rng.integers(-9, 9, size=(12, 3)).astype(np.float64), rng.integers(-9, 9, size=12).astype(np.float64)
    design = np.column_stack([np.ones(12), A]) if intercept else A
    rows = 2.0 * np.eye(design.shape[1])[int(intercept) :]
    truth = exact.least_squares(np.vstack([design, rows]), np.append(y, np.zeros(3)), intercept=False)
    result = ridge(learned(A, y[:, None]), 4.0, intercept=intercept)
    assert min(strd.lre(b, t) for b, t in zip(result.coefficients[:, 0].tolist(), truth, strict=True)) >= 15.0
    hat = design @ np.linalg.solve(design.T @ design + rows.T @ rows, design.T)
    residuals = y - hat @ y
    np.testing.assert_allclose(result.effective_dof, np.trace(hat), rtol=1e-12)
    np.testing.assert_allclose(result.rss, residuals @ residuals, rtol=1e-12)
    np.testing.assert_allclose(result.gcv, 12 * (residuals @ residuals) / (12 - np.trace(hat)) ** 2, rtol=1e-12)
    assert (result.gap.tolist(), result.converged, result.advice()) == ([0.0], True, [])


def test_ridge_of_penalty_zero_is_least_squares_bit_for_bit() -> None:
    """And any penalty, however large or small, makes dependent columns solvable."""
    assert np.array_equal(ridge(learned(), 0.0).coefficients, least_squares.solve(learned()).coefficients)
    twins = learned(np.column_stack([X[:, 0], X[:, 0]]), Y[:, :1])
    for penalty in (1e-9, 1.0, 1e12):
        slopes = ridge(twins, penalty).coefficients[1:, 0]
        assert slopes[0] == pytest.approx(slopes[1], rel=1e-12)
        assert slopes[0] != 0.0


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize(("l1", "l2"), [(0.01, 0.0), (0.5, 0.0), (0.2, 0.3), (2.0, 5.0), (1e4, 0.0)])
def test_lasso_and_elastic_net_meet_the_optimality_conditions(l1: float, l2: float, *, intercept: bool) -> None:
    """Of the rows: X'r/n - l2 b is l1 sign(b) where b is not zero and at most l1 elsewhere, and residuals sum to zero."""
    result = elastic_net(learned(), l1=l1, l2=l2, intercept=intercept)
    slopes = result.coefficients[int(intercept) :]
    residuals = Y - X @ slopes - (result.coefficients[0] if intercept else 0.0)
    gradient = X.T @ residuals / 80 - l2 * slopes
    assert result.converged
    assert (result.gap <= 1e-10).all()
    np.testing.assert_allclose(gradient[slopes != 0], l1 * np.sign(slopes[slopes != 0]), rtol=1e-6, atol=1e-8)
    assert (np.abs(gradient) <= l1 * (1 + 1e-6)).all()
    np.testing.assert_allclose(result.rss, (residuals**2).sum(axis=0), rtol=1e-9)
    np.testing.assert_allclose(result.effective_dof, (slopes != 0).sum(axis=0) + int(intercept))
    if intercept:
        np.testing.assert_allclose(residuals.mean(axis=0), 0.0, atol=1e-10)
    if l1 == 1e4:
        assert not slopes.any()


def test_without_l1_the_elastic_net_is_ridge() -> None:
    """rss / (2 n) + l2 / 2 |b|^2 is ridge with the penalty n l2, and is solved as such."""
    assert np.array_equal(elastic_net(learned(), l1=0.0, l2=0.5).coefficients, ridge(learned(), 40.0).coefficients)


def test_dependent_columns_do_not_hold_up_the_lasso() -> None:
    """A repeated and a constant column, more columns than rows: the gap still closes."""
    wide = np.column_stack([X[:5], X[:5, :2], np.ones(5)])
    result = elastic_net(learned(wide, Y[:5]), l1=0.05)
    assert result.converged
    assert np.count_nonzero(result.coefficients[1:]) <= 2 * 5


def test_a_search_cut_short_says_so() -> None:
    """A tolerance beyond float64 is not reached: the gap is reported, with advice."""
    result = elastic_net(learned(), l1=0.01, tolerance=0.0)
    assert not result.converged
    assert (result.gap > 0.0).all()
    assert (result.gap < 1e-14).all()
    assert result.advice()[0].startswith("The coefficients are not optimal yet: relative duality gap 1.")


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_penalties_are_finite_and_not_negative(value: float) -> None:
    """Anything else is refused by name."""
    with pytest.raises(ValueError, match=r"penalty is .*, expected a finite number of at least 0"):
        ridge(learned(), value)
    with pytest.raises(ValueError, match=r"l2 is .*, expected a finite number of at least 0"):
        elastic_net(learned(), l1=1.0, l2=value)
