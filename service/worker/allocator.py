"""How the C library keeps memory between requests."""

import ctypes
from contextlib import suppress

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # names and numbers of glibc's malloc.h
KEPT = 1 << 24  # bytes that stay with the process when they are freed at the end of its heap
MAPPED = 1 << 22  # bytes from which a block is mapped on its own and given back when it is freed


def keep_freed_memory() -> None:
    """Keep the memory of one request for the next, with glibc; other libraries are left as they are.

    Left alone, glibc learns these bounds from what happens to be freed first. Where it learns them badly, a worker gives the
    memory of a body of 100 kB back and has it mapped and cleared again for every request, a third of the time of 1,000 rows.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, MAPPED)
        mallopt(M_TRIM_THRESHOLD, KEPT)
