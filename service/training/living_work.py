"""The living operations as the trainer runs them: a request's body and options in, the job's result out."""

from collections.abc import Callable
from typing import Any

import marshmallow as ma

from service.training.document import version_document
from service.training.forgetting import forget
from service.training.learning import learn
from service.training.living_options import IF_MATCH, ForgetOptionsSchema, LearnOptionsSchema, LivingOptions
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


LIVING: dict[str, Callable[[Work], dict[str, Any]]] = {"learn": _learn, "forget": _forget}
