"""The schema of a training: declared by the request, completed by the data, or taken over from another version."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from model_store.errors import NotFound
from model_store.store import ModelStore
from service.errors import Contradiction, Invalid
from service.regression.frame import Declaration, FrameBuilder
from service.regression.schema import MissingPolicy, Schema
from service.rows import Rows
from service.training.options import TrainOptions
from service.training.sources import Chosen, Source

DECIDED_BY_FRAME = ("features", "terms", "categorical", "intercept", "missing", "unseen")


def frame_of(store: ModelStore, like: str) -> tuple[Schema, list[int]]:
    """The schema and the resolution of the version that `like` names: `model`, `model@3` or `model@alias`.

    Raises:
        NotFound, Invalid
    """
    model, _, reference = like.partition("@")
    document = store.manifest(model, store.resolve(model, reference or "live")).document["schema"]
    return Schema.from_dict(document), document["frame"]["resolution"]


def in_frame(store: ModelStore, options: TrainOptions) -> TrainOptions:
    """Options whose columns are those of the frame that `like` names; without `like`, the options as they are.

    Raises:
        Invalid: an option contradicts the frame.
        NotFound
    """
    if options.like is None:
        return options
    schema, _ = frame_of(store, options.like)
    default = TrainOptions()
    if given := [name for name in DECIDED_BY_FRAME if getattr(options, name) != getattr(default, name)]:
        raise Invalid({name: ["is decided by the frame of `like`: leave it out"] for name in given})
    if options.target not in (None, schema.targets):
        raise Invalid({"target": [f"is {', '.join(schema.targets)} in the frame of `like`"]})
    return replace(options, **columns_of(schema))


def columns_of(schema: Schema) -> dict[str, Any]:
    """The options by which rows are read as a schema has them."""
    frame = schema.frame
    return {"features": schema.feature_names, "target": schema.targets, "missing": frame.missing, "categorical": tuple(frame.categories)}


def build_schema(source: Source, options: TrainOptions) -> tuple[Schema, Iterator[Rows]]:
    """The schema that the request and the data make together, and all rows to be trained on.

    The data are read only as far as they decide anything; what the first batch decides is not read twice.

    Raises:
        Invalid: the declaration contradicts itself or the data.
    """
    chosen = source.chosen
    try:
        declaration = Declaration(
            features=chosen.features,
            targets=chosen.targets,
            terms=options.terms,
            categorical=frozenset(options.categorical),
            intercept=options.intercept,
            missing=options.missing,
            unseen=options.unseen,
        )
    except ValueError as error:
        raise Invalid({"terms" if options.terms else "features": [str(error)]}) from error
    builder = FrameBuilder(declaration)
    seen, batches = 0, source.batches()
    again: Iterator[Rows] | None = None
    for number, rows in enumerate(batches):
        seen += _look(builder, rows, chosen, missing=options.missing)
        if builder.settled:
            again = chain([rows], batches) if number == 0 else None
            break
    if not seen:
        raise Invalid({"instances": ["have no rows to train on"]})
    with rows.telling():
        try:
            schema = builder.schema()
        except ValueError as error:
            if hasattr(error, "errors"):
                raise
            raise Invalid({"terms": [str(error)]}) from error
    if not schema.columns:
        raise Invalid({"features": ["leave nothing to fit: each is the same category in all rows"]})
    return schema, source.batches() if again is None else again


def _look(builder: FrameBuilder, rows: Rows, chosen: Chosen, *, missing: MissingPolicy) -> int:
    """Show the rows to the builder, but for those that are dropped for their target or weight; returns how many."""
    if missing == "drop":
        rows = rows.keep(~np.any(np.isnan(rows.numbers(chosen.values)), axis=1))
    with rows.telling():
        builder.add(rows.pick(chosen.features), names=chosen.features)
    return rows.count


def check_schema(store: ModelStore, schema: Schema, options: TrainOptions) -> None:
    """Refuse to give an existing model another schema, unless that is asked for.

    Raises:
        Contradiction
    """
    if options.new_schema:
        return
    try:
        version = store.resolve(options.model, "live")
    except NotFound:
        return
    known = Schema.from_dict(store.manifest(options.model, version).document["schema"])
    if changed := list(_differences(known, schema)):
        raise Contradiction(
            f"model {options.model} has another schema ({'; '.join(changed)}): train under another name, or pass new_schema to change it"
        )


def _differences(known: Schema, asked: Schema) -> Iterator[str]:
    parts: dict[str, Any] = {
        "features": lambda schema: {feature.name: feature.type for feature in schema.features},
        "terms": lambda schema: set(schema.terms),
        "targets": lambda schema: schema.targets,
        "intercept": lambda schema: schema.frame.intercept,
    }
    for name, part in parts.items():
        if part(known) != part(asked):
            yield f"other {name}" if name != "intercept" else f"intercept {asked.frame.intercept} instead of {known.frame.intercept}"
