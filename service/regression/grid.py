"""How finely each column is kept, and where its digits lie.

Invariant: the resolution is a promise about values and part of the frame; the tops are a matter of speed and may move at any time.

A value is rounded to a multiple of 2^resolution before it is summed, and to nothing else. The default is 2^-256 for every column, whatever
its data: each value of 8e-62 or more in magnitude is kept to its last bit however large others are, and since the default is learned from
nothing, it cannot depend on which rows came first. A finer one than needed costs nothing, because only digits that occur are multiplied.
"""

from dataclasses import dataclass

import numpy as np

from service.regression.limbs import BITS, Integers
from service.regression.products import Array

DEFAULT_RESOLUTION = -256
FINEST = -1074  # the unit of float64's subnormal numbers: nothing is rounded
_SLICES = 3  # that always lie above the resolution
_CROWDED, _HEAVY_TAILED = 0.05, 2.0**-10  # mean square of values over the largest of them, above and below which a column is called so


@dataclass(frozen=True)
class Grid:
    """Where the digits of each column lie: the first has the weight 2^(tops - 22); values are rounded to multiples of 2^resolution."""

    tops: Integers
    resolution: Integers

    @property
    def slices(self) -> int:
        """How many slices lie wholly above every column's resolution: no rounding falls into them."""
        return int(((self.tops - self.resolution - 1) // BITS).min())


def place(magnitude: Array, sample: Array, *, resolution: Integers) -> Grid:
    """The grid for columns of ``magnitude`` [q] with values like ``sample`` [q, k].

    Tops are one bit above the largest value; two where the values crowd near it, so that blocks of squares stay below 2^53; and three where
    nearly all lie far below it, since larger ones are then to be expected among the rows not looked at. The bounds keep three slices above
    the resolution, and the scaling of any value to its digits exact in float64.
    """
    exponent = np.frexp(magnitude)[1]
    relative = np.ldexp(sample, -exponent[:, None])
    square = (relative * relative).mean(axis=1)
    tops = np.where(magnitude > 0, exponent + np.select([square > _CROWDED, square < _HEAVY_TAILED], [2, 3], 1), 1)
    lowest = np.maximum(resolution + _SLICES * BITS + 1, -1000)
    return Grid(np.clip(tops, lowest, resolution + 1036).astype(np.int64), resolution)
