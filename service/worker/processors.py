"""A processor for each worker, where there are as many processors as workers.

Beside a training, which takes whatever is free, Linux leaves two workers waiting for each other on one processor for milliseconds: the
other, busy with the training, does not look for work. And a thread that has the interpreter's lock and waits for the other worker's
processor holds up its own main loop. With half of the capacity in use the slowest hundredth of predictions took 25 ms beside a
training instead of 2, and 7 ms while versions were published instead of 5. Large requests take as long as before.
"""

import os
from contextlib import suppress


def settle(place: int, workers: int) -> None:
    """Keep this thread, and those that it will make, on the processor of its place, if each of the workers can have one."""
    processors = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(processors) == workers:
        with suppress(OSError):  # a sandbox may refuse it
            os.sched_setaffinity(0, {processors[place % workers]})
