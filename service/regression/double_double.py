"""Arithmetic with about 32 significant digits: a number is the unevaluated sum of two float64, arrays at a time.

Invariant: ``lo`` is at most half a unit in the last place of ``hi``, and every operation is a fixed sequence of IEEE additions and
multiplications on single elements, so its bits depend on neither BLAS, nor threads, nor the shape of the array.
"""

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_SPLITTER = 134217729.0  # 2^27 + 1: cuts a significand of 53 bits in two halves whose products are exact (Dekker 1971)


class DoubleDouble(NamedTuple):
    """The array ``hi + lo``; both parts have the same shape."""

    hi: Array
    lo: Array

    @property
    def shape(self) -> tuple[int, ...]:
        return self.hi.shape

    def at(self, index: object) -> "DoubleDouble":
        """The elements that ``index`` selects, as numpy would."""
        return DoubleDouble(self.hi[index], self.lo[index])  # type: ignore[call-overload]

    def put(self, index: object, value: "DoubleDouble") -> None:
        """Write ``value`` where ``index`` selects."""
        self.hi[index], self.lo[index] = value  # type: ignore[call-overload]


def exact(values: object) -> DoubleDouble:
    """``values`` (anything numpy reads as float64) without any rounding."""
    hi = np.array(values, dtype=np.float64)
    return DoubleDouble(hi, np.zeros_like(hi))


def zeros(*shape: int) -> DoubleDouble:
    return DoubleDouble(np.zeros(shape), np.zeros(shape))


def from_fractions(values: Iterable[Fraction | int]) -> DoubleDouble:
    """A vector of rationals, each rounded once to double-double."""
    rationals = [Fraction(value) for value in values]
    hi = [float(value) for value in rationals]
    lo = [float(value - Fraction(head)) for value, head in zip(rationals, hi, strict=True)]
    return DoubleDouble(np.array(hi), np.array(lo))


def from_integers(values: NDArray[np.object_], exponents: NDArray[np.int64]) -> DoubleDouble:
    """``values * 2^exponents`` for Python integers of any length, each rounded to within 2^-104 of itself."""
    hi, lo = np.zeros(values.shape), np.zeros(values.shape)
    units = np.broadcast_to(exponents, values.shape)
    for index, value in np.ndenumerate(values):
        spare = max(0, value.bit_length() - 200)  # keeps float() within its range
        leading, unit = value >> spare, int(units[index]) + spare
        head = float(leading)
        hi[index], lo[index] = math.ldexp(head, unit), math.ldexp(float(leading - int(head)), unit)
    return DoubleDouble(hi, lo)


def to_fraction(x: DoubleDouble) -> Fraction:
    """The exact value of a scalar."""
    return Fraction(float(x.hi)) + Fraction(float(x.lo))


def two_sum(a: Array, b: Array) -> DoubleDouble:
    """``a + b`` without error (Knuth)."""
    s = a + b
    t = s - a
    return DoubleDouble(s, (a - (s - t)) + (b - t))


def quick_two_sum(a: Array, b: Array) -> DoubleDouble:
    """``a + b`` without error where ``|a| >= |b|`` (Dekker)."""
    s = a + b
    return DoubleDouble(s, b - (s - a))


def _halves(a: Array) -> tuple[Array, Array]:
    t = _SPLITTER * a
    high = t - (t - a)
    return high, a - high


def two_prod(a: Array, b: Array) -> DoubleDouble:
    """``a * b`` without error, for magnitudes between about 1e-145 and 1e145 (Dekker; numpy has no fused multiply-add)."""
    p = a * b
    a_high, a_low = _halves(a)
    b_high, b_low = _halves(b)
    return DoubleDouble(p, ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low)


def add(a: DoubleDouble, b: DoubleDouble) -> DoubleDouble:
    """``a + b`` with a relative error of at most 2^-104, also under cancellation."""
    s, e = two_sum(a.hi, b.hi)
    t, f = two_sum(a.lo, b.lo)
    s, e = quick_two_sum(s, e + t)
    return quick_two_sum(s, e + f)


def negative(a: DoubleDouble) -> DoubleDouble:
    return DoubleDouble(-a.hi, -a.lo)


def subtract(a: DoubleDouble, b: DoubleDouble) -> DoubleDouble:
    return add(a, negative(b))


def multiply(a: DoubleDouble, b: DoubleDouble) -> DoubleDouble:
    p, e = two_prod(a.hi, b.hi)
    return quick_two_sum(p, e + (a.hi * b.lo + a.lo * b.hi))


def divide(a: DoubleDouble, b: DoubleDouble) -> DoubleDouble:
    """``a / b`` by three steps of long division."""
    first = a.hi / b.hi
    r = subtract(a, multiply(exact(first), b))
    second = r.hi / b.hi
    r = subtract(r, multiply(exact(second), b))
    return add(quick_two_sum(first, second), exact(r.hi / b.hi))


def sqrt(a: DoubleDouble) -> DoubleDouble:
    """The square root of ``a > 0`` (one Newton step on the float64 root, Karp)."""
    root = np.sqrt(a.hi)
    r = subtract(a, two_prod(root, root))
    return quick_two_sum(root, r.hi / (2.0 * root))


def scale(a: DoubleDouble, exponent: object) -> DoubleDouble:
    """``a * 2^exponent``, exact while nothing under- or overflows."""
    with np.errstate(over="ignore", under="ignore"):
        power = np.ldexp(1.0, exponent)  # type: ignore[call-overload]
    if ((power > 0) & np.isfinite(power)).all():  # products, a tenth of the time, are rounded as `ldexp` rounds
        return DoubleDouble(a.hi * power, a.lo * power)
    return DoubleDouble(np.ldexp(a.hi, exponent), np.ldexp(a.lo, exponent))  # type: ignore[call-overload]


def matmul(a: DoubleDouble, b: DoubleDouble) -> DoubleDouble:
    """``a @ b`` for ``a`` [m, n] and ``b`` [n, t], summed over n in order."""
    result = zeros(a.shape[0], b.shape[1])
    for k in range(a.shape[1]):
        result = add(result, multiply(a.at((slice(None), slice(k, k + 1))), b.at(slice(k, k + 1))))
    return result
