"""The `solver` of a training request: exact least squares and its penalties, or gradient training of the `nn.Linear`."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from service.errors import Invalid
from service.regression.optimizers import INITS, LOSSES, OPTIMIZERS, GradientOptions, Start
from service.validation import validated

PENALTY = validate.Range(0, math.inf, max_inclusive=False)


@dataclass(frozen=True)
class Exact:
    """Least squares solved from exact moments, with the ridge penalty `ridge` (0 for none)."""

    ridge: float = 0.0

    def to_json(self) -> Any:
        """As a version document shows it."""
        return {"name": "exact", "ridge": self.ridge} if self.ridge else "exact"


@dataclass(frozen=True)
class Sparse:
    """Lasso or elastic net, solved from exact moments until the duality gap closes."""

    l1: float
    l2: float = 0.0

    def to_json(self) -> Any:
        """As a version document shows it."""
        return {"name": "elastic_net", "l1": self.l1, "l2": self.l2} if self.l2 else {"name": "lasso", "l1": self.l1}


@dataclass(frozen=True)
class Gradient:
    """Gradient training of the `nn.Linear`."""

    options: GradientOptions

    def to_json(self) -> Any:
        """As a version document shows it."""
        return asdict(self.options)


Solver = Exact | Sparse | Gradient


class ExactSchema(ma.Schema):
    """`exact`, with or without a ridge penalty."""

    ridge = fields.Float(load_default=0.0, validate=PENALTY)

    @ma.post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Solver:
        return Exact(**data)


class LassoSchema(ma.Schema):
    """`lasso`."""

    l1 = fields.Float(required=True, validate=PENALTY)

    @ma.post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Solver:
        return Sparse(**data)


class ElasticNetSchema(ma.Schema):
    """`elastic_net`."""

    l1 = fields.Float(required=True, validate=PENALTY)
    l2 = fields.Float(required=True, validate=PENALTY)

    @ma.post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Solver:
        return Sparse(**data)


class StartSchema(ma.Schema):
    """Explicit first parameters."""

    weight = fields.Raw(required=True)
    bias = fields.Raw(load_default=0.0)


class InitField(fields.Field[str | Start]):
    """The name of an initialisation, or `{"weight", "bias"}`."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str | Start:  # noqa: ARG002
        if isinstance(value, str) and value in INITS:
            return value
        if not isinstance(value, dict):
            raise ma.ValidationError(f"must be one of {', '.join(INITS)}, or an object with weight and bias")
        start = StartSchema().load(value)
        if not (_is_numbers(start["weight"], depth=2, least=1) and _is_numbers(start["bias"], depth=1)):
            raise ma.ValidationError("weight must be a list of numbers (a list per target if several), bias a number (or one per target)")
        return Start(start["weight"], start["bias"])


class GradientSchema(ma.Schema):
    """Gradient training."""

    name = fields.String(required=True, validate=validate.OneOf(list(OPTIMIZERS)))
    learning_rate = fields.Float(load_default=None, allow_none=True)
    epochs = fields.Integer(load_default=100, strict=True, validate=validate.Range(1, 1_000_000))
    batch_size = fields.Integer(load_default=None, allow_none=True, strict=True)
    momentum = fields.Float(load_default=0.0)
    loss = fields.String(load_default="mse", validate=validate.OneOf(list(LOSSES)))
    init = InitField(load_default="default")
    seed = fields.Integer(load_default=0, strict=True)
    standardize = fields.Boolean(load_default=False)
    tolerance = fields.Float(load_default=None, allow_none=True)

    @ma.post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Solver:
        try:
            return Gradient(GradientOptions(**data))
        except ValueError as error:
            raise ma.ValidationError(str(error)) from error


SCHEMAS: dict[str, type[ma.Schema]] = {"exact": ExactSchema, "lasso": LassoSchema, "elastic_net": ElasticNetSchema}
NAMES = [*SCHEMAS, *OPTIMIZERS]
SOLVERS = {  # as the description of the API says it
    "default": "exact",
    "oneOf": [
        {"type": "string", "enum": NAMES},
        {"type": "object", "properties": {"name": {"type": "string", "enum": NAMES}}, "required": ["name"]},
    ],
    "description": "the name of a solver, or an object with its `name` and options: "
    + "; ".join(f"{name}: {', '.join(schema().fields)}" for name, schema in SCHEMAS.items())
    + f"; the others: {', '.join(field for field in GradientSchema().fields if field != 'name')}",
}


class SolverField(fields.Field[Solver]):
    """The name of a solver, or an object with its `name` and options."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Solver:  # noqa: ARG002
        given = {"name": value} if isinstance(value, str) else value
        if not isinstance(given, dict) or given.get("name") not in NAMES:
            raise ma.ValidationError(f"must be one of {', '.join(NAMES)}, or an object with that name and its options")
        name = given["name"]
        schema = SCHEMAS.get(name)
        try:
            solver: Solver = validated(GradientSchema(), given) if schema is None else validated(schema(), _without_name(given))
        except Invalid as error:
            raise ma.ValidationError(dict(error.errors)) from error
        return solver


def _without_name(given: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in given.items() if key != "name"}


def _is_numbers(value: Any, *, depth: int, least: int = 0) -> bool:
    """Whether a value is finite numbers, in lists nested at least `least` and at most `depth` deep."""
    if isinstance(value, list):
        return depth > 0 and bool(value) and all(_is_numbers(one, depth=depth - 1, least=least - 1) for one in value)
    return least <= 0 and isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
