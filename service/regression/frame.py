"""From what a request declares and what the data hold to a schema: types, categories, and the centre and scale of polynomials.

Invariant: the schema depends on the set of values seen and on nothing else, neither on the order of rows and chunks nor on where
one chunk ends.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from service.regression.columns import Array, Column, Data, RowError, RowErrors, is_text, labels, numbers
from service.regression.design import has_lower_powers, highest_powers
from service.regression.polynomial import basis_for
from service.regression.schema import Feature, Frame, MissingPolicy, Schema, UnseenPolicy, check_names
from service.regression.terms import parse_term, quoted
from service.regression.values import Mask, check_present, in_order


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """What is asked of a schema; `terms` None is each feature as itself. Raises ValueError (TermError for a term)."""

    features: tuple[str, ...]
    targets: tuple[str, ...]
    terms: tuple[str, ...] | None = None
    categorical: frozenset[str] = frozenset()
    intercept: bool = True
    missing: MissingPolicy = "error"
    unseen: UnseenPolicy = "error"

    def __post_init__(self) -> None:
        check_names(self.features, self.targets)
        if unknown := sorted(self.categorical - set(self.features)):
            raise ValueError(f"categorical names {', '.join(unknown)}: pass names of features, {', '.join(self.features)}")
        types = {name: "categorical" if name in self.categorical else None for name in self.features}
        for text in self.terms or ():
            parse_term(text, types)

    @property
    def texts(self) -> tuple[str, ...]:
        """The terms as written."""
        return tuple(map(quoted, self.features)) if self.terms is None else self.terms


class FrameBuilder:
    """Looks at chunks of rows, in any order, and makes the schema they need.

    Rows whose target is missing under "drop" are the caller's to leave out; rows in which a feature is missing are left out here.
    """

    def __init__(self, declaration: Declaration) -> None:
        self.declaration = declaration
        self._text: dict[str, bool] = dict.fromkeys(declaration.categorical, True)
        self._categories: dict[str, set[str]] = {name: set() for name in declaration.categorical}
        self._ranges = dict.fromkeys(highest_powers(map(parse_term, declaration.texts)), (math.inf, -math.inf))

    @property
    def settled(self) -> bool:
        """Whether no further row can change the schema: types are known, and there is neither category nor polynomial."""
        return not self._categories and not self._ranges and len(self._text) == len(self.declaration.features)

    def add(self, data: Data, *, names: tuple[str, ...] | None = None) -> None:
        """Look at columns by name, or at a matrix [n, features] by position or by `names`. Raises RowErrors."""
        features = self.declaration.features
        if isinstance(data, np.ndarray):
            data = dict(zip(features, in_order(data, features, names).T, strict=True))
        check_present(features, data)
        for name in features:
            self._note_type(name, data[name])
        kept = self._complete(data) if self.declaration.missing == "drop" else None
        for name, known in self._categories.items():
            found = labels(data[name])
            known.update(value for value in (found if kept is None else np.array(found, dtype=object)[kept]) if value is not None)
        for name in self._ranges:
            if not self._text.get(name, False):
                values = _sound_numbers(name, data[name])
                self._note_range(name, values[~np.isnan(values) if kept is None else kept])

    def schema(self) -> Schema:
        """The schema of the rows seen. Raises RowErrors for a feature without any value, TermError for a power of a category."""
        asked = self.declaration
        empty = [name for name in asked.features if name not in self._text or not self._categories.get(name, {""})]
        empty += [name for name, (low, _) in self._ranges.items() if low == math.inf and name not in self._categories]
        if empty:
            raise RowErrors([RowError(None, name, "has no values: leave it out or fill it in") for name in dict.fromkeys(empty)])
        features = tuple(Feature(name, "categorical" if self._text[name] else "numeric") for name in asked.features)
        types = {feature.name: feature.type for feature in features}
        terms = tuple(parse_term(text, types) for text in asked.texts)
        bases = {
            name: basis_for(low, high, centred=has_lower_powers(name, terms, intercept=asked.intercept))
            for name, (low, high) in self._ranges.items()
        }
        categories = {name: tuple(sorted(self._categories[name])) for name in asked.features if name in self._categories}
        return Schema(features, terms, asked.targets, Frame(asked.intercept, asked.missing, asked.unseen, bases, categories))

    def _note_type(self, name: str, column: Column) -> None:
        if name in self.declaration.categorical:
            return
        text = is_text(name, column)
        if text is None:
            return
        if self._text.setdefault(name, text) != text:
            raise RowErrors(
                [RowError(None, name, "holds text in some rows and numbers in others: make them one kind, or declare it categorical")]
            )
        if text:
            self._categories.setdefault(name, set())

    def _note_range(self, name: str, values: Array) -> None:
        if values.size:
            low, high = self._ranges[name]
            self._ranges[name] = (min(low, float(values.min())), max(high, float(values.max())))

    def _complete(self, data: Mapping[str, Column]) -> Mask:
        """The rows in which no feature is missing."""
        mask = np.ones(len(data[self.declaration.features[0]]), dtype=np.bool_)
        for name in self.declaration.features:
            if self._text.get(name, False):
                mask &= np.array([value is not None for value in labels(data[name])], dtype=np.bool_)
            else:
                mask &= ~np.isnan(_sound_numbers(name, data[name]))
        return mask


def _sound_numbers(name: str, column: Column) -> Array:
    values, errors = numbers(name, column)
    if errors:
        raise RowErrors(errors)
    return values
