"""Models that live: a version made from another one and from rows it has not seen, without the rows it has.

Invariant: the move of `live` is the commit. A writer that lost the race starts again from the winner's version, so no row that was
acknowledged is lost; and what comes out is, bit for bit, what one training on all the rows in the same frame gives.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from model_store.errors import Conflict, Forgotten, UnknownAlias
from model_store.manifest import Manifest
from model_store.store import LIVE, ModelStore
from service.errors import Contradiction, Invalid, PreconditionFailed
from service.regression.moments import Moments
from service.regression.schema import Schema
from service.training.framing import columns_of
from service.training.living_options import LivingOptions
from service.training.memory import Memory
from service.training.options import TrainOptions
from service.training.publishing import Making, publish
from service.training.solver import Gradient, Solver, SolverField
from service.training.solving import solve
from service.training.sources import Source
from service.training.train import QUIET, Progress, accumulate, design_of, require_exact_products


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
        return cls(manifest, Schema.from_dict(manifest.document["schema"]), Memory.load(store, manifest))

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
    """What an operation makes of its base: a schema, a memory, and what the document tells of other models."""

    schema: Schema
    memory: Memory
    lineage: Mapping[str, Any]


class NewRows:
    """The rows of a request as a memory of their own, in whatever frame they are needed; read again only where the frame is another."""

    def __init__(self, source: Callable[[TrainOptions], Source], asked: LivingOptions, *, progress: Progress, threads: int) -> None:
        self._source, self._asked, self._progress, self._threads = source, asked, progress, threads
        self._last: tuple[Schema, list[int], Memory] | None = None

    def like(self, base: Base) -> Memory:
        """The memory of the rows in the frame of `base`.

        Raises:
            Invalid: rows are wrong, or there are none.
        """
        self._progress.check()  # an operation that starts again and again can be cancelled
        schema, resolution = base.schema, base.memory.moments.resolution.tolist()
        if self._last is None or self._last[:2] != (schema, resolution):
            if self._asked.target not in (None, schema.targets):
                raise Invalid({"target": [f"is {', '.join(schema.targets)} in version {base.manifest.version}"]})
            source = self._source(TrainOptions(weights=self._asked.weights, **columns_of(schema)))
            memory = Memory(Moments(len(schema.columns), len(schema.targets), resolution=resolution))
            designs = (design_of(rows, schema, source.chosen) for rows in source.batches())
            accumulate(memory, designs, progress=self._progress, threads=self._threads)
            self._last = schema, resolution, memory
        return self._last[2]


def learn(
    store: ModelStore,
    model: str,
    source: Callable[[TrainOptions], Source],
    asked: LivingOptions,
    *,
    progress: Progress = QUIET,
    who: str = "",
    idempotency_key: str | None = None,
    threads: int = 1,
) -> Manifest:
    """Learn the rows that `source` reads, given the columns to read, and publish the version.

    Raises:
        NotReady, Invalid, Contradiction, PreconditionFailed, StoreError
    """
    require_exact_products()
    rows = NewRows(source, asked, progress=progress, threads=threads)

    def change(base: Base) -> Change:
        new = rows.like(base)
        if not new.n:
            raise Invalid({"instances": ["have no rows to learn"]})
        base.memory.merge(new)
        return Change(base.schema, base.memory, {})

    making = Making(model=model, operation="learn", who=who, idempotency_key=idempotency_key)
    return commit(store, change, asked, making)


def commit(store: ModelStore, change: Callable[[Base], Change], asked: LivingOptions, making: Making) -> Manifest:
    """Publish what `change` makes of the base; from `live`, start again from the version that won whenever another writer was quicker.

    Raises:
        PreconditionFailed: `live` does not name the version expected.
        Contradiction: the base was given, and `live` moved meanwhile.
        NotFound, Forgotten: there is no such base, or it has no memory any more.
    """
    while True:
        live = _live(store, making.model)
        if asked.expect is not None and live != asked.expect:
            raise PreconditionFailed(f"{LIVE} of model {making.model} names version {live}, not {asked.expect}: read it again, then repeat")
        base = Base.open(store, making.model, store.resolve(making.model, asked.base or LIVE))
        solver = base.solver(asked.solver)
        made = change(base)
        solved = solve(made.schema, made.memory.moments, TrainOptions(solver=solver))
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
            if _live(store, making.model) == live:
                raise
            if asked.expect is not None:
                raise PreconditionFailed(f"{LIVE} of model {making.model} does not name version {live} any more: read it again") from lost
            if asked.base is not None:
                raise Contradiction(
                    f"{LIVE} of model {making.model} moved while version {base.manifest.version} was worked on: "
                    "leave out base to start from live, or repeat"
                ) from lost


def _live(store: ModelStore, model: str) -> int | None:
    """The version that `live` names, if any."""
    try:
        return store.alias(model, LIVE).version
    except UnknownAlias:
        return None
