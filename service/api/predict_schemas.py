"""The shapes of predictions: what may be asked at any door, the native body, and its answer."""

from typing import Any

import marshmallow as ma
from marshmallow import fields

from service.validation import is_name, is_version


class Level(fields.Float):
    """The level of an interval: a number that leaves some probability on both of its sides."""

    def _validated(self, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not (value > 0 and 0.5 + 0.5 * value < 1):
            raise ma.ValidationError("must be a number between 0 and 1, such as 0.95")
        return float(value)


def _flag(text: str) -> fields.Boolean:
    return fields.Boolean(
        load_default=False, truthy={True, "true"}, falsy={False, "false"}, metadata={"description": text},
        error_messages={"invalid": "must be true or false"},
    )  # fmt: skip


LEVEL = {"minimum": 0, "exclusiveMinimum": True, "maximum": 1, "exclusiveMaximum": True}


class AskedSchema(ma.Schema):
    """What may be asked of a prediction at any door: the members of `Asked`."""

    interval = Level(
        load_default=None, metadata=LEVEL | {"description": "level of `lower` and `upper`, between which a new observation falls"}
    )
    mean_interval = Level(load_default=None, metadata=LEVEL | {"description": "level of `mean_lower` and `mean_upper`, for the mean"})
    std_error = _flag("the standard error of the mean")
    leverage = _flag("`leverage`, and `extrapolating`: whether the row lies beyond those that were learned")
    contributions = _flag("`contributions` of the design columns, which with `baseline` add up to the prediction")


class PredictSchema(AskedSchema):
    """The JSON body of `POST /predict`, its data aside: `instances` (rows) or `columns` (whole columns by name)."""

    model = fields.String(load_default="default", validate=is_name)
    version = fields.String(load_default=None, validate=is_version)
    alias = fields.String(load_default=None, validate=is_name)

    @ma.validates_schema
    def _one_of(self, data: dict[str, Any], **_: object) -> None:
        if data["version"] is not None and data["alias"] is not None:
            raise ma.ValidationError("give a version or an alias, not both", "alias")


class PredictDocumentSchema(PredictSchema):
    """The JSON body of `POST /predict`."""

    instances = fields.List(
        fields.Raw(), metadata={"description": "rows: lists of numbers in the order of the features, or objects by feature name"}
    )
    columns = fields.Dict(keys=fields.String(), values=fields.List(fields.Raw()), metadata={"description": "whole columns by feature name"})


class PredictionSchema(ma.Schema):
    """What `POST /predict` answers."""

    model = fields.String(required=True)
    version = fields.String(required=True)
    predictions = fields.List(fields.Raw(), required=True, metadata={"description": "a number per row; a list per row for several targets"})
    lower = fields.List(fields.Raw(), metadata={"description": "`interval`: in the form of `predictions`, as the next five"})
    upper = fields.List(fields.Raw())
    mean_lower = fields.List(fields.Raw(), metadata={"description": "`mean_interval`"})
    mean_upper = fields.List(fields.Raw())
    std_error = fields.List(fields.Raw())
    leverage = fields.List(fields.Float(), metadata={"description": "a number per row"})
    extrapolating = fields.List(
        fields.Boolean(), metadata={"description": "whether a row lies farther out than 99.99 % of rows like the learned ones would"}
    )
    baseline = fields.Raw(metadata={"description": "the prediction at the training means; a list for several targets"})
    contributions = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.Raw()),
        metadata={"description": "by design column, in the form of `predictions`, what the column adds to `baseline`"},
    )
