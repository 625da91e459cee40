"""What a least-squares fit says about its own uncertainty: errors, tests, intervals, leverage, contributions.

Invariant: a quantity that the data cannot give (no rows to spare, a perfect fit, an aliased column) is nan, never an invented number.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from service.regression.least_squares import Fit
from service.regression.products import Array

_EXTRAPOLATING = 1e-4  # share of rows like the training rows that would be flagged if they were normal


@dataclass(frozen=True)
class Summary:
    """Per coefficient [P, t]: std_error, t, p (two-sided), and the confidence interval lower to upper at ``level``.

    Per target [t]: residual_std = sqrt(rss / dof); r2 about the mean, or about zero without an intercept; adjusted_r2; f with f_p against
    the model of the intercept alone (or of nothing); log_likelihood of normal errors; aic and bic, in which the error variance counts as
    one of the parameters, as in R. Rows of unequal weight enter the likelihood without the weights' own term.
    """

    level: float
    std_error: Array
    t: Array
    p: Array
    lower: Array
    upper: Array
    residual_std: Array
    r2: Array
    adjusted_r2: Array
    f: Array
    f_p: Array
    log_likelihood: Array
    aic: Array
    bic: Array


@dataclass(frozen=True)
class Intervals:
    """For predictions [k, t]: the standard error of the mean, and the limits for the mean and for a new observation at ``level``."""

    level: float
    std_error: Array
    mean_lower: Array
    mean_upper: Array
    lower: Array
    upper: Array


@dataclass(frozen=True)
class FTest:
    """f [t] and its p [t] against a smaller model, with ``numerator`` and ``denominator`` degrees of freedom; nan for a perfect fit."""

    f: Array
    p: Array
    numerator: int
    denominator: int


def summary(fit: Fit, *, level: float = 0.95) -> Summary:
    """The usual table of a regression. A perfect fit has errors of 0 and no tests."""
    independent = np.ones(len(fit.coefficients), dtype=bool)
    independent[list(fit.aliased)] = False
    estimate = np.where(independent[:, None], fit.coefficients, np.nan)
    s = _residual_std(fit)
    with np.errstate(divide="ignore", invalid="ignore"):
        std_error = np.where(independent[:, None], np.linalg.norm(fit.factor.hi, axis=1)[:, None] * s, np.nan)
        t = np.where(std_error > 0, estimate / std_error, np.nan)
        r2 = np.where(fit.tss > 0, 1.0 - fit.rss / fit.tss, np.nan)
        spread = fit.n - int(fit.intercept)
        adjusted_r2 = 1.0 - (1.0 - r2) * spread / _positive(fit.dof)
        regressors = _positive(fit.rank - int(fit.intercept))
        f = np.where(fit.rss > 0, (fit.tss - fit.rss) / regressors / (s * s), np.nan)
        log_likelihood = np.where(fit.rss > 0, -0.5 * fit.n * (np.log(2.0 * np.pi * fit.rss / fit.n) + 1.0), np.nan)
    half = _quantile(fit, level) * std_error
    return Summary(
        level=level,
        std_error=std_error,
        t=t,
        p=2.0 * special.stdtr(fit.dof, -np.abs(t)),
        lower=estimate - half,
        upper=estimate + half,
        residual_std=s,
        r2=r2,
        adjusted_r2=adjusted_r2,
        f=f,
        f_p=special.fdtrc(regressors, fit.dof, f),
        log_likelihood=log_likelihood,
        aic=2.0 * (fit.rank + 1) - 2.0 * log_likelihood,
        bic=np.log(max(1, fit.n)) * (fit.rank + 1) - 2.0 * log_likelihood,
    )


def nested_f(fit: Fit, smaller: Fit) -> FTest:
    """Whether ``fit`` explains more than ``smaller``, whose columns are some of its own and whose rows are the same.

    Raises ValueError where the smaller one leaves out no independent column, or has other rows.
    """
    numerator = fit.rank - smaller.rank
    if numerator <= 0 or (fit.n, fit.weight) != (smaller.n, smaller.weight):
        raise ValueError("The second fit must be of the same rows, and leave out columns that the first one has.")
    with np.errstate(divide="ignore", invalid="ignore"):
        f = np.where(fit.rss > 0, (smaller.rss - fit.rss) / numerator / (fit.rss / _positive(fit.dof)), np.nan)
    return FTest(f, special.fdtrc(numerator, fit.dof, f), numerator, fit.dof)


def leverage(fit: Fit, X: Array) -> Array:
    """x' (X'X)^-1 x [k] for design rows X [k, p] without the intercept's column.

    With an intercept it is taken about the training means, where nothing cancels: 1 / weight + |W'(x - mean)|^2.
    """
    first = int(fit.intercept)
    distance = _squared_distance(fit, X)
    return distance + 1.0 / fit.weight if first and fit.weight else distance


def extrapolating(fit: Fit, X: Array) -> NDArray[np.bool_]:
    """Which rows [k] lie farther from the training rows than 99.99 % of rows would if they were normal.

    The squared Mahalanobis distance (about zero without an intercept) is compared with the chi-squared quantile for as many degrees
    of freedom as there are independent columns.
    """
    freedom = fit.rank - int(fit.intercept)
    if freedom <= 0 or fit.n < 2:
        return np.zeros(len(X), dtype=bool)
    mahalanobis = _squared_distance(fit, X) * fit.weight * (fit.n - 1) / fit.n
    far: NDArray[np.bool_] = mahalanobis > special.chdtri(freedom, _EXTRAPOLATING)
    return far


def intervals(fit: Fit, X: Array, predictions: Array, *, level: float = 0.95, leverages: Array | None = None) -> Intervals:
    """Intervals around ``predictions`` [k, t] of design rows X [k, p], whose ``leverages`` [k] are computed unless they are given.

    A new observation is one of weight 1.
    """
    s, quantile = _residual_std(fit), _quantile(fit, level)
    h = (leverage(fit, X) if leverages is None else leverages)[:, None]
    mean, new = s * np.sqrt(h), s * np.sqrt(1.0 + h)
    return Intervals(
        level=level,
        std_error=mean,
        mean_lower=predictions - quantile * mean,
        mean_upper=predictions + quantile * mean,
        lower=predictions - quantile * new,
        upper=predictions + quantile * new,
    )


def standardized(fit: Fit, residuals: Array, leverages: Array, weights: Array) -> Array:
    """Residuals [k, t] of training rows in standard errors of their own: sqrt(w) r / (s sqrt(1 - h)).

    ``leverages`` h [k] include the ``weights`` w [k]. A row that determines its own fit, and rows of a perfect fit, have none: nan.
    """
    spread = _residual_std(fit) * np.sqrt(np.maximum(1.0 - leverages, 0.0))[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(spread > 0, np.sqrt(weights)[:, None] * residuals / spread, np.nan)


def contributions(fit: Fit, X: Array) -> tuple[Array, Array]:
    """The baseline [t], which is the prediction at the training means, and what each column adds to it [k, p, t].

    Baseline and parts of a row add up to its prediction.
    """
    slopes, means = fit.coefficients[int(fit.intercept) :], fit.means[int(fit.intercept) :]
    return (fit.means[:, None] * fit.coefficients).sum(axis=0), (X - means)[:, :, None] * slopes


def _squared_distance(fit: Fit, X: Array) -> Array:
    """|W'(x - mean)|^2 [k] over the columns but the intercept; about zero without one."""
    first = int(fit.intercept)
    centred = X - fit.means[first:] if first else X
    distance: Array = np.square(centred @ fit.factor.hi[first:, first:]).sum(axis=1)
    return distance


def _residual_std(fit: Fit) -> Array:
    """sqrt(rss / dof) [t]; nan where no rows are to spare."""
    return np.sqrt(fit.rss / _positive(fit.dof))


def _quantile(fit: Fit, level: float) -> float:
    if not 0.0 < level < 1.0:
        raise ValueError(f"level is {level}, expected a share between 0 and 1 such as 0.95.")
    return float(special.stdtrit(fit.dof, 0.5 + 0.5 * level)) if fit.dof else np.nan


def _positive(count: int) -> float:
    return float(count) if count > 0 else np.nan
