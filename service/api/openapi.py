"""The description of the HTTP API, made of the marshmallow schemas. One table lists every operation and every status it may answer.

Tests hold the table to the truth: each status listed is produced, and no other appears.
"""

from functools import cache
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin

from service.api import (
    job_schemas,
    model_schemas,
    open_inference_schemas,
    plots,
    predict_schemas,
    row_schemas,
    sample_schemas,
    schemas,
    version_schemas,
)
from service.api.answers import ARROW, CSV, JSON
from service.api.document_schemas import SelectAnswerSchema, VersionSchema
from service.api.importing import ARCHIVES
from service.api.operation import BODY, IF_NONE_MATCH, MODEL, READ, VERSION, Operation, path_parameter
from service.training.living_options import (
    ForgetDocumentSchema,
    LearnDocumentSchema,
    MergeDocumentSchema,
    RefitDocumentSchema,
    SelectDocumentSchema,
)
from service.training.options import TrainDocumentSchema
from service.training.records import STATES

TEXTS = {
    200: "Answered.",
    201: "Published; `Location` names the version.",
    202: "Accepted, not finished; `Location` names the job.",
    204: "Done.",
    304: "The client has it already.",
    400: "The body cannot be read.",
    401: "A token is needed.",
    403: "The token, Host or Origin is not accepted.",
    404: "No such model, version, alias or job.",
    413: "Over a size limit, which the detail names.",
    415: "A media type that is not read here.",
    409: "The operation contradicts the data or the model's state; the detail says what to do.",
    406: "`Accept` names no media type that is written here.",
    412: "The alias names another version than `If-Match` or `expect`.",
    422: "Readable but not valid; `errors` names each field.",
    429: "Too many trainings wait.",
    503: "Not ready, or too much at the same time; `Retry-After` says when to try again.",
    504: "It took longer than it may.",
    507: "The store is full.",
}


