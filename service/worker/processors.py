"""A processor for each worker's main loop, where there are as many processors as workers.

Beside a training, which takes whatever is free, Linux leaves two workers waiting for each other on one processor for milliseconds: the
other, busy with the training, does not look for work. With half of the capacity in use the slowest hundredth of predictions took 25 ms
instead of 2, and no more than 3 with main loops in their places. Threads roam, for what they do may take long.
"""

import os
from contextlib import suppress

_ALL: set[int] = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()  # when this was imported, before any settling


def settle(place: int, workers: int) -> None:
    """Keep this thread on the processor of its place, if each of the workers can have one."""
    if len(_ALL) == workers:
        with suppress(OSError):  # a sandbox may refuse it
            os.sched_setaffinity(0, {sorted(_ALL)[place % workers]})


def roam() -> None:
    """Let this thread run on every processor that the process may use."""
    if _ALL:
        with suppress(OSError):
            os.sched_setaffinity(0, _ALL)
