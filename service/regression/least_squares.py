"""Least squares from moments alone, exact to the last digit that the data determine.

Invariant: coefficients come from elementwise double-double arithmetic in a fixed order, are refined against the exact normal equations,
and are rounded once; BLAS may speed the way there but leaves no trace in them. Standard errors have 13 digits or more; beyond 15 columns
their last bits may depend on the BLAS.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import blas, lapack
from scipy.sparse.linalg import LinearOperator, eigsh

from service.regression import triangular
from service.regression.double_double import DoubleDouble, add, divide, exact, matmul, multiply, scale, subtract, zeros
from service.regression.limbs import Integers
from service.regression.moments import Moments
from service.regression.normal_equations import Equations, ExactEquations, equations
from service.regression.preconditioned import inverse_factor
from service.regression.products import Array

_ELEMENTWISE = 15  # columns up to which the factor itself is computed in double-double: some milliseconds
_WIDE = 300  # columns beyond which a more accurate factor costs half a second and more
_ACCURATE = 16.0  # condition up to which errors from the plain float64 factor have 13 digits
_CONVERGED = 2.0**-100  # of a coefficient
_NEGLIGIBLE = 2.0**-130  # of the largest scaled coefficient: a zero that arithmetic did not quite reach
_STEPS = 40
_PERFECT = 2.0**-96  # residuals below this share of the targets' squares are the rounding of the targets themselves


@dataclass(frozen=True)
class Fit:
    """Coefficients of ``P`` design columns (the intercept first where there is one) for ``t`` targets, and what inference needs.

    coefficients [P, t]: 0 for aliased columns. aliased: the columns that are combinations of columns before them, and were left out.
    condition: of the design, each column scaled to length 1. digits: how many significant digits of the coefficients survive if each value
    of the data is uncertain in its last bit, at most 15. rss, tss [t]: sums of squares of residuals, and of targets about their mean (about
    0 without an intercept). A perfect fit has an rss of exactly 0. factor [P, P]: W with W W' = (X'X)^-1, rows and columns of aliased
    columns zero. n: rows; weight: the sum of their weights. means [P]: of the design columns.
    """

    coefficients: Array
    aliased: tuple[int, ...]
    condition: float
    digits: float
    rss: Array
    tss: Array
    n: int
    weight: float
    intercept: bool
    means: Array
    estimates: DoubleDouble
    factor: DoubleDouble

    @property
    def rank(self) -> int:
        return len(self.coefficients) - len(self.aliased)

    @property
    def dof(self) -> int:
        """Rows in excess of independent columns."""
        return max(0, self.n - self.rank)


def solve(moments: Moments, *, intercept: bool = True, penalty: float = 0.0) -> Fit:
    """The least-squares fit, or with ``penalty`` >= 0 the ridge fit that minimises rss + penalty * |b|^2 (never of the intercept).

    Always returns a fit: dependent columns are left out and named, and `advice` says what is wrong with it.
    """
    system = equations(moments, intercept=intercept, penalty=penalty)
    factor = _by_blas(system) if len(system.exponents) > _ELEMENTWISE else None
    kept, inverse, condition = _by_elements(system) if factor is None else factor
    exactly = ExactEquations(system)
    b = _refined(exactly, kept, inverse, shape=(len(system.exponents), moments.targets))
    return _fit(system, b, exactly.rss(b).hi, kept=kept, inverse=inverse, condition=condition)


def in_basis(fit: Fit, T: DoubleDouble) -> Fit:
    """``fit`` in the basis in which design row x reads x T^-1: coefficients T b and factor T W, formed in double-double.

    T [P, P] is, for a polynomial in t = (x - m) / h, the matrix whose column k holds the coefficients of t^k in powers of x. Sums of
    squares, condition and aliased columns stay those of the design; ``means`` have no meaning in another basis and become nan.
    """
    estimates = matmul(T, fit.estimates)
    return replace(
        fit,
        estimates=estimates,
        coefficients=estimates.hi + estimates.lo,
        factor=matmul(T, fit.factor),
        means=np.full_like(fit.means, np.nan),
    )


def advice(fit: Fit, names: list[str]) -> list[str]:
    """What a reader of ``fit`` must know, each with what to do about it; ``names`` [P] are those of the design columns."""
    found = []
    if fit.aliased:
        listed = ", ".join(names[j] for j in fit.aliased)
        found.append(f"Left out as combinations of the columns before them: {listed}. Remove them, or collect rows in which they differ.")
    if fit.dof == 0:
        found.append(f"{fit.n} rows determine {fit.rank} coefficients with none to spare: errors cannot be estimated. Add rows.")
    elif not fit.rss.all():
        found.append("The fit is perfect to the last digit of the targets: errors are zero. Check whether a column was computed from them.")
    if fit.digits < 6:
        found.append(
            f"The data determine only {fit.digits:.0f} digits of the coefficients (condition {fit.condition:.1e}): centre or drop columns."
        )
    return found


def _by_elements(system: Equations) -> tuple[Integers, DoubleDouble, float]:
    """The independent columns, the inverse of their factor, and its condition."""
    R, independent = triangular.cholesky(system.gram)
    kept = np.flatnonzero(independent)
    R = R.at(np.ix_(kept, kept))
    inverse = triangular.inverse(R)
    return kept, inverse, _condition(inverse.hi, np.sqrt(system.gram.hi.diagonal()[kept]))


def _by_blas(system: Equations) -> tuple[Integers, DoubleDouble, float] | None:
    """The same in float64, all columns being independent; None where that is not sure, or errors would have fewer than 13 digits."""
    P = len(system.exponents)
    if P > _WIDE:
        upper, failed = lapack.dpotrf(system.gram.hi, lower=0, clean=1)
        if failed:
            return None
        inverse, _ = lapack.dtrtri(upper, lower=0)
        condition = _extreme_condition(upper, inverse)
        if condition <= _ACCURATE:
            return np.arange(P), exact(inverse), condition
    better = inverse_factor(system.gram)
    if better is None:
        return None
    if P <= _WIDE:
        condition = _condition(better, np.sqrt(system.gram.hi.diagonal()))
    return np.arange(P), exact(better), condition


def _refined(exactly: ExactEquations, kept: Integers, inverse: DoubleDouble, *, shape: tuple[int, int]) -> DoubleDouble:
    """Coefficients [P, t] that solve the exact equations over the columns ``kept``, to the last bit of double-double or nearly so."""
    b, before = zeros(*shape), 1.0
    for taken in range(_STEPS):
        rest = exactly.residual(b).at(kept)
        if inverse.lo.any():
            step = matmul(inverse, matmul(DoubleDouble(inverse.hi.T, inverse.lo.T), rest))
        else:
            step = exact(inverse.hi @ (inverse.hi.T @ rest.hi))
        b.put(kept, add(b.at(kept), step))
        largest = np.abs(b.hi).max(axis=0, initial=0.0)
        enough = np.maximum(_CONVERGED * np.abs(b.hi[kept]), _NEGLIGIBLE * largest)
        moved = float((np.abs(step.hi) / np.where(enough > 0, enough, 1.0)).max(initial=0.0))
        if moved * (moved / before if taken else 1.0) <= 1.0:  # what the next step, shorter by as much as this one was, would still move
            break
        before = moved
    b.put(np.abs(b.hi) <= 4 * _NEGLIGIBLE * largest, exact(0.0))
    return b


def _condition(inverse: Array, lengths: Array) -> float:
    """The 2-norm condition of the design with its columns scaled to length 1, from the inverse of its factor and those lengths."""
    if not len(inverse):
        return 1.0
    values = np.linalg.svd(inverse * lengths[:, None], compute_uv=False)
    return float(values[0] / values[-1])


def _extreme_condition(R: Array, inverse: Array) -> float:
    """The same within a percent for an upper triangular R, from the extreme eigenvalues alone."""
    lengths = np.linalg.norm(R, axis=0)
    scaled, back = np.asfortranarray(R / lengths), np.asfortranarray(inverse * lengths[:, None])
    start = np.ones(len(R))

    def largest(A: Array, *, trans: int) -> float:
        operator = LinearOperator(A.shape, matvec=lambda v: blas.dtrmv(A, blas.dtrmv(A, v, trans=trans), trans=1 - trans), dtype=np.float64)
        return float(eigsh(operator, k=1, v0=start, tol=1e-2, return_eigenvectors=False)[0])

    return float(np.sqrt(largest(scaled, trans=0) * largest(back, trans=1)))


def _fit(system: Equations, b: DoubleDouble, rss: Array, *, kept: Integers, inverse: DoubleDouble, condition: float) -> Fit:
    P = len(system.exponents)
    estimates = system.unscaled(b)
    factor = inverse
    if len(kept) < P:
        factor = zeros(P, P)
        factor.put(np.ix_(kept, kept), inverse)
    tss = system.squares
    if system.intercept and system.moments.n:
        tss = subtract(tss, divide(multiply(system.target_ones, system.target_ones), system.weight))
    rss, tss_hi = (np.where(part <= _PERFECT * system.squares.hi, 0.0, part) for part in (rss, tss.hi))
    with np.errstate(over="ignore"):  # infinite where they leave float64
        rss, tss_hi = (np.ldexp(part, 2 * system.target_exponents) for part in (rss, tss_hi))
    return Fit(
        coefficients=estimates.hi + estimates.lo,
        aliased=tuple(sorted(set(range(P)) - set(kept.tolist()))),
        condition=condition,
        digits=float(np.clip(np.log10(2.0**53 / condition), 0.0, 15.0)),
        rss=rss,
        tss=tss_hi,
        n=system.moments.n,
        weight=float(np.ldexp(system.weight.hi, 2 * system.ones_exponent)),
        intercept=system.intercept,
        means=np.ldexp(system.ones.hi / system.weight.hi, system.exponents - system.ones_exponent) if system.moments.n else np.zeros(P),
        estimates=estimates,
        factor=scale(factor, -system.exponents[:, None]),
    )
