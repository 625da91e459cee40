"""The matrix product on which exactness rests, and the test that a machine must pass before it is trusted.

Invariant: a product is given integers whose squares sum to less than 2^53 in every row, and returns their exact inner products.
Any order of summation, blocking or fused multiply-add does that; emulated float64 (from bfloat16, int8 or TF32 units) and
Strassen-like recombination need not.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import blas

Array = NDArray[np.float64]
Product = Callable[[Array], Array]  # S [m, k], contiguous in either order -> S S' [m, m]; at least the lower triangle is filled


def syrk(S: Array) -> Array:
    """``S S'`` by scipy's BLAS: half the work of a general product. Only the lower triangle is filled."""
    upper = blas.dsyrk(1.0, S, trans=0) if S.flags.f_contiguous else blas.dsyrk(1.0, S.T, trans=1)
    lower: Array = upper.T
    return lower


def torch_gemm(S: Array) -> Array:
    """``S S'`` by torch's BLAS, which has no symmetric product."""
    tensor = torch.from_numpy(S)
    full: Array = (tensor @ tensor.T).numpy()
    return full


def self_test(product: Product) -> str | None:
    """``None`` where ``product`` is exact on this machine, else the reason not to train here, with advice.

    Rows reach the bound: one whose squares sum to 2^53 - 2^10, one of alternating signs that cancels, odd values that use every bit;
    wide and narrow shapes, because libraries choose their kernels by shape.
    """
    rng = np.random.default_rng(53)
    for rows, depth in ((3, 2047), (33, 2047), (260, 2047), (520, 700), (1, 1)):
        digits = rng.integers(-(2**20), 2**20, size=(rows, depth), endpoint=True)
        digits[0] = 2**21
        if rows > 2:
            digits[1] = 2**21 * (1 - 2 * (np.arange(depth) % 2)) + 1 - 2 * (np.arange(depth) % 2 == 0)
            digits[2] = 2 * rng.integers(-(2**20), 2**20, size=depth) + 1
        expected = np.tril(digits @ digits.T)  # int64: exact, since every sum of squares is below 2^63
        for order in ("C", "F"):
            actual = np.tril(product(np.array(digits, dtype=np.float64, order=order)))
            if not np.array_equal(actual, expected.astype(np.float64)):
                return (
                    "The float64 matrix product of this machine is not exact on integers below 2^53 "
                    f"(found at {rows} x {depth}). Exact training would not be exact here: "
                    "use the CPU, or turn off emulated or reduced-precision float64 arithmetic."
                )
    return None
