"""What `/openapi.json` says of the protocols of rows: TensorFlow Serving, KServe v1, MLflow and SageMaker."""

from typing import Any

import marshmallow as ma
from marshmallow import fields

from service.api.answers import CSV, JSON
from service.api.instances import PLACES, AroundSchema, SignatureSchema
from service.api.invocations import ParamsSchema
from service.api.operation import MODEL, PLAIN_ERRORS, READ, Operation, path_parameter
from service.api.schemas import ReadySchema

ROWS = {"description": "rows: lists of values in the order of the features, objects by feature name, or bare values of one feature"}
TENSORS = {"description": "one tensor by feature name, or one of all features"}


class InstancesSchema(AroundSchema):
    """Rows, or whole tensors."""

    instances = fields.List(fields.Raw(), metadata=ROWS)
    inputs = fields.Raw(metadata=TENSORS)


class ExamplesSchema(SignatureSchema):
    """TensorFlow's examples, which share a context."""

    examples = fields.List(fields.Dict(), required=True, metadata={"description": "objects by feature name"})
    context = fields.Dict(metadata={"description": "features that all examples share"})


class ExplainedInstancesSchema(SignatureSchema):
    """Rows to explain."""

    instances = fields.List(fields.Raw(), required=True, metadata=ROWS)


class PredictionsSchema(ma.Schema):
    """One element per row; an object of what was asked for where that is more than predictions."""

    predictions = fields.List(fields.Raw(), metadata={"description": "of `instances`"})
    outputs = fields.Raw(metadata={"description": "of `inputs`"})


class ResultsSchema(ma.Schema):
    """One number per example."""

    results = fields.List(fields.Float(), required=True)


class ExplanationsSchema(ma.Schema):
    """For each row its prediction, and `contributions` by design column that with `baseline` add up to it."""

    predictions = fields.List(fields.Raw(), required=True)
    explanations = fields.List(fields.Dict(), required=True)


class ModelNamesSchema(ma.Schema):
    """The names of all models."""

    models = fields.List(fields.String(), required=True)


class ServedModelSchema(ma.Schema):
    """A version that is served, as TensorFlow Serving and as KServe tell it."""

    name = fields.String(required=True)
    ready = fields.Boolean(required=True)
    model_version_status = fields.List(fields.Dict(), required=True)


class SignaturesSchema(ma.Schema):
    """TensorFlow's description of what goes in and comes out."""

    model_spec = fields.Dict(required=True)
    metadata = fields.Dict(required=True)


class InvocationsSchema(ParamsSchema):
    """Rows in exactly one of MLflow's forms; a bare list is one of `instances`."""

    dataframe_split = fields.Dict(metadata={"description": "`columns`, `data` and, if you like, `index`"})
    dataframe_records = fields.List(fields.Dict())
    instances = fields.List(fields.Raw(), metadata=ROWS)
    inputs = fields.Raw(metadata=TENSORS)


class MlflowErrorSchema(ma.Schema):
    """An error as MLflow tells it."""

    error_code = fields.String(required=True)
    message = fields.String(required=True)


ASK = (200, 400, *READ, 404, 413, 415, 503)
LOOK = (200, 400, *READ, 404, 503)
VERBS: dict[str, tuple[str, type[ma.Schema], type[ma.Schema], dict[str, Any]]] = {
    "predict": ("Predict rows or tensors.", InstancesSchema, PredictionsSchema, {"instances": [[60], [80]]}),
    "regress": ("Predict TensorFlow's examples.", ExamplesSchema, ResultsSchema, {"examples": [{"area": 60}]}),
    "explain": ("Predict rows and explain why.", ExplainedInstancesSchema, ExplanationsSchema, {"instances": [[60], [80]]}),
}
PARAMETERS = {
    "": (MODEL,),
    "versions": (MODEL, path_parameter("version", "number")),
    "labels": (MODEL, path_parameter("label", "alias")),
}
INVOCATIONS_BODY = {
    JSON: {"schema": InvocationsSchema, "example": {"dataframe_split": {"columns": ["area"], "data": [[60], [80]]}}},
    CSV: {"schema": {"type": "string"}, "example": "60\n80\n"},
}
INVOKED = {JSON: {"schema": PredictionsSchema}, CSV: {"schema": {"type": "string"}}}


def _of_model(place: str) -> tuple[Operation, ...]:
    """The operations of a model, or of its version or label."""
    path = "/v1/models/{model}" + PLACES[place].replace("<bare:", "{").replace(">", "}")
    parameters = PARAMETERS[place]
    return (
        Operation("get", path, "Whether a model is served.", ServedModelSchema, LOOK, parameters=parameters, failure=PLAIN_ERRORS),
        Operation("get", f"{path}/metadata", "A model's signature.", SignaturesSchema, LOOK, parameters=parameters, failure=PLAIN_ERRORS),
        *(
            Operation(
                "post", f"{path}:{verb}", summary, success, ASK,
                body={JSON: {"schema": body, "example": example}}, parameters=parameters, failure=PLAIN_ERRORS,
            )
            for verb, (summary, body, success, example) in VERBS.items()
        ),
    )  # fmt: skip


OPERATIONS = (
    Operation("get", "/v1/models", "All models.", ModelNamesSchema, (200, *READ, 503), failure=PLAIN_ERRORS),
    *(operation for place in PLACES for operation in _of_model(place)),
    Operation("post", "/invocations", "Predict rows of the default model.", INVOKED, (*ASK, 406), body=INVOCATIONS_BODY,
              failure={JSON: {"schema": MlflowErrorSchema}}),
    *(
        Operation("get", path, "Whether the default model can be asked.", ReadySchema, (200, 503), public=True,
                  failure={JSON: {"schema": ReadySchema}})
        for path in ("/ping", "/health")
    ),
    Operation("get", "/version", "The version of this service.", {"text/plain": {"schema": {"type": "string"}}}, (200,), public=True),
)  # fmt: skip
