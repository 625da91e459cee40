"""Refitting: another solver, or some of the terms, on what the base remembers of its rows."""

from collections.abc import Callable

from model_store.manifest import Manifest
from model_store.store import ModelStore
from service.errors import Contradiction, Invalid
from service.regression.schema import Schema
from service.regression.terms import parse_term
from service.training.living import Base, Change, commit
from service.training.living_options import LivingOptions
from service.training.memory import Memory
from service.training.publishing import Making


def refit(
    store: ModelStore,
    model: str,
    asked: LivingOptions,
    *,
    check: Callable[[], None] = lambda: None,
    who: str = "",
    idempotency_key: str | None = None,
) -> Manifest:
    """Publish the base with the terms and by the solver that are asked for.

    Raises:
        Invalid, Contradiction, PreconditionFailed, StoreError
    """

    def change(base: Base) -> Change:
        check()
        schema, memory = with_terms(base, asked.terms)
        return Change(schema, memory)

    return commit(store, change, asked, Making(model=model, operation="refit", who=who, idempotency_key=idempotency_key))


def with_terms(base: Base, terms: tuple[str, ...] | None) -> tuple[Schema, Memory]:
    """Schema and memory of the base with some of its terms; all features stay, so that rows look as before.

    Folds and ledger tell rows apart by their design, so fewer terms leave them behind; a sample has the rows themselves.

    Raises:
        Invalid: a term is none of the base's.
        Contradiction: a power would stay without the lower ones that its basis needs.
    """
    types = {feature.name: feature.type for feature in base.schema.features}
    try:
        chosen = None if terms is None else tuple(parse_term(term, types) for term in terms)
    except ValueError as error:
        raise Invalid({"terms": [str(error)]}) from error
    if chosen is None or set(chosen) == set(base.schema.terms):
        return base.schema, base.memory
    if unknown := [str(term) for term in chosen if term not in base.schema.terms]:
        known = ", ".join(map(str, base.schema.terms))
        raise Invalid({"terms": [f"{', '.join(unknown)}: not in version {base.manifest.version}, whose terms are {known}"]})
    try:
        schema, columns = base.schema.subset(chosen)
    except ValueError as error:
        raise Contradiction(
            "powers are fitted in a shifted basis, so each needs the lower powers of its feature beside it, and the product without it: "
            "keep those, or train again without them"
        ) from error
    return schema, Memory(base.memory.moments.select(columns, range(len(schema.targets))), sample=base.memory.sample)
