"""How finely each column is kept, and where its digits lie.

Invariant: the resolution is a promise about values and part of the frame; the tops are a matter of speed and can be moved at any time.

A value is rounded to a multiple of 2^resolution before it is summed. The default is 2^-160 for every column whose largest magnitude is
at least 2^-64 (5e-20): each value of 7e-33 or more is then kept to its last bit, however large others are, and nearly all data ever
met have the same resolution, whichever rows came first. Only columns smaller than that throughout get a finer one, in steps of 2^128.
"""

import numpy as np
from numpy.typing import NDArray

from service.regression.limbs import BITS, Integers
from service.regression.products import Array

ORDINARY = -160
FINEST = -1074  # the unit of float64's subnormal numbers: nothing is rounded
_SMALL = -64
_STEP = 128


def default_resolution(magnitude: Array) -> Integers:
    """The default resolution of columns [q] whose largest magnitudes are ``magnitude`` (0 where all values are 0)."""
    exponent = np.where(magnitude > 0, np.frexp(magnitude)[1] - 1, 0)  # magnitude >= 2^exponent
    steps = np.minimum(0, (exponent - _SMALL) // _STEP)
    resolution: Integers = np.maximum(ORDINARY + _STEP * steps, FINEST).astype(np.int64)
    return resolution


def is_open(magnitude: Array) -> NDArray[np.bool_]:
    """Which columns' default resolution larger values could still change."""
    small: NDArray[np.bool_] = magnitude < np.ldexp(1.0, _SMALL)
    return small


def place_digits(magnitude: Array, sample: Array, *, resolution: Integers) -> Integers:
    """The top exponent of each column's digits [q], for columns of ``magnitude`` [q] with values like ``sample`` [q, k].

    One bit above the largest value, two where the values crowd near it, so that blocks of squares stay below 2^53. The bounds keep three
    slices above the resolution, and the scaling of any value to its digits exact in float64.
    """
    exponent = np.frexp(magnitude)[1]
    relative = np.ldexp(sample, -exponent[:, None])
    crowded = (relative * relative).mean(axis=1) > 0.25
    tops = np.where(magnitude > 0, exponent + np.where(crowded, 2, 1), 1)
    return np.clip(tops, np.maximum(resolution + 3 * BITS + 1, -1000), resolution + 1036).astype(np.int64)
