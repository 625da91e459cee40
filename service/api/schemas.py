"""The shapes that many doors share: errors, health, and pages of lists."""

import marshmallow as ma
from marshmallow import fields, validate


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
