"""How many connections each worker of the server holds, for new ones to go where there are fewest.

All workers wait for connections on one listener, and the kernel wakes whom it likes: of 16 kept connections 13 may end at one worker, which
then works at its limit beside one that is idle.
"""

import mmap
from pathlib import Path

from service.slots import take_slot

MOST_WORKERS = 512
_INT = 4  # bytes


class Sharing:
    """The counts of all workers in memory that they share; this process has a place of its own, which its successor takes over.

    A worker that died without a word stands there with its last count until then.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        self.place = int(take_slot(directory))
        with (directory / "counts").open("a+b") as file:
            file.truncate(MOST_WORKERS * _INT)
            self._counts = memoryview(mmap.mmap(file.fileno(), MOST_WORKERS * _INT)).cast("i")  # connections + 1, or 0 for no worker

    def tell(self, connections: int | None) -> None:
        """Say how many connections this worker holds; None once it takes in no more."""
        self._counts[self.place] = 0 if connections is None else connections + 1

    def others_have_fewer(self, connections: int) -> bool:
        """Whether another worker that takes in connections holds fewer than that."""
        counts = self._counts.tolist()
        counts[self.place] = 0
        return min(filter(None, counts), default=connections + 1) <= connections
