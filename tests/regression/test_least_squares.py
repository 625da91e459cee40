"""Exact least squares against rational solutions, and honesty where there is no unique one."""

from fractions import Fraction

import exact
import numpy as np
import pytest
from numpy.typing import NDArray

from service.regression import least_squares, narrow, products, strd
from service.regression.least_squares import Fit, solve
from service.regression.moments import Moments

Array = NDArray[np.float64]


def learned(X: Array, Y: Array, **options: object) -> Moments:
    moments = Moments(X.shape[1], Y.shape[1] if Y.ndim == 2 else 1, **options)  # type: ignore[arg-type]
    moments.add(X, Y if Y.ndim == 2 else Y[:, None])
    return moments


def ill_conditioned(rng: np.random.Generator) -> tuple[Array, Array]:
    """Integer columns of up to 27 bits, the last one the sum of the others but for a small change, and integer targets."""
    n, p = int(rng.integers(8, 20)), int(rng.integers(2, 5))
    size = 2 ** int(rng.integers(2, 28))
    X = rng.integers(-size, size, size=(n, p)).astype(np.float64)
    X[:, -1] = X[:, :-1].sum(axis=1) + rng.integers(-2, 3, size=n)
    return X, rng.integers(-1000, 1000, size=n).astype(np.float64)


def test_random_integer_problems_agree_with_rational_solutions_to_13_digits() -> None:
    """200 problems, condition 1 to 1e8 and with and without intercept: at least 13.5 digits in every coefficient."""
    rng = np.random.default_rng(200)
    conditions = []
    for trial in range(200):
        X, y = ill_conditioned(rng)
        fit = solve(learned(X, y), intercept=bool(trial % 2))
        conditions.append(fit.condition)
        truth = exact.least_squares(X, y, intercept=bool(trial % 2))
        assert fit.aliased == ()
        assert min(strd.lre(b, t) for b, t in zip(fit.coefficients[:, 0].tolist(), truth, strict=True)) >= 13.5
    assert 1e7 < max(conditions) < 1e9


@pytest.mark.parametrize("gap", [1.0, 2.0**-8, 2.0**-16])
def test_coefficients_are_the_rational_solution_correctly_rounded(gap: float) -> None:
    """Up to a condition of 1e10 each coefficient is the float64 nearest to the rational solution, or its neighbour."""
    rng = np.random.default_rng(7)
    X = rng.integers(-(2**15), 2**15, size=(12, 3)).astype(np.float64)
    X[:, 2] = X[:, 0] + X[:, 1] + gap * rng.integers(-3, 4, size=12)
    y = rng.integers(-99, 99, size=12).astype(np.float64)
    fit = solve(learned(X, y))
    truth = np.array([float(value) for value in exact.least_squares(X, y)])
    assert np.abs(fit.coefficients[:, 0] - truth).max() <= np.spacing(np.abs(truth)).max()
    assert (np.abs(fit.coefficients[:, 0] - truth) <= np.spacing(np.abs(truth))).all()


