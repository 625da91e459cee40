"""The shapes of requests and answers as marshmallow schemas; `/openapi.json` is made of them."""

import marshmallow as ma
from marshmallow import fields, validate

from service.validation import is_name


class PredictSchema(ma.Schema):
    """The JSON body of `POST /predict`, its data aside: `instances` (rows) or `columns` (whole columns by name)."""

    model = fields.String(load_default="default", validate=is_name)
    version = fields.String(load_default=None, validate=validate.Regexp(r"^[1-9][0-9]{0,15}\Z", error="must be a version number such as 3"))
    alias = fields.String(load_default=None, validate=is_name)

    @ma.validates_schema
    def _one_of(self, data: dict[str, str | None], **_: object) -> None:
        if data["version"] is not None and data["alias"] is not None:
            raise ma.ValidationError("give a version or an alias, not both", "alias")


class PredictDocumentSchema(PredictSchema):
    """The JSON body of `POST /predict`."""

    instances = fields.List(
        fields.Raw(), metadata={"description": "rows: lists of numbers in the order of the features, or objects by feature name"}
    )
    columns = fields.Dict(
        keys=fields.String(), values=fields.List(fields.Float()), metadata={"description": "whole columns by feature name"}
    )


class PredictionSchema(ma.Schema):
    """What `POST /predict` answers."""

    model = fields.String(required=True)
    version = fields.String(required=True)
    predictions = fields.List(fields.Raw(), required=True, metadata={"description": "a number per row; a list per row for several targets"})


class CoefficientSchema(ma.Schema):
    """One line of the coefficient table; null where a number does not exist."""

    target = fields.String(required=True)
    term = fields.String(required=True)
    estimate = fields.Float(required=True, allow_none=True)
    std_error = fields.Float(required=True, allow_none=True)
    t = fields.Float(required=True, allow_none=True)
    p = fields.Float(required=True, allow_none=True)
    lower = fields.Float(required=True, allow_none=True)
    upper = fields.Float(required=True, allow_none=True)


class FitSchema(ma.Schema):
    """Statistics of a fit; lists in the order of the targets when there are several."""

    n = fields.Integer(required=True)
    dof = fields.Integer(required=True)
    r2 = fields.Raw(required=True, allow_none=True)
    adjusted_r2 = fields.Raw(required=True, allow_none=True)
    residual_std = fields.Raw(required=True, allow_none=True)
    rss = fields.Raw(required=True)
    aic = fields.Raw(required=True, allow_none=True)
    bic = fields.Raw(required=True, allow_none=True)
    f = fields.Raw(required=True, allow_none=True)
    condition = fields.Float(required=True)
    aliased = fields.List(fields.String(), required=True)
    solver = fields.Raw(required=True)
    coefficients = fields.List(fields.Nested(CoefficientSchema), required=True)


class ModelSchemaSchema(ma.Schema):
    """What a row must look like."""

    features = fields.List(fields.String(), required=True)
    terms = fields.List(fields.String(), required=True)
    targets = fields.List(fields.String(), required=True)
    frame = fields.Dict(required=True)


class VersionSchema(ma.Schema):
    """A version document."""

    model = fields.String(required=True)
    version = fields.String(required=True)
    aliases = fields.List(fields.String(), required=True)
    created = fields.String(required=True)
    operation = fields.String(required=True)
    parent = fields.String(required=True, allow_none=True)
    description = fields.String(required=True)
    labels = fields.Dict(required=True)
    fingerprint = fields.String(required=True, allow_none=True)
    state_dict = fields.String(required=True)
    schema = fields.Nested(ModelSchemaSchema, required=True)
    fit = fields.Nested(FitSchema, required=True)


class ModelSchema(ma.Schema):
    """A model in the list of models."""

    model = fields.String(required=True)
    aliases = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    latest = fields.String(required=True, allow_none=True)


class ModelMetadataSchema(ModelSchema):
    """One model as this worker serves it."""

    serving = fields.String(required=True, allow_none=True)
    device = fields.String(required=True)
    schema = fields.Nested(ModelSchemaSchema, required=True, allow_none=True)


class ModelListSchema(ma.Schema):
    """A page of models."""

    models = fields.List(fields.Nested(ModelSchema), required=True)
    after = fields.String(required=True, allow_none=True)


class VersionListSchema(ma.Schema):
    """A page of version numbers."""

    model = fields.String(required=True)
    versions = fields.List(fields.String(), required=True)
    after = fields.String(required=True, allow_none=True)


class JobSchema(ma.Schema):
    """A job record."""

    id = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(["queued", "running", "succeeded", "failed"]))
    created = fields.String(required=True)
    started = fields.String()
    finished = fields.String()
    request_id = fields.String(required=True)
    result = fields.Nested(VersionSchema)
    error = fields.Dict()


class ProblemSchema(ma.Schema):
    """A problem document (RFC 9457)."""

    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    errors = fields.Dict(keys=fields.String(), values=fields.List(fields.String()))


class ReadySchema(ma.Schema):
    """What `/readyz` and `/livez` answer."""

    status = fields.String(required=True)
    reasons = fields.Dict(keys=fields.String(), values=fields.String())


class PageSchema(ma.Schema):
    """Paging of a list."""

    limit = fields.Integer(load_default=100, validate=validate.Range(1, 1000))
    after = fields.String(load_default=None)
