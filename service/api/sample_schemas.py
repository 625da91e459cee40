"""The shapes of answers about what a version's rows show: the sampled rows with their diagnostics, and the cost."""

import marshmallow as ma
from marshmallow import fields


def _by_name(text: str, *, required: bool = True, allow_none: bool = False) -> fields.Dict:
    return fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.Raw(allow_none=True)),
        required=required,
        allow_none=allow_none,
        metadata={"description": text},
    )


class DiagnosticsSchema(ma.Schema):
    """The sampled rows of a version; every list has one entry for each."""

    model = fields.String(required=True)
    version = fields.String(required=True)
    n = fields.Integer(required=True, metadata={"description": "rows of the version"})
    count = fields.Integer(required=True, metadata={"description": "rows of the sample, each another one"})
    columns = _by_name("by feature")
    targets = _by_name("by target")
    weights = fields.List(fields.Float(), metadata={"description": "absent where all are 1"})
    times = fields.List(fields.Integer(), metadata={"description": "how often each row was learned; absent where all are 1"})
    fitted = _by_name("by target, what the version predicts")
    residual = _by_name("by target, the value less what is fitted")
    leverage = fields.List(
        fields.Float(), required=True, allow_none=True, metadata={"description": "null unless the solver is plain least squares"}
    )
    standardized = _by_name(
        "by target, the residual in standard errors of its own; null where there are none, as `leverage`", allow_none=True
    )


class QuadraticSchema(ma.Schema):
    """constant + linear b + b' matrix b."""

    constant = fields.Float(required=True)
    linear = fields.List(fields.Float(), required=True)
    matrix = fields.List(fields.List(fields.Float()), required=True)


class CostSchema(ma.Schema):
    """The mean squared error over all rows, weighted by their weights, as a function of the parameters."""

    model = fields.String(required=True)
    version = fields.String(required=True)
    target = fields.String(required=True)
    parameters = fields.List(fields.String(), required=True, metadata={"description": "in the order of the lists"})
    quadratic = fields.Nested(QuadraticSchema, required=True)
    minimum = fields.List(fields.Float(), required=True, metadata={"description": "where the cost is least"})
    least = fields.Float(required=True, metadata={"description": "the cost there"})


class CostQuerySchema(ma.Schema):
    """Of which target the cost is wanted."""

    target = fields.String(load_default=None)