def test_two_unscaled_features_are_both_kept() -> None:
    """A rate in [0, 0.1] beside a population of millions: R2 is that of exact arithmetic, where a relative cut-off would drop the rate."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.uniform(0, 0.1, 300), rng.integers(100_000, 5_000_000, 300)])
    y = np.rint(1e6 * (3.0 * X[:, 0] + 1e-9 * X[:, 1] + 1e-4 * rng.normal(size=300))) / 1e6
    fit = solve(learned(X, y))
    b = exact.least_squares(X, y)
    residuals = [Fraction(t) - b[0] - b[1] * Fraction(u) - b[2] * Fraction(v) for t, u, v in zip(y, X[:, 0], X[:, 1], strict=True)]
    mean = sum(map(Fraction, y.tolist()), Fraction(0)) / len(y)
    r2 = 1 - sum(e * e for e in residuals) / sum((Fraction(t) - mean) ** 2 for t in y.tolist())
    assert float(r2) > 0.999
    assert strd.lre(float(1 - fit.rss[0] / fit.tss[0]), r2) >= 15.0


def same_bits(a: Fit, b: Fit) -> bool:
    return all(
        np.array_equal(getattr(a, name), getattr(b, name)) for name in ("coefficients", "rss", "tss", "means", "condition", "aliased")
    )


@pytest.mark.parametrize("features", [6, 80])
def test_coefficients_have_the_same_bits_whichever_blas_multiplied(features: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """numpy's, scipy's and torch's products, and for few columns the loop of ours, lead to the same fit, bit for bit."""
    rng = np.random.default_rng(features)
    X = rng.normal(size=(900, features)) * 10.0 ** rng.integers(-5, 5, size=features)
    Y = rng.normal(size=(900, 2))
    first = solve(learned(X, Y))
    monkeypatch.setattr(narrow, "COLUMNS", 0)
    for product in (products.syrk, products.torch_gemm, exact.scipy_syrk):
        assert same_bits(first, solve(learned(X, Y, product=product)))


def test_forgetting_gives_the_coefficients_of_a_retraining_bit_for_bit() -> None:
    """40 % of the rows, among them an outlier of 1e9, are removed; the fit has the bits of one that never saw them."""
    rng = np.random.default_rng(3)
    X, Y = rng.normal(size=(500, 8)), rng.normal(size=(500, 1))
    X[450] = 1e9
    moments = learned(X, Y)
    moments.remove(X[300:], Y[300:])
    assert same_bits(solve(moments), solve(learned(X[:300], Y[:300])))
    assert same_bits(solve(Moments.from_bytes(moments.to_bytes())), solve(moments))


def test_many_columns_take_the_same_bits_from_a_float64_factor() -> None:
    """Beyond 300 columns the factor is BLAS's, and refinement leads to what the elementwise factor of a sorted design gives."""
    rng = np.random.default_rng(4)
    X, Y = rng.normal(size=(700, 320)), rng.normal(size=(700, 2))
    moments = learned(X, Y)
    wide = solve(moments)
    system = least_squares.equations(moments, intercept=True)
    kept, inverse, condition = least_squares._by_elements(system)
    slow = least_squares._refined(least_squares.ExactEquations(system), kept, inverse, shape=(321, 2))
    estimates = system.unscaled(slow)
    assert np.array_equal(wide.coefficients, estimates.hi + estimates.lo)
    assert wide.condition == pytest.approx(condition, rel=1e-2)
    assert wide.condition == pytest.approx(
        np.linalg.cond(np.column_stack([np.ones(700), X]) / np.linalg.norm(np.column_stack([np.ones(700), X]), axis=0)), rel=1e-2
    )


def test_dependent_columns_are_named_and_the_rest_is_as_without_them() -> None:
    """A sum, a constant, a zero column and a full set of dummies: the later column is aliased, and others equal a fit without it."""
    rng = np.random.default_rng(5)
    X, y = rng.normal(size=(60, 3)), rng.normal(size=60)
    group = np.eye(3)[rng.integers(0, 3, size=60)]
    design = np.column_stack([X, X[:, 0] - 2 * X[:, 2], np.full(60, 7.0), np.zeros(60), group])
    fit = solve(learned(design, y))
    clean = solve(learned(np.column_stack([X, group[:, :2]]), y))
    names = ["intercept", "a", "b", "c", "a-2c", "seven", "zero", "red", "green", "blue"]
    assert fit.aliased == (4, 5, 6, 9)
    assert fit.rank == clean.rank == 6
    assert np.array_equal(fit.coefficients[[0, 1, 2, 3, 7, 8]], clean.coefficients)
    assert not fit.coefficients[[4, 5, 6, 9]].any()
    assert fit.rss == clean.rss
    assert least_squares.advice(fit, names) == [
        "Left out as combinations of the columns before them: a-2c, seven, zero, blue. Remove them, or collect rows in which they differ."
    ]
    assert solve(learned(group, y), intercept=False).aliased == ()


