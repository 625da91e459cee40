"""Ridge, lasso and elastic net from moments alone.

Invariant: every result carries the duality gap that bounds how far its objective is from the optimum (ridge is exact), and says
whether it reached what was asked; a penalty never falls on the intercept.
"""

from dataclasses import dataclass

import numpy as np

from service.regression import least_squares
from service.regression.double_double import DoubleDouble, divide, multiply, subtract
from service.regression.moments import Moments
from service.regression.normal_equations import equations
from service.regression.products import Array

_SWEEPS = 10_000
_CHECK = 10  # sweeps between two looks at the gap


@dataclass(frozen=True)
class Penalized:
    """Coefficients [P, t], the intercept first where there is one, of a penalised fit.

    rss [t]. effective_dof [t]: trace of the hat matrix (ridge), or the number of nonzero coefficients (lasso, elastic net). gcv [t]:
    generalised cross-validation, n rss / (n - effective_dof)^2. gap [t]: the objective minus its dual, over half the targets' squares
    about their mean; 0 for ridge. converged: whether every gap is within the tolerance.
    """

    coefficients: Array
    rss: Array
    effective_dof: Array
    gcv: Array
    gap: Array
    converged: bool

    def advice(self) -> list[str]:
        """What to do where the optimum was not reached."""
        if self.converged:
            return []
        gap = f"The coefficients are not optimal yet: relative duality gap {self.gap.max():.1e}."
        return [f"{gap} Nearly collinear columns slow the search: scale the columns alike, or add an l2 penalty."]


def ridge(moments: Moments, penalty: float, *, intercept: bool = True) -> Penalized:
    """Minimises rss + penalty * |b|^2, exactly. Raises ValueError for a penalty that is negative or not finite."""
    _check(penalty=penalty)
    fit = least_squares.solve(moments, intercept=intercept, penalty=penalty)
    slopes = fit.factor.hi[int(intercept) :]
    effective = np.full(fit.rss.shape, fit.rank - penalty * np.square(slopes).sum())
    return _result(fit.coefficients, fit.rss, effective, gap=np.zeros(fit.rss.shape), n=moments.n, tolerance=0.0)


def elastic_net(moments: Moments, *, l1: float, l2: float = 0.0, intercept: bool = True, tolerance: float = 1e-10) -> Penalized:
    """Minimises rss / (2 w) + l1 * |b|_1 + l2 / 2 * |b|^2, w being the sum of weights (n without weights); lasso where l2 is 0.

    Coordinate descent on the Gram, finished by solving for the coefficients that are not zero; stops where the duality gap is at
    most ``tolerance`` times half the targets' squares about their mean. Raises ValueError for a penalty that is negative or not finite.
    """
    _check(l1=l1, l2=l2)
    if l1 == 0.0:
        return ridge(moments, moments.weight() * l2, intercept=intercept)
    system = equations(moments, intercept=intercept)
    first = int(intercept)
    ones = system.ones.at(slice(first, None))
    gram, cross, squares = system.gram.at((slice(first, None), slice(first, None))), system.cross.at(slice(first, None)), system.squares
    if intercept:  # about the means, so that the intercept drops out
        gram = _less(gram, ones, ones, system.weight)
        cross = _less(cross, ones, system.target_ones, system.weight)
        squares = subtract(squares, divide(multiply(system.target_ones, system.target_ones), system.weight))
    e, f = system.exponents[first:], system.target_exponents
    solutions = []
    for k in range(len(f)):
        problem = _Problem(
            gram.hi,
            cross.hi[:, k],
            float(squares.hi[k]),
            np.ldexp(moments.weight() * l1, -e - f[k]),
            np.ldexp(moments.weight() * l2, -2 * e),
        )
        b, gap = _descend(problem, tolerance)
        rss = max(0.0, problem.square - float(b @ (problem.cross + problem.cross - problem.gram @ b)))
        solutions.append((np.ldexp(b, f[k] - e), gap, float(np.ldexp(rss, 2 * f[k]))))
    slopes = np.column_stack([b for b, _, _ in solutions])
    means = np.ldexp(ones.hi / system.weight.hi, e - system.ones_exponent)
    target_means = np.ldexp(system.target_ones.hi / system.weight.hi, f - system.ones_exponent)
    coefficients = np.vstack([target_means - means @ slopes, slopes]) if intercept else slopes
    effective = (slopes != 0).sum(axis=0) + float(first)
    return _result(
        coefficients,
        np.array([rss for _, _, rss in solutions]),
        effective,
        gap=np.array([gap for _, gap, _ in solutions]),
        n=moments.n,
        tolerance=tolerance,
    )


