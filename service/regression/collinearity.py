"""How much each feature's or term's error is inflated because others say nearly the same.

Invariant: with an intercept everything is about the means, so a feature far from zero is not taken for collinear with the intercept.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.regression.centred import Centred
from service.regression.moments import Moments
from service.regression.products import Array


@dataclass(frozen=True)
class Inflation:
    """vif [p] of each feature; and of each of q terms, whose columns count as one, the generalised gvif [q] and its ``columns`` [q].

    comparable [q]: gvif^(1 / (2 columns)), the factor by which errors are inflated, comparable between terms (Fox and Monette 1992); for a
    term of one column the root of its vif. Infinite for what is a combination of features before it.
    """

    vif: Array
    gvif: Array
    columns: tuple[int, ...]
    comparable: Array


def inflation(moments: Moments, groups: Sequence[Sequence[int]], *, intercept: bool = True) -> Inflation:
    """Variance inflation factors of all features, and of the terms whose features are ``groups``. Raises ValueError without rows."""
    centred = Centred(moments, intercept=intercept)
    fit, first = centred.fit, int(intercept)
    W = fit.factor.hi[first:]
    lengths = np.linalg.norm(W, axis=1)
    squares = centred.squares()
    aliased = np.isin(np.arange(len(squares)), np.array(fit.aliased, dtype=np.int64) - first)
    with np.errstate(divide="ignore", invalid="ignore"):
        vif = np.where(aliased, np.inf, np.square(lengths) * squares)
        W = W / lengths[:, None]
    gram = centred.correlations()
    gvif = np.array([_generalised(gram, W, vif, list(group)) for group in groups])
    sizes = tuple(len(group) for group in groups)
    return Inflation(vif, gvif, sizes, gvif ** (0.5 / np.maximum(1, np.array(sizes, dtype=np.int64))))


def _generalised(gram: Array, W: Array, vif: Array, group: list[int]) -> float:
    """det(R_g) det((R^-1)_g) for the correlations R of the features; both from correlations, times the vifs of the inverse's diagonal."""
    if not np.isfinite(vif[group]).all():
        return np.inf
    own = np.linalg.det(gram[np.ix_(group, group)])
    return float(own * np.linalg.det(W[group] @ W[group].T) * np.prod(vif[group]))
