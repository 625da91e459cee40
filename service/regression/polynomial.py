"""Polynomials of a feature in a basis that float64 can tell apart, and the exact way back to powers of x.

With t = (x - centre) / scale, the basis is p1 = t, p2 = t^2 - s^2/2, p[k+1] = t p[k] - s^2/4 p[k-1]: the monic Chebyshev polynomials of
[-s, s], where s is the `reach` of the data in t. There they differ as much as polynomials can, while powers of x may agree to ten
digits. Reach 0 makes them plain powers of t. All constants are short binary fractions, so whole and other short numbers stay exact.
Invariant: each entry is its exact value rounded once, to within the 2^-100 of double-double arithmetic.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce

import numpy as np

from service.regression.double_double import Array, DoubleDouble, exact, multiply, scale, subtract, two_sum


@dataclass(frozen=True)
class PolynomialBasis:
    """The constants of one feature's polynomials: `scale` a power of two, `reach` 0 or in eighths up to 1."""

    centre: float
    scale: float
    reach: float

    def __post_init__(self) -> None:
        numbers = math.isfinite(self.centre) and 0 < self.scale < math.inf
        if not (numbers and math.frexp(self.scale)[0] == 0.5 and 0 <= self.reach <= 1 and (8 * self.reach).is_integer()):
            raise ValueError(f"{self} is no basis: pass a finite centre, a power of two as scale, and as reach 0 or eighths up to 1")


def basis_for(low: float, high: float, *, centred: bool) -> PolynomialBasis:
    """The basis for a feature that runs from `low` to `high`, coarse enough that data of equal scale share it.

    `scale` is the power of two at or above the half range, `reach` the half range in eighths of it, rounded up, and `centre` the
    mid-range to the nearest eighth. Not `centred` (where lower powers are no terms): powers of x / scale, scale at or above |x|.
    """
    half = Fraction(high) / 2 - Fraction(low) / 2  # exact, and free of overflow
    if not centred or half == 0:
        return PolynomialBasis(0.0, _power_of_two(Fraction(max(abs(low), abs(high)))), 0.0)
    size = _power_of_two(half)
    eighth = Fraction(size) / 8
    return PolynomialBasis(float(round((low + half) / eighth) * eighth), size, min(math.ceil(half / eighth), 8) / 8)


def _power_of_two(bound: Fraction) -> float:
    """The smallest power of two at or above `bound` that is a normal float64; 1 for 0."""
    if bound == 0:
        return 1.0
    exponent = max(bound.numerator.bit_length() - bound.denominator.bit_length() - 1, -1022)
    while Fraction(2) ** exponent < bound:
        exponent += 1
    return math.ldexp(1.0, min(exponent, 1023))


def polynomials(x: Array, basis: PolynomialBasis, *, degree: int) -> list[DoubleDouble]:
    """p1 … p[degree] of x [n]."""
    t = scale(two_sum(x, np.full_like(x, -basis.centre)), 1 - math.frexp(basis.scale)[1])
    curb = exact(np.full_like(x, basis.reach**2 / 4))
    chain = [exact(np.full_like(x, 2.0)), t]  # 2 in the place of p0 makes the recurrence hold from p2 on
    for _ in range(1, degree):
        rising = multiply(t, chain[-1])
        chain.append(subtract(rising, multiply(curb, chain[-2])) if basis.reach else rising)
    return chain[1:]


def product(factors: Sequence[DoubleDouble | Array]) -> Array:
    """The product of columns [n], rounded once; plain arrays are exact factors. What overflows is not finite."""
    plain = [factor for factor in factors if not isinstance(factor, DoubleDouble)]
    if len(plain) == len(factors) <= 2:
        return reduce(np.multiply, plain)
    return reduce(multiply, [factor if isinstance(factor, DoubleDouble) else exact(factor) for factor in factors]).hi


def expansion(degree: int, basis: PolynomialBasis) -> list[Fraction]:
    """p[degree] in powers of x: the exact coefficients of x^0 … x^degree."""
    step = [-Fraction(basis.centre) / Fraction(basis.scale), 1 / Fraction(basis.scale)]
    curb = Fraction(basis.reach) ** 2 / 4
    before, now = [Fraction(2)], step
    for _ in range(1, degree):
        rising = [step[0] * a + step[1] * b for a, b in zip([*now, Fraction(0)], [Fraction(0), *now], strict=True)]
        falling = [curb * a for a in before] + [Fraction(0)] * (len(rising) - len(before))
        before, now = now, [a - b for a, b in zip(rising, falling, strict=True)]
    return now
