"""The features about their means: exact solutions and well-scaled Grams from which float64 may go on.

Invariant: means and Grams are taken in double-double before anything is rounded to float64, so a feature far from zero keeps its digits.
"""

import numpy as np
from scipy.linalg import lapack

from service.regression import least_squares
from service.regression.double_double import DoubleDouble, divide, multiply, scale, subtract
from service.regression.moments import Moments
from service.regression.normal_equations import Equations, ExactEquations, equations
from service.regression.products import Array


class Centred:
    """The exact least-squares solution of all rows, and Grams of the features about the means of all rows, over powers of two.

    The column of ones is among them where there is an intercept. ``ridge`` [P]: what a penalty of 1 adds to the diagonal. ``slopes``
    [P, t]: the solution in these units, 0 for the intercept, which is not penalised.
    """

    def __init__(self, moments: Moments, *, intercept: bool) -> None:
        if not moments.n:
            raise ValueError("There are no rows to select by: train on some first.")
        self.moments = moments
        self.fit = least_squares.solve(moments, intercept=intercept)
        system = equations(moments, intercept=intercept)
        self._exponents = system.exponents
        self._means = divide(system.gram.at(0), system.gram.at((0, slice(0, 1)))) if intercept else None
        self._spread = np.zeros(len(system.exponents), dtype=np.int64)
        diagonal = self.gram(system).hi.diagonal()
        self._spread = np.where(diagonal > 0, np.frexp(diagonal)[1] // 2, 0)
        self.total = self.gram(system)
        self._unit = self._exponents + self._spread
        self.ridge = np.ldexp(1.0, -2 * self._unit)
        self.slopes = np.ldexp(self.fit.coefficients, self._unit[:, None])
        self.ridge[: int(intercept)], self.slopes[: int(intercept)] = 0.0, 0.0

    def squares(self) -> Array:
        """The features' sums of squares [p] about their means, or about zero without an intercept, in the units of the data."""
        every: Array = np.ldexp(self.total.hi.diagonal(), 2 * self._unit)
        return every[int(self.fit.intercept) :]

    def correlations(self) -> Array:
        """The Gram [p, p] of the features about their means scaled to a diagonal of ones; nan for one that does not vary."""
        first = int(self.fit.intercept)
        gram = self.total.hi[first:, first:]
        with np.errstate(divide="ignore", invalid="ignore"):
            lengths = np.sqrt(gram.diagonal())
            scaled: Array = gram / lengths / lengths[:, None]
        return scaled

    def gram(self, system: Equations) -> DoubleDouble:
        """The Gram [P, P] of the rows of ``system``."""
        shift = system.exponents - self._exponents
        G = scale(system.gram, shift[:, None] + shift[None, :])
        if self._means is not None:
            below = slice(1, None)
            means = self._means.at(below)
            G.put(below, subtract(G.at(below), multiply(means.at((slice(None), None)), G.at(slice(0, 1)))))
            columns = (slice(None), below)
            G.put(columns, subtract(G.at(columns), multiply(G.at((slice(None), slice(0, 1))), means.at(None))))
        return scale(G, -(self._spread[:, None] + self._spread[None, :]))

    def residual(self, system: Equations) -> tuple[Array, Array]:
        """Of the solution on the rows of ``system``: X'r [P, t] with its residuals r, and their sum of squares [t]."""
        exactly = ExactEquations(system)
        b = scale(self.fit.estimates, system.exponents[:, None] - system.target_exponents[None, :])
        gradient = scale(exactly.residual(b), (system.exponents - self._exponents)[:, None] + system.target_exponents)
        if self._means is not None:
            below = slice(1, None)
            gradient.put(below, subtract(gradient.at(below), multiply(self._means.at((below, None)), gradient.at(slice(0, 1)))))
        return np.ldexp(gradient.hi, -self._spread[:, None]), np.ldexp(exactly.rss(b).hi, 2 * system.target_exponents)

    def rss_at(self, penalty: float) -> Array:
        """The sum of squared residuals [t] of all rows with ``penalty``."""
        if penalty == 0.0:
            return self.fit.rss
        moved = ridge_solution(self.total.hi, penalty * self.ridge, penalty * self.ridge[:, None] * self.slopes)
        rss: Array = self.fit.rss + (moved * (self.total.hi @ moved)).sum(axis=0)
        return rss

    def effective_dof(self, penalty: float) -> float:
        """The trace of the hat matrix."""
        if penalty == 0.0:
            return float(self.fit.rank)
        factor, failed = lapack.dpotrf(self.total.hi + np.diag(penalty * self.ridge), lower=0, clean=1)
        if failed:
            return np.nan
        inverse, _ = lapack.dtrtri(factor, lower=0)
        return float(len(self.ridge) - penalty * (self.ridge @ np.square(inverse).sum(axis=1)))


def ridge_solution(gram: Array, ridge: Array, right: Array) -> Array:
    """(gram + ridge)^-1 right [P, t]; nan where that is not positive definite in float64."""
    _, solution, failed = lapack.dposv(gram + np.diag(ridge), right)
    return np.full_like(right, np.nan) if failed else solution
