"""The choice of a ridge penalty against scikit-learn, and held-out errors against retraining; inflation factors against statsmodels."""

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression, Ridge, RidgeCV
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from statsmodels.stats.outliers_influence import variance_inflation_factor

from service.regression.collinearity import inflation
from service.regression.moments import Moments
from service.regression.penalized import ridge
from service.regression.ridge_path import by_folds, by_gcv, held_out_rss
from service.regression.row_digests import fold_of

Array = NDArray[np.float64]
RNG = np.random.default_rng(21)
X = RNG.normal(size=(120, 15)) @ (np.eye(15) + 0.5 * RNG.normal(size=(15, 15))) * np.logspace(-2, 2, 15) + 10.0
Y = np.column_stack([X / X.std(axis=0) @ RNG.normal(size=15) * 0.2, X[:, 3]]) + RNG.normal(size=(120, 2)) * [1.0, 30.0]


def learned(X: Array = X, Y: Array = Y) -> Moments:
    moments = Moments(X.shape[1], Y.shape[1])
    moments.add(X, Y)
    return moments


def folded(X: Array = X, Y: Array = Y, *, folds: int = 5) -> tuple[list[Moments], NDArray[np.int64]]:
    fold = fold_of(X, Y, folds=folds)
    return [learned(X[fold == k], Y[fold == k]) for k in range(folds)], fold


@pytest.mark.parametrize("intercept", [True, False])
def test_gcv_scores_are_those_of_exact_ridge_fits(*, intercept: bool) -> None:
    """At every penalty of the path, scores and degrees of freedom are `penalized.ridge`'s; the chosen one's score is not beaten."""
    path = by_gcv(learned(), intercept=intercept)
    for penalty, score, dof in zip(path.penalties.tolist(), path.scores, path.effective_dof.tolist(), strict=True):
        truth = ridge(learned(), penalty, intercept=intercept)
        np.testing.assert_allclose(score, truth.gcv, rtol=1e-9)
        assert dof == pytest.approx(truth.effective_dof[0], rel=1e-9)
    assert path.effective_dof[1] == pytest.approx(15 + intercept, abs=0.011)
    assert path.effective_dof[-1] == pytest.approx(int(intercept), abs=0.011)
    variances = np.square(Y - Y.mean(axis=0) * intercept).sum(axis=0)
    assert (path.score / variances).sum() <= (path.scores / variances).sum(axis=1).min()
    np.testing.assert_allclose(path.score, path.fit.gcv, rtol=1e-9)
    assert path.penalty > 0


def test_gcv_chooses_the_penalty_that_scikit_learn_would() -> None:
    """On centred data, leave-one-out replaced by its GCV weights: scores of 200 penalties around the chosen one are no better."""
    path = by_gcv(learned(Y=Y[:, :1]))
    centred, y = X - X.mean(axis=0), Y[:, 0] - Y[:, 0].mean()
    U, s, _ = np.linalg.svd(centred, full_matrices=False)
    for penalty in path.penalty * np.logspace(-3, 3, 200):
        shrunk = s**2 / (s**2 + penalty)
        residuals = y - U @ (shrunk * (U.T @ y))
        assert 120 * (residuals @ residuals) / (119 - shrunk.sum()) ** 2 >= path.score[0] * (1 - 1e-9)
    np.testing.assert_allclose(path.fit.coefficients[1:, 0], Ridge(alpha=path.penalty).fit(X, Y[:, 0]).coef_, rtol=1e-7)


@pytest.mark.parametrize("intercept", [True, False])
def test_held_out_errors_are_those_of_retraining_without_each_fold(*, intercept: bool) -> None:
    """The path's scores are scikit-learn's predictions of each fold by a ridge fit of the others, squared; least squares likewise."""
    folds, fold = folded()
    path = by_folds(learned(), folds, intercept=intercept)
    split = PredefinedSplit(fold)
    for penalty, score in list(zip(path.penalties.tolist(), path.scores, strict=True))[::3]:
        model = Ridge(alpha=penalty, fit_intercept=intercept, solver="svd") if penalty else LinearRegression(fit_intercept=intercept)
        errors = np.square(Y - cross_val_predict(model, X, Y, cv=split)).mean(axis=0)
        np.testing.assert_allclose(score, errors, rtol=1e-7)
    plain = np.square(Y - cross_val_predict(LinearRegression(fit_intercept=intercept), X, Y, cv=split)).sum(axis=0)
    np.testing.assert_allclose(held_out_rss(learned(), folds, intercept=intercept), plain, rtol=1e-9)


def test_folds_choose_as_scikit_learn_does_on_the_same_folds() -> None:
    """RidgeCV over the path's penalties, folds of equal size, picks a neighbour of the refined penalty."""
    fold = np.arange(120) % 6
    folds = [learned(X[fold == k], Y[fold == k, :1]) for k in range(6)]
    path = by_folds(learned(Y=Y[:, :1]), folds)
    grid = path.penalties[path.penalties > 0]
    search = RidgeCV(alphas=grid, cv=PredefinedSplit(fold), scoring="neg_mean_squared_error").fit(X, Y[:, 0])
    chosen = np.flatnonzero(grid == search.alpha_)[0]
    assert grid[chosen - 1] < path.penalty < grid[chosen + 1]
    model = Ridge(alpha=path.penalty)
    errors = np.square(Y[:, 0] - cross_val_predict(model, X, Y[:, 0], cv=PredefinedSplit(fold)))
    assert errors.mean() == pytest.approx(path.score[0], rel=1e-7)
    assert path.score[0] <= np.nanmin(path.scores)


