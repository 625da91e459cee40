"""What `/openapi.json` says of the Open Inference Protocol."""

from typing import Any

import marshmallow as ma
from marshmallow import fields

from service.api.answers import JSON
from service.api.infer_request import HEADER_LENGTH, OUTPUTS
from service.api.open_inference import BINARY
from service.api.operation import MODEL, PLAIN_ERRORS, READ, VERSION, Operation


class ServerSchema(ma.Schema):
    """What `/v2` answers."""

    name = fields.String(required=True)
    version = fields.String(required=True)
    extensions = fields.List(fields.String(), required=True)


class HealthSchema(ma.Schema):
    """Whether the server lives and can predict, and if not, why."""

    live = fields.Boolean(required=True)
    ready = fields.Boolean()
    error = fields.String()


class ModelReadySchema(ma.Schema):
    """Whether a model can predict."""

    name = fields.String(required=True)
    ready = fields.Boolean(required=True)


class TensorDescriptionSchema(ma.Schema):
    """A tensor that a model takes or gives; -1 is the number of rows."""

    name = fields.String(required=True)
    datatype = fields.String(required=True)
    shape = fields.List(fields.Integer(), required=True)


class InferenceModelSchema(ma.Schema):
    """A model's metadata."""

    name = fields.String(required=True)
    versions = fields.List(fields.String())
    platform = fields.String(required=True)
    inputs = fields.List(fields.Nested(TensorDescriptionSchema))
    outputs = fields.List(fields.Nested(TensorDescriptionSchema))


class TensorSchema(TensorDescriptionSchema):
    """A tensor with its data, flat or one list per row; without them when they follow as `binary_data_size` raw bytes."""

    parameters = fields.Dict(keys=fields.String())
    data = fields.List(fields.Raw())


class WantedOutputSchema(ma.Schema):
    """An output that a request wants; `binary_data` in its parameters says whether as raw bytes."""

    name = fields.String(required=True, validate=ma.validate.OneOf(list(OUTPUTS)))
    parameters = fields.Dict(keys=fields.String())


class InferRequestSchema(ma.Schema):
    """One tensor of all features, or one per feature. `interval` and `mean_interval` in the parameters are levels of intervals."""

    id = fields.String()
    parameters = fields.Dict(keys=fields.String())
    inputs = fields.List(fields.Nested(TensorSchema), required=True)
    outputs = fields.List(fields.Nested(WantedOutputSchema))


class InferResponseSchema(ma.Schema):
    """The outputs asked for."""

    model_name = fields.String(required=True)
    model_version = fields.String()
    id = fields.String()
    outputs = fields.List(fields.Nested(TensorSchema), required=True)


class StatisticsSchema(ma.Schema):
    """Rows predicted, by model."""

    model_stats = fields.List(fields.Dict(), required=True)


class RepositoryIndexSchema(ma.Schema):
    """A model of the repository, as its live version is served."""

    name = fields.String(required=True)
    version = fields.String()
    state = fields.String()
    reason = fields.String()


RAW = {BINARY: {"schema": {"type": "string", "format": "binary"}}}
EXAMPLE = {"inputs": [{"name": "x", "shape": [2, 1], "datatype": "FP64", "data": [60, 80]}]}
INFER_BODY = {JSON: {"schema": InferRequestSchema, "example": EXAMPLE}} | RAW
INFERRED = {JSON: {"schema": InferResponseSchema}} | RAW
LENGTH = {"name": HEADER_LENGTH, "in": "header", "schema": {"type": "string"}, "description": "bytes of JSON before the raw tensors"}
INDEX_BODY = {JSON: {"schema": {"type": "object", "properties": {"ready": {"type": "boolean"}}}}}
INDEX: dict[str, Any] = {JSON: {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/RepositoryIndex"}}}}
CONFIGURATION = {JSON: {"schema": {"type": "object"}}}
LOOK = (200, 400, *READ, 404, 503)


def _get(path: str, summary: str, success: Any, *statuses: int, public: bool = False) -> Operation:
    parameters = tuple(parameter for parameter in (MODEL, VERSION) if "{" + parameter["name"] + "}" in path)
    return Operation("get", path, summary, success, statuses, parameters=parameters, public=public, failure=PLAIN_ERRORS)


def _of_model(below: str) -> tuple[Operation, ...]:
    """The operations of a model, or of one of its versions."""
    parameters = (MODEL, VERSION) if "version" in below else (MODEL,)
    return (
        _get(below, "Metadata of a model: its versions and tensors.", InferenceModelSchema, *LOOK),
        _get(f"{below}/ready", "Whether a model can predict.", ModelReadySchema, *LOOK),
        _get(f"{below}/config", "A model's configuration.", CONFIGURATION, *LOOK),
        _get(f"{below}/stats", "Statistics of a model.", StatisticsSchema, *LOOK),
        Operation(
            "post",
            f"{below}/infer",
            "Predict tensors.",
            INFERRED,
            (200, 400, *READ, 404, 413, 415, 503),
            body=INFER_BODY,
            parameters=(*parameters, LENGTH),
            failure=PLAIN_ERRORS,
        ),
    )


OPERATIONS = (
    *(_get(path, "The server and its protocol extensions.", ServerSchema, 200, *READ) for path in ("/v2", "/v2/")),
    _get("/v2/health/live", "Whether the process is up.", HealthSchema, 200, public=True),
    Operation(
        "get",
        "/v2/health/ready",
        "Whether predictions can be answered.",
        HealthSchema,
        (200, 503),
        public=True,
        failure={JSON: {"schema": HealthSchema}},
    ),
    _get("/v2/models/stats", "Statistics of all models served.", StatisticsSchema, 200, *READ),
    Operation(
        "post",
        "/v2/repository/index",
        "All models; the body may be empty.",
        INDEX,
        (200, 400, *READ, 413, 415, 503),
        body=INDEX_BODY,
        failure=PLAIN_ERRORS,
    ),
    *_of_model("/v2/models/{model}"),
    *_of_model("/v2/models/{model}/versions/{version}"),
)
