"""Learning rows: they are added to what the base remembers."""

from collections.abc import Callable
from dataclasses import replace

from model_store.manifest import Manifest
from model_store.store import ModelStore
from service.errors import Invalid
from service.training.ledger import Ledger
from service.training.living import Base, Change, commit, designs_of
from service.training.living_options import LivingOptions
from service.training.memory import Memory
from service.training.options import TrainOptions
from service.training.publishing import Making
from service.training.sources import Source
from service.training.train import QUIET, Progress, accumulate, require_exact_products


class NewRows:
    """The rows of a request as a memory of their own, in whatever frame they are needed; read again only where the frame is another."""

    def __init__(self, source: Callable[[TrainOptions], Source], asked: LivingOptions, *, progress: Progress, threads: int) -> None:
        self._source, self._asked, self._progress, self._threads = source, asked, progress, threads
        self._last: tuple[object, Memory] | None = None

    def like(self, base: Base) -> Memory:
        """The memory of the rows in the frame of `base`.

        Raises:
            Invalid: rows are wrong.
        """
        self._progress.check()  # an operation that starts again and again can be cancelled
        ledger = base.memory.ledger
        kind = base.kind(), ledger.key if ledger else None
        if self._last is None or self._last[0] != kind:
            memory = replace(base.memory.empty(), ledger=Ledger(key=ledger.key) if ledger else None)
            accumulate(memory, designs_of(self._source, self._asked, base), progress=self._progress, threads=self._threads)
            self._last = kind, memory
        return self._last[1]


def learn(
    store: ModelStore,
    model: str,
    source: Callable[[TrainOptions], Source],
    asked: LivingOptions,
    *,
    progress: Progress = QUIET,
    who: str = "",
    idempotency_key: str | None = None,
    threads: int = 1,
) -> Manifest:
    """Learn the rows that `source` reads, given the columns to read, and publish the version.

    Raises:
        NotReady, Invalid, Contradiction, PreconditionFailed, StoreError
    """
    require_exact_products()
    rows = NewRows(source, asked, progress=progress, threads=threads)

    def change(base: Base) -> Change:
        new = rows.like(base)
        if not new.n:
            raise Invalid({"instances": ["have no rows to learn"]})
        if new.ledger:
            new.ledger.settle(since=base.manifest.version)
        base.memory.merge(new)
        return Change(base.schema, base.memory)

    return commit(store, change, asked, Making(model=model, operation="learn", who=who, idempotency_key=idempotency_key))
