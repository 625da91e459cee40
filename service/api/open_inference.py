"""`POST /v2/models/{m}[/versions/{v}]/infer`: the Open Inference Protocol, version 2, with its binary tensor extension.

Tensors become the same `Rows` as any other door's, and the same hall predicts.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from model_store.names import is_digits
from service.api.answers import JSON, Answer
from service.api.gate import Hot
from service.api.infer_request import HEADER_LENGTH, OUTPUTS, InferRequest, read_request
from service.api.tensors import Tensor, output
from service.documents import Body, dump
from service.errors import Invalid, UnsupportedMedia
from service.regression.columns import EXACT, Column
from service.rows import Rows, rows_of
from service.serving.predictor import Prediction, Predictor
from service.serving.registry import LIVE, Loaded, Registry

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

BINARY = "application/octet-stream"
INFER = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?/infer")
ROUTES = ("/v2/models/<model>/infer", "/v2/models/<model>/versions/<version>/infer")


class OpenInferenceDoor:
    """Predictions by the models of a registry, tensors in and tensors out."""

    def __init__(self, registry: Registry, predictor: Predictor, *, max_columns: int) -> None:
        self._registry, self._predictor, self._max_columns = registry, predictor, max_columns

    def __call__(self, model: str, version: str | None, body: Body, environ: "WSGIEnvironment") -> Answer:
        """Answer one request for the version that a number or an alias names, by default the live one.

        Raises:
            PlumblineError, NotFound: the request cannot be answered.
        """
        if environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() not in ("", JSON, BINARY):
            raise UnsupportedMedia(f"send tensors as {JSON}, or as {BINARY} with the header {HEADER_LENGTH}")
        loaded = self.served(model, version)
        request = read_request(body, environ.get("HTTP_INFERENCE_HEADER_CONTENT_LENGTH"), most_inputs=self._max_columns)
        if request.model_name not in (None, model):
            raise Invalid({"model_name": ["is another model than the address names"]})
        rows = rows_of_tensors(request.tensors, loaded.schema.feature_names)
        prediction = self._predictor.predict(loaded, rows, request.asked)
        return answer_of(prediction, request)

    def find(self, path: str) -> Hot | None:
        """The door that a path leads to, if it is one of these."""
        if not path.startswith("/v2/") or (match := INFER.fullmatch(path)) is None:
            return None
        model, version = match[1], match[2]
        return Hot(ROUTES[version is not None], lambda body, environ: self(model, version, body, environ))

    def served(self, model: str, version: str | None) -> Loaded:
        """The version that a number or an alias names, or the live one.

        Raises:
            NotFound, NotReady: there is none, or it cannot be loaded.
        """
        if version is not None and is_digits(version):
            return self._registry.get(model, version=version)
        return self._registry.get(model, alias=version or LIVE)


def rows_of_tensors(tensors: Sequence[Tensor], features: Sequence[str]) -> Rows:
    """The rows of one tensor [n, p] by position, or of one tensor [n] or [n, 1] per feature by name, others aside.

    Raises:
        Invalid: features are missing, or the tensors are of other shapes.
    """
    first = tensors[0]
    if len(tensors) == 1 and len(first.shape) == 2 and (first.shape[1] == len(features) or first.name not in features):
        return _rows_of_matrix(first, features)
    named = {tensor.name: (index, tensor) for index, tensor in enumerate(tensors)}
    if len(named) < len(tensors):
        raise Invalid({"inputs": ["two have the same name"]})
    if missing := {f"inputs.{name}": ["is missing"] for name in features if name not in named}:
        raise Invalid(missing)
    count = tensors[named[features[0]][0]].shape[0]
    for name in features:
        index, tensor = named[name]
        if tensor.shape[0] != count or tensor.shape[1:] not in ((), (1,)):
            raise Invalid({f"inputs[{index}].shape": [f"must be [{count}] or [{count}, 1], the rows of {features[0]}"]})
    return rows_of(features, [named[name][1].values for name in features], lambda row, name: _cell(f"inputs.{name}", row))


def _rows_of_matrix(tensor: Tensor, features: Sequence[str]) -> Rows:
    """The rows of one tensor for all features."""
    count, width = tensor.shape
    if width != len(features):
        raise Invalid({"inputs[0].shape": [f"has {width} columns where the model has {len(features)} features: {', '.join(features)}"]})

    def where(row: int | None, name: str) -> str:
        return f"{_cell('inputs[0]', row)}.{name}"

    values = tensor.values
    if isinstance(values, np.ndarray) and (values.dtype.kind == "f" or _exact(values)):
        return Rows(tuple(features), values.astype(np.float64, copy=False).reshape(count, width), count, where)
    columns: list[Column] = [values[place::width] for place in range(width)]
    return Rows(tuple(features), dict(zip(features, columns, strict=True)), count, where)


def _exact(values: npt.NDArray[Any]) -> bool:
    """Whether whole numbers are all numbers of float64."""
    return values.dtype.kind in "iu" and (values.size == 0 or (int(values.max()) <= EXACT and int(values.min()) >= -EXACT))


def _cell(column: str, row: int | None) -> str:
    return column if row is None else f"{column}[{row}]"


def answer_of(prediction: Prediction, request: InferRequest) -> Answer:
    """The answer: JSON, with the raw outputs behind it if any was asked for so."""
    described, raw = [], []
    for wanted in request.outputs:
        values = getattr(prediction, OUTPUTS[wanted.name][0])
        # An only target makes no axis of its own; the baseline is [t] and leverage [n], whatever the targets.
        described_one, data = output(
            wanted.name, values[..., 0] if values.ndim > 1 and values.shape[-1] == 1 else values, binary=wanted.binary
        )
        described.append(described_one)
        raw.append(data)
    document: dict[str, Any] = {"model_name": prediction.model, "model_version": prediction.version}
    if request.id is not None:
        document["id"] = request.id
    head = dump(document | {"outputs": described})
    if not any(wanted.binary for wanted in request.outputs):
        return Answer(200, head)
    return Answer(200, b"".join([head, *raw]), BINARY, ((HEADER_LENGTH, str(len(head))),))
