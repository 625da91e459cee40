"""Subset selection against every subset fitted by numpy, and the nested F test against statsmodels."""

from itertools import combinations, pairwise

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray

from service.regression import least_squares, subset_search
from service.regression.inference import nested_f, summary
from service.regression.moments import Moments
from service.regression.subsets import Criterion, NothingToSelect, best_subsets

Array = NDArray[np.float64]


def learned(X: Array, Y: Array) -> Moments:
    moments = Moments(X.shape[1], Y.shape[1])
    moments.add(X, Y)
    return moments


def every_subset(
    X: Array, Y: Array, groups: list[list[int]], *, criterion: Criterion, intercept: bool
) -> list[tuple[float, tuple[int, ...]]]:
    """The criterion of all subsets of terms by numpy's lstsq, best first."""
    n, p = X.shape

    def fitted(terms: tuple[int, ...]) -> tuple[Array, int]:
        A = np.column_stack([np.ones((n, int(intercept))), X[:, [j for g in terms for j in groups[g]]]])
        residuals = Y - A @ np.linalg.lstsq(A, Y, rcond=None)[0] if A.shape[1] else Y
        return np.square(residuals).sum(axis=0), A.shape[1]

    variance = fitted(tuple(range(len(groups))))[0] / (n - p - int(intercept))
    values = []
    for terms in (chosen for size in range(len(groups) + 1) for chosen in combinations(range(len(groups)), size)):
        rss, k = fitted(terms)
        likelihood = n * np.log(2 * np.pi * rss / n) + n
        value = {"cp": rss / variance - n + 2 * k, "aic": likelihood + 2 * (k + 1), "bic": likelihood + np.log(n) * (k + 1)}[criterion]
        values.append((float(value.sum()), terms))
    return sorted(values)


@pytest.mark.parametrize("criterion", ["aic", "bic", "cp"])
@pytest.mark.parametrize("seed", range(8))
def test_the_best_twenty_are_those_of_all_subsets(seed: int, criterion: Criterion) -> None:
    """Up to 9 terms of up to 3 columns, correlated, for one or two targets, with and without intercept: same subsets, same order."""
    rng = np.random.default_rng(seed)
    widths = rng.integers(1, 4, size=int(rng.integers(1, 6))) if seed % 2 else np.ones(int(rng.integers(1, 10)), dtype=np.int64)
    edges = np.cumsum([0, *widths])
    groups = [list(range(a, b)) for a, b in pairwise(edges.tolist())]
    p, t, intercept = int(edges[-1]), 1 + seed % 3 // 2, bool(seed % 4)
    n = p + int(rng.integers(4, 60))
    X = rng.normal(size=(n, p)) @ (np.eye(p) + 0.4 * rng.normal(size=(p, p))) * 10.0 ** rng.integers(-6, 6, size=p)
    Y = X / X.std(axis=0) @ (rng.normal(size=(p, t)) * 0.4 * (rng.random((p, 1)) < 0.5)) + rng.normal(size=(n, t)) + 3.0
    truth = every_subset(X, Y, groups, criterion=criterion, intercept=intercept)[:20]
    found = best_subsets(learned(X, Y), groups, criterion=criterion, intercept=intercept)
    assert found.exhaustive
    assert [candidate.terms for candidate in found.candidates] == [terms for _, terms in truth]
    np.testing.assert_allclose([candidate.value for candidate in found.candidates], [value for value, _ in truth], rtol=1e-9, atol=1e-8)
    assert found.features == tuple(j for g in truth[0][1] for j in groups[g])
    np.testing.assert_allclose(found.candidates[0].rss, found.fit.rss, rtol=1e-9)
    assert found.candidates[0].coefficients == found.fit.rank
    if criterion != "cp":
        assert found.candidates[0].value == pytest.approx(float(getattr(summary(found.fit), criterion).sum()), rel=1e-10)


def test_thirty_terms_are_searched_exhaustively() -> None:
    """Of 30 correlated terms, 8 of which count, no exchange, addition or removal of one or two terms improves the subset found."""
    rng = np.random.default_rng(30)
    X = rng.normal(size=(500, 30)) + rng.normal(size=(500, 1))
    y = X[:, :8] @ rng.uniform(0.1, 0.5, size=8) + rng.normal(size=500)
    found = best_subsets(learned(X, y[:, None]), [[j] for j in range(30)], criterion="aic")
    assert found.exhaustive
    best = set(found.candidates[0].terms)
    for moved in [*combinations(range(30), 1), *combinations(range(30), 2)]:
        A = np.column_stack([np.ones(500), X[:, sorted(best ^ set(moved))]])
        rss = np.square(y - A @ np.linalg.lstsq(A, y, rcond=None)[0]).sum()
        assert 500 * (np.log(2 * np.pi * rss / 500) + 1) + 2 * (A.shape[1] + 1) > found.candidates[0].value


