"""The one use case of training: rows in, a published version out. HTTP, the command line and the trainer all come here.

Nothing is published before everything is computed, and the move of the alias `live` is the last step.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from model_store.manifest import Manifest
from model_store.store import ModelStore
from service.errors import Invalid, NotReady
from service.regression.columns import all_finite
from service.regression.moments import Moments
from service.regression.products import Array, self_test, syrk
from service.regression.row_sample import RowSample
from service.regression.schema import Schema
from service.rows import Rows
from service.training.framing import build_schema, check_schema, frame_of
from service.training.ledger import Ledger
from service.training.memory import AUTOMATIC_ROWS, Memory
from service.training.options import TrainOptions
from service.training.publishing import Making, publish
from service.training.solver import Gradient
from service.training.solving import Design, solve
from service.training.sources import Chosen, Source

MOST_SAMPLED = 1 << 22  # numbers of a sample: 32 MiB


@dataclass(frozen=True)
class Progress:
    """What a training tells while it runs: rows read so far, of gradient training (epoch, epochs, loss), and how to count all rows.

    Each may raise what ends the training, and `check`, called where nothing is to be told, does nothing else.
    """

    rows: Callable[[int], None] = lambda _rows: None
    epoch: Callable[[int, int, float], None] = lambda _epoch, _epochs, _loss: None
    check: Callable[[], None] = lambda: None
    count: Callable[[Callable[[], int | None]], None] = lambda _total: None


QUIET = Progress()


@cache
def require_exact_products() -> None:
    """Refuse to train where matrix products are not exact; tested once in a process.

    Raises:
        NotReady: says why, and what to do.
    """
    reason = self_test(syrk)
    if reason is not None:
        raise NotReady(reason)


def train(
    store: ModelStore,
    source: Source,
    options: TrainOptions,
    *,
    progress: Progress = QUIET,
    who: str = "",
    idempotency_key: str | None = None,
    threads: int = 1,
) -> Manifest:
    """Fit the rows of `source` and publish the version; `threads` form the moments, each with a BLAS of one thread.

    Raises:
        NotReady: this machine does not multiply exactly.
        Invalid: rows are wrong, or there are none, or gradient training diverged.
        Contradiction: the model has another schema.
        StoreError: the version cannot be published.
    """
    if options.like is not None:
        (schema, resolution), batches = frame_of(store, options.like), source.batches()
    else:
        (schema, batches), resolution = build_schema(source, options), None
    check_schema(store, schema, options)
    require_exact_products()  # while a file is read on
    memory = _empty_memory(schema, resolution, options)
    designs = (design_of(rows, schema, source.chosen, features=memory.sample is not None) for rows in batches)
    design = accumulate(memory, designs, keep=isinstance(options.solver, Gradient), progress=progress, threads=threads)
    if memory.n == 0:
        raise Invalid({"instances": ["have no rows to train on"]})
    if memory.ledger:
        memory.ledger.settle(since=0)
    solved = solve(schema, memory.moments, options, design=design, progress=progress.epoch, check=progress.check)
    making = Making(
        model=options.model,
        operation="train",
        promote=options.promote,
        description=options.description,
        labels=options.labels,
        who=who,
        idempotency_key=idempotency_key,
    )
    progress.check()
    return publish(store, schema, memory, solved, making, dtype=options.dtype)


def _empty_memory(schema: Schema, resolution: Sequence[int] | None, options: TrainOptions) -> Memory:
    """What a training is to remember, of no rows yet."""

    def moments() -> Moments:
        return Moments(len(schema.columns), len(schema.targets), resolution=resolution)

    ledger = None if options.ledger == "off" else Ledger()
    limit = AUTOMATIC_ROWS if options.ledger == "auto" else None
    sample = _empty_sample(schema, options.sample) if options.sample else None
    return Memory(moments(), [moments() for _ in range(options.folds or 0)], ledger, limit, sample)


def _empty_sample(schema: Schema, most: int) -> RowSample:
    """A sample of at most so many rows, of none yet.

    Raises:
        Invalid: so many rows would be too many numbers.
    """
    features, targets = len(schema.feature_names), len(schema.targets)
    if most * (features + targets + 1) > MOST_SAMPLED:
        rows = MOST_SAMPLED // (features + targets + 1)
        raise Invalid({"sample": [f"must be at most {rows} for rows of {features} features: a sample holds {MOST_SAMPLED} numbers"]})
    return RowSample.empty(features, targets, most)


def accumulate(
    memory: Memory, designs: Iterable[Design], *, keep: bool = False, progress: Progress = QUIET, threads: int = 1
) -> Design | None:
    """Add all rows to the memory; returns the design itself when it is to be kept."""
    kept: list[Design] = []
    for part in designs:
        memory.add(part, threads=threads)
        progress.rows(memory.n)
        if keep:
            kept.append(part)
    return _joined(kept) if kept else None


def design_of(rows: Rows, schema: Schema, chosen: Chosen, *, features: bool = False) -> Design:
    """A batch of training rows as design rows, with their `features` where these are wanted too.

    Rows with a missing value are left out where the schema says so.

    Raises:
        Invalid: names each cell that is wrong.
    """
    values = rows.numbers(chosen.values)
    finite, places = all_finite(values), None
    _check_values(rows, chosen, values, finite=finite, drop=schema.frame.missing == "drop")
    if not finite:
        present = np.all(np.isfinite(values), axis=1)
        places = np.flatnonzero(present)
        rows, values = rows.keep(present), values[present]
    with rows.telling():
        made = schema.training_design(rows.pick(chosen.features), names=chosen.features)
    if made.kept is not None:
        values = values[made.kept]
        places = np.flatnonzero(made.kept) if places is None else places[made.kept]
    targets = len(chosen.targets)
    weights = values[:, targets] if chosen.weights else None
    return Design(made.X, values[:, :targets], weights, places, made.features(schema.feature_names) if features else None)


def _check_values(rows: Rows, chosen: Chosen, values: Array, *, finite: bool, drop: bool) -> None:
    """Refuse targets and weights that are missing (unless such rows are dropped) or infinite, and negative weights.

    `finite` tells that none of the values is missing or infinite.
    """
    faults: dict[str, list[str]] = {}
    if not finite:
        wrong = np.isinf(values) if drop else ~np.isfinite(values)
        faults = {rows.where(row, chosen.values[column]): ["must be a finite number"] for row, column in np.argwhere(wrong)[:20].tolist()}
    if chosen.weights:
        negative = np.flatnonzero(values[:, -1] < 0)[:20].tolist()
        faults |= {rows.where(row, chosen.weights): ["must not be negative"] for row in negative}
    if faults:
        raise Invalid(faults)


def _joined(parts: list[Design]) -> Design:
    weights = [part.weights for part in parts if part.weights is not None]
    return Design(
        np.vstack([part.X for part in parts]), np.vstack([part.Y for part in parts]), np.concatenate(weights) if weights else None
    )
