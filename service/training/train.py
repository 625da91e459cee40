"""The one use case of training: rows in, a published version out. HTTP, the command line and the trainer all come here.

Nothing is published before everything is computed, and the move of the alias `live` is the last step.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from model_store.manifest import Manifest
from model_store.store import ModelStore
from service.errors import Contradiction, Invalid
from service.regression.inference import coefficient_table, summary
from service.regression.least_squares import Factor, Fit, solve
from service.regression.model import LinearRegression
from service.regression.schema import Schema
from service.training.options import TrainOptions
from service.training.sources import Source

Progress = Callable[[int], None]
INTERCEPT = "intercept"


def train(store: ModelStore, source: Source, options: TrainOptions, *, progress: Progress = lambda _rows: None, who: str = "") -> Manifest:
    """Fit the rows of `source` exactly and publish the version; `progress` is called with the rows read so far.

    Raises:
        Invalid: rows are wrong, or there are none.
        StoreError: the version cannot be published.
    """
    schema = source.schema
    factor = Factor(len(schema.terms), len(schema.targets), intercept=schema.intercept)
    with np.errstate(over="ignore", invalid="ignore"):  # what leaves float64 is told below
        for batch in source.batches():
            factor.add(batch.x, batch.y)
            progress(factor.n)
        if factor.n == 0:
            raise Invalid({"instances": ["has no rows to train on"]})
        fit = solve(factor)
    if not all(np.isfinite(part).all() for part in (fit.coefficients, fit.rss, fit.tss)):
        raise Contradiction("the data are too large for float64: scale the columns and train again")
    return publish(store, schema, fit, options, who=who)


def publish(store: ModelStore, schema: Schema, fit: Fit, options: TrainOptions, *, who: str) -> Manifest:
    """Store a fit as the next version of its model."""
    weight = fit.coefficients[fit.intercept :].T
    model = LinearRegression.from_coefficients(weight, fit.coefficients[0] if fit.intercept else None)
    return store.publish(
        options.model,
        blobs={"state_dict": model.to_bytes()},
        document={"schema": schema.to_dict(), "fit": fit_document(schema, fit, options)},
        operation="train",
        description=options.description,
        labels=options.labels,
        libraries={"torch": torch.__version__, "numpy": np.__version__},
        promote=options.promote,
        who=who,
        reason="train",
    )


def fit_document(schema: Schema, fit: Fit, options: TrainOptions) -> dict[str, Any]:
    """The `fit` member of a version document; statistics of several targets are lists in the order of the targets."""
    names = [*((INTERCEPT,) if fit.intercept else ()), *schema.terms]
    summaries = [summary(fit, target=index) for index in range(len(schema.targets))]
    statistics = {name: [s[name] for s in summaries] if len(summaries) > 1 else summaries[0][name] for name in summaries[0]}
    return {
        "n": fit.n,
        "dof": fit.dof,
        **statistics,
        "condition": fit.condition,
        "aliased": [names[index] for index in fit.aliased],
        "solver": options.solver,
        "coefficients": [
            {"target": target, "term": term, **row}
            for index, target in enumerate(schema.targets)
            for term, row in zip(names, coefficient_table(fit, target=index), strict=True)
        ],
    }
