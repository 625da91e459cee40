"""The normal equations G b = C taken from moments: scaled in double-double for a factor, and exact for residuals.

Invariant: `ExactEquations.residual` and `.rss` are rounded once, at the very end, so a solution can be refined until only its own last
bit is uncertain, however ill-conditioned G is and whatever factor steps towards it.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from service.regression.double_double import DoubleDouble, add, exact, from_fractions, scale, to_fraction
from service.regression.limbs import BITS, Integers
from service.regression.moments import Moments
from service.regression.products import Array

_DIGIT = 20  # bits of a digit of a solution: times a digit of the moments (22) and summed over 4096 columns it stays below 2^53
_COLUMNS = 4096


@dataclass(frozen=True)
class Equations:
    """``gram`` [P, P], ``cross`` [P, t] and ``squares`` [t] of the design columns and targets, each over powers of two.

    True values are ``gram * 2^(e_i + e_j)``, ``cross * 2^(e_i + f_j)``, ``squares * 2^(2 f)`` with ``exponents`` e and ``target_exponents`` f.
    ``penalty`` stands on the diagonal of the true Gram, except for the intercept. ``ones`` [P], ``target_ones`` [t] and ``weight`` are the
    products with the column of ones, scaled as the columns are and by 2^``ones_exponent``.
    """

    moments: Moments
    intercept: bool
    penalty: float
    gram: DoubleDouble
    cross: DoubleDouble
    squares: DoubleDouble
    exponents: Integers
    target_exponents: Integers
    ones: DoubleDouble
    target_ones: DoubleDouble
    weight: DoubleDouble
    ones_exponent: int

    def unscaled(self, b: DoubleDouble) -> DoubleDouble:
        """Coefficients [P, t] in the units of the data."""
        return scale(b, self.target_exponents[None, :] - self.exponents[:, None])


def equations(moments: Moments, *, intercept: bool, penalty: float = 0.0) -> Equations:
    """The normal equations of ``moments``, with ``penalty`` >= 0 on every coefficient but the intercept's."""
    whole, exponents = moments.scaled()
    first, split = (0 if intercept else 1), 1 + moments.features
    design, targets = slice(first, split), slice(split, None)
    gram = whole.at((design, design))
    if penalty:
        ridge = np.full(split - first, penalty)
        ridge[: int(intercept)] = 0.0
        gram = add(gram, exact(np.diag(np.ldexp(ridge, -2 * exponents[design]))))
    return Equations(
        moments=moments,
        intercept=intercept,
        penalty=penalty,
        gram=gram,
        cross=whole.at((design, targets)),
        squares=DoubleDouble(*(part.diagonal().copy() for part in whole.at((targets, targets)))),
        exponents=exponents[design],
        target_exponents=exponents[targets],
        ones=whole.at((0, design)),
        target_ones=whole.at((0, targets)),
        weight=whole.at((0, 0)),
        ones_exponent=int(exponents[0]),
    )


class ExactEquations:
    """The same equations, digit by digit: products of small integers that float64 holds exactly, so BLAS may form them."""

    def __init__(self, system: Equations) -> None:
        planes, tops = system.moments.planes()
        first = 0 if system.intercept else 1
        self._system = system
        self._planes = {
            level: np.tril(digits[first:, first:]).astype(np.float64) + np.tril(digits[first:, first:], -1).T
            for level, digits in planes.items()
        }
        self._tops = tops[first:]
        self._exponents = np.concatenate([system.exponents, system.target_exponents])

    def residual(self, b: DoubleDouble) -> DoubleDouble:
        """``C - G b`` [P, t] of the scaled equations for b [P, t]."""
        P = len(b.hi)
        image = self._image(self._contrast(b))[:P]
        penalty = Fraction(self._system.penalty)
        if penalty:
            for j in range(int(self._system.intercept), P):
                share = penalty / Fraction(4) ** int(self._exponents[j])
                image[j] -= [share * to_fraction(b.at((j, k))) for k in range(b.shape[1])]
        flat = from_fractions(image.ravel())
        return DoubleDouble(flat.hi.reshape(b.shape), flat.lo.reshape(b.shape))

    def rss(self, b: DoubleDouble) -> DoubleDouble:
        """The scaled sum of squared residuals [t] for b [P, t]; the penalty is no part of it."""
        contrast = self._contrast(b)
        image = self._image(contrast)
        return from_fractions(
            sum(to_fraction(contrast.at((i, k))) * image[i, k] for i in np.flatnonzero(contrast.hi[:, k])) for k in range(b.shape[1])
        )

    def _contrast(self, b: DoubleDouble) -> DoubleDouble:
        """z [P + t, t] with [X Y] z = Y - X b."""
        t = b.shape[1]
        return DoubleDouble(np.concatenate([-b.hi, np.eye(t)]), np.concatenate([-b.lo, np.zeros((t, t))]))

    def _image(self, z: DoubleDouble) -> NDArray[np.object_]:
        """The scaled Gram of [X Y] times z, as fractions."""
        t = z.shape[1]
        shift = self._tops - self._exponents
        largest = int(np.frexp(z.hi)[1].max() + shift.max())
        rest = np.ldexp(np.concatenate(z, axis=1), shift[:, None] - largest)
        digits: list[Array] = []
        while rest.any():
            digits.append(np.rint(rest * 2.0**_DIGIT))
            rest = rest * 2.0**_DIGIT - digits[-1]
        lowest = min(self._planes, default=0)
        image = np.zeros((len(shift), 2 * t), dtype=object)
        stacked = np.concatenate(digits, axis=1) if digits else np.zeros((len(shift), 0))
        for level, plane in self._planes.items():
            product = self._product(plane, stacked)
            for place in range(len(digits)):
                part = product[:, 2 * t * place : 2 * t * (place + 1)]
                image += part << (BITS * (level - lowest) + _DIGIT * (len(digits) - 1 - place))
        unit = BITS * lowest - _DIGIT * len(digits) + largest
        scales = [Fraction(2) ** (unit + int(s)) for s in shift]
        return np.array([[(row[k] + row[t + k]) * s for k in range(t)] for row, s in zip(image, scales, strict=True)], dtype=object)

    def _product(self, plane: Array, digits: Array) -> NDArray[np.object_]:
        """``plane @ digits`` as Python integers, at most 4096 columns at a time."""
        parts = range(0, len(plane), _COLUMNS)
        whole = [(plane[:, start : start + _COLUMNS] @ digits[start : start + _COLUMNS]).astype(np.int64) for start in parts]
        return np.sum(whole, axis=0).astype(object)