def test_subsets_are_cross_validated_from_selected_moments() -> None:
    """Two features of fifteen: errors of retraining on those two."""
    folds, fold = folded()
    chosen = [fold_moments.select([2, 7], [0]) for fold_moments in folds]
    errors = np.square(Y[:, 0] - cross_val_predict(LinearRegression(), X[:, [2, 7]], Y[:, 0], cv=PredefinedSplit(fold))).sum()
    assert held_out_rss(learned().select([2, 7], [0]), chosen)[0] == pytest.approx(errors, rel=1e-9)


def test_a_nearly_perfect_fit_far_from_zero_keeps_its_digits() -> None:
    """Residuals of 1e-6 beside targets of 2e6: held-out errors of least squares agree with those of the residuals, which are scaled."""
    rng = np.random.default_rng(3)
    A, noise = np.rint(rng.normal(size=(60, 3)) * 1000.0) + 1e6, np.rint(rng.normal(size=60) * 1000) * 2.0**-30
    y = A @ [1.0, 2.0, -1.0] + noise
    folds, fold = folded(A, y[:, None], folds=4)
    errors = 0.0
    for k in range(4):
        inside, D = fold == k, np.column_stack([np.ones(60), A - 1e6])
        b = np.linalg.lstsq(D[~inside], noise[~inside], rcond=None)[0]
        errors += float(np.square(noise[inside] - D[inside] @ b).sum())
    assert np.array_equal(y - A @ [1.0, 2.0, -1.0], noise)
    assert held_out_rss(learned(A, y[:, None]), folds)[0] == pytest.approx(errors, rel=1e-8)


def test_more_columns_than_rows_have_a_path_without_least_squares() -> None:
    """10 rows of 15 columns, and a repeated column: every penalty of the path has a score but the smallest, and ridge is chosen."""
    for A, B in ((X[:10], Y[:10]), (np.column_stack([X, X[:, 0]]), Y)):
        path = by_gcv(learned(A, B))
        assert (path.penalties > 0).all()
        assert path.penalty > 0
        assert np.isfinite(path.score).all()


def test_folds_that_are_not_the_rows_are_refused() -> None:
    """A missing fold, or all rows in one."""
    folds, _ = folded()
    with pytest.raises(ValueError, match="train with folds"):
        by_folds(learned(), folds[1:])
    with pytest.raises(ValueError, match="train with folds"):
        held_out_rss(learned(), [learned()])
    with pytest.raises(ValueError, match="no rows"):
        by_gcv(Moments(2, 1))


def test_inflation_factors_are_those_of_statsmodels() -> None:
    """With a constant, also for features far from zero, which are not taken for it; without one, x'x over the rss of x on the others."""
    shifted = X + 1e6
    design = sm.add_constant(X)
    expected = [variance_inflation_factor(design, j) for j in range(1, 16)]
    for columns in (X, shifted):
        np.testing.assert_allclose(inflation(learned(columns), []).vif, expected, rtol=1e-6)
    others = [np.delete(X, j, axis=1) for j in range(15)]
    residuals = [X[:, j] - other @ np.linalg.lstsq(other, X[:, j], rcond=None)[0] for j, other in enumerate(others)]
    bare = [(X[:, j] @ X[:, j]) / (r @ r) for j, r in enumerate(residuals)]
    np.testing.assert_allclose(inflation(learned(), [], intercept=False).vif, bare, rtol=1e-7)


def test_terms_of_several_columns_have_the_generalised_factor() -> None:
    """det R11 det R22 / det R of the correlations; the same in another basis of the term; for one column its vif; infinite when aliased."""
    R = np.corrcoef(X.T)
    rest = [0, *range(4, 15)]
    group = [1, 2, 3]
    expected = np.linalg.det(R[np.ix_(group, group)]) * np.linalg.det(R[np.ix_(rest, rest)]) / np.linalg.det(R)
    result = inflation(learned(), [group, [5]])
    assert result.gvif[0] == pytest.approx(expected, rel=1e-8)
    assert result.comparable[0] == pytest.approx(expected ** (1 / 6), rel=1e-8)
    assert result.gvif[1] == pytest.approx(result.vif[5], rel=1e-12)
    assert result.columns == (3, 1)
    turned = X.copy()
    turned[:, group] = X[:, group] @ [[1.0, 1.0, 0.0], [0.0, 1.0, 1.0], [1.0, 0.0, -3.0]]
    assert inflation(learned(turned), [group]).gvif[0] == pytest.approx(expected, rel=1e-8)
    twins = inflation(learned(np.column_stack([X, X[:, 0]])), [[14, 15]])
    assert (twins.vif[15], twins.gvif[0]) == (np.inf, np.inf)
