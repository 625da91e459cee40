"""What a version remembers of its rows, beyond what serves it: exact moments; where asked for those of folds, a ledger, a sample.

Invariant: a memory is a function of the multiset of rows alone, those learned less those forgotten; but for the keys of the ledger,
and for the limit of a sample, which does not rise again when rows are forgotten.
"""

from dataclasses import dataclass, field

import numpy as np

from model_store.manifest import Manifest
from model_store.store import ModelStore
from service.regression.canonical import Canonical
from service.regression.moments import Moments
from service.regression.row_digests import fold_of
from service.regression.row_sample import RowSample
from service.training.ledger import Ledger
from service.training.pieces import LEDGER, MOMENTS, SAMPLE, Piece, count_folds, fold_name
from service.training.solving import Design

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
    sample: RowSample | None = None

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
            sample=piece(SAMPLE).read(RowSample.from_bytes) if SAMPLE in manifest.memory else None,
        )

    def empty(self) -> "Memory":
        """A memory of no rows in the same frame, of as many folds and as large a sample, without a ledger."""
        return Memory(self._no_moments(), [self._no_moments() for _ in self.folds], sample=self.sample and self.sample.of_none())

    @property
    def n(self) -> int:
        """How many rows are remembered."""
        return self.moments.n

    def add(self, part: Design, *, threads: int = 1) -> None:
        """Learn design rows as `Moments.add` does; with a sample, they come with their features."""
        X, Y, weights = part.X, part.Y, part.weights
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
        if self.sample:
            assert part.features is not None  # noqa: S101 - whoever reads rows for a memory looks whether it has a sample
            self.sample = self.sample.with_rows(part.features, Y, weights)

    def merge(self, other: "Memory") -> None:
        """Learn all that another memory of the same frame holds.

        A ledger, a sample and folds are kept where both have them, folds of the same number.
        """
        self.moments.merge(other.moments)
        self.folds = self.folds if len(self.folds) == len(other.folds) else []
        for number in range(len(self.folds)):
            if (theirs := other.fold(number)).n:
                self.fold(number).merge(theirs)
        if self.ledger and other.ledger:
            self.ledger.append(other.ledger.segments)
        else:
            self.ledger = None
        self.sample = self.sample.merged(other.sample) if self.sample and other.sample else None

    def unmerge(self, other: "Memory") -> None:
        """Forget all that another memory of the same frame and folds holds, the ledger aside.

        Raises ValueError where it is told that some of it was never learned: as `Moments.unmerge` has it, or by the sample.
        """
        self.moments.unmerge(other.moments)
        for number in range(len(self.folds)):
            if (theirs := other.fold(number)).n:
                self.fold(number).unmerge(theirs)
        if self.sample and other.sample:
            self.sample = self.sample.without(other.sample)

    def all_folds(self) -> list[Moments]:
        """The moments of each fold."""
        return [self.fold(number) for number in range(len(self.folds))]

    def pieces(self, moments: Canonical) -> dict[str, bytes | str]:
        """What the store is to keep: bytes, or digests of what it keeps already; `moments` is their canonical form."""
        folds = {fold_name(number): fold.kept() if isinstance(fold, Piece) else fold.to_bytes() for number, fold in enumerate(self.folds)}
        sample = {SAMPLE: self.sample.to_bytes()} if self.sample else {}
        return {MOMENTS: moments.to_bytes(), **folds, **(self.ledger.pieces() if self.ledger else {}), **sample}

    def fold(self, number: int) -> Moments:
        """The moments of one fold."""
        fold = self.folds[number]
        if isinstance(fold, Piece):
            fold = self.folds[number] = fold.read(Moments.from_bytes)
        return fold

    def _no_moments(self) -> Moments:
        return Moments(self.moments.features, self.moments.targets, resolution=self.moments.resolution)
