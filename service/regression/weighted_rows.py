"""Design rows as they are accumulated: each value times the root of its row's weight, rounded once."""

from dataclasses import dataclass

import numpy as np

from service.regression.limbs import Integers
from service.regression.products import Array


class NotFinite(ValueError):
    """A value is NaN or infinite."""


@dataclass(frozen=True)
class Rows:
    """Design rows [1 X Y], each multiplied by the root of its weight (``roots`` [k]; None: ones). Views, no copies."""

    X: Array
    Y: Array
    roots: Array | None = None

    def __len__(self) -> int:
        return len(self.X)

    @property
    def columns(self) -> int:
        return 1 + int(self.X.shape[1]) + int(self.Y.shape[1])

    def part(self, start: int, stop: int) -> "Rows":
        return Rows(self.X[start:stop], self.Y[start:stop], None if self.roots is None else self.roots[start:stop])

    def at(self, row: Integers, column: Integers) -> Array:
        """Single values, as they are accumulated."""
        chosen = Rows(self.X[row], self.Y[row], None if self.roots is None else self.roots[row])
        value: Array = chosen.values()[column, np.arange(len(row))]
        return value

    def magnitude(self) -> Array:
        """The largest magnitude in each column."""
        if self.roots is not None:
            weighted: Array = np.abs(self.values()).max(axis=1, initial=0.0)
            return weighted
        return np.concatenate([[1.0], *(np.maximum(A.max(axis=0), -A.min(axis=0)) for A in (self.X, self.Y))])

    def values(self) -> Array:
        """The columns as they are accumulated, [columns, k]: one rounding per weighted value, none otherwise."""
        out = np.empty((self.columns, len(self)))
        p = self.X.shape[1]
        out[0], out[1 : p + 1], out[p + 1 :] = 1.0, self.X.T, self.Y.T
        if self.roots is not None:
            np.multiply(out, self.roots, out=out)
        return out
