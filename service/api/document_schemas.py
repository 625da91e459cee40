"""The shape of a version document, which every operation that makes a version answers: its schema, its fit, its lineage."""

import marshmallow as ma
from marshmallow import fields, validate


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
