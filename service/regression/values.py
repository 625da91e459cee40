"""The typed values of a batch of rows, read from a matrix by position or from columns by name.

Invariant: every feature is there once, under its name, and all have the same number of rows; the order they came in is forgotten.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.regression.columns import MISSING, UNSEEN, Array, Codes, Data, RowError, RowErrors, codes, faults, numbers

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Values:
    """`count` rows: the numeric features as float64 [count], NaN where missing, the categorical ones as codes [count].

    `errors` are the faults found in reading; `checked` raises them, so that they come together with those that are missing.
    """

    count: int
    numbers: Mapping[str, Array]
    codes: Mapping[str, Codes]
    errors: tuple[RowError, ...] = ()

    def complete(self) -> Mask:
        """The rows [count] in which nothing is missing."""
        mask = np.ones(self.count, dtype=np.bool_)
        for column in self.numbers.values():
            mask &= ~np.isnan(column)
        for code in self.codes.values():
            mask &= code != MISSING
        return mask

    def keep(self, mask: Mask) -> "Values":
        """The rows that are marked, without the faults found in reading."""
        return Values(
            int(mask.sum()),
            {name: column[mask] for name, column in self.numbers.items()},
            {name: code[mask] for name, code in self.codes.items()},
        )

    def matrix(self, features: Sequence[str]) -> Array:
        """The rows [count, features] as numbers, categories by their codes; one that is unseen stands for the reference, 0."""
        known: dict[str, Array] = {name: np.maximum(code, 0).astype(np.float64) for name, code in self.codes.items()}
        return np.column_stack([self.numbers[name] if name in self.numbers else known[name] for name in features])

    def checked(self, *, unseen_is_reference: bool) -> "Values":
        """These values when none is missing and every category is known or may stand for the reference; else raises RowErrors."""
        errors = list(self.errors)
        for name, column in self.numbers.items():
            errors += faults(name, np.isnan(column), "is missing")
        known: dict[str, Codes] = {}
        for name, code in self.codes.items():
            errors += faults(name, code == MISSING, "is missing")
            known[name] = np.maximum(code, 0) if unseen_is_reference else code
            errors += faults(name, known[name] == UNSEEN, "is a category that training has not seen")
        if errors:
            raise RowErrors(errors)
        return Values(self.count, self.numbers, known)


def in_order(matrix: Array, features: Sequence[str], names: Sequence[str] | None) -> Array:
    """The matrix [n, features] of float64 whose columns are called `names`, without a copy where they are the features already."""
    matrix = np.asarray(matrix, dtype=np.float64)
    given = list(features if names is None else names)
    if matrix.ndim != 2 or matrix.shape[1] != len(given):
        width = f"{matrix.shape[1]} numbers" if matrix.ndim == 2 else "another shape"
        raise RowErrors([RowError(None, "instances", f"each row must be the {len(given)} numbers {', '.join(given)}, but has {width}")])
    if given == list(features):
        return matrix
    check_present(features, given)
    return matrix[:, [given.index(name) for name in features]]


def check_present(features: Sequence[str], given: Collection[str]) -> None:
    """Raises RowErrors naming each feature that is absent."""
    if absent := [RowError(None, name, "is missing") for name in features if name not in given]:
        raise RowErrors(absent)


def read(data: Data, features: Sequence[str], *, categories: Mapping[str, Sequence[str]], names: Sequence[str] | None = None) -> Values:
    """The values of `data`; a feature among `categories` is categorical, the others are numeric.

    Raises RowErrors for features that are absent or differ in length; faults of single values are left to `Values.checked`.
    """
    if isinstance(data, np.ndarray):
        data = dict(zip(features, in_order(data, features, names).T, strict=True))
    check_present(features, data)
    count = len(data[features[0]])
    if uneven := [name for name in features if len(data[name]) != count]:
        raise RowErrors([RowError(None, name, f"has {len(data[name])} rows where {features[0]} has {count}") for name in uneven])
    found = {name: numbers(name, data[name]) for name in features if name not in categories}
    return Values(
        count,
        {name: array for name, (array, _) in found.items()},
        {name: codes(data[name], known) for name, known in categories.items()},
        tuple(error for _, errors in found.values() for error in errors),
    )
