"""The living operations as the trainer runs them: a request's body and options in, the job's result out."""

from collections.abc import Callable
from typing import Any

import marshmallow as ma

from service.documents import Document
from service.errors import Invalid, UnsupportedMedia
from service.training.document import version_document
from service.training.forgetting import forget
from service.training.learning import learn
from service.training.living_options import (
    IF_MATCH,
    ForgetOptionsSchema,
    LearnOptionsSchema,
    LivingOptions,
    MergeOptionsSchema,
    RefitOptionsSchema,
    SelectOptionsSchema,
)
from service.training.merging import merge
from service.training.refitting import refit
from service.training.selecting import select
from service.training.sources import Body
from service.training.work import Work
from service.validation import validated


def _learn(work: Work) -> dict[str, Any]:
    """Learn the rows of the body; the version document."""
    body, options = _opened(work, LearnOptionsSchema())
    asked = work.submission
    manifest = learn(
        work.store, _model(work), body.source, options, progress=work.progress, who=asked.who, idempotency_key=asked.idempotency_key
    )
    return version_document(work.store, manifest)


def _forget(work: Work) -> dict[str, Any]:
    """Forget the rows of the body; the version document."""
    body, options = _opened(work, ForgetOptionsSchema())
    asked = work.submission
    return forget(
        work.store, _model(work), body.source, options, progress=work.progress, who=asked.who, idempotency_key=asked.idempotency_key
    )


def _merge(work: Work) -> dict[str, Any]:
    """Merge other models; the version document."""
    manifest = merge(work.store, _model(work), _asked(work, MergeOptionsSchema()), **_of(work))
    return version_document(work.store, manifest)


def _refit(work: Work) -> dict[str, Any]:
    """Fit other terms or by another solver; the version document."""
    manifest = refit(work.store, _model(work), _asked(work, RefitOptionsSchema()), **_of(work))
    return version_document(work.store, manifest)


def _select(work: Work) -> dict[str, Any]:
    """Select terms or a penalty; the selection, or the version document with it."""
    return select(work.store, _model(work), _asked(work, SelectOptionsSchema()), **_of(work))


def _of(work: Work) -> dict[str, Any]:
    """Who asked for what is done without rows, and under which key."""
    asked = work.submission
    return {"check": work.progress.check, "who": asked.who, "idempotency_key": asked.idempotency_key}


def _asked(work: Work, schema: ma.Schema) -> LivingOptions:
    """The options of a request without rows, which are its whole body."""
    given = dict(work.submission.options)
    headers = {IF_MATCH: given.pop(IF_MATCH)} if IF_MATCH in given else {}
    if work.submission.media_type != "application/json":
        raise UnsupportedMedia("this request must be application/json; say so in Content-Type")
    if given:
        raise Invalid({name: ["belongs in the JSON body, not in the query"] for name in given})
    options: LivingOptions = validated(schema, Document(work.body.read_bytes()).options() | headers)
    return options


def _opened(work: Work, schema: ma.Schema) -> tuple[Body, LivingOptions]:
    """The body of a request with rows, and its options."""
    given = dict(work.submission.options)
    headers = {IF_MATCH: given.pop(IF_MATCH)} if IF_MATCH in given else {}
    body = work.open(given)
    options: LivingOptions = validated(schema, dict(body.given) | headers)
    return body, options


def _model(work: Work) -> str:
    """The model that the address names."""
    assert work.submission.model is not None  # noqa: S101 - the doors of these operations always pass it
    return work.submission.model


LIVING: dict[str, Callable[[Work], dict[str, Any]]] = {
    "learn": _learn,
    "forget": _forget,
    "merge": _merge,
    "refit": _refit,
    "select": _select,
}
