"""Selecting from what a version remembers, without rows: which terms a model needs, which ridge penalty, and what is collinear."""

from collections.abc import Callable, Sequence
from typing import Any

from model_store.store import ModelStore
from service.errors import Contradiction
from service.regression import least_squares, ridge_path, subsets
from service.regression.collinearity import inflation
from service.regression.design import expand
from service.regression.inference import nested_f
from service.regression.moments import Moments
from service.regression.schema import Schema
from service.training.document import version_document
from service.training.living import Base, Change, beginning, commit
from service.training.living_options import LivingOptions
from service.training.publishing import Making
from service.training.refitting import with_terms
from service.training.solver import Exact
from service.training.solving import number, numbers


def select(
    store: ModelStore,
    model: str,
    asked: LivingOptions,
    *,
    check: Callable[[], None] = lambda: None,
    who: str = "",
    idempotency_key: str | None = None,
) -> dict[str, Any]:
    """The selection on the base; where `asked.publish`, the version document of what was chosen, with it.

    Raises:
        Contradiction: there is nothing to select, or no folds to do it by.
        PreconditionFailed, StoreError
    """

    def change(base: Base) -> Change:
        check()
        return _selected(base, asked)

    if not asked.publish:
        _, base = beginning(store, model, asked)
        return {"model": model, "base": str(base.manifest.version), **change(base).lineage}
    manifest = commit(store, change, asked, Making(model=model, operation="select", who=who, idempotency_key=idempotency_key))
    return version_document(store, manifest)


def _selected(base: Base, asked: LivingOptions) -> Change:
    """What is chosen, and in its lineage how: first the terms, then the penalty for them."""
    schema, memory, moments = base.schema, base.memory, base.memory.moments
    folds, intercept = memory.all_folds() if asked.ridge == "folds" else [], schema.frame.intercept
    selection: dict[str, Any] = {}
    solver = asked.solver
    try:
        if asked.subset is not None:
            terms, selection["subset"] = _subset(schema, moments, asked.subset)
            columns = schema.subset([schema.terms[place] for place in terms])[1]
            schema, memory = with_terms(base, tuple(str(schema.terms[place]) for place in terms))
            moments, folds = memory.moments, [fold.select(columns, range(fold.targets)) for fold in folds]
        if asked.ridge is not None:
            if asked.ridge == "folds" and not folds:
                raise Contradiction(f'version {base.manifest.version} has no folds: train with "folds", or select by "gcv"')
            by_folds = asked.ridge == "folds"
            path = ridge_path.by_folds(moments, folds, intercept=intercept) if by_folds else ridge_path.by_gcv(moments, intercept=intercept)
            solver = Exact(path.penalty)
            selection["ridge"] = {
                "criterion": path.criterion,
                "penalty": path.penalty,
                "score": numbers(path.score),
                "path": [
                    {"penalty": float(penalty), "score": numbers(score), "effective_dof": number(dof)}
                    for penalty, score, dof in zip(path.penalties, path.scores, path.effective_dof, strict=True)
                ],
            }
        selection["inflation"] = _inflation(schema, moments)
    except ValueError as error:
        raise Contradiction(str(error)) from error
    return Change(schema, memory, {"selection": selection}, solver=solver)


def _subset(schema: Schema, moments: Moments, criterion: subsets.Criterion) -> tuple[Sequence[int], dict[str, Any]]:
    """The places of the chosen terms, and the table of candidates; only of subsets that can stand: with lower powers, and not empty.

    Raises:
        Contradiction: none of the best can.
    """
    groups = _groups(schema)
    found = subsets.best_subsets(moments, groups, criterion=criterion, intercept=schema.frame.intercept)
    candidates = [candidate for candidate in found.candidates if candidate.terms and _stands(schema, candidate.terms)]
    if not candidates:
        raise Contradiction("none of the best subsets keeps a term, and the lower powers of each power: refit with terms of your choice")
    chosen = candidates[0].terms
    full = least_squares.solve(moments, intercept=schema.frame.intercept)
    columns = [column for place in chosen for column in groups[place]]
    smaller = least_squares.solve(moments.select(columns, range(moments.targets)), intercept=schema.frame.intercept)
    test = nested_f(full, smaller) if smaller.rank < full.rank else None
    return chosen, {
        "criterion": found.criterion,
        "exhaustive": found.exhaustive,
        "terms": [str(schema.terms[place]) for place in chosen],
        "candidates": [
            {
                "terms": [str(schema.terms[place]) for place in candidate.terms],
                "coefficients": candidate.coefficients,
                "rss": numbers(candidate.rss),
                "value": number(candidate.value),
            }
            for candidate in candidates
        ],
        "against_full": test and {"f": numbers(test.f), "p": numbers(test.p), "numerator": test.numerator, "denominator": test.denominator},
        "aliased": [schema.column_names[column] for column in found.aliased],
    }


def _inflation(schema: Schema, moments: Moments) -> dict[str, Any]:
    """Variance inflation factors of columns and of terms; null where infinite."""
    found = inflation(moments, _groups(schema), intercept=schema.frame.intercept)
    of_terms = zip(schema.terms, found.gvif, found.columns, found.comparable, strict=True)
    return {
        "columns": [{"column": name, "vif": number(vif)} for name, vif in zip(schema.column_names, found.vif, strict=True)],
        "terms": [
            {"term": str(term), "gvif": number(gvif), "columns": columns, "comparable": number(comparable)}
            for term, gvif, columns, comparable in of_terms
        ],
    }


def _groups(schema: Schema) -> list[list[int]]:
    """The places of each term's columns, which stand in the order of the terms."""
    groups: list[list[int]] = []
    start = 0
    for term in schema.terms:
        stop = start + sum(1 for _ in expand(term, schema.frame.categories))
        groups.append(list(range(start, stop)))
        start = stop
    return groups


def _stands(schema: Schema, terms: Sequence[int]) -> bool:
    """Whether a model can have these terms alone."""
    try:
        schema.subset([schema.terms[place] for place in terms])
    except ValueError:
        return False
    return True
