"""The inverse factor of a Gram from a float64 factor, as accurate as if it had been computed with twice the digits.

Invariant: with W0 near the inverse of the factor of G, S = W0' G W0 is near the identity. It is formed almost without rounding, from
products of small integers that any BLAS sums exactly, so its own factor U is known to float64 accuracy however ill-conditioned G is; and
W0 U^-1 is the inverse factor of G (Ogita and Oishi 2012, there with residues of accurate inner products).
"""

import numpy as np
from scipy.linalg import lapack

from service.regression.double_double import DoubleDouble, quick_two_sum, scale, two_sum, zeros
from service.regression.products import Array

_ACCURACY = 50  # bits behind the point of S
_GRAM = 104  # bits that G has itself
_NEAR = 0.25  # from the identity: the largest row sum of |S - I|


def inverse_factor(G: DoubleDouble) -> Array | None:
    """The inverse [m, m] of the upper R with R'R = G, for symmetric G [m, m]; each of its rows has a relative error of about 2^-50.

    None where G is too ill-conditioned for that, from a condition of R of about 1e7 on, or not positive definite.
    """
    m = G.shape[0]
    exponents = np.frexp(G.hi.diagonal())[1] // 2
    G = scale(G, -(exponents[:, None] + exponents[None, :]))  # the diagonal now lies between 1/2 and 2, and all else below it
    upper, failed = lapack.dpotrf(G.hi, lower=0, clean=1)
    if failed:
        return None
    inverse, _ = lapack.dtrtri(upper, lower=0)
    if not np.isfinite(inverse).all():
        return None
    tops = np.frexp(np.abs(inverse).max(axis=0))[1]
    spread = m.bit_length() + int(tops.max())
    bits = (54 - (2 * m).bit_length()) // 2  # of a digit: sums of 2 m products stay below 2^53
    if _ACCURACY + spread + int(tops.max()) > _GRAM:
        return None
    first, second = _digits(DoubleDouble(np.ldexp(inverse, -tops), np.zeros((m, m))), bits=bits, count=2)
    rounded = np.ldexp(first + np.ldexp(second, -bits), tops - bits)
    image = _product(scale(G, -1), np.vstack([first, second]), bits=bits, least=_ACCURACY + spread + int(tops.max()))
    image = scale(image, tops + 1)  # G W0, which is near R'
    near = _product(scale(DoubleDouble(image.hi.T, image.lo.T), -1), np.vstack([first, second]), bits=bits, least=_ACCURACY + spread)
    S = np.ldexp(near.hi, tops + 1)
    if np.abs(S - np.eye(m)).sum(axis=0).max() > _NEAR:
        return None
    correction, _ = lapack.dtrtri(lapack.dpotrf(S, lower=0, clean=1)[0], lower=0)
    W: Array = np.ldexp(rounded @ correction, -exponents[:, None])
    return W


def _product(A: DoubleDouble, digits: Array, *, bits: int, least: int) -> DoubleDouble:
    """``A @ B`` to ``least`` bits behind the point, for |A| <= 1 and B = (d_0 + d_1 / 2^bits) / 2^bits with ``digits`` [d_0; d_1]."""
    m = A.shape[0]
    count = -(-least // bits)
    slices = np.hstack(_digits(A, bits=bits, count=count)[::-1])
    head, tail = zeros(m, digits.shape[1])
    for level in range(count):
        both = slices[:, (count - 1 - level) * m : (count + 1 - level) * m]  # the digit of this level times d_0, that before it times d_1
        head, error = two_sum(head, np.ldexp(both @ digits[: both.shape[1]], -bits * (level + 2)))
        tail += error
    return quick_two_sum(head, tail)


def _digits(A: DoubleDouble, *, bits: int, count: int) -> list[Array]:
    """The first ``count`` balanced digits of |A| <= 1 in base 2^bits: integers of at most 2^bits in the first, 2^(bits - 1) in others."""
    digits = []
    rest = A
    for _ in range(count):
        rest = scale(rest, bits)
        digits.append(np.rint(rest.hi))
        rest = quick_two_sum(*two_sum(rest.hi - digits[-1], rest.lo))
    return digits
