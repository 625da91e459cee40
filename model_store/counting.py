"""The last of a gap-free run of numbers from 1, found by asking which are taken instead of listing them all.

Invariant: what is asked is monotone: where a number is taken, so is every smaller one.
"""

from collections.abc import Callable


def last(is_taken: Callable[[int], bool], *, hint: int = 0) -> int:
    """The largest number taken, 0 if none is; from a `hint` known to have been the last once, two probes if nothing came since.

    Galloping (Bentley and Yao 1976): doubled steps past the end, then bisection, so about 2 log2(numbers since the hint) probes.
    """
    low = hint if hint > 0 and is_taken(hint) else 0
    step = 1
    while is_taken(low + step):
        low += step
        step *= 2
    high = low + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if is_taken(middle) else (low, middle)
    return low