def _query(name: str, kind: str, text: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": {"type": kind, **more}, "description": text}


def _about(name: str) -> str:
    more = f"; {ABOUT[name]}" if name in ABOUT else ""
    return f"`{name}` of a body that is not JSON; a JSON body carries it itself{more}"


LOOK = (200, *READ, 404, 422, 503)
LIVING = (201, 202, *READ, 404, 409, 412, *BODY, 429, 503, 507)
JOB = path_parameter("job_id", "job id")
ALIAS = path_parameter("alias", "alias")
IF_MATCH = {"name": "If-Match", "in": "header", "schema": {"type": "string"}, "description": '`"3"`: as `expect`'}
PAGE = (
    _query("limit", "integer", "most entries of a page", minimum=1, maximum=1000),
    _query("after", "string", "the `after` of the page before"),
)
LISTED = ("target", "features", "terms", "categorical")
OPTIONS = (
    *((name, "string") for name in ("model", *LISTED, "weights", "labels", "description", "solver", "like")),
    *((name, "boolean") for name in ("intercept", "promote", "new_schema", "history")),
    ("folds", "integer"),
    ("sample", "integer"),
)
CHOICES = {
    "missing": ["error", "drop"], "unseen": ["error", "reference"], "dtype": ["float64", "float32"], "ledger": ["auto", "on", "off"],
}  # fmt: skip
ABOUT = {
    **dict.fromkeys(LISTED, "names separated by commas, or repeated"),
    "labels": "`key=value` pairs separated by commas",
    "solver": "a name, or the JSON object",
}
TABLE_OPTIONS = (
    *(_query(name, kind, _about(name)) for name, kind in OPTIONS),
    *(_query(name, "string", _about(name), enum=values) for name, values in CHOICES.items()),
)
STATE = _query("state", "string", "only jobs in this state", enum=list(STATES))
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "description": "the same for a retry of the same request, which is then answered by the outcome of the first",
}
PREFER = {"name": "Prefer", "in": "header", "schema": {"type": "string"}, "description": "`wait=SECONDS` (default 10) or `respond-async`"}
TRAIN_BODY = {
    JSON: {
        "schema": TrainDocumentSchema,
        "example": {"model": "rent", "columns": {"area": [50, 70, 90], "rent": [600, 800, 990]}, "target": "rent"},
    },
    "text/csv": {"schema": {"type": "string"}, "example": "area,rent\n50,600\n70,800\n90,990\n"},
    "application/x-ndjson": {"schema": {"type": "string"}, "example": '{"area": 50, "rent": 600}\n{"area": 70, "rent": 800}\n'},
    "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
    "application/vnd.apache.arrow.stream": {"schema": {"type": "string", "format": "binary"}},
}
LEARN_BODY = TRAIN_BODY | {
    JSON: {"schema": LearnDocumentSchema, "example": {"columns": {"area": [65], "rent": [745]}}},
}
LEARN_OPTIONS = tuple(
    _query(name, "boolean" if name == "promote" else "string", _about(name))
    for name in ("base", "expect", "target", "weights", "solver", "promote", "description", "labels")
)
FORGET_BODY = TRAIN_BODY | {
    JSON: {"schema": ForgetDocumentSchema, "example": {"columns": {"area": [70], "rent": [800]}, "purge": True}},
}
MERGE_BODY = {JSON: {"schema": MergeDocumentSchema, "example": {"with": ["north", "south@4"]}}}
REFIT_BODY = {JSON: {"schema": RefitDocumentSchema, "example": {"solver": {"name": "exact", "ridge": 2}}}}
SELECT_BODY = {JSON: {"schema": SelectDocumentSchema, "example": {"subset": "aic", "publish": True}}}
FORGET_OPTIONS = (*LEARN_OPTIONS, *(_query(name, "boolean", _about(name)) for name in ("unchecked", "purge")))
PREDICT_BODY = TRAIN_BODY | {
    JSON: {"schema": predict_schemas.PredictDocumentSchema, "example": {"model": "rent", "instances": [[60], [80]], "interval": 0.95}},
}
PREDICT_OPTIONS = (
    *(_query(name, "string", _about(name)) for name in ("model", "version", "alias")),
    *(_query(name, "number", _about(name), **predict_schemas.LEVEL) for name in ("interval", "mean_interval")),
    *(_query(name, "boolean", _about(name)) for name in ("std_error", "leverage", "contributions")),
)
PREDICTED = {
    JSON: {"schema": predict_schemas.PredictionSchema},
    CSV: {"schema": {"type": "string"}},
    ARROW: {"schema": {"type": "string", "format": "binary"}},
}
MOVE_BODY = {JSON: {"schema": version_schemas.AliasMoveSchema, "example": {"version": "3", "expect": "2", "reason": "better in May"}}}
ROLLBACK_BODY = {JSON: {"schema": version_schemas.ReasonSchema, "example": {"reason": "too high in the north"}}}
IMPORT_BODY = {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in ARCHIVES}
IMPORT_OPTIONS = (
    _query("promote", "boolean", "move the alias live to the version", default=False),
    _query("new_schema", "boolean", "let an existing model take another schema", default=False),
)
STATE_DICT = {
    JSON: {"schema": version_schemas.StateDictSchema},
    "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
}
FORMAT = _query("format", "string", "as stored, or for `torch.load`", enum=["safetensors", "pt", "json"], default="safetensors")
TARGET = _query("target", "string", "the target, where there are several")
ENDS = tuple(_query(name, "string", "number or alias") | {"required": True} for name in ("from", "to"))
OPERATIONS = (
    Operation("post", "/train", "Fit rows and publish a version.", VersionSchema,
              (201, 202, *READ, 404, 409, *BODY, 429, 503, 507), body=TRAIN_BODY, parameters=(*TABLE_OPTIONS, PREFER, IDEMPOTENCY_KEY)),
    Operation("post", "/models/{model}/learn", "Learn more rows: a new version, as if trained on all of them.", VersionSchema,
              LIVING, body=LEARN_BODY, parameters=(MODEL, *LEARN_OPTIONS, IF_MATCH, PREFER, IDEMPOTENCY_KEY)),
    Operation("post", "/models/{model}/forget", "Forget rows: a new version, as if they had never come.", VersionSchema,
              LIVING, body=FORGET_BODY, parameters=(MODEL, *FORGET_OPTIONS, IF_MATCH, PREFER, IDEMPOTENCY_KEY)),
    Operation("post", "/models/{model}/merge", "Merge other models: a new version, as if trained on the rows of all.",
              VersionSchema, LIVING, body=MERGE_BODY, parameters=(MODEL, IF_MATCH, PREFER, IDEMPOTENCY_KEY)),
    Operation("post", "/models/{model}/refit", "Fit some of the terms, or by another solver.", VersionSchema,
              LIVING, body=REFIT_BODY, parameters=(MODEL, IF_MATCH, PREFER, IDEMPOTENCY_KEY)),
    Operation("post", "/models/{model}/select", "Choose terms or a ridge penalty without rows; with `publish`, a new version.",
              SelectAnswerSchema, (200, *LIVING), body=SELECT_BODY, parameters=(MODEL, IF_MATCH, PREFER, IDEMPOTENCY_KEY)),
    Operation("post", "/predict", "Predict rows.", PREDICTED, (200, *READ, 404, 406, *BODY, 503, 504), body=PREDICT_BODY,
              parameters=PREDICT_OPTIONS),
    Operation("get", "/jobs", "Jobs, the newest first.", job_schemas.JobListSchema, (200, *READ, 422, 503), parameters=(*PAGE, STATE)),
    Operation("get", "/jobs/{job_id}", "A job's state, progress and result.", job_schemas.JobSchema, (*LOOK, 304),
              parameters=(JOB, IF_NONE_MATCH)),
    Operation("delete", "/jobs/{job_id}", "Cancel a job, or remove the record of a finished one.", job_schemas.JobSchema,
              (200, 202, 204, *READ, 404, 422, 503, 507), parameters=(JOB,)),
    Operation("get", "/models", "All models.", model_schemas.ModelListSchema, (200, *READ, 422, 503), parameters=PAGE),
    Operation("get", "/models/{model}", "One model as it is served.", model_schemas.ModelMetadataSchema, LOOK, parameters=(MODEL,)),
    Operation("get", "/models/{model}/versions", "Versions of a model.", model_schemas.VersionListSchema, LOOK, parameters=(MODEL, *PAGE)),
    Operation("delete", "/models/{model}", "Delete a model and all its versions.", None, (204, *READ, 404, 422, 503, 507),
              parameters=(MODEL,)),
    Operation("get", "/models/{model}/versions/{version}", "A version: schema, fit, coefficient table.", VersionSchema,
              (*LOOK, 304), parameters=(MODEL, VERSION, IF_NONE_MATCH)),
    Operation("delete", "/models/{model}/versions/{version}", "Delete a version that no alias names.", None,
              (204, *READ, 404, 409, 422, 503), parameters=(MODEL, VERSION)),
    Operation("get", "/models/{model}/versions/{version}/state_dict", "The weights as a file.", STATE_DICT, (*LOOK, 304),
              parameters=(MODEL, VERSION, FORMAT, IF_NONE_MATCH)),
    Operation("get", "/models/{model}/versions/{version}/sample", "The sampled rows of a version, with their diagnostics.",
              sample_schemas.DiagnosticsSchema, (*LOOK, 304), parameters=(MODEL, VERSION, IF_NONE_MATCH)),
    Operation("get", "/models/{model}/versions/{version}/cost", "The mean squared error as a function of the parameters, at most three.",
              sample_schemas.CostSchema, (*LOOK, 304, 409), parameters=(MODEL, VERSION, TARGET, IF_NONE_MATCH)),
    Operation("post", "/models/{model}/import", "Publish a version that `service export` wrote.", VersionSchema,
              (201, 202, *READ, 409, *BODY, 429, 503, 507), body=IMPORT_BODY, parameters=(MODEL, *IMPORT_OPTIONS, PREFER, IDEMPOTENCY_KEY)),
    Operation("get", "/models/{model}/diff", "Two versions side by side.", version_schemas.ComparisonSchema, LOOK,
              parameters=(MODEL, *ENDS)),
    Operation("get", "/models/{model}/aliases", "Aliases of a model.", version_schemas.AliasListSchema, LOOK, parameters=(MODEL, *PAGE)),
    Operation("get", "/models/{model}/aliases/{alias}", "An alias and its history.", version_schemas.AliasHistorySchema, LOOK,
              parameters=(MODEL, ALIAS, *PAGE)),
    Operation("put", "/models/{model}/aliases/{alias}", "Move an alias, or make it.", version_schemas.AliasSchema,
              (200, *READ, 404, 412, *BODY, 503, 507), body=MOVE_BODY, parameters=(MODEL, ALIAS, IF_MATCH)),
    Operation("delete", "/models/{model}/aliases/{alias}", "Delete an alias other than live.", None,
              (204, *READ, 404, 409, 422, 503, 507), parameters=(MODEL, ALIAS)),
    Operation("post", "/models/{model}/rollback", "Move live to the version it named before.", version_schemas.AliasSchema,
              (200, *READ, 404, 409, *BODY, 503, 507), body=ROLLBACK_BODY, parameters=(MODEL,)),
    Operation("get", "/livez", "Whether the process is up.", schemas.ReadySchema, (200,), public=True),
    Operation("get", "/readyz", "Whether predictions can be answered.", schemas.ReadySchema, (200, 503), public=True,
              failure={JSON: {"schema": schemas.ReadySchema}}),
    Operation("get", "/metrics", "Metrics for Prometheus.", {"text/plain": {"schema": {"type": "string"}}}, (200,), public=True),
    *plots.OPERATIONS,
    *open_inference_schemas.OPERATIONS,
    *row_schemas.OPERATIONS,
)  # fmt: skip


