"""The shapes of requests and answers about versions and aliases: moves, comparisons, weights, pages by number."""

import marshmallow as ma
from marshmallow import fields, validate

from service.validation import is_version


class MoveSchema(ma.Schema):
    """One move of an alias; the version is null where it was deleted."""

    version = fields.String(required=True, allow_none=True)
    time = fields.String(required=True)
    who = fields.String(required=True)
    reason = fields.String(required=True)


class AliasSchema(MoveSchema):
    """Where an alias stands, and since when, by whom and why."""

    model = fields.String(required=True)
    alias = fields.String(required=True)


class AliasHistorySchema(AliasSchema):
    """An alias with a page of its moves, newest first."""

    history = fields.List(fields.Nested(MoveSchema), required=True)
    after = fields.String(required=True, allow_none=True)


class AliasListSchema(ma.Schema):
    """A page of aliases."""

    model = fields.String(required=True)
    aliases = fields.List(fields.Nested(AliasSchema), required=True)
    after = fields.String(required=True, allow_none=True)


class ReasonSchema(ma.Schema):
    """The JSON body of a rollback."""

    reason = fields.String(load_default="", validate=validate.Length(max=1000))


class AliasMoveSchema(ReasonSchema):
    """The JSON body that moves an alias."""

    version = fields.String(required=True, validate=is_version)
    expect = fields.String(
        load_default=None, validate=is_version, metadata={"description": "only if the alias names this version until now; else 412"}
    )


class EndsSchema(ma.Schema):
    """A statistic of both versions; lists in the order of the targets when there are several."""

    from_ = fields.Raw(data_key="from", required=True, allow_none=True)
    to = fields.Raw(required=True, allow_none=True)


class ChangedCoefficientSchema(ma.Schema):
    """A coefficient of two versions; null where one does not have it. The change is also given in standard errors of `from`."""

    target = fields.String(required=True)
    term = fields.String(required=True)
    from_ = fields.Float(data_key="from", required=True, allow_none=True)
    to = fields.Float(required=True, allow_none=True)
    change = fields.Float(required=True, allow_none=True)
    from_std_error = fields.Float(required=True, allow_none=True)
    to_std_error = fields.Float(required=True, allow_none=True)
    change_in_std_errors = fields.Float(required=True, allow_none=True)


class ComparisonSchema(ma.Schema):
    """Two versions of a model side by side."""

    model = fields.String(required=True)
    from_ = fields.String(data_key="from", required=True)
    to = fields.String(required=True)
    n = fields.Nested(EndsSchema, required=True)
    r2 = fields.Nested(EndsSchema, required=True)
    residual_std = fields.Nested(EndsSchema, required=True)
    coefficients = fields.List(fields.Nested(ChangedCoefficientSchema), required=True)


class StateDictSchema(ma.Schema):
    """The parameters of the `nn.Linear` over the design columns."""

    columns = fields.List(fields.String(), required=True)
    targets = fields.List(fields.String(), required=True)
    dtype = fields.String(required=True, validate=validate.OneOf(["float64", "float32"]))
    weight = fields.List(fields.List(fields.Float()), required=True)
    bias = fields.List(fields.Float(), required=True, allow_none=True)


class NumberedPageSchema(ma.Schema):
    """Paging of a list by number."""

    limit = fields.Integer(load_default=100, validate=validate.Range(1, 1000))
    after = fields.Integer(load_default=None, validate=validate.Range(1, 10**15))


class StateDictQuerySchema(ma.Schema):
    """The form in which weights are wanted."""

    format = fields.String(load_default="safetensors", validate=validate.OneOf(["safetensors", "pt", "json"]))


class ComparisonQuerySchema(ma.Schema):
    """Which versions to compare: numbers or aliases."""

    from_ = fields.String(data_key="from", required=True)
    to = fields.String(required=True)
