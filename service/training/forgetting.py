"""Forgetting rows: they are taken out of what the base remembers, as if they had never come.

Invariant: without `unchecked`, only rows that the ledger knows are forgotten; and never so many that a coefficient is lost.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_store.names import LIVE
from model_store.store import ModelStore
from service.errors import MOST_ERRORS, Contradiction, Invalid
from service.regression.limbs import Integers
from service.training.holders import Holders, purged_document
from service.training.ledger import Wanted
from service.training.living import Base, Change, commit, designs_of
from service.training.living_options import LivingOptions
from service.training.memory import Memory
from service.training.options import TrainOptions
from service.training.publishing import Making
from service.training.solving import Solved
from service.training.sources import Source
from service.training.train import QUIET, Progress, require_exact_products


@dataclass(frozen=True)
class Leaving:
    """The rows of a request on their way out: their memory, and the digests under which ledgers may know them."""

    memory: Memory
    wanted: Wanted


class OldRows:
    """The rows of a request in whatever frame and under whatever keys they are needed; read again only where those are others."""

    def __init__(self, source: Callable[[TrainOptions], Source], asked: LivingOptions, progress: Progress) -> None:
        self._source, self._asked, self._progress = source, asked, progress
        self._last: tuple[object, Leaving] | None = None

    def like(self, base: Base, keys: Sequence[bytes]) -> Leaving:
        """The rows in the frame of `base`.

        Raises:
            Invalid: rows are wrong, or there are none.
        """
        self._progress.check()  # an operation that starts again and again can be cancelled
        kind = base.kind(), keys
        if self._last is None or self._last[0] != kind:
            leaving = Leaving(base.memory.empty(), Wanted(keys))
            for part in designs_of(self._source, self._asked, base):
                leaving.memory.add(part)
                leaving.wanted.add(part.X, part.Y, part.weights, places=np.arange(len(part.X)) if part.places is None else part.places)
                self._progress.rows(leaving.memory.n)
            if not leaving.memory.n:
                raise Invalid({"instances": ["have no rows to forget"]})
            self._last = kind, leaving
        return self._last[1]


def forget(
    store: ModelStore,
    model: str,
    source: Callable[[TrainOptions], Source],
    asked: LivingOptions,
    *,
    progress: Progress = QUIET,
    who: str = "",
    idempotency_key: str | None = None,
) -> dict[str, Any]:
    """Forget the rows that `source` reads, given the columns to read, publish the version, and purge those that held
    them if asked to; the version document.

    Raises:
        NotReady, Invalid, Contradiction, PreconditionFailed, StoreError
    """
    require_exact_products()
    rows = OldRows(source, asked, progress)

    def change(base: Base) -> Change:
        if base.memory.ledger is None and not asked.unchecked:
            raise Contradiction(
                f"version {base.manifest.version} keeps no ledger of its rows, so nothing tells whether it learned these: "
                'pass "unchecked": true if you know that it did'
            )
        holders = Holders.of(store, base)
        leaving = rows.like(base, holders.keys)
        since = _take_out(base.memory, leaving)
        held = [str(version) for version in holders.of_rows(leaving.wanted, since=since)]
        if asked.purge:
            _check_aliases(store, model, held, promote=asked.promote)
        told = {"rows": leaving.memory.n, "still_in": [] if asked.purge else held, "purged": held if asked.purge else []}
        return Change(base.schema, base.memory, {"forgotten": told}, lambda solved: _check_rank(base, solved))

    manifest = commit(store, change, asked, Making(model=model, operation="forget", who=who, idempotency_key=idempotency_key))
    return purged_document(store, manifest)


def _take_out(memory: Memory, leaving: Leaving) -> int:
    """Take rows out of a memory; returns the version after which all of them had come, as far as the ledger knows.

    Raises:
        Contradiction: some of them, or no others, are in it.
    """
    since = 0
    if memory.ledger is not None:
        taken = memory.ledger.remove(leaving.wanted)
        if len(taken.missing):
            raise Contradiction(_missing(taken.missing, leaving.memory.n))
        since = taken.since
    if leaving.memory.n >= memory.n:
        raise Contradiction(f"these are {leaving.memory.n} rows, and the model has learned {memory.n}: delete it, or train it anew")
    try:
        memory.unmerge(leaving.memory)
    except ValueError as error:
        raise Contradiction(
            "some of these rows were never learned, or not as often: without them a sum of squares would be negative, "
            "or the sample holds fewer of them"
        ) from error
    return since


def _missing(places: Integers, count: int) -> str:
    """What is said of rows that the ledger does not know."""
    named = ", ".join(map(str, places[:MOST_ERRORS].tolist())) + (", …" if len(places) > MOST_ERRORS else "")
    return (
        f"{len(places)} of these {count} rows were never learned, or not as often, or are forgotten already, and nothing was forgotten: "
        f"rows {named} of the request, counted from 0"
    )


def _check_rank(base: Base, solved: Solved) -> None:
    """Refuse to lose a coefficient.

    Raises:
        Contradiction: names those that would be lost.
    """
    before, after = base.manifest.document["fit"]["aliased"], solved.document["aliased"]
    if len(after) > len(before):
        lost = ", ".join(name for name in after if name not in before)
        raise Contradiction(
            f"without these rows the others do not determine {lost}: refit without what these stand for first, forget fewer rows, "
            "or learn others before"
        )


def _check_aliases(store: ModelStore, model: str, held: Sequence[str], *, promote: bool) -> None:
    """Refuse to purge versions that an alias will still name.

    Raises:
        Contradiction
    """
    named = {alias: str(version) for alias, version in store.aliases(model).items() if not (alias == LIVE and promote)}
    if kept := [f"{alias} (version {version})" for alias, version in named.items() if version in held]:
        raise Contradiction(f"versions that hold these rows are named by {', '.join(kept)}: move these aliases first, then purge")
