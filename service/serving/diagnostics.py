"""What the sampled rows of a version say about its fit: fitted values, residuals, leverages. Of no other rows is this known."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from model_store.errors import CorruptObject
from model_store.manifest import Manifest
from model_store.store import ModelStore
from service.errors import NotKept
from service.regression.columns import Array, Column
from service.regression.limbs import Integers
from service.regression.model import LinearRegression
from service.regression.row_sample import RowSample
from service.regression.schema import Schema
from service.serving.learned import Learned

SAMPLE = "sample"


@dataclass(frozen=True)
class Diagnostics:
    """The m sampled rows of a version of `n` rows: `columns` [m] by feature, and for its `names` of targets, `targets` [m, t].

    `weights` [m] are 1 where none were given; `times` [m] is how often each row was learned. `fitted` and `residual` [m, t]: of the
    weights that serve. `leverage` [m] and `standardized` [m, t], the residual in standard errors of its own, nan where the fit leaves
    none: None for a solver that is not plain least squares.
    """

    model: str
    version: str
    n: int
    columns: Mapping[str, Column]
    names: tuple[str, ...]
    targets: Array
    weights: Array
    times: Integers
    fitted: Array
    residual: Array
    leverage: Array | None
    standardized: Array | None

    def document(self) -> dict[str, Any]:
        """The same as JSON has it; weights and times are left out where all are 1."""
        document: dict[str, Any] = {"model": self.model, "version": self.version, "n": self.n, "count": len(self.times)}
        document |= {"columns": {name: _listed(column) for name, column in self.columns.items()}, "targets": self._by_target(self.targets)}
        document |= {name: _listed(ones) for name, ones in (("weights", self.weights), ("times", self.times)) if (ones != 1).any()}
        document |= {"fitted": self._by_target(self.fitted), "residual": self._by_target(self.residual)}
        document["leverage"] = None if self.leverage is None else _listed(self.leverage)
        document["standardized"] = None if self.standardized is None else self._by_target(self.standardized)
        return document

    def _by_target(self, values: Array) -> dict[str, list[Any]]:
        return {name: _listed(values[:, place]) for place, name in enumerate(self.names)}


def diagnose(store: ModelStore, manifest: Manifest) -> Diagnostics:
    """The diagnostics of a version.

    Raises:
        NotKept: it was trained without a sample.
        Forgotten: it keeps its sample no more.
        CorruptObject, StoreUnavailable: what it keeps cannot be read.
    """
    schema, sample = Schema.from_dict(manifest.document["schema"]), _sample(store, manifest)
    split = sample.features + sample.targets
    columns: dict[str, Column] = {}
    for name, values in zip(schema.feature_names, sample.rows[:, : sample.features].T, strict=True):
        known = schema.frame.categories.get(name)
        columns[name] = values if known is None else [known[code] for code in values.astype(np.int64).tolist()]
    targets, weights = sample.rows[:, sample.features : split], sample.rows[:, split]
    x = np.ascontiguousarray(schema.design(columns))
    module = LinearRegression.from_bytes(store.blob(manifest.blobs["state_dict"]), device=torch.device("cpu"))
    fitted = module.predict(x)
    residual = targets - fitted
    learned = Learned(store, manifest, intercept=schema.frame.intercept, may_wait=lambda: True)
    leverage = standardized = None
    if learned.has_errors:
        from service.regression import inference  # noqa: PLC0415 - scipy takes 0.2 s to import

        fit = learned.fit()
        leverage = weights * inference.leverage(fit, x)
        standardized = inference.standardized(fit, residual, leverage, weights)
    return Diagnostics(
        manifest.model,
        str(manifest.version),
        manifest.document["fit"]["n"],
        columns,
        schema.targets,
        targets,
        weights,
        sample.times,
        fitted,
        residual,
        leverage,
        standardized,
    )


def _sample(store: ModelStore, manifest: Manifest) -> RowSample:
    """The sample of a version, of the rows that its schema says."""
    where = f"version {manifest.version} of model {manifest.model}"
    if SAMPLE not in manifest.memory:
        raise NotKept(f'{where} kept none of its rows: pass "sample": 1000 at the next training to keep so many for this')
    try:
        return RowSample.from_bytes(store.remembered(manifest, SAMPLE))
    except ValueError as error:
        raise CorruptObject(f"the sample of {where} cannot be read: {error}") from error


def _listed(column: Column) -> list[Any]:
    """A column of a document: None for what is not there, which is nan."""
    if not isinstance(column, np.ndarray):
        return list(column)
    return [None if value != value else value for value in column.tolist()]  # noqa: PLR0124 - only nan is not itself