def test_a_search_that_gives_up_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """After one subset instead of 30,000 it is not called exhaustive, and what was found is no worse than stepwise."""
    rng = np.random.default_rng(13)
    X = np.cumsum(rng.normal(size=(80, 12)), axis=1)
    moments, groups = learned(X, X[:, ::3] @ [[0.1], [0.2], [0.1], [0.2]] + rng.normal(size=(80, 1))), [[j] for j in range(12)]
    sure = best_subsets(moments, groups, criterion="aic")
    monkeypatch.setattr(subset_search, "_MOST", 1)
    hurried = best_subsets(moments, groups, criterion="aic")
    monkeypatch.setattr("service.regression.subsets.MOST_TERMS", 0)
    steps = best_subsets(moments, groups, criterion="aic")
    assert (sure.exhaustive, hurried.exhaustive, steps.exhaustive) == (True, False, False)
    assert sure.candidates[0].value <= hurried.candidates[0].value <= steps.candidates[0].value


def test_more_terms_are_searched_stepwise() -> None:
    """Of 40 terms, one of three columns, the subset found is one that no single move improves, and says that it is no more than that."""
    rng = np.random.default_rng(40)
    X = rng.normal(size=(300, 42))
    y = X[:, :5] @ [1.0, 0.5, 0.3, 0.2, 0.2] + rng.normal(size=300)
    groups = [[0, 1, 2], *([j] for j in range(3, 42))]
    found = best_subsets(learned(X, y[:, None]), groups, criterion="bic")
    assert not found.exhaustive
    best = set(found.candidates[0].terms)
    assert {0, 1} <= best
    for term in range(40):
        A = np.column_stack([np.ones(300), X[:, [j for g in sorted(best ^ {term}) for j in groups[g]]]])
        rss = np.square(y - A @ np.linalg.lstsq(A, y, rcond=None)[0]).sum()
        assert 300 * (np.log(2 * np.pi * rss / 300) + 1) + np.log(300) * (A.shape[1] + 1) > found.candidates[0].value


def test_the_nested_f_test_is_that_of_statsmodels() -> None:
    """F, p and degrees of freedom of the chosen against the full model, as `compare_f_test` has them."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(60, 6))
    y = X[:, 0] - X[:, 1] + rng.normal(size=60)
    found = best_subsets(learned(X, y[:, None]), [[0], [1, 2], [3], [4, 5]], criterion="bic")
    full = sm.OLS(y, sm.add_constant(X)).fit()
    chosen = sm.OLS(y, sm.add_constant(X[:, found.features])).fit()
    f, p, difference = full.compare_f_test(chosen)
    test = found.against_full
    assert test is not None
    assert (float(test.f[0]), float(test.p[0])) == pytest.approx((f, p), rel=1e-10)
    assert (test.numerator, test.denominator) == (difference, 53)
    same = least_squares.solve(learned(X, y[:, None]))
    with pytest.raises(ValueError, match="leave out columns that the first one has"):
        nested_f(same, same)


def test_aliased_columns_take_no_part_and_are_named() -> None:
    """A copy of the first term is left out of the search; the others are ranked as without it."""
    rng = np.random.default_rng(6)
    X = rng.normal(size=(50, 3))
    Y = X[:, :1] + rng.normal(size=(50, 1))
    found = best_subsets(learned(np.column_stack([X, X[:, 0]]), Y), [[0], [1], [2], [3]], criterion="aic")
    clean = best_subsets(learned(X, Y), [[0], [1], [2]], criterion="aic")
    assert found.aliased == (3,)
    assert [candidate.terms for candidate in found.candidates] == [candidate.terms for candidate in clean.candidates]


def test_data_that_cannot_compare_subsets_are_refused_with_advice() -> None:
    """A perfect fit, and as many coefficients as rows."""
    X = np.arange(12.0).reshape(6, 2) ** 2
    with pytest.raises(NothingToSelect, match="perfect"):
        best_subsets(learned(X, X[:, :1]), [[0], [1]], criterion="aic")
    with pytest.raises(NothingToSelect, match="3 rows determine all 3 coefficients"):
        best_subsets(learned(X[:3], np.array([[1.0], [5.0], [2.0]])), [[0], [1]], criterion="cp")


def test_nothing_but_noise_leaves_the_intercept() -> None:
    """Where no term is worth its price the empty subset is chosen, and it is the mean."""
    rng = np.random.default_rng(11)
    X, Y = rng.normal(size=(400, 3)), rng.normal(size=(400, 1))
    found = best_subsets(learned(X, Y), [[0], [1], [2]], criterion="bic")
    assert found.candidates[0].terms == found.features == ()
    assert found.fit.coefficients[0, 0] == pytest.approx(Y.mean(), rel=1e-12)
