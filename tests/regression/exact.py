"""Independent truth for sums and solutions: Python's rational numbers, and the products of another BLAS."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas

Array = NDArray[np.float64]


def rounded(value: float, resolution: int) -> Fraction:
    """``value`` rounded, ties to even, to a multiple of 2^resolution."""
    unit = Fraction(2) ** resolution
    return round(Fraction(value) / unit) * unit


def gram(X: Array, Y: Array, resolution: Sequence[int], weights: Array | None = None) -> list[list[Fraction]]:
    """The lower triangle of the Gram of sqrt(w) [1 X Y], its values in float64 rounded to the resolution."""
    root = np.ones(len(X)) if weights is None else np.sqrt(weights)
    Z = np.column_stack([np.ones(len(X)), X, Y]) * root[:, None]
    columns = [[rounded(value, int(r)) for value in column] for column, r in zip(Z.T.tolist(), resolution, strict=True)]
    return [[sum((a * b for a, b in zip(u, v, strict=True)), Fraction(0)) for v in columns[: i + 1]] for i, u in enumerate(columns)]


def least_squares(X: Array, y: Array, *, intercept: bool = True) -> list[Fraction]:
    """Coefficients for one target by Gauss elimination of the normal equations in rationals; columns must be independent."""
    rows = [([Fraction(1)] if intercept else []) + [Fraction(v) for v in row] for row in X.tolist()]
    target = [Fraction(v) for v in y.tolist()]
    m = len(rows[0])
    A = [[sum((r[i] * r[j] for r in rows), Fraction(0)) for j in range(m)] for i in range(m)]
    A = [[*line, sum((r[i] * t for r, t in zip(rows, target, strict=True)), Fraction(0))] for i, line in enumerate(A)]
    for k in range(m):
        A[k] = [value / A[k][k] for value in A[k]]
        for i in range(m):
            if i != k and A[i][k]:
                A[i] = [a - A[i][k] * b for a, b in zip(A[i], A[k], strict=True)]
    return [line[-1] for line in A]


def scipy_syrk(S: Array, out: Array) -> None:
    """The products of `service.regression.products.Product` by scipy's BLAS, the lower triangle only."""
    out[:] = blas.dsyrk(1.0, S.T, trans=1).T
