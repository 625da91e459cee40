"""What a model remembers of its rows: the exact Gram matrix of [1 X Y], which adds, forgets and merges bit for bit.

Invariant: the state is a function of the resolution and of the multiset of rows alone (those added less those removed); order,
chunking, sharding, threads and BLAS leave no trace in it. See `digits` for how sums stay exact and `grid` for what is kept.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import pairwise

import numpy as np

from service.regression import canonical, limbs
from service.regression.digits import gram
from service.regression.double_double import DoubleDouble
from service.regression.grid import DEFAULT_RESOLUTION, FINEST, Grid, place
from service.regression.limbs import BITS, Integers, Planes
from service.regression.products import Array, Product, syrk
from service.regression.weighted_rows import NotFinite, Rows

_MISPLACED = 0.02  # share of strays above which the digits are placed anew with the next batch
_PARTS, _PART, _SPREAD = 16, 512, 64  # parts of a batch, and rows of each, looked at for magnitudes and for spread: a guess is enough


class Moments:
    """Exact moments of ``features`` columns X and ``targets`` columns Y; the column of ones is always among them.

    ``resolution`` [1 + features + targets] is the frame's: values are rounded to multiples of 2^resolution, by default 2^-256. Rows with a
    weight w count as sqrt(w) [1 X Y], each value rounded once; rows of weight 0 do not count at all.
    Instances are changed by `add`, `remove` and `merge` only, and an operation that raises leaves them as they were. Attributes are to be
    read: ``n`` rows; ``planes``, the canonical digits of the Gram in units of 2^(tops_i + tops_j); ``tops``, where the digits lie now.
    """

    def __init__(self, features: int, targets: int, *, resolution: Sequence[int] | Integers | None = None, product: Product = syrk) -> None:
        q = 1 + features + targets
        if resolution is not None and np.shape(resolution) != (q,):
            raise ValueError(f"resolution has shape {np.shape(resolution)}, expected ({q},): one exponent per column of [1 X Y].")
        self.features, self.targets, self.n = features, targets, 0
        self.resolution = np.full(q, DEFAULT_RESOLUTION) if resolution is None else np.array(resolution, dtype=np.int64)
        if (np.abs(self.resolution) > -FINEST).any():
            raise ValueError(f"resolution must lie between {FINEST} and {-FINEST}: exponents of two, one per column of [1 X Y].")
        self._product = product
        self.planes: Planes = {}
        self.tops = np.zeros(q, dtype=np.int64)
        self._placed = False

    def add(self, X: Array, Y: Array, *, weights: Array | None = None, threads: int = 1) -> None:
        """Learn rows ``X`` [k, features], ``Y`` [k, targets], ``weights`` [k]; ``threads`` shards of them at the same time.

        Give BLAS one thread when you give more than one here. Raises ValueError for a wrong shape, a value that is not finite, or a
        weight that is negative or not finite.
        """
        self._change(X, Y, weights=weights, threads=threads, sign=1)

    def remove(self, X: Array, Y: Array, *, weights: Array | None = None, threads: int = 1) -> None:
        """Forget rows that were added with the same values and weights: the state is then as if they had never come.

        Raises ValueError as `add` does, and where fewer rows would be left than none or a sum of squares would be negative. Moments
        cannot find out every row that was never added; whoever must know keeps a ledger.
        """
        self._change(X, Y, weights=weights, threads=threads, sign=-1)

    def merge(self, other: "Moments") -> None:
        """Learn all rows of ``other``, which stays as it is. Raises ValueError where columns or resolutions differ."""
        self._combine(other, sign=1)

    def unmerge(self, other: "Moments") -> None:
        """Forget all rows of ``other``, which stays as it is. Raises ValueError as `merge` and `remove` do."""
        if other.n > self.n:
            raise ValueError(f"{other.n} rows cannot be removed: only {self.n} were added.")
        self._combine(other, sign=-1)

    def select(self, features: Sequence[int], targets: Sequence[int]) -> "Moments":
        """The moments of some features and targets, in that order, as if only those had ever been given."""
        columns = np.array([0, *(1 + j for j in features), *(1 + self.features + j for j in targets)], dtype=np.int64)
        chosen = Moments(len(features), len(targets), resolution=self.resolution[columns], product=self._product)
        chosen.n, chosen.tops = self.n, self.tops[columns]
        whole = {level: np.tril(digits) + np.tril(digits, -1).T for level, digits in self.planes.items()}
        chosen.planes = limbs.carry({level: digits[np.ix_(columns, columns)] for level, digits in whole.items()})
        return chosen

    def scaled(self) -> tuple[DoubleDouble, Integers]:
        """The Gram of [1 X Y] in double-double over 2^(e_i + e_j), and e: see `limbs.scaled`."""
        return limbs.scaled(self.planes, self.tops)

    def weight(self) -> float:
        """The sum of the rows' weights: their number where no weights were given."""
        return float(self.entry(0, 0))

    def entry(self, i: int, j: int) -> Fraction:
        """The exact sum of column i times column j of [1 X Y]."""
        i, j = max(i, j), min(i, j)
        unit = int(self.tops[i] + self.tops[j])
        return sum((int(d[i, j]) * Fraction(2) ** (BITS * level + unit) for level, d in self.planes.items()), Fraction(0))

    def canonical(self) -> canonical.Canonical:
        absolute = limbs.shift(self.planes, _pairs(self.tops))
        return canonical.pack(absolute, n=self.n, features=self.features, targets=self.targets, resolution=self.resolution)

    def fingerprint(self, context: bytes = b"") -> str:
        """SHA-256 over ``context`` (names and frame), resolution, row count and sums: equal for equal rows, however they came."""
        return self.canonical().fingerprint(context)

    def to_bytes(self) -> bytes:
        """A safetensors file of the canonical form; equal moments give equal bytes."""
        return self.canonical().to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes, *, product: Product = syrk) -> "Moments":
        """Moments that `to_bytes` wrote. Raises ValueError for anything else."""
        form = canonical.from_bytes(data)
        moments = cls(form.features, form.targets, resolution=form.resolution, product=product)
        moments.n, moments.planes = form.n, canonical.unpack(form)
        return moments

    def _change(self, X: Array, Y: Array, *, weights: Array | None, threads: int, sign: int) -> None:
        rows = self._checked(X, Y, weights)
        if self.n + sign * len(rows) < 0:
            raise ValueError(f"{len(rows)} rows cannot be removed: only {self.n} were added.")
        if not len(rows):
            return
        try:
            self._place(rows)
            total, strays = self._gram(rows, threads)
        except NotFinite:  # found where the values are cut: to look at all of them before would take as long as to read them
            _check_finite(X, Y)
            raise
        changed = limbs.combine(self.planes, total.planes(), sign=sign)
        _check_sums(changed)
        self.planes, self.n = changed, self.n + sign * len(rows)
        self._placed = strays <= _MISPLACED * len(rows) * rows.columns

    def _gram(self, rows: Rows, threads: int) -> tuple[limbs.Total, int]:
        """As `digits.gram`, in ``threads`` shards at the same time."""
        grid = Grid(self.tops, self.resolution)
        cuts = np.linspace(0, len(rows), threads + 1).astype(np.int64).tolist()
        shards = [rows.part(start, stop) for start, stop in pairwise(cuts) if stop > start]
        if len(shards) == 1:
            return gram(shards[0], grid, self._product)
        with ThreadPoolExecutor(len(shards) - 1) as pool:
            others = pool.map(lambda shard: gram(shard, grid, self._product), shards[1:])
            total, strays = gram(shards[0], grid, self._product)  # here: a thread less to wait for
        for other, more in others:
            other.pour(total)
            strays += more
        return total, strays

    def _combine(self, other: "Moments", *, sign: int) -> None:
        if (self.features, self.targets) != (other.features, other.targets):
            raise ValueError(
                f"These moments have {self.features} features and {self.targets} targets, the others {other.features} and {other.targets}: "
                "merge moments of the same columns."
            )
        if not np.array_equal(self.resolution, other.resolution):
            raise ValueError("The resolutions differ, so the sums are not comparable: train one of them in the frame of the other.")
        if not self.planes:
            self.tops, self._placed = other.tops.copy(), True
        changed = limbs.combine(self.planes, limbs.shift(other.planes, _pairs(other.tops) - _pairs(self.tops)), sign=sign)
        _check_sums(changed)
        self.planes, self.n = changed, self.n + sign * other.n

    def _checked(self, X: Array, Y: Array, weights: Array | None) -> Rows:
        k = len(X)
        if X.shape != (k, self.features) or Y.shape != (k, self.targets):
            raise ValueError(f"X has shape {X.shape} and Y {Y.shape}, expected ({k}, {self.features}) and ({k}, {self.targets}).")
        if weights is None:
            return Rows(X, Y)
        _check_finite(X, Y)
        if weights.shape != (k,) or not (np.isfinite(weights) & (weights >= 0)).all():
            raise ValueError(f"weights must be {k} finite numbers, none of them negative.")
        counted = weights > 0
        rows = Rows(X, Y, np.sqrt(weights)) if counted.all() else Rows(X[counted], Y[counted], np.sqrt(weights[counted]))
        with np.errstate(over="ignore"):
            if not np.isfinite(rows.values()).all():
                raise ValueError("Values times the roots of their weights leave the range of float64: scale the weights down.")
        return rows

    def _place(self, rows: Rows) -> None:
        """Move the digits to where the values of ``rows`` lie, unless they fitted the rows before."""
        if not self._placed:
            part = min(_PART, -(-len(rows) // _PARTS))
            starts = np.unique(np.linspace(0, len(rows) - part, _PARTS).astype(np.int64)).tolist()
            magnitude = np.max([rows.part(start, start + part).magnitude() for start in starts], axis=0)
            if not np.isfinite(magnitude).all():
                raise NotFinite
            sample = np.hstack([rows.part(start, start + _SPREAD).values() for start in starts])
            tops = place(magnitude, sample, resolution=self.resolution).tops
            if self.planes:  # a first batch has nothing to move, and a thousand columns squared to look through for it
                self.planes = limbs.shift(self.planes, _pairs(self.tops) - _pairs(tops))
            self.tops = tops


def _check_finite(X: Array, Y: Array) -> None:
    for name, values in (("X", X), ("Y", Y)):
        for row, column in np.argwhere(~np.isfinite(values))[:1].tolist():
            raise ValueError(f"{name}[{row}, {column}] is not a finite number: drop the row or fill in a value.")


def _check_sums(planes: Planes) -> None:
    if (limbs.signs(planes) < 0).any():
        raise ValueError("These rows were never added: without them a sum of squares would be negative.")


def _pairs(tops: Integers) -> Integers:
    return tops[:, None] + tops[None, :]