def test_a_perfect_fit_is_reported_as_one() -> None:
    """y = 2x + 1 gives exactly 1 and 2, an rss of exactly 0, and a warning instead of invented tests."""
    x = np.arange(11.0)[:, None]
    fit = solve(learned(x, 2 * x + 1))
    assert fit.coefficients.tolist() == [[1.0], [2.0]]
    assert fit.rss.tolist() == [0.0]
    assert least_squares.advice(fit, ["intercept", "x"]) == [
        "The fit is perfect to the last digit of the targets: errors are zero. Check whether a column was computed from them."
    ]


@pytest.mark.parametrize(("n", "aliased"), [(0, (0, 1, 2, 3)), (1, (1, 2, 3)), (3, (3,)), (4, ())])
def test_too_few_rows_give_as_many_coefficients_as_rows(n: int, aliased: tuple[int, ...]) -> None:
    """With n at most the number of columns the first n are fitted, the others named, and no rows are to spare for errors."""
    rng = np.random.default_rng(n)
    X, y = rng.integers(-9, 9, size=(4, 3)).astype(np.float64)[:n], rng.integers(-9, 9, size=4).astype(np.float64)[:n]
    fit = solve(learned(X, y))
    assert (fit.aliased, fit.rank, fit.dof, fit.n) == (aliased, n, 0, n)
    assert np.allclose(np.column_stack([np.ones(n), X]) @ fit.coefficients, y[:, None], atol=1e-12)
    assert least_squares.advice(fit, list("iabc"))[-1] == (
        f"{n} rows determine {n} coefficients with none to spare: errors cannot be estimated. Add rows."
    )


def test_several_targets_are_fitted_as_each_alone() -> None:
    """Coefficients and sums of squares of three targets have the bits of three separate fits."""
    rng = np.random.default_rng(6)
    X, Y = rng.normal(size=(80, 4)), rng.normal(size=(80, 3)) * [1.0, 1e8, 1e-8]
    together, moments = solve(learned(X, Y)), learned(X, Y)
    for k in range(3):
        alone = solve(moments.select(range(4), [k]))
        assert np.array_equal(together.coefficients[:, [k]], alone.coefficients)
        assert together.rss[k] == alone.rss[0]


def test_weights_fit_as_repeated_rows_do() -> None:
    """Weights of 4 and 16, whose roots are powers of two, give the bits of rows given so many times; n counts rows, weight their sum."""
    rng = np.random.default_rng(8)
    X, Y = rng.normal(size=(30, 2)), rng.normal(size=(30, 1))
    w = np.where(np.arange(30) % 2, 4.0, 16.0)
    weighted = Moments(2, 1)
    weighted.add(X, Y, weights=w)
    repeated = solve(learned(np.repeat(X, w.astype(int), axis=0), np.repeat(Y, w.astype(int), axis=0)))
    fit = solve(weighted)
    assert np.array_equal(fit.coefficients, repeated.coefficients)
    assert (fit.n, fit.weight, repeated.n) == (30, 300.0, 300)


def test_poorly_determined_coefficients_come_with_a_warning() -> None:
    """Columns that differ in their tenth digit: condition and digits say so, and so does the advice."""
    rng = np.random.default_rng(9)
    x = rng.normal(size=50)
    fit = solve(learned(np.column_stack([x, x + 1e-10 * rng.normal(size=50)]), rng.normal(size=50)))
    assert fit.aliased == ()
    assert 1e9 < fit.condition < 1e11
    assert fit.digits == pytest.approx(np.log10(2.0**53 / fit.condition))
    assert least_squares.advice(fit, list("iab"))[0].startswith("The data determine only 6 digits of the coefficients (condition 2.")
