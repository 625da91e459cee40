"""Models that live: a version made from another one and from rows it has not seen, without the rows it has.

Invariant: the move of `live` is the commit. A writer that lost the race starts again from the winner's version, so no row that was
acknowledged is lost; and what comes out is, bit for bit, what one training on all the rows in the same frame gives.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from model_store.errors import Conflict, Forgotten, UnknownAlias
from model_store.manifest import Manifest
from model_store.names import LIVE
from model_store.store import ModelStore
from service.errors import Contradiction, Invalid, PreconditionFailed
from service.regression.schema import Schema
from service.training.framing import columns_of
from service.training.living_options import LivingOptions
from service.training.memory import Memory
from service.training.options import TrainOptions
from service.training.publishing import Making, publish
from service.training.solver import Gradient, Solver, SolverField
from service.training.solving import Design, Solved, solve
from service.training.sources import Source
from service.training.train import design_of

IMPORT = "import"


@dataclass(frozen=True)
class Base:
    """The version that an operation starts from; its memory may be changed in place."""

    manifest: Manifest
    schema: Schema
    memory: Memory

    @classmethod
    def open(cls, store: ModelStore, model: str, version: int) -> "Base":
        """Read a version.

        Raises:
            NotFound, Forgotten, CorruptObject
        """
        manifest = store.manifest(model, version)
        memory = Memory.load(store, manifest)
        if memory.ledger and manifest.operation == IMPORT:
            memory.ledger.date(since=0)  # its segments tell of versions of another store
        return cls(manifest, Schema.from_dict(manifest.document["schema"]), memory)

    def kind(self) -> object:
        """What rows that are read for this base depend on: equal where those read for another one serve it too."""
        memory = self.memory
        return self.schema, memory.moments.resolution.tolist(), len(memory.folds), memory.sample and memory.sample.most

    def solver(self, asked: Solver | None) -> Solver:
        """The solver asked for, else that of the base.

        Raises:
            Contradiction: the base was trained by gradient, which takes rows.
        """
        solver: Solver = SolverField().deserialize(self.manifest.document["fit"]["solver"]) if asked is None else asked
        if isinstance(solver, Gradient):
            raise Contradiction(
                f"version {self.manifest.version} was trained by {solver.options.name}, which takes rows, and none are kept: "
                'pass "solver": "exact" or a penalty'
            )
        return solver


@dataclass(frozen=True)
class Change:
    """What an operation makes of its base: a schema and a memory; `lineage` is what the document tells beside them.

    `solver` is used instead of the one asked for or the base's; `check` is shown what was solved, and raises what forbids to publish it.
    """

    schema: Schema
    memory: Memory
    lineage: Mapping[str, Any] = field(default_factory=dict)
    check: Callable[[Solved], None] = lambda _solved: None
    solver: Solver | None = None


def designs_of(source: Callable[[TrainOptions], Source], asked: LivingOptions, base: Base) -> Iterator[Design]:
    """The rows of a request, batch by batch, as design rows of the base; their places are those in the request.

    Raises:
        Invalid: rows do not fit, each cell named.
    """
    schema, seen = base.schema, 0
    if asked.target not in (None, schema.targets):
        raise Invalid({"target": [f"is {', '.join(schema.targets)} in version {base.manifest.version}"]})
    opened = source(TrainOptions(weights=asked.weights, **columns_of(schema)))
    for rows in opened.batches():
        design = design_of(rows, schema, opened.chosen, features=base.memory.sample is not None)
        yield replace(design, places=seen + (np.arange(rows.count) if design.places is None else design.places))
        seen += rows.count


def commit(store: ModelStore, change: Callable[[Base], Change], asked: LivingOptions, making: Making) -> Manifest:
    """Publish what `change` makes of the base; from `live`, start again from the version that won whenever another writer was quicker.

    Raises:
        PreconditionFailed: `live` does not name the version expected.
        Contradiction: the base was given, and `live` moved meanwhile.
        NotFound, Forgotten: there is no such base, or it has no memory any more.
    """
    while True:
        live, base = beginning(store, making.model, asked)
        made = change(base)
        solver = base.solver(made.solver or asked.solver)
        solved = solve(made.schema, made.memory.moments, TrainOptions(solver=solver))
        made.check(solved)
        try:
            return publish(
                store,
                made.schema,
                made.memory,
                solved,
                replace(
                    making,
                    parent=base.manifest.version,
                    promote=asked.promote,
                    expect=live if asked.promote else None,
                    description=asked.description,
                    labels=asked.labels,
                    lineage=made.lineage,
                ),
            )
        except (Conflict, Forgotten) as lost:
            if _live_version(store, making.model) == live:
                raise
            if asked.expect is not None:
                raise PreconditionFailed(f"{LIVE} of model {making.model} does not name version {live} any more: read it again") from lost
            if asked.base is not None:
                raise Contradiction(
                    f"{LIVE} of model {making.model} moved while version {base.manifest.version} was worked on: "
                    "leave out base to start from live, or repeat"
                ) from lost


def beginning(store: ModelStore, model: str, asked: LivingOptions) -> tuple[int | None, Base]:
    """The version that `live` names now, if any, and the base that an operation starts from.

    Raises:
        PreconditionFailed: `live` does not name the version expected.
        NotFound, Forgotten: there is no such base, or it has no memory any more.
    """
    live = _live_version(store, model)
    if asked.expect is not None and live != asked.expect:
        raise PreconditionFailed(f"{LIVE} of model {model} names version {live}, not {asked.expect}: read it again, then repeat")
    return live, Base.open(store, model, store.resolve(model, asked.base or LIVE))


def _live_version(store: ModelStore, model: str) -> int | None:
    """The version that `live` names, if any."""
    try:
        return store.alias(model, LIVE).version
    except UnknownAlias:
        return None
