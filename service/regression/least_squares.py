"""Least squares by Householder QR of [1 X Y], accumulated batch by batch.

The triangular factor R of all rows seen is the whole state: [1 X Y] = Q R, so rows are read once and never kept.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]

ALIASED = 2.0**-44  # a pivot this small beside its column's norm is rounding error, not information


def triangle(matrix: Matrix) -> Matrix:
    """The factor R of the QR decomposition."""
    return np.asarray(np.linalg.qr(matrix, mode="r"))


class Factor:
    """The factor R [p + t, p + t] of the design rows (p columns, the intercept first when there is one) and t targets."""

    def __init__(self, columns: int, targets: int, *, intercept: bool) -> None:
        self.columns, self.targets, self.intercept = columns + intercept, targets, intercept
        self.n = 0
        self.target_sums = np.zeros(targets)
        self.r: Matrix = np.zeros((0, self.columns + targets))

    def add(self, x: Matrix, y: Matrix) -> None:
        """Take in rows x [k, columns] with their targets y [k, targets]."""
        chunk = max(4 * self.r.shape[1], 160_000 // self.r.shape[1])  # rows that stay in the cache
        for start in range(0, len(x), chunk):
            rows = [x[start : start + chunk], y[start : start + chunk]]
            if self.intercept:
                rows.insert(0, np.ones((len(rows[0]), 1)))
            self.r = triangle(np.vstack([self.r, np.hstack(rows)]))
        self.n += len(x)
        self.target_sums += y.sum(axis=0)


@dataclass(frozen=True)
class Fit:
    """A solved regression. Columns are the design columns, the intercept first when there is one.

    coefficients [p, t], standard_errors [p, t] (NaN where there are no degrees of freedom), rss [t], tss [t] (uncentred
    without an intercept), n rows, rank, condition of the column-scaled design, aliased: indices of the columns left out.
    """

    coefficients: Matrix
    standard_errors: Matrix
    rss: Matrix
    tss: Matrix
    n: int
    rank: int
    condition: float
    aliased: tuple[int, ...]
    intercept: bool

    @property
    def dof(self) -> int:
        """Residual degrees of freedom."""
        return self.n - self.rank


def solve(factor: Factor) -> Fit:
    """Coefficients, their standard errors and sums of squares from the factor alone.

    A column that depends on columns before it is left out: its coefficient is zero and its index is in `aliased`.
    """
    p = factor.columns
    r = np.vstack([factor.r, np.zeros((max(0, factor.r.shape[1] - len(factor.r)), factor.r.shape[1]))])
    norms = np.linalg.norm(r, axis=0)
    pivots = np.abs(np.diagonal(r))
    aliased = tuple(int(j) for j in range(p) if pivots[j] <= ALIASED * norms[j])
    kept = [j for j in range(p) if j not in aliased]
    r = triangle(r[:, [*kept, *range(p, r.shape[1])]])
    rank = len(kept)
    rx, z, below = r[:rank, :rank], r[:rank, rank:], r[rank:, rank:]
    inverse = np.linalg.solve(rx, np.eye(rank)) if rank else np.zeros((0, 0))
    rss = np.where((norms[p:] > 0) & (np.linalg.norm(below, axis=0) > ALIASED * norms[p:]), (below**2).sum(axis=0), 0.0)
    tss = norms[p:] ** 2 - (factor.target_sums**2 / factor.n if factor.intercept else 0.0)
    coefficients, errors = np.zeros((p, factor.targets)), np.full((p, factor.targets), np.nan)
    coefficients[kept] = inverse @ z
    if factor.n > rank:
        errors[kept] = np.linalg.norm(inverse, axis=1)[:, None] * np.sqrt(rss / (factor.n - rank))
    scaled = rx / norms[kept] if rank else rx
    condition = float(np.linalg.cond(scaled)) if rank else 1.0
    return Fit(coefficients, errors, rss, tss, factor.n, rank, condition, aliased, factor.intercept)
