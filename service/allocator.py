"""How the C library keeps memory that was freed; glibc's is told, others are left as they are.

Left alone, glibc learns its bounds from what happens to be freed first, and gives every thread a heap of its own. Where it learns
badly, a web worker gives the memory of a body of 100 kB back and has it mapped and cleared again for every request, a third of
the time of 1,000 rows; a training does so with the memory of every block, a twentieth of its time, and the heaps of the threads
that read a Parquet file grow to half as much memory again as all that is in use.
"""

import ctypes
from contextlib import suppress

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # names and numbers of glibc's malloc.h


def keep_freed_memory(most: int, *, blocks: int) -> None:
    """Keep up to `most` freed bytes for what is needed next, in blocks of up to `blocks` bytes, on one heap for all threads."""
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for name, value in ((_M_ARENA_MAX, 1), (_M_MMAP_THRESHOLD, blocks), (_M_TRIM_THRESHOLD, most)):
            mallopt(name, value)


def keep_for_requests() -> None:
    """What suits a web worker: bodies and answers of up to 4 MB, and 16 MB in all."""
    keep_freed_memory(1 << 24, blocks=1 << 22)


def keep_for_training() -> None:
    """What suits a training: everything that a thousand columns on two threads work with, until `give_back`."""
    keep_freed_memory(1 << 29, blocks=1 << 28)


def give_back() -> None:
    """Let go of all that is kept."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
