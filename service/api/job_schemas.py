"""The shapes of jobs: their records, their list, and how it is asked for."""

import marshmallow as ma
from marshmallow import fields, validate

from service.api.document_schemas import VersionSchema
from service.api.schemas import PageSchema
from service.training.records import STATES
from service.validation import is_name


class JobProgressSchema(ma.Schema):
    """How far a running job is; there from its second second on."""

    rows = fields.Integer(required=True, metadata={"description": "rows read"})
    rows_total = fields.Integer(required=True, allow_none=True, metadata={"description": "estimated where the data do not say"})
    seconds_left = fields.Float(required=True, allow_none=True, metadata={"description": "by the speed so far, of epochs if any"})
    epoch = fields.Integer(metadata={"description": "gradient training: epochs done"})
    epochs = fields.Integer(metadata={"description": "gradient training: epochs asked for"})
    loss = fields.Float(allow_none=True, metadata={"description": "gradient training: the last loss"})
    losses = fields.List(
        fields.List(fields.Float()),
        metadata={"description": "gradient training: [epoch, loss] of epochs so far, dense where the run begins and sparse later"},
    )


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


class JobPageSchema(PageSchema):
    """Paging of the list of jobs."""

    after = fields.String(load_default=None, validate=is_name)
    state = fields.String(load_default=None, validate=validate.OneOf(STATES))
