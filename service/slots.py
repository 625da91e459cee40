"""Stable identities for the processes of the service, so that a restarted process continues its predecessor's metric files.

A slot is held by a file lock, which the kernel releases when its process has ended, however it ended:
two living processes never share a slot, and the number of slots never exceeds the number of processes alive at one time.
"""

import fcntl
import itertools
import os
from pathlib import Path


def take_slot(directory: Path) -> str:
    """Hold the first free slot of `directory` for the life of this process; its name is a number."""
    for number in itertools.count():
        lock = os.open(directory / f"{number}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        return str(number)  # the open descriptor is the hold: it is never closed
    raise AssertionError("unreachable: there is always a free slot")
