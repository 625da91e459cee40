"""Requests of the Open Inference Protocol: their tensors, and the outputs they want."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import simdjson

from service.api.tensors import DATATYPES, SIZES, Tensor, binary_values, json_values, shape_of
from service.documents import Body, brackets, check_names, json_object
from service.errors import Invalid, TooLarge, Unreadable
from service.serving.predictor import NOTHING_MORE, Asked

HEADER_LENGTH = "Inference-Header-Content-Length"
LEVEL = 0.95
# Each output with the attribute of `Prediction` that it is, and what must be asked for to have it.
OUTPUTS: dict[str, tuple[str, str | None]] = {
    "predict": ("predictions", None),
    "lower": ("lower", "interval"),
    "upper": ("upper", "interval"),
    "mean_lower": ("mean_lower", "mean_interval"),
    "mean_upper": ("mean_upper", "mean_interval"),
    "std_error": ("std_error", "std_error"),
    "leverage": ("leverage", "leverage"),
    "extrapolating": ("extrapolating", "leverage"),
    "baseline": ("baseline", "contributions"),
    "contributions": ("contributions", "contributions"),
}
LEVELS = ("interval", "mean_interval")


@dataclass(frozen=True)
class Wanted:
    """One output, and whether as raw bytes."""

    name: str
    binary: bool


@dataclass(frozen=True)
class InferRequest:
    """A request: its tensors, and the outputs it wants."""

    tensors: tuple[Tensor, ...]
    outputs: tuple[Wanted, ...]
    asked: Asked
    id: str | None = None
    model_name: str | None = None


def read_request(body: Body, header_length: str | None, *, most_inputs: int) -> InferRequest:
    """A request made of its body; `header_length` is how many bytes of it are JSON, when raw tensors follow.

    Raises:
        Unreadable, Invalid, TooLarge: what is wrong with it.
    """
    end = _end_of_json(body, header_length)
    if end == 0:
        return _raw_request(body)
    document = json_object(body if end == len(body) else body[:end])
    parameters = _object(document.get("parameters"), "parameters")
    levels = {name: _level(parameters[name], name) for name in LEVELS if parameters.get(name) is not None}
    outputs = _outputs(document.get("outputs"), levels, binary=parameters.get("binary_data_output") is True)
    tensors = _tensors(document, body, end, binary=header_length is not None, most=most_inputs)
    return InferRequest(tensors, outputs, _asked(outputs, levels), _text(document, "id"), _text(document, "model_name"))


def _end_of_json(body: Body, header_length: str | None) -> int:
    """Where the JSON of a body ends."""
    if header_length is None:
        return len(body)
    if not re.fullmatch(r"[0-9]{1,15}", header_length) or int(header_length) > len(body):
        raise Unreadable(f"{HEADER_LENGTH} must be a whole number of bytes, at most those of the body")
    return int(header_length)


def _raw_request(body: Body) -> InferRequest:
    """A body without JSON: FP64 values of a model with a single feature, answered in kind."""
    count, rest = divmod(len(body), SIZES["FP64"])
    if rest:
        raise Unreadable(f"a body without JSON ({HEADER_LENGTH}: 0) must be FP64 values of 8 bytes each")
    tensor = Tensor("", (count, 1), binary_values(memoryview(body), "FP64", (count, 1), "inputs[0]"))
    return InferRequest((tensor,), (Wanted("predict", binary=True),), NOTHING_MORE)


def _text(document: simdjson.Object, name: str) -> str | None:
    """A member that is a string, None where it is absent."""
    given = document.get(name)
    if given is not None and not isinstance(given, str):
        raise Invalid({name: ["must be a string"]})
    return given


def _object(given: Any, path: str) -> dict[str, Any]:
    """A member that is an object, empty where it is absent."""
    if given is None:
        return {}
    if not isinstance(given, simdjson.Object):
        raise Invalid({path: ["must be an object"]})
    check_names(given)
    members: dict[str, Any] = given.as_dict()
    return members


def _level(given: Any, name: str) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given < 1:
        raise Invalid({f"parameters.{name}": ["must be a number between 0 and 1"]})
    return float(given)


def _outputs(given: Any, levels: Mapping[str, float], *, binary: bool) -> tuple[Wanted, ...]:
    """The outputs asked for; where none is, the predictions and the intervals whose level is given."""
    if given is None or (isinstance(given, simdjson.Array) and not len(given)):
        names = [name for name, (_, needs) in OUTPUTS.items() if needs is None or needs in levels]
        return tuple(Wanted(name, binary) for name in names)
    if not isinstance(given, simdjson.Array):
        raise Invalid({"outputs": ["must be a list of objects with a name"]})
    wanted = []
    for index, view in enumerate(given):
        described = _object(view, f"outputs[{index}]")
        if described.get("name") not in OUTPUTS:
            raise Invalid({f"outputs[{index}].name": [f"must be one of {', '.join(OUTPUTS)}"]})
        parameters = described.get("parameters") or {}
        if not isinstance(parameters, dict):
            raise Invalid({f"outputs[{index}].parameters": ["must be an object"]})
        wanted.append(Wanted(described["name"], parameters.get("binary_data", binary) is True))
    if len(wanted) > len({output.name for output in wanted}):
        raise Invalid({"outputs": ["names an output twice"]})
    return tuple(wanted)


def _asked(outputs: Sequence[Wanted], levels: Mapping[str, float]) -> Asked:
    """What the hall must be asked for; an interval without a level is one of 95 %."""
    needs = {OUTPUTS[wanted.name][1] for wanted in outputs}
    if needs == {None}:
        return NOTHING_MORE
    interval, mean_interval = (levels.get(name, LEVEL) if name in needs else None for name in LEVELS)
    return Asked(interval, mean_interval, "std_error" in needs, "leverage" in needs, "contributions" in needs)


def _tensors(document: simdjson.Object, body: Body, end: int, *, binary: bool, most: int) -> tuple[Tensor, ...]:
    """The inputs of a document that is the body up to `end`; what follows are the raw ones, if `binary`."""
    inputs = document.get("inputs")
    if not isinstance(inputs, simdjson.Array) or not len(inputs):
        raise Invalid({"inputs": ["must be a list of tensors, at least one"]})
    if len(inputs) > most:
        raise TooLarge(f"the request has {len(inputs)} inputs; PLUMBLINE_MAX_COLUMNS allows {most}")
    views = []
    for index, view in enumerate(inputs):
        if not isinstance(view, simdjson.Object):
            raise Invalid({f"inputs[{index}]": ["must be an object with name, shape, datatype and data"]})
        check_names(view)
        views.append(view)
    # As in `Document`: no more brackets than these shapes and data need means that nothing is nested deeper than it should be.
    lists = 1 + isinstance(document.get("outputs"), simdjson.Array) + sum(1 + brackets(view.get("data")) for view in views)
    shallow = body.count(b"[", 0, end) == lists
    tensors, place = [], end
    for index, view in enumerate(views):
        tensor, size = _tensor(view, f"inputs[{index}]", body, place if binary else None, shallow=shallow)
        tensors.append(tensor)
        place += size
    if place != len(body):
        raise Unreadable(f"{len(body) - end} bytes follow the JSON where the inputs' binary_data_size make {place - end}")
    return tuple(tensors)


def _tensor(view: simdjson.Object, path: str, body: Body, place: int | None, *, shallow: bool) -> tuple[Tensor, int]:
    """One input, and how many of the bytes from `place` are its; `place` is None where no raw data may follow."""
    name, datatype = view.get("name"), view.get("datatype")
    if not isinstance(name, str):
        raise Invalid({f"{path}.name": ["must be a string"]})
    if datatype not in DATATYPES:
        raise Invalid({f"{path}.datatype": [f"must be one of {', '.join(DATATYPES)}"]})
    shape = shape_of(view.get("shape"), path)
    size = _object(view.get("parameters"), f"{path}.parameters").get("binary_data_size")
    if size is None:
        return Tensor(name, shape, json_values(view.get("data"), datatype, shape, path, shallow=shallow)), 0
    if place is None:
        raise Invalid({f"{path}.parameters.binary_data_size": [f"needs the header {HEADER_LENGTH}"]})
    if "data" in view:
        raise Invalid({f"{path}.data": ["must be absent where binary_data_size is given"]})
    if type(size) is not int or not 0 <= size <= len(body) - place:
        raise Invalid({f"{path}.parameters.binary_data_size": ["must be a whole number of bytes, at most those that follow"]})
    return Tensor(name, shape, binary_values(memoryview(body)[place : place + size], datatype, shape, path)), size
