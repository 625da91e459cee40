"""The matrix product on which exactness rests, and the test that a machine must pass before it is trusted.

Invariant: a product is given integers whose squares sum to less than 2^53 in every row, and returns their exact inner products.
Any order of summation, blocking or fused multiply-add does that; emulated float64 (from bfloat16, int8 or TF32 units) and
Strassen-like recombination need not.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from service.regression.kernels import missing

Array = NDArray[np.float64]
Modular = NDArray[np.uint64]  # integers modulo 2^64
# S [m, k], rows or columns next to each other, and where to write S S' [m, m]; the lower triangle counts.
Product = Callable[[Array, Array], object]

_DEPTH = 2047  # squares of 2^21 that sum to less than 2^53
_SHAPES = (3, _DEPTH), (33, _DEPTH), (260, _DEPTH), (520, 700), (1, 1)  # rows and depth of what is multiplied to test a product


def syrk(S: Array, out: Array) -> None:
    """``S S'`` by numpy, which calls BLAS's symmetric product for a matrix times its own transpose."""
    np.matmul(S, S.T, out=out)


def torch_gemm(S: Array, out: Array) -> None:
    """``S S'`` by torch's BLAS, which has no symmetric product: twice the work where columns are many."""
    tensor = torch.from_numpy(S)
    torch.mm(tensor, tensor.mT, out=torch.from_numpy(out))


def self_test(product: Product) -> str | None:
    """``None`` where ``product`` is exact on this machine and the kernels are there, else the reason not to train here, with advice.

    Digits near 2^21 of both signs and parities bring every sum of squares close to 2^53 and use its last bit: a method that adds rows or
    columns before it multiplies goes beyond. Wide and narrow shapes, because libraries choose their kernels by shape.
    """
    if (reason := missing()) is not None:
        return reason
    rng = np.random.default_rng(53)
    below = rng.integers(-(2**12), 2**12, size=max(rows * depth for rows, depth in _SHAPES), dtype=np.int16)
    pool = np.where(below < 0, -(2**21), 2**21 - 1) - below
    pool[:_DEPTH] = 2**21  # a first row
    modular, floats = pool.view(np.uint64), pool.astype(np.float64)
    for rows, depth in _SHAPES:
        digits, S = modular[: rows * depth].reshape(rows, depth), floats[: rows * depth].reshape(rows, depth)
        probes = rng.integers(0, 2**64, size=(rows, 2), dtype=np.uint64)
        expected = digits @ (digits.T @ probes)
        for factor in (S, np.asfortranarray(S)):
            actual = np.empty((rows, rows))
            product(factor, actual)
            if not _maps(actual, probes, expected):
                return (
                    "The float64 matrix product of this machine is not exact on integers below 2^53 "
                    f"(found at {rows} x {depth}). Exact training would not be exact here: "
                    "use the CPU, or turn off emulated or reduced-precision float64 arithmetic."
                )
    return None


def _maps(product: Array, probes: Modular, expected: Modular) -> bool:
    """Whether the symmetric matrix with the lower triangle of ``product`` takes random ``probes`` [m, 2] to what is ``expected``.

    So no product of integer matrices is needed (Freivalds 1977). All is modulo 2^64: a sum that is wrong by less than 2^54 escapes with a
    probability of 2^-20 at most, one that is wrong by an odd number with 2^-128.
    """
    lower = np.tril(product)
    if not np.array_equal(lower, np.rint(lower)):
        return False
    integers = lower.astype(np.int64).view(np.uint64)
    return np.array_equal(integers @ probes + integers.T @ probes - integers.diagonal()[:, None] * probes, expected)