@dataclass(frozen=True)
class _Problem:
    """Minimise b'Gb / 2 - c'b + sum l1_j |b_j| + sum l2_j b_j^2 / 2, where ``square`` is y'y."""

    gram: Array
    cross: Array
    square: float
    l1: Array
    l2: Array

    def gap(self, b: Array) -> float:
        """The duality gap of b, relative to y'y / 2: with r = y - Xb and the ridge as further rows, the dual point is a multiple of r."""
        q = self.cross - self.gram @ b
        fitted = float(b @ self.cross)
        rss = max(0.0, self.square - fitted - float(b @ q))
        square = rss + float(self.l2 @ (b * b))
        slope = np.abs(q - self.l2 * b)
        feasible = min(1.0, float((self.l1 / np.maximum(slope, np.finfo(float).tiny)).min(initial=1.0)))
        towards = self.square - fitted
        share = min(feasible, towards / square) if square > 0 else feasible
        dual = share * towards - 0.5 * share * share * square
        return max(0.0, 0.5 * square + float(self.l1 @ np.abs(b)) - dual) / (0.5 * self.square)


def _descend(problem: _Problem, tolerance: float) -> tuple[Array, float]:
    """Coordinate descent until the relative gap is within ``tolerance``; the best coefficients found and their gap."""
    b = np.zeros(len(problem.cross))
    if problem.square <= 0.0 or not len(b):
        return b, 0.0
    best, gap = b.copy(), problem.gap(b)
    q = problem.cross.copy()
    curvature = problem.gram.diagonal() + problem.l2
    for sweep in range(_SWEEPS):
        if gap <= tolerance:
            break
        everything = sweep % _CHECK == 0
        for j in range(len(b)) if everything else np.flatnonzero(b):
            if curvature[j] <= 0.0:
                continue
            target = q[j] + problem.gram[j, j] * b[j]
            moved = np.sign(target) * max(0.0, abs(target) - problem.l1[j]) / curvature[j]
            if moved != b[j]:
                q -= problem.gram[:, j] * (moved - b[j])
                b[j] = moved
        if sweep % _CHECK == _CHECK - 1 or sweep == 0:
            q = problem.cross - problem.gram @ b
            for candidate in (b, _polished(problem, b)):
                reached = problem.gap(candidate)
                if reached < gap:
                    best, gap = candidate.copy(), reached
    return best, gap


def _polished(problem: _Problem, b: Array) -> Array:
    """The optimum if the coefficients that are not zero now, and their signs, are those of the optimum; else b."""
    support = np.flatnonzero(b)
    A = problem.gram[np.ix_(support, support)] + np.diag(problem.l2[support])
    signs = np.sign(b[support])
    polished = np.zeros_like(b)
    polished[support] = np.linalg.lstsq(A, problem.cross[support] - problem.l1[support] * signs, rcond=None)[0]
    return polished if np.array_equal(np.sign(polished[support]), signs) else b


def _less(A: DoubleDouble, column: DoubleDouble, row: DoubleDouble, weight: DoubleDouble) -> DoubleDouble:
    """``A - column row' / weight``."""
    return subtract(A, divide(multiply(column.at((slice(None), None)), row.at(None)), weight))


def _result(coefficients: Array, rss: Array, effective_dof: Array, *, gap: Array, n: int, tolerance: float) -> Penalized:
    spare = n - effective_dof
    with np.errstate(divide="ignore", invalid="ignore"):
        gcv = np.where(spare > 0, n * rss / (spare * spare), np.nan)
    return Penalized(coefficients, rss, effective_dof, gcv, gap, bool((gap <= tolerance).all()))


def _check(**penalties: float) -> None:
    for name, value in penalties.items():
        if not (np.isfinite(value) and value >= 0.0):
            raise ValueError(f"{name} is {value}, expected a finite number of at least 0.")
