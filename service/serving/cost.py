"""The cost that a version minimises, as a function of its parameters: known exactly from moments, without any rows."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from model_store.manifest import Manifest
from model_store.store import ModelStore
from service.errors import Contradiction, Invalid
from service.regression.columns import Array
from service.regression.schema import Schema
from service.serving.learned import Learned

MOST_PARAMETERS = 3


@dataclass(frozen=True)
class Cost:
    """The mean squared error over all (weighted) rows at parameters b [P]: constant + linear b + b' matrix b.

    It is also least + (b - minimum)' matrix (b - minimum), which loses no digits near the `minimum` [P].
    """

    model: str
    version: str
    target: str
    parameters: tuple[str, ...]
    constant: float
    linear: Array
    matrix: Array
    minimum: Array
    least: float

    def document(self) -> dict[str, Any]:
        """The same as JSON has it."""
        quadratic = {"constant": self.constant, "linear": self.linear.tolist(), "matrix": self.matrix.tolist()}
        return {
            "model": self.model,
            "version": self.version,
            "target": self.target,
            "parameters": list(self.parameters),
            "quadratic": quadratic,
            "minimum": self.minimum.tolist(),
            "least": self.least,
        }


def cost_of(store: ModelStore, manifest: Manifest, target: str | None = None) -> Cost:
    """The cost of a version for one of its targets, which is to be named where there are several.

    Raises:
        Contradiction: it has more parameters than pictures show, or they are not those of its cost.
        Invalid: there is no such target.
        Forgotten: it keeps its moments no more.
        CorruptObject, StoreUnavailable: they cannot be read.
    """
    schema = Schema.from_dict(manifest.document["schema"])
    place = _place(schema, target)
    parameters = (*(("intercept",) if schema.frame.intercept else ()), *schema.column_names)
    where = f"version {manifest.version}"
    if len(parameters) > MOST_PARAMETERS:
        raise Contradiction(
            f"{where} has {len(parameters)} parameters, and the cost is told of at most {MOST_PARAMETERS}: train with fewer features"
        )
    if schema.frame.polynomials:
        raise Contradiction(
            f"{where} has powers, which are fitted in a shifted basis, and the cost is not told of that: train with the features themselves"
        )
    learned = Learned(store, manifest, intercept=schema.frame.intercept, may_wait=lambda: True)
    moments, fit = learned.moments(), learned.fit()
    columns = range(0 if schema.frame.intercept else 1, 1 + moments.features)
    y, weight = 1 + moments.features + place, moments.entry(0, 0)

    def mean(i: int, j: int) -> Fraction:
        return moments.entry(i, j) / weight

    try:
        return Cost(
            manifest.model,
            str(manifest.version),
            schema.targets[place],
            parameters,
            constant=float(mean(y, y)),
            linear=np.array([float(-2 * mean(i, y)) for i in columns]),
            matrix=np.array([[float(mean(i, j)) for j in columns] for i in columns]),
            minimum=fit.coefficients[:, place],
            least=float(fit.rss[place]) / fit.weight,
        )
    except OverflowError as error:
        raise Contradiction(f"the squares of the data of {where} are too large for float64: scale the columns and train again") from error


def _place(schema: Schema, target: str | None) -> int:
    """The place of the target among those of the schema."""
    if target is None and len(schema.targets) == 1:
        return 0
    if target not in schema.targets:
        raise Invalid({"target": [f"must be one of {', '.join(schema.targets)}"]})
    return schema.targets.index(target)
