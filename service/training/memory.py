"""What a version remembers of its rows, beyond what serves it: exact moments, and where asked for, those of folds and a ledger.

Invariant: a memory is a function of the multiset of rows alone, those learned less those forgotten; but for the keys of the ledger.
"""

from dataclasses import dataclass, field

import numpy as np

from model_store.manifest import Manifest
from model_store.store import ModelStore
from service.regression.canonical import Canonical
from service.regression.moments import Moments
from service.regression.products import Array
from service.regression.row_digests import fold_of
from service.training.ledger import Ledger
from service.training.pieces import LEDGER, MOMENTS, Piece, count_folds, fold_name

AUTOMATIC_ROWS = 1_000_000  # up to which a training that leaves it open keeps a ledger


@dataclass
class Memory:
    """The memory of one version, to be changed in place and stored with the next.

    `folds` are k moments, of the rows of each fold; `ledger_rows` is the most rows that the ledger is kept for, None without end.
    """

    moments: Moments
    folds: list[Moments | Piece] = field(default_factory=list)
    ledger: Ledger | None = None
    ledger_rows: int | None = None

    @classmethod
    def load(cls, store: ModelStore, manifest: Manifest, *, own: bool = True) -> "Memory":
        """What a version remembers; `own` unless it is to be stored with a version of another model.

        Raises:
            Forgotten: the version does not keep its memory any more.
            CorruptObject
        """

        def piece(name: str) -> Piece:
            return Piece(store, manifest, name, own)

        return cls(
            piece(MOMENTS).read(Moments.from_bytes),
            [piece(fold_name(number)) for number in range(count_folds(manifest))],
            Ledger.load(piece(LEDGER)) if LEDGER in manifest.memory else None,
        )

    def empty(self) -> "Memory":
        """A memory of no rows in the same frame and of as many folds, without a ledger."""
        return Memory(self._no_moments(), [self._no_moments() for _ in self.folds])

    @property
    def n(self) -> int:
        """How many rows are remembered."""
        return self.moments.n

    def add(self, X: Array, Y: Array, *, weights: Array | None = None, threads: int = 1) -> None:
        """Learn design rows as `Moments.add` does."""
        self.moments.add(X, Y, weights=weights, threads=threads)
        if self.folds:
            fold = fold_of(X, Y, weights, folds=len(self.folds))
            for number in np.unique(fold).tolist():
                rows = fold == number
                self.fold(number).add(X[rows], Y[rows], weights=None if weights is None else weights[rows], threads=threads)
        if self.ledger:
            self.ledger.add(X, Y, weights)
            if self.ledger_rows is not None and self.n > self.ledger_rows:
                self.ledger = None

    def merge(self, other: "Memory") -> None:
        """Learn all that another memory of the same frame holds; a ledger and folds are kept where both have them, of the same number."""
        self.moments.merge(other.moments)
        self.folds = self.folds if len(self.folds) == len(other.folds) else []
        for number in range(len(self.folds)):
            if (theirs := other.fold(number)).n:
                self.fold(number).merge(theirs)
        if self.ledger and other.ledger:
            self.ledger.append(other.ledger.segments)
        else:
            self.ledger = None

    def unmerge(self, other: "Memory") -> None:
        """Forget all that another memory of the same frame and folds holds, the ledger aside; ValueError as `Moments.unmerge` has it."""
        self.moments.unmerge(other.moments)
        for number in range(len(self.folds)):
            if (theirs := other.fold(number)).n:
                self.fold(number).unmerge(theirs)

    def all_folds(self) -> list[Moments]:
        """The moments of each fold."""
        return [self.fold(number) for number in range(len(self.folds))]

    def pieces(self, moments: Canonical) -> dict[str, bytes | str]:
        """What the store is to keep: bytes, or digests of what it keeps already; `moments` is their canonical form."""
        folds = {fold_name(number): fold.kept() if isinstance(fold, Piece) else fold.to_bytes() for number, fold in enumerate(self.folds)}
        return {MOMENTS: moments.to_bytes(), **folds, **(self.ledger.pieces() if self.ledger else {})}

    def fold(self, number: int) -> Moments:
        """The moments of one fold."""
        fold = self.folds[number]
        if isinstance(fold, Piece):
            fold = self.folds[number] = fold.read(Moments.from_bytes)
        return fold

    def _no_moments(self) -> Moments:
        return Moments(self.moments.features, self.moments.targets, resolution=self.moments.resolution)
