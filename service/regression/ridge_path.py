"""Which ridge penalty to take, from moments alone: generalised cross-validation, or k-fold cross-validation from the moments of the folds.

Invariant: scores are those of the exact least-squares solution plus what moving away from it adds, so nothing cancels however well the
model fits; the chosen penalty is solved anew, exactly. Features are taken about the means of all rows, which changes no prediction.

Penalties run from the one that costs a hundredth of a degree of freedom to the one that leaves a hundredth: beyond either the fit no longer
changes. They are two to a decade, since the degrees of freedom of a direction fall over about two; the best is then refined between its
neighbours. Least squares itself, a penalty of 0, is among them where it is determined.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import minimize_scalar

from service.regression import penalized
from service.regression.centred import Centred, ridge_solution
from service.regression.double_double import subtract
from service.regression.moments import Moments
from service.regression.normal_equations import equations
from service.regression.penalized import Penalized
from service.regression.products import Array

_SHARE = 0.01  # of a degree of freedom, at both ends of the path
_PER_DECADE = 2
_MOST = 200  # penalties of a path
_REFINED = 1e-3  # of the logarithm of the chosen penalty


@dataclass(frozen=True)
class RidgePath:
    """``penalties`` [L], ascending, with their scores [L, t] and effective_dof [L]; and the chosen ``penalty`` with its ``score`` [t].

    A score is the GCV n rss / (n - effective_dof)^2, or the squared error of the rows of each fold, predicted from the others, by their
    weight; nan where a penalty is too small to be solved for. The chosen one has the least sum of scores by the variances of the targets.
    ``fit`` is its exact fit.
    """

    criterion: Literal["gcv", "folds"]
    penalties: Array
    scores: Array
    effective_dof: Array
    penalty: float
    score: Array
    fit: Penalized


def by_gcv(moments: Moments, *, intercept: bool = True) -> RidgePath:
    """The penalty with the least generalised cross-validation. Raises ValueError without rows."""
    frame = Centred(moments, intercept=intercept)

    def score(penalty: float) -> Array:
        return moments.n * frame.rss_at(penalty) / max(moments.n - frame.effective_dof(penalty), 0.0) ** 2

    return _chosen(frame, "gcv", score)


def by_folds(moments: Moments, folds: Sequence[Moments], *, intercept: bool = True) -> RidgePath:
    """The penalty with the least error on the rows of each fold; ``folds`` are the moments whose merger ``moments`` are.

    Raises ValueError where they are not, by their number of rows, or fewer than two of them have any.
    """
    frame = Centred(moments, intercept=intercept)
    parts = _parts(frame, folds)
    return _chosen(frame, "folds", lambda penalty: _held_out(frame, parts, penalty) / moments.weight())


def held_out_rss(moments: Moments, folds: Sequence[Moments], *, penalty: float = 0.0, intercept: bool = True) -> Array:
    """The sum of squared errors [t] of all rows, each predicted by the fit of the other folds' rows; nan where one is not determined.

    For a subset of features give the selected moments and folds. Raises ValueError as `by_folds` does.
    """
    frame = Centred(moments, intercept=intercept)
    return _held_out(frame, _parts(frame, folds), penalty)


_Part = tuple[Array, Array, Array, Array]  # Grams of a fold and of the others' rows, X'r and the sum of squares of the fold's residuals


def _parts(frame: Centred, folds: Sequence[Moments]) -> list[_Part]:
    filled = [fold for fold in folds if fold.n]
    if len(filled) < 2 or sum(fold.n for fold in filled) != frame.moments.n:
        raise ValueError("The folds must be two or more, with rows, and have all rows of the moments among them: train with folds.")
    parts = []
    for fold in filled:
        system = equations(fold, intercept=frame.fit.intercept)
        gram = frame.gram(system)
        parts.append((gram.hi, subtract(frame.total, gram).hi, *frame.residual(system)))
    return parts


def _held_out(frame: Centred, parts: Sequence[_Part], penalty: float) -> Array:
    ridge, pull = penalty * frame.ridge, penalty * frame.ridge[:, None] * frame.slopes
    total = np.zeros(frame.slopes.shape[1])
    for gram, others, gradient, rss in parts:
        moved = ridge_solution(others, ridge, -(gradient + pull))  # the others' solution less that of all rows
        total += rss - 2.0 * (gradient * moved).sum(axis=0) + (moved * (gram @ moved)).sum(axis=0)
    return total


def _chosen(frame: Centred, criterion: Literal["gcv", "folds"], score: Callable[[float], Array]) -> RidgePath:
    penalties = _penalties(frame)
    scores = np.array([score(float(penalty)) for penalty in penalties])
    variances = np.where(frame.fit.tss > 0, frame.fit.tss, 1.0)

    def value(one: Array) -> float:
        total = float((one / variances).sum())
        return total if np.isfinite(total) else np.inf

    values = [value(one) for one in scores]
    at = int(np.argmin(values))
    penalty, best = float(penalties[at]), scores[at]
    if 0 < at < len(penalties) - 1 and penalties[at - 1] > 0:
        low, high = np.log(penalties[at - 1]), np.log(penalties[at + 1])
        options = {"xatol": _REFINED}
        found = minimize_scalar(lambda log: value(score(float(np.exp(log)))), bounds=(low, high), method="bounded", options=options)
        if found.fun < values[at]:
            penalty = float(np.exp(found.x))
            best = score(penalty)
    dof = np.array([frame.effective_dof(float(one)) for one in penalties])
    fit = penalized.ridge(frame.moments, penalty, intercept=frame.fit.intercept)
    return RidgePath(criterion, penalties, scores, dof, penalty, best, fit)


def _penalties(frame: Centred) -> Array:
    """The path [L]; 0 is on it where the least-squares solution is determined and rows are to spare."""
    squares = float(frame.squares().sum())
    inverse = float(np.square(frame.fit.factor.hi[int(frame.fit.intercept) :]).sum())
    if not (0.0 < squares < np.inf and 0.0 < inverse < np.inf):
        return np.zeros(1)
    low, high = np.log10(_SHARE / inverse), np.log10(squares / _SHARE)
    path = np.logspace(low, high, min(_MOST, 1 + int(np.ceil(_PER_DECADE * (high - low)))))
    return np.concatenate([[0.0], path]) if frame.fit.dof and not frame.fit.aliased else path
