"""Cholesky factors and triangular systems in double-double.

Invariant: every element is computed by the same sequence of elementwise operations whatever the machine, so results have the same
bits under any BLAS and any number of threads.
"""

import numpy as np
from numpy.typing import NDArray

from service.regression.double_double import DoubleDouble, divide, exact, multiply, sqrt, subtract, zeros

_ALIASED = 2.0**-80  # a pivot below this share of its column's square: the column is known to 12 digits from those before it


def cholesky(G: DoubleDouble) -> tuple[DoubleDouble, NDArray[np.bool_]]:
    """The upper R with R'R = G for symmetric G [m, m], and which columns are independent of the columns before them.

    A column whose pivot is at most 2^-80 of its diagonal is aliased: its row and column of R are zero and it takes no part in the rest.
    """
    m = G.shape[0]
    rest = DoubleDouble(G.hi.copy(), G.lo.copy())
    R = zeros(m, m)
    independent = rest.hi.diagonal() > 0
    floor = _ALIASED * G.hi.diagonal()
    for k in range(m):
        independent[k] &= rest.hi[k, k] > floor[k]
        if not independent[k]:
            continue
        pivot = sqrt(rest.at((k, slice(k, k + 1))))
        row = divide(rest.at((k, slice(k, m))), pivot)
        row.put(slice(0, 1), pivot)
        R.put((k, slice(k, m)), row)
        after = row.at(slice(1, None))
        trailing = (slice(k + 1, m), slice(k + 1, m))
        rest.put(trailing, subtract(rest.at(trailing), multiply(after.at((slice(None), None)), after.at(None))))
    for part in R:
        part[:, ~independent] = 0.0
    return R, independent


def solve_transposed(R: DoubleDouble, B: DoubleDouble) -> DoubleDouble:
    """X with R'X = B for upper R [m, m] and B [m, t]: forward substitution."""
    X = DoubleDouble(B.hi.copy(), B.lo.copy())
    for k in range(R.shape[0]):
        row = divide(X.at(slice(k, k + 1)), R.at((slice(k, k + 1), slice(k, k + 1))))
        X.put(slice(k, k + 1), row)
        below = slice(k + 1, None)
        X.put(below, subtract(X.at(below), multiply(R.at((k, below)).at((slice(None), None)), row)))
    return X


def solve(R: DoubleDouble, B: DoubleDouble) -> DoubleDouble:
    """X with RX = B for upper R [m, m] and B [m, t]: back substitution."""
    X = DoubleDouble(B.hi.copy(), B.lo.copy())
    for k in reversed(range(R.shape[0])):
        row = divide(X.at(slice(k, k + 1)), R.at((slice(k, k + 1), slice(k, k + 1))))
        X.put(slice(k, k + 1), row)
        above = slice(0, k)
        X.put(above, subtract(X.at(above), multiply(R.at((above, slice(k, k + 1))), row)))
    return X


def inverse(R: DoubleDouble) -> DoubleDouble:
    """The inverse of upper R [m, m], itself upper."""
    m = R.shape[0]
    X = exact(np.eye(m))
    for k in reversed(range(m)):
        right = slice(k, m)
        row = divide(X.at((slice(k, k + 1), right)), R.at((slice(k, k + 1), slice(k, k + 1))))
        X.put((slice(k, k + 1), right), row)
        above = (slice(0, k), right)
        X.put(above, subtract(X.at(above), multiply(R.at((slice(0, k), slice(k, k + 1))), row)))
    return X
