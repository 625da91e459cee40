"""What may be asked of a living model: the marshmallow schemas that HTTP, query parameters and the command line share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import marshmallow as ma
from marshmallow import fields, validate

from service.training.options import LABELS, ONE_OR_MANY, OneOrMany
from service.training.solver import SOLVERS, Gradient, Solver, SolverField
from service.validation import is_name, is_version

IF_MATCH = "If-Match"  # the header, which counts like `expect`


def without_rows(solver: Solver | None) -> None:
    """Refuse a solver that needs the rows."""
    if isinstance(solver, Gradient):
        raise ma.ValidationError("must be exact, with or without a penalty: a model keeps no rows to train on")


class LivingOptionsSchema(ma.Schema):
    """Options of every operation that makes a version from another one."""

    base = fields.String(
        load_default=None,
        validate=is_name,
        metadata={"description": "the version to start from, a number or an alias; by default `live`, whatever it names at the commit"},
    )
    expect = fields.String(
        load_default=None,
        validate=is_version,
        metadata={"description": "412 unless `live` names this version until the commit"},
    )
    if_match = fields.String(load_default=None, data_key=IF_MATCH, validate=is_version, metadata={"description": "the header of that name"})
    promote = fields.Boolean(load_default=True, metadata={"description": "move the alias live to the new version"})
    description = fields.String(load_default="", validate=validate.Length(max=1000))
    labels = LABELS
    solver = SolverField(load_default=None, validate=without_rows, metadata=SOLVERS | {"default": "that of the base"})

    @ma.post_load
    def _make(self, data: dict[str, Any], **_: Any) -> "LivingOptions":
        expect, if_match = data["expect"], data.pop("if_match")
        if None not in (expect, if_match) and expect != if_match:
            raise ma.ValidationError("is another version than If-Match names: send one of them", "expect")
        return LivingOptions(**(data | {"expect": int(expect or if_match) if expect or if_match else None}))


class LearnOptionsSchema(LivingOptionsSchema):
    """Options of `POST /models/{model}/learn` beside the data."""

    target = OneOrMany(load_default=None, metadata={**ONE_OR_MANY, "description": "may be given; it is that of the base"})
    weights: fields.Field[Any] = fields.String(
        load_default=None, metadata={"description": "column of weights; with a JSON body also a list, one per row"}
    )


class ForgetOptionsSchema(LearnOptionsSchema):
    """Options of `POST /models/{model}/forget` beside the data."""

    unchecked = fields.Boolean(
        load_default=False, metadata={"description": "trust that the rows were learned, where there is no ledger to look it up"}
    )
    purge = fields.Boolean(load_default=False, metadata={"description": "also delete the versions that hold the rows, or may"})


class MergeOptionsSchema(LivingOptionsSchema):
    """Options of `POST /models/{model}/merge`."""

    others = OneOrMany(
        required=True,
        data_key="with",
        metadata={
            **ONE_OR_MANY,
            "description": "versions of other models with an equal frame: `north` (its live one), `north@4`",
        },
    )


class RefitOptionsSchema(LivingOptionsSchema):
    """Options of `POST /models/{model}/refit`."""

    terms = OneOrMany(load_default=None, metadata={**ONE_OR_MANY, "description": "those of the base to keep; by default all"})


class SelectOptionsSchema(LivingOptionsSchema):
    """Options of `POST /models/{model}/select`."""

    ridge = fields.String(
        load_default=None,
        validate=validate.OneOf(["gcv", "folds"]),
        metadata={"description": "choose a ridge penalty by generalised cross-validation, or by the folds of the training"},
    )
    subset = fields.String(
        load_default=None, validate=validate.OneOf(["aic", "bic", "cp"]), metadata={"description": "choose among all subsets of the terms"}
    )
    publish = fields.Boolean(load_default=False, metadata={"description": "publish what was chosen as a version"})


class SelectDocumentSchema(SelectOptionsSchema):
    """The JSON body of `POST /models/{model}/select`."""

    class Meta:
        """What the header says does not belong in the body."""

        exclude = ("if_match",)


class MergeDocumentSchema(MergeOptionsSchema):
    """The JSON body of `POST /models/{model}/merge`."""

    class Meta:
        """What the header says does not belong in the body."""

        exclude = ("if_match",)


class RefitDocumentSchema(RefitOptionsSchema):
    """The JSON body of `POST /models/{model}/refit`."""

    class Meta:
        """What the header says does not belong in the body."""

        exclude = ("if_match",)


class LearnDocumentSchema(LearnOptionsSchema):
    """The JSON body of `POST /models/{model}/learn`: options, and the data as in `POST /train`."""

    class Meta:
        """What the header says does not belong in the body."""

        exclude = ("if_match",)

    instances = fields.List(
        fields.Raw(), metadata={"description": "rows: lists of values (with `targets`), or objects by column name, the target's among them"}
    )
    weights = fields.Raw(metadata={"description": "the name of a column of weights, or one weight per row"})
    targets = fields.List(fields.Raw(), metadata={"description": "one number per instance, or one list of numbers for several targets"})
    columns = fields.Dict(keys=fields.String(), values=fields.List(fields.Raw()), metadata={"description": "whole columns by name"})
    source = fields.String(metadata={"description": "files under PLUMBLINE_DATA_ROOTS: a relative name or a glob"})


class ForgetDocumentSchema(ForgetOptionsSchema, LearnDocumentSchema):
    """The JSON body of `POST /models/{model}/forget`: options, and the rows as they were learned."""


@dataclass(frozen=True, kw_only=True)
class LivingOptions:
    """Validated options of one operation; `solver` None is that of the base."""

    base: str | None = None
    expect: int | None = None
    promote: bool = True
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    solver: Solver | None = None
    target: tuple[str, ...] | None = None
    weights: str | None = None
    unchecked: bool = False
    purge: bool = False
    others: tuple[str, ...] = ()
    terms: tuple[str, ...] | None = None
    ridge: Literal["gcv", "folds"] | None = None
    subset: Literal["aic", "bic", "cp"] | None = None
    publish: bool = False
