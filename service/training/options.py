"""What may be asked of a training: the marshmallow schema that HTTP, CSV query parameters and the command line share.

Unknown fields are errors, so a misspelt option never trains the wrong model silently.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from service.errors import Invalid
from service.regression.schema import MissingPolicy, UnseenPolicy
from service.training.solver import SOLVERS, Exact, Solver, SolverField
from service.validation import is_name, validated

LISTS = ("features", "target", "terms", "categorical")
ONE_OR_MANY = {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}  # as the description says it


class OneOrMany(fields.Field[tuple[str, ...]]):
    """One name, or a list of different names; always loaded as a tuple."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> tuple[str, ...]:  # noqa: ARG002
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
            raise ma.ValidationError("must be a name or a list of names")
        if len(set(names)) < len(names):
            raise ma.ValidationError("names a column twice")
        return tuple(names)


LABELS = fields.Dict(
    keys=fields.String(validate=validate.Length(max=64)),
    values=fields.String(validate=validate.Length(max=256)),
    validate=validate.Length(max=64),
    load_default=dict,
)


class TrainOptionsSchema(ma.Schema):
    """Options of `POST /train` beside the data."""

    model = fields.String(load_default="default", validate=is_name)
    features = OneOrMany(
        load_default=None, metadata={**ONE_OR_MANY, "description": "feature columns, in order; all but the target when left out"}
    )
    target = OneOrMany(load_default=None, metadata={**ONE_OR_MANY, "description": "target column or columns"})
    intercept = fields.Boolean(load_default=True)
    promote = fields.Boolean(load_default=True, metadata={"description": "move the alias live to the new version"})
    description = fields.String(load_default="", validate=validate.Length(max=1000))
    terms = OneOrMany(
        load_default=None,
        metadata={**ONE_OR_MANY, "description": "design columns, replacing the default: `area`, `area^2`, `area*rooms`"},
    )
    weights: fields.Field[Any] = fields.String(
        load_default=None, metadata={"description": "column of weights; with a JSON body also a list, one per row"}
    )
    categorical = OneOrMany(
        load_default=(), metadata={**ONE_OR_MANY, "default": [], "description": "feature columns that are categories; text is by itself"}
    )
    unseen = fields.String(load_default="error", validate=validate.OneOf(["error", "reference"]))
    missing = fields.String(load_default="error", validate=validate.OneOf(["error", "drop"]))
    like = fields.String(load_default=None, metadata={"description": "train in the frame of this version, such as `rent@3` or `rent@live`"})
    new_schema = fields.Boolean(load_default=False, metadata={"description": "let an existing model take another schema"})
    ledger = fields.String(
        load_default="auto",
        validate=validate.OneOf(["auto", "on", "off"]),
        metadata={"description": "remember which rows were learned, so that they can be forgotten; auto: up to 1,000,000 rows"},
    )
    folds = fields.Integer(
        load_default=None,
        allow_none=True,
        validate=validate.Range(2, 50),
        metadata={"description": "keep the moments of this many folds of the rows, for cross-validation without the rows"},
    )
    sample = fields.Integer(
        load_default=0,
        validate=validate.Range(0, 10_000),
        metadata={"description": "keep this many of the rows, for pictures and diagnostics; none unless asked"},
    )
    history = fields.Boolean(load_default=False, metadata={"description": "gradient training: loss and parameters of every epoch"})
    dtype = fields.String(load_default="float64", validate=validate.OneOf(["float64", "float32"]))
    labels = LABELS
    solver = SolverField(load_default=Exact, metadata=SOLVERS)

    @ma.post_load
    def _make(self, data: dict[str, Any], **_: Any) -> "TrainOptions":
        return TrainOptions(**data)


class TrainDocumentSchema(TrainOptionsSchema):
    """The JSON body of `POST /train`: options and one of four forms of data (documentation; the data is read by `sources`)."""

    instances = fields.List(
        fields.Raw(), metadata={"description": "rows: lists of numbers (with `targets`), or objects by column name (with `target`)"}
    )
    weights = fields.Raw(metadata={"description": "the name of a column of weights, or one weight per row"})
    targets = fields.List(fields.Raw(), metadata={"description": "one number per instance, or one list of numbers for several targets"})
    columns = fields.Dict(keys=fields.String(), values=fields.List(fields.Raw()), metadata={"description": "whole columns by name"})
    source = fields.String(metadata={"description": "files under PLUMBLINE_DATA_ROOTS: a relative name or a glob"})


@dataclass(frozen=True)
class TrainOptions:
    """Validated options of one training."""

    model: str = "default"
    features: tuple[str, ...] | None = None
    target: tuple[str, ...] | None = None
    intercept: bool = True
    promote: bool = True
    description: str = ""
    terms: tuple[str, ...] | None = None
    weights: str | None = None
    categorical: tuple[str, ...] = ()
    unseen: UnseenPolicy = "error"
    missing: MissingPolicy = "error"
    like: str | None = None
    new_schema: bool = False
    ledger: str = "auto"
    folds: int | None = None
    sample: int = 0
    history: bool = False
    dtype: str = "float64"
    labels: Mapping[str, str] = field(default_factory=dict)
    solver: Solver = field(default_factory=Exact)


def load_options(given: Mapping[str, Any]) -> TrainOptions:
    """Validate options from a JSON document.

    Raises:
        Invalid: names each offending field.
    """
    options: TrainOptions = validated(TrainOptionsSchema(), given)
    return options


def options_from_query(query: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Options of a body that is not JSON: lists may be repeated or separated by commas, `labels` is `k=v,…`, `solver` a name or JSON.

    Raises:
        Invalid: the solver is not valid JSON.
    """
    given: dict[str, Any] = {}
    for name, values in query.items():
        if name in LISTS:
            given[name] = list(values) if len(values) > 1 else values[0].split(",")
        elif name == "labels":
            given[name] = dict(pair.partition("=")[::2] for pair in ",".join(values).split(","))
        elif name == "solver" and values[-1].lstrip().startswith("{"):
            try:
                given[name] = json.loads(values[-1])
            except ValueError as error:
                raise Invalid({name: ["is not valid JSON"]}) from error
        else:
            given[name] = values[-1]
    return given
