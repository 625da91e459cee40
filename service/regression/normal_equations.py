"""The normal equations G b = C taken from moments: scaled in double-double for a factor, and exact for residuals.

Invariant: `ExactEquations.residual` and `.rss` are rounded once, at the very end, so a solution can be refined until only its own last
bit is uncertain, however ill-conditioned G is and whatever factor steps towards it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas

from service.regression.double_double import DoubleDouble, add, exact, from_integers, multiply, scale, subtract
from service.regression.limbs import BITS, Integers
from service.regression.moments import Moments
from service.regression.products import Array

_PRODUCT = 32  # bits of a digit of a solution and the number of columns together: times a digit of the moments, sums stay below 2^53


@dataclass(frozen=True)
class Equations:
    """``gram`` [P, P], ``cross`` [P, t] and ``squares`` [t] of the design columns and targets, each over powers of two.

    True values are ``gram * 2^(e_i + e_j)``, ``cross * 2^(e_i + f_j)`` and ``squares * 2^(2 f)`` with ``exponents`` e and
    ``target_exponents`` f. ``penalty`` is part of the diagonal of the Gram, except for the intercept. ``ones`` [P], ``target_ones`` [t]
    and ``weight`` are the products with the column of ones, scaled as the columns are and by 2^``ones_exponent``.
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

    def ridge(self) -> Array:
        """The penalties on the diagonal of the scaled Gram [P]."""
        ridge = np.ldexp(self.penalty, -2 * self.exponents)
        ridge[: int(self.intercept)] = 0.0
        return ridge

    def unscaled(self, b: DoubleDouble) -> DoubleDouble:
        """Coefficients [P, t] in the units of the data."""
        return scale(b, self.target_exponents[None, :] - self.exponents[:, None])


def equations(moments: Moments, *, intercept: bool, penalty: float = 0.0) -> Equations:
    """The normal equations of ``moments``, with ``penalty`` >= 0 on every coefficient but the intercept's."""
    whole, exponents = moments.scaled()
    first, split = (0 if intercept else 1), 1 + moments.features
    design, targets = slice(first, split), slice(split, None)
    system = Equations(
        moments=moments,
        intercept=intercept,
        penalty=penalty,
        gram=whole.at((design, design)),
        cross=whole.at((design, targets)),
        squares=DoubleDouble(*(part.diagonal().copy() for part in whole.at((targets, targets)))),
        exponents=exponents[design],
        target_exponents=exponents[targets],
        ones=whole.at((0, design)),
        target_ones=whole.at((0, targets)),
        weight=whole.at((0, 0)),
        ones_exponent=int(exponents[0]),
    )
    return replace(system, gram=add(system.gram, exact(np.diag(system.ridge())))) if penalty else system


class ExactEquations:
    """The same equations, digit by digit: products of small integers that float64 holds exactly, so BLAS may form them."""

    def __init__(self, system: Equations) -> None:
        planes, tops = system.moments.planes, system.moments.tops
        first = 0 if system.intercept else 1
        self._ridge = system.ridge()
        self._lowest = min(planes, default=0)
        self._planes = {level: digits[first:, first:].astype(np.float64, order="C") for level, digits in planes.items()}
        self._shift = tops[first:] - np.concatenate([system.exponents, system.target_exponents])
        self._digit = min(BITS, _PRODUCT - len(self._shift).bit_length())

    def residual(self, b: DoubleDouble) -> DoubleDouble:
        """``C - G b`` [P, t] for b [P, t]; a penalty's share is rounded at 2^-104 of itself, which moves b no more."""
        P = len(self._ridge)
        _, image, unit = self._image(b)
        rest = from_integers(image[:P], self._shift[:P, None] + (unit + BITS * self._lowest))
        return subtract(rest, multiply(exact(self._ridge[:, None]), b)) if self._ridge.any() else rest

    def rss(self, b: DoubleDouble) -> DoubleDouble:
        """The scaled sum of squared residuals [t] for b [P, t]; the penalty is no part of it."""
        z, image, unit = self._image(b)
        return from_integers((z * image).sum(axis=0), np.full(b.shape[1], 2 * unit + BITS * self._lowest))

    def _image(self, b: DoubleDouble) -> tuple[NDArray[np.object_], NDArray[np.object_], int]:
        """z = [-b; 1], so that [X Y] z are the residuals, and the Gram of [X Y] times z: integers [P + t, t], and the unit of the former.

        z_i is its integer times 2^(unit - shift_i), and the image its integer times 2^(22 lowest + unit + shift_i).
        """
        t = b.shape[1]
        z = np.stack([np.vstack([-b.hi, np.eye(t)]), np.vstack([-b.lo, np.zeros((t, t))])])
        largest = int((np.frexp(z)[1] + self._shift[:, None]).max())
        rest = np.ldexp(z, self._shift[:, None] - largest)
        digits: list[Array] = []
        while rest.any():
            rest = rest * 2.0**self._digit
            digits.append(np.rint(rest))
            rest -= digits[-1]
        digits = [high + low for high, low in reversed(digits)]  # the high part's are gone, or small, where the low part's begin
        whole = _integers({self._digit * place: digit.astype(np.int64) for place, digit in enumerate(digits)}, shape=z.shape[1:])
        factor = np.hstack(digits)
        sums: dict[int, Integers] = {}
        for level, plane in self._planes.items():
            product = _times(plane, factor, targets=t).astype(np.int64)
            for place in range(len(digits)):
                at = BITS * (level - self._lowest) + self._digit * place
                part = product[:, t * place : t * (place + 1)]
                sums[at] = sums[at] + part if at in sums else part
        return whole, _integers(sums, shape=z.shape[1:]), largest - self._digit * len(digits)


def _times(plane: Array, factor: Array, *, targets: int) -> Array:
    """The product of a symmetric matrix, given as its lower triangle, with a factor: at first of nothing but digits of the targets."""
    split = len(plane) - targets
    if factor[:split].any():
        product: Array = blas.dsymm(1.0, plane.T, factor)
        return product
    corner = np.tril(plane[split:, split:])
    return np.vstack([plane[split:, :split].T, corner + np.tril(corner, -1).T]) @ factor[split:]


def _integers(parts: Mapping[int, Integers], *, shape: tuple[int, ...]) -> NDArray[np.object_]:
    """The sum of ``parts[at] << at`` in Python's integers."""
    total = np.zeros(shape, dtype=object)
    for at, part in parts.items():
        total += part.astype(object) << at
    return total