@cache
def description() -> dict[str, Any]:
    """The OpenAPI document."""
    spec = APISpec(
        title="Plumbline",
        version="1",
        openapi_version="3.0.3",
        info={"description": "Trains exact linear regressions and serves them."},
        plugins=[
            MarshmallowPlugin(
                schema_name_resolver=lambda schema: (schema if isinstance(schema, type) else type(schema)).__name__.removesuffix("Schema")
            )
        ],
    )
    spec.components.schema("Problem", schema=schemas.ProblemSchema)
    spec.components.schema("RepositoryIndex", schema=open_inference_schemas.RepositoryIndexSchema)
    spec.components.security_scheme("token", {"type": "http", "scheme": "bearer"})
    for operation in OPERATIONS:
        spec.path(operation.path, operations={operation.method: _described(operation)})
    return spec.to_dict()


def _described(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "summary": operation.summary,
        "parameters": list(operation.parameters),
        "responses": {str(status): _response(operation, status) for status in operation.statuses},
        "security": [] if operation.public else [{}, {"token": []}],
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": operation.body not in (ROLLBACK_BODY, open_inference_schemas.INDEX_BODY),
            "content": operation.body,
        }
    return described


def _response(operation: Operation, status: int) -> dict[str, Any]:
    if status == 202:
        content: dict[str, Any] = {JSON: {"schema": job_schemas.JobSchema}}
    elif status >= 400:
        content = operation.failure
    elif status in (204, 304) or operation.success is None:
        content = {}
    elif isinstance(operation.success, dict):
        content = operation.success
    else:
        content = {JSON: {"schema": operation.success}}
    return {"description": TEXTS[status], "content": content}
