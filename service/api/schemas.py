"""The shapes of requests and answers as marshmallow schemas; `/openapi.json` is made of them."""

from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from service.training.records import STATES
from service.validation import is_name

is_version = validate.Regexp(r"^[1-9][0-9]{0,15}\Z", error="must be a version number such as 3")


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
    condition = fields.Float(required=True, allow_none=True, metadata={"description": "of the design, its columns scaled alike"})
    digits = fields.Float(required=True, metadata={"description": "digits of the coefficients that the data determine, at most 15"})
    aliased = fields.List(fields.String(), required=True)
    solver = fields.Raw(required=True)
    advice = fields.List(fields.String(), metadata={"description": "what a reader of this fit must know, and what to do about it"})
    effective_dof = fields.Raw(metadata={"description": "penalties: the degrees of freedom the coefficients use"})
    gap = fields.Raw(metadata={"description": "lasso and elastic net: the duality gap left, relative"})
    epochs = fields.Integer(metadata={"description": "gradient training: epochs run"})
    converged = fields.Boolean(metadata={"description": "gradient training: whether `tolerance` ended it"})
    loss = fields.Float(metadata={"description": "gradient training: the last loss"})
    gap_to_exact = fields.Raw(
        metadata={"description": "gradient training: root mean square difference of its predictions from the exact ones", "nullable": True}
    )
    coefficients = fields.List(fields.Nested(CoefficientSchema), required=True)


class FeatureSchema(ma.Schema):
    """A raw input column."""

    name = fields.String(required=True)
    type = fields.String(required=True, validate=validate.OneOf(["numeric", "categorical"]))


class EpochSchema(ma.Schema):
    """The state after an epoch of gradient training; epoch 0 is the initial state."""

    epoch = fields.Integer(required=True)
    loss = fields.Float(required=True)
    weight = fields.Raw(required=True)
    bias = fields.Raw(required=True, allow_none=True)


class ModelSchemaSchema(ma.Schema):
    """What a row must look like."""

    features = fields.List(fields.Nested(FeatureSchema), required=True)
    terms = fields.List(fields.String(), required=True)
    targets = fields.List(fields.String(), required=True)
    frame = fields.Dict(required=True)


class MemorySchema(ma.Schema):
    """What a version was published to remember beside its moments; only aliased and the latest versions keep it."""

    ledger = fields.Boolean(required=True, metadata={"description": "whether it knows its rows, so that they can be forgotten"})
    folds = fields.Integer(required=True, metadata={"description": "how many folds have moments of their own, for cross-validation"})
    sample = fields.Boolean(required=True, metadata={"description": "whether it kept a sample of its rows, which `…/sample` shows"})


class ForgottenSchema(ma.Schema):
    """What a version forgot, and where else the rows are."""

    rows = fields.Integer(required=True)
    still_in = fields.List(fields.String(), required=True, metadata={"description": "older versions that hold the rows, or may"})
    purged = fields.List(fields.String(), required=True, metadata={"description": "versions that held them, or may have, and were deleted"})


class MergedSchema(ma.Schema):
    """A version that was merged into another model."""

    model = fields.String(required=True)
    version = fields.String(required=True)
    fingerprint = fields.String(required=True, allow_none=True)


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
    memory = fields.Nested(MemorySchema, required=True)
    forgotten = fields.Nested(ForgottenSchema, metadata={"description": "of a version made by forget"})
    selection = fields.Dict(metadata={"description": "of a version made by select"})
    merged = fields.List(fields.Nested(MergedSchema), metadata={"description": "of a version made by merge"})
    schema = fields.Nested(ModelSchemaSchema, required=True)
    fit = fields.Nested(FitSchema, required=True)
    history = fields.List(fields.Nested(EpochSchema), metadata={"description": "gradient training, when asked for"})
    imported = fields.Dict(metadata={"description": "import: model, version, time, operation and fingerprint where it comes from"})


class SelectAnswerSchema(ma.Schema):
    """What `select` answers; with `publish`, a version document that has `selection` too."""

    model = fields.String(required=True)
    base = fields.String(metadata={"description": "the version that was looked at"})
    selection = fields.Dict(
        required=True,
        metadata={"description": "`subset`: candidates, best first, and the F test against all terms; `ridge`: the path; `inflation`"},
    )


class ModelSchema(ma.Schema):
    """A model in the list of models."""

    model = fields.String(required=True)
    aliases = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    latest = fields.String(required=True, allow_none=True)
    damaged = fields.String(metadata={"description": "what of the model cannot be read; only there if something is"})


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


class JobProgressSchema(ma.Schema):
    """How far a running job is; there from its second second on."""

    rows = fields.Integer(required=True, metadata={"description": "rows read"})
    rows_total = fields.Integer(required=True, allow_none=True, metadata={"description": "estimated where the data do not say"})
    seconds_left = fields.Float(required=True, allow_none=True, metadata={"description": "by the speed so far, of epochs if any"})
    epoch = fields.Integer(metadata={"description": "gradient training: epochs done"})
    epochs = fields.Integer(metadata={"description": "gradient training: epochs asked for"})
    loss = fields.Float(allow_none=True, metadata={"description": "gradient training: the last loss"})


class JobSummarySchema(ma.Schema):
    """A job in the list of jobs."""

    id = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(STATES))
    operation = fields.String(required=True)
    created = fields.String(required=True)
    started = fields.String()
    finished = fields.String()
    request_id = fields.String(required=True)
    progress = fields.Nested(JobProgressSchema)
    error = fields.Dict()


class JobSchema(JobSummarySchema):
    """A job record."""

    result = fields.Nested(VersionSchema)


class JobListSchema(ma.Schema):
    """A page of jobs, the newest first."""

    jobs = fields.List(fields.Nested(JobSummarySchema), required=True)
    after = fields.String(required=True, allow_none=True)


class ProblemSchema(ma.Schema):
    """A problem document (RFC 9457)."""

    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    errors = fields.Dict(keys=fields.String(), values=fields.List(fields.String()))


class ErrorSchema(ma.Schema):
    """An error of a protocol whose errors are a single text."""

    error = fields.String(required=True)


class ReadySchema(ma.Schema):
    """What `/readyz` and `/livez` answer."""

    status = fields.String(required=True)
    reasons = fields.Dict(keys=fields.String(), values=fields.String())


class PageSchema(ma.Schema):
    """Paging of a list."""

    limit = fields.Integer(load_default=100, validate=validate.Range(1, 1000))
    after = fields.String(load_default=None)


class JobPageSchema(PageSchema):
    """Paging of the list of jobs."""

    after = fields.String(load_default=None, validate=is_name)
    state = fields.String(load_default=None, validate=validate.OneOf(STATES))
