"""Which terms a model needs: the best subsets by AIC, BIC or Mallows' Cp, from the full fit alone.

Invariant: the intercept always stays, and the columns of a term come and go together. Sums of squares are those of the full fit plus what
removals add, so nothing cancels; the chosen subset is solved anew, exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from service.regression import least_squares, subset_search
from service.regression.inference import FTest, nested_f
from service.regression.least_squares import Fit
from service.regression.moments import Moments
from service.regression.products import Array

Criterion = Literal["aic", "bic", "cp"]

MOST_TERMS = 30  # up to which the search is exhaustive
_KEPT = 20  # candidates reported


class NothingToSelect(ValueError):
    """The data cannot compare subsets; the text says why, with advice."""


@dataclass(frozen=True)
class Scoring:
    """A criterion for models of ``n`` rows; that of several targets is the sum of each one's.

    AIC and BIC count the error variance as one of the parameters, as `inference.summary` and R's ``AIC`` do. Cp is rss / s^2 - n + 2 k with
    s^2 of the full fit.
    """

    criterion: Criterion
    n: int
    variance: Array

    def __call__(self, rss: Array, coefficients: NDArray[np.int64]) -> Array:
        """The criterion [..., t] of sums of squares [..., t] and numbers of coefficients [..., 1] or [..., t]."""
        if self.criterion == "cp":
            value: Array = rss / self.variance - self.n + 2.0 * coefficients
        else:
            price = 2.0 if self.criterion == "aic" else np.log(self.n)
            value = self.n * (np.log(2.0 * np.pi * rss / self.n) + 1.0) + price * (coefficients + 1.0)
        return value


@dataclass(frozen=True)
class Candidate:
    """A subset: the places of its ``terms``, ascending, its number of coefficients with the intercept, rss [t] and its criterion."""

    terms: tuple[int, ...]
    coefficients: int
    rss: Array
    value: float


@dataclass(frozen=True)
class Selection:
    """The best subsets found, best first, at most 20; ``fit`` is the exact fit of the first, whose ``features`` are those of the moments.

    exhaustive: whether no other subset can be better; otherwise the search was stepwise or stopped after so many subsets. against_full
    tests the chosen against the full model; None where nothing was left out. aliased: features left out as combinations of those before
    them, which take no part in the search.
    """

    criterion: Criterion
    candidates: tuple[Candidate, ...]
    features: tuple[int, ...]
    fit: Fit
    against_full: FTest | None
    exhaustive: bool
    aliased: tuple[int, ...]


def best_subsets(moments: Moments, groups: Sequence[Sequence[int]], *, criterion: Criterion, intercept: bool = True) -> Selection:
    """The best subsets of terms; ``groups`` are the features of each term.

    Exhaustive up to 30 terms, by branch and bound, unless they are so collinear that it gives up; stepwise in both directions from the
    full model beyond, and in any case at first. Raises NothingToSelect where
    the full fit is perfect or leaves no rows to spare.
    """
    full = least_squares.solve(moments, intercept=intercept)
    if full.dof == 0:
        raise NothingToSelect(f"{full.n} rows determine all {full.rank} coefficients: subsets cannot be compared. Use ridge, or add rows.")
    if not full.rss.all():
        raise NothingToSelect("The full fit is perfect, so every criterion prefers it: subsets cannot be compared.")
    first = int(intercept)
    aliased = {column - first for column in full.aliased}
    independent = [[j for j in group if j not in aliased] for group in groups]
    searched = [place for place, group in enumerate(independent) if group]
    scoring = Scoring(criterion, full.n, full.rss / full.dof)
    problem = subset_search.problem_of(full, [independent[place] for place in searched], score=scoring)
    search = subset_search.branch_and_bound if len(searched) <= MOST_TERMS else subset_search.stepwise
    found, exhaustive = search(problem, most=_KEPT)
    candidates = []
    for kept, value, rss in found:
        chosen = tuple(place for place, stays in zip(searched, kept.tolist(), strict=True) if stays)
        size = first + sum(len(independent[place]) for place in chosen)
        candidates.append(Candidate(chosen, size, rss, value))
    features = tuple(j for place in candidates[0].terms for j in groups[place])
    fit = least_squares.solve(moments.select(features, range(moments.targets)), intercept=intercept)
    return Selection(
        criterion=criterion,
        candidates=tuple(candidates),
        features=features,
        fit=fit,
        against_full=nested_f(full, fit) if fit.rank < full.rank else None,
        exhaustive=exhaustive,
        aliased=tuple(sorted(aliased)),
    )
