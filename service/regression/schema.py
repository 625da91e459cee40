"""What the rows of one model version look like, and how they become design columns.

Order never matters where names are given: a schema fixes one order of features, terms and targets. All that data decided once, when
the model's line was created, stands in `frame`. Invariant: the same values in the same frame give the same bits of design.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple, Self, get_args

import numpy as np

from service.regression.columns import Array, Data, RowErrors, all_finite, faults
from service.regression.design import DesignColumn, build, expand, has_lower_powers, highest_powers, raw_map
from service.regression.double_double import DoubleDouble
from service.regression.polynomial import PolynomialBasis
from service.regression.terms import Term, check_term, parse_term
from service.regression.values import Mask, Values, in_order, read

FeatureType = Literal["numeric", "categorical"]
MissingPolicy = Literal["error", "drop"]
UnseenPolicy = Literal["error", "reference"]


@dataclass(frozen=True)
class Feature:
    """One raw input column."""

    name: str
    type: FeatureType


@dataclass(frozen=True)
class Frame:
    """The constants of a model's line: categories are sorted and the first is the reference; `polynomials`
    has the basis of each feature that stands to a power above 1, or did before its powers were left out."""

    intercept: bool = True
    missing: MissingPolicy = "error"
    unseen: UnseenPolicy = "error"
    polynomials: Mapping[str, PolynomialBasis] = field(default_factory=dict)
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class TrainingDesign(NamedTuple):
    """Design rows X [k, p]; which of the rows given they are, `kept` [n], None for all; and the values that X was built of.

    `values` is None where X is those values itself.
    """

    X: Array
    kept: Mask | None
    values: Values | None

    def features(self, names: Sequence[str]) -> Array:
        """The features [k, names] themselves: numbers as they are, categories by their place among those of the frame."""
        return self.X if self.values is None else self.values.matrix(names)


@dataclass(frozen=True)
class Schema:
    """Features, terms, targets and frame of one model version. Raises ValueError where they contradict one another."""

    features: tuple[Feature, ...]
    terms: tuple[Term, ...]
    targets: tuple[str, ...]
    frame: Frame

    def __post_init__(self) -> None:
        check_names(self.feature_names, self.targets)
        types = {feature.name: feature.type for feature in self.features}
        known: set[Term] = set()
        for term in self.terms:
            check_term(term, types)
            if term in known:
                raise ValueError(f"term {str(term)!r} is there twice: leave one out")
            known.add(term)
        _check_frame(self)
        reserved = ("intercept",) if self.frame.intercept else ()
        if len({*self.column_names, *reserved}) < len(self.column_names) + len(reserved):
            raise ValueError(f"two coefficients would have one name ({', '.join((*reserved, *self.column_names))}): rename a feature")

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the raw columns, in the order of a positional row."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def columns(self) -> tuple[DesignColumn, ...]:
        """The design columns, the intercept aside."""
        return tuple(column for term in self.terms for column in expand(term, self.frame.categories))

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        """The names of the design columns as coefficients are reported: `area^2`, `zip[10115]`."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def is_plain(self) -> bool:
        """Whether the design is the matrix of features itself: all numeric, each its own term, in their order."""
        itself = tuple(Term(((name, 1),)) for name in self.feature_names)
        return not (self.frame.categories or self.frame.polynomials) and self.terms == itself

    def design(self, data: Data, *, names: Sequence[str] | None = None) -> Array:
        """The design [n, p], float64, of all rows: a matrix [n, features] by position (or by `names`), or columns by name.

        Columns that no feature names are ignored. A plain schema hands a float64 matrix back as it is. Raises RowErrors for
        columns that are absent or of another type, missing values, and categories never seen (unless unseen is "reference").
        """
        if self.is_plain and isinstance(data, np.ndarray):
            matrix = in_order(data, self.feature_names, names)
            if all_finite(matrix):
                return matrix
        return self._built(self._read(data, names))

    def training_design(self, data: Data, *, names: Sequence[str] | None = None) -> TrainingDesign:
        """As `design`, but where missing is "drop" of the complete rows alone."""
        if self.is_plain and isinstance(data, np.ndarray):
            matrix = in_order(data, self.feature_names, names)
            if all_finite(matrix):
                return TrainingDesign(matrix, None, None)
        values = self._read(data, names)
        kept = values.complete()
        if self.frame.missing == "error" or kept.all():
            return TrainingDesign(self._built(values), None, values)
        if values.errors:  # what is wrong is not missing, and its row is not dropped
            raise RowErrors(values.errors)
        try:
            whole = values.keep(kept)
            return TrainingDesign(self._built(whole), kept, whole)
        except RowErrors as error:
            places = np.flatnonzero(kept)
            raise RowErrors([e if e.row is None else e._replace(row=int(places[e.row])) for e in error.errors]) from error

    def subset(self, terms: Sequence[Term]) -> tuple[Self, list[int]]:
        """The schema of some of the terms in the same frame, all features kept, and the places of its columns among these columns.

        Raises ValueError where a polynomial would lack its lower powers.
        """
        used = {name for term in terms for name, _ in term.powers}
        bases = {name: basis for name, basis in self.frame.polynomials.items() if name in used}
        chosen = replace(self, terms=tuple(term for term in self.terms if term in terms), frame=replace(self.frame, polynomials=bases))
        place = {(column.powers, column.levels): index for index, column in enumerate(self.columns)}
        return chosen, [place[column.powers, column.levels] for column in chosen.columns]

    def raw_map(self) -> DoubleDouble | None:
        """The matrix from design to raw coefficients, the intercept first if there is one; None where they are the same.

        With covariance V of the design coefficients, that of the raw ones is M V M'.
        """
        return raw_map(self.columns, self.frame.polynomials, intercept=self.frame.intercept) if self.frame.polynomials else None

    def to_dict(self) -> dict[str, Any]:
        """The `schema` of a version document."""
        frame = self.frame
        return {
            "features": [{"name": feature.name, "type": feature.type} for feature in self.features],
            "terms": [str(term) for term in self.terms],
            "targets": list(self.targets),
            "frame": {
                "intercept": frame.intercept,
                "missing": frame.missing,
                "unseen": frame.unseen,
                "polynomials": {name: asdict(basis) for name, basis in frame.polynomials.items()},
                "categories": {name: list(categories) for name, categories in frame.categories.items()},
            },
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Read what `to_dict` wrote; members of the frame that are not of the design are left to their owners. Raises ValueError."""
        try:
            frame = document["frame"]
            return cls(
                tuple(Feature(feature["name"], feature["type"]) for feature in document["features"]),
                tuple(parse_term(term) for term in document["terms"]),
                tuple(document["targets"]),
                Frame(
                    frame["intercept"],
                    frame["missing"],
                    frame["unseen"],
                    {name: PolynomialBasis(**basis) for name, basis in frame["polynomials"].items()},
                    {name: tuple(categories) for name, categories in frame["categories"].items()},
                ),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"this is no schema: {error} is absent or of another kind") from error

    def _read(self, data: Data, names: Sequence[str] | None) -> Values:
        return read(data, self.feature_names, categories=self.frame.categories, names=names)

    def _built(self, values: Values) -> Array:
        frame = self.frame
        values = values.checked(unseen_is_reference=frame.unseen == "reference")
        with np.errstate(over="ignore", invalid="ignore"):
            matrix = build(self.terms, values, categories=frame.categories, bases=frame.polynomials)
        if not all_finite(matrix):
            overflows = zip(self.column_names, ~np.isfinite(matrix).T, strict=True)
            raise RowErrors([error for name, rows in overflows for error in faults(name, rows, "is beyond the range of float64")])
        return matrix


def check_names(features: Sequence[str], targets: Sequence[str]) -> None:
    """Raises ValueError unless there are features and targets, each with a name of its own."""
    names = [*features, *targets]
    if not features or not targets:
        raise ValueError("a schema needs a feature and a target: name at least one of each")
    if "" in names or len(set(names)) < len(names):
        raise ValueError(f"features and targets ({', '.join(names)}) need names, each another: rename or leave one out")


def _check_frame(schema: Schema) -> None:
    frame = schema.frame
    for policy, allowed in ((frame.missing, MissingPolicy), (frame.unseen, UnseenPolicy)):
        if policy not in get_args(allowed):
            raise ValueError(f"a policy is {policy!r}: pass one of {', '.join(get_args(allowed))}")
    if set(frame.categories) != {feature.name for feature in schema.features if feature.type == "categorical"}:
        raise ValueError("the frame must list the categories of each categorical feature and of no other")
    for name, known in frame.categories.items():
        if not known or list(known) != sorted(set(known)):
            raise ValueError(f"the categories of {name} must be at least one, sorted, each once")
    used = {name for term in schema.terms for name, _ in term.powers} - set(frame.categories)
    if not set(highest_powers(schema.terms)) <= set(frame.polynomials) <= used:
        raise ValueError(
            "the frame must hold a polynomial basis of each feature that stands to a power above 1, and of none outside the terms"
        )
    for name, basis in frame.polynomials.items():
        if (basis.centre or basis.reach) and not has_lower_powers(name, schema.terms, intercept=frame.intercept):
            raise ValueError(f"the polynomial of {name} lacks lower powers: pass centre 0 and reach 0, or name them")
