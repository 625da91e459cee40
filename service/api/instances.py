"""Rows as TensorFlow Serving, KServe v1 and Vertex AI send them: `instances` in, `predictions` out.

The three differ in what stands around the rows, not in the rows. Of whatever Content-Type a body is, it is read as JSON:
their clients often say nothing about it, or what curl says by itself.
"""

import re
from dataclasses import dataclass
from functools import partial

import marshmallow as ma
from flask import Blueprint, Response, request
from marshmallow import fields, validate

from service.api.answers import Answer, json_answer
from service.api.bodies import whole_body
from service.api.flask_answers import BARE, to_response
from service.api.gate import Hot
from service.api.predict_schemas import AskedSchema
from service.api.row_forms import by_name, by_row, explanations, row_form, tensor_form, unwrapped, values
from service.documents import Body, Document, plain
from service.errors import Invalid
from service.rows import Rows, rows_of
from service.serving.predictor import NOTHING_MORE, Asked, Predictor
from service.serving.registry import LIVE, Loaded, Registry
from service.validation import validated

SIGNATURE = "serving_default"
VERBS = ("predict", "regress", "explain")
PLACES = {"": "", "versions": f"/versions/<{BARE}:version>", "labels": f"/labels/<{BARE}:label>"}
ADDRESS = re.compile(rf"/v1/models/([^/:]+)(?:/(versions|labels)/([^/:]+))?:({'|'.join(VERBS)})")


class SignatureSchema(ma.Schema):
    """What may stand beside the rows: TensorFlow's signature, of which there is one."""

    signature_name = fields.String(load_default=SIGNATURE, validate=validate.Equal(SIGNATURE))


class AroundSchema(SignatureSchema):
    """And what Vertex AI calls parameters: the options of `/predict`."""

    parameters = fields.Nested(AskedSchema, load_default=dict)


SIGNED, AROUND = SignatureSchema(), AroundSchema()


@dataclass(frozen=True)
class Target:
    """The version that is asked: by its number, or else by what TensorFlow calls a label and we an alias."""

    model: str
    version: str | None = None
    label: str = LIVE


class InstancesDoor:
    """Answers by the models of a registry."""

    def __init__(self, registry: Registry, predictor: Predictor) -> None:
        self._registry, self._predictor = registry, predictor
        self._verbs = {"predict": self.predict, "regress": self.regress, "explain": self.explain}

    def find(self, path: str) -> Hot | None:
        """The hot door at `/v1/models/MODEL[/versions/N | /labels/L]:VERB`, if the path is one."""
        if (found := ADDRESS.fullmatch(path)) is None:
            return None
        model, place, name, verb = found.groups(default="")
        target = Target(model, **{place.removesuffix("s"): name} if place else {})
        return Hot(f"{base(place)}:{verb}", lambda body, _: self._verbs[verb](body, target))

    def answer(self, verb: str, body: Body, target: Target) -> Answer:
        """What `find` finds, for a verb and a target."""
        return self._verbs[verb](body, target)

    def predict(self, body: Body, target: Target) -> Answer:
        """Rows give `predictions`, one per row; `inputs`, whole tensors, give `outputs`.

        Raises:
            PlumblineError, StoreError: the request cannot be answered.
        """
        document = Document(body)
        given = [name for name in ("instances", "inputs") if name in document.members]
        if len(given) != 1:
            raise Invalid({"instances": ["give the rows as instances, or whole tensors as inputs, and not both"]})
        around = document.options(*given)
        asked = Asked(**validated(AROUND, around)["parameters"]) if around else NOTHING_MORE
        loaded = self._loaded(target)
        if given == ["inputs"]:
            rows = tensor_form(document, "inputs", loaded.schema.feature_names)
            return json_answer({"outputs": by_name(self._predictor.predict(loaded, rows, asked))})
        rows = row_form(document, "instances", loaded.schema.feature_names)
        return json_answer({"predictions": by_row(self._predictor.predict(loaded, rows, asked))})

    def regress(self, body: Body, target: Target) -> Answer:
        """TensorFlow's examples, objects by feature name that share a `context`, give `results`.

        Raises:
            PlumblineError, StoreError: the request cannot be answered.
        """
        document = Document(body)
        if "examples" not in document.members:
            raise Invalid({"examples": ["is missing: give a list of objects by feature name"]})
        validated(SIGNED, document.options("examples", "context"))
        loaded = self._loaded(target)
        if len(loaded.schema.targets) > 1:
            raise Invalid({"examples": ["cannot be answered by a model of several targets here: ask it by :predict"]})
        rows = _examples(document, loaded.schema.feature_names)
        return json_answer({"results": values(self._predictor.predict(loaded, rows))})

    def explain(self, body: Body, target: Target) -> Answer:
        """Rows give `predictions` and, as KServe has it, `explanations`: what each design column adds to the prediction at the means.

        Raises:
            PlumblineError, StoreError: the request cannot be answered.
        """
        document = Document(body)
        if "instances" not in document.members:
            raise Invalid({"instances": ["is missing: give a list of rows"]})
        validated(SIGNED, document.options("instances"))
        loaded = self._loaded(target)
        rows = row_form(document, "instances", loaded.schema.feature_names)
        predicted = self._predictor.predict(loaded, rows, Asked(contributions=True))
        return json_answer({"predictions": values(predicted), "explanations": explanations(predicted)})

    def _loaded(self, target: Target) -> Loaded:
        return self._registry.get(target.model, version=target.version, alias=target.label)


def instances_doors(door: InstancesDoor, *, max_body_bytes: int) -> Blueprint:
    """The same doors for Flask, which knows what other methods are to be told."""
    doors = Blueprint("instances", __name__)

    def view(verb: str, **target: str) -> Response:
        return to_response(door.answer(verb, whole_body(request.environ, max_body_bytes), Target(**target)))

    for verb in VERBS:
        for place in PLACES:
            doors.add_url_rule(f"{base(place)}:{verb}", f"{verb}_{place}", partial(view, verb), methods=["POST"])
    return doors


def base(place: str) -> str:
    """The rule of the address of a model, or of its version or label."""
    return f"/v1/models/<{BARE}:model>{PLACES[place]}"


def _examples(document: Document, features: tuple[str, ...]) -> Rows:
    """The examples of a request, each completed by the context.

    Raises:
        Invalid: a feature is missing, or stands in the context and in an example.
    """
    context = plain(document.members.get("context", {}))
    if not isinstance(context, dict):
        raise Invalid({"context": ["must be an object by feature name"]})
    shared = {name: context[name] for name in features if name in context}
    named = document.named("examples", [name for name in features if name not in shared])  # tells what is missing
    examples = plain(document.members["examples"])
    if twice := [i for i, example in enumerate(examples) if not shared.keys().isdisjoint(example)]:
        raise Invalid({f"examples[{i}]": ["gives a feature that the context gives too"] for i in twice})
    columns = [[(shared if name in shared else example)[name] for example in examples] for name in features]
    return unwrapped(rows_of(features, columns, named.where))
