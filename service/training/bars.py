"""How far a training is, as bars on standard error; quiet where that is no terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Bars:
    """A bar of rows, and one of epochs once there are any."""

    def __init__(self, progress: Progress, total: int | None) -> None:
        self._progress = progress
        self._rows = progress.add_task("rows", total=total, rate="")
        self._epochs = progress.add_task("epochs", total=None, rate="", visible=False)

    def rows(self, rows: int, total: int | None = None) -> None:
        """So many rows are read, of so many where that is news."""
        speed = self._progress.tasks[self._rows].speed
        self._progress.update(self._rows, completed=rows, total=total, rate=f"{speed:,.0f} rows/s" if speed else "")

    def epochs(self, epoch: int, asked: int, loss: float | None) -> None:
        """So many epochs of gradient training are done."""
        self._progress.update(self._epochs, completed=epoch, total=asked, rate=f"loss {loss:.6g}" if loss is not None else "", visible=True)


@contextmanager
def bars(total: int | None) -> Iterator[Bars]:
    """Bars that are gone at the end."""
    errors = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=errors, disable=not errors.is_terminal, transient=True) as progress:
        yield Bars(progress, total)
