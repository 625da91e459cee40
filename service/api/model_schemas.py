"""The shapes of models and of their lists."""

import marshmallow as ma
from marshmallow import fields

from service.api.document_schemas import ModelSchemaSchema


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
