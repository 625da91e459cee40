"""Who goes first on a processor: the main loops of the workers, then the threads that help them, then all else.

A thread that answers `POST /train` or loads a version lets go of the interpreter's lock at each of its fifty calls of the system, and takes
it again when its main loop does so. As its equal it went on with it each time, and the main loop, some calls to a request, waited as often:
publishing made 25 predictions take thrice their time where it now makes 12, and beside requests of 30,000 rows that took all there was,
predictions of one row fell behind by two seconds instead of a few tenths.
"""

import os
from contextlib import suppress
from pathlib import Path

_NICENESS = 10


def behind_main_loop() -> None:
    """This thread never interrupts a main loop, and has a tenth of a processor that one wants whole; Linux alone tells threads apart."""
    with suppress(AttributeError, OSError):  # other systems do not have it, and a sandbox may refuse it
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        behind_predictions()


def behind_predictions() -> None:
    """This thread, and what it will start, come after the main loops; called first in a process, that is the process."""
    os.setpriority(os.PRIO_PROCESS, 0, max(_NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))


def where_nothing_else_runs() -> None:
    """This process has what is left of all processors but one, with the threads that libraries have made in it.

    A low priority alone lets a training finish its turn of some milliseconds while a prediction waits: beside one, the slowest hundredth
    of predictions took ninety times as long. What Linux calls idle gives way at once. One of the threads gives memory of polars back for
    ten seconds after a training from files, and made predictions wait even then.

    The processor it leaves alone is that of a worker, whose predictions then never meet a training. On two processors these are half of
    all, and the slowest hundredth takes 1.1 times as long as without a training; it was 1.4 while the kernel moved the training about.
    """
    behind_predictions()
    if hasattr(os, "SCHED_IDLE"):
        processors = os.sched_getaffinity(0)
        shared = processors - {min(processors)} or processors
        for task in Path("/proc/self/task").iterdir():
            with suppress(OSError):  # a sandbox may refuse it, and a thread may end
                os.sched_setscheduler(int(task.name), os.SCHED_IDLE, os.sched_param(0))
                os.sched_setaffinity(int(task.name), shared)
