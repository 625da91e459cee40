"""What a drawing needs, taken out of the store."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from model_store.errors import Forgotten
from model_store.manifest import Manifest
from model_store.store import ModelStore
from service.errors import Contradiction, NotKept
from service.plots.subject import MOST_PANELS, OF_ROWS, REPORT, Subject
from service.regression.columns import Column
from service.regression.model import LinearRegression
from service.regression.schema import Schema
from service.serving.cost import cost_of
from service.serving.diagnostics import diagnose
from service.serving.learned import Learned
from service.training.document import version_members

GRID = 200


def gather(store: ModelStore, manifest: Manifest, kind: str) -> Subject:
    """The subject of a figure, or of the report, which does with what there is.

    Raises:
        NotKept, Forgotten, Contradiction: what the figure needs is not there; the text says why and what to do.
        CorruptObject, StoreUnavailable: what is kept cannot be read.
    """
    document = version_members(manifest) | manifest.document
    if kind == REPORT:
        return _all(store, manifest, document | {"libraries": dict(manifest.libraries)})
    if kind in OF_ROWS:
        sample, curve = _rows(store, manifest, with_curve=kind == "fit")
        return Subject(document, sample, curve=curve)
    if kind == "surface":
        return Subject(document, costs=_costs(store, manifest))
    subject = Subject(document)
    if kind == "loss":
        subject.history()
    return subject


def _all(store: ModelStore, manifest: Manifest, document: dict[str, Any]) -> Subject:
    """All there is of a version, and why the rest is not."""
    sample = costs = curve = None
    missing = {}
    try:
        sample, curve = _rows(store, manifest, with_curve=True)
    except (NotKept, Forgotten) as error:
        missing["sample"] = str(error)
    try:
        costs = _costs(store, manifest)
    except (Contradiction, Forgotten) as error:
        missing["costs"] = str(error)
    return Subject(document, sample, costs, curve, missing)


def _rows(store: ModelStore, manifest: Manifest, *, with_curve: bool) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The sample and the curve; of the features' columns, which may be thousands, the only one where it is drawn."""
    found = diagnose(store, manifest)
    curve = _curve(store, manifest, found.columns) if with_curve else None
    return replace(found, columns=found.columns if curve else {}).document(), curve


def _costs(store: ModelStore, manifest: Manifest) -> dict[str, Any]:
    """The cost of each target that is drawn."""
    targets = manifest.document["schema"]["targets"][:MOST_PANELS]
    return {target: cost_of(store, manifest, target).document() for target in targets}


def _curve(store: ModelStore, manifest: Manifest, columns: Mapping[str, Column]) -> dict[str, Any] | None:
    """The line of a version with one numeric feature over the range of its sample, with intervals where they are known."""
    schema = Schema.from_dict(manifest.document["schema"])
    if len(schema.features) > 1 or schema.features[0].type != "numeric" or not all(map(len, columns.values())):
        return None
    (column,) = columns.values()
    values = np.asarray(column, dtype=float)
    grid = np.linspace(values.min(), values.max(), GRID)
    x = np.ascontiguousarray(schema.design(grid[:, None]))
    y = LinearRegression.from_bytes(store.blob(manifest.blobs["state_dict"]), device=torch.device("cpu")).predict(x)
    lines: dict[str, Any] = {target: {"fitted": y[:, place].tolist()} for place, target in enumerate(schema.targets)}
    learned = Learned(store, manifest, intercept=schema.frame.intercept, may_wait=lambda: True)
    if learned.has_errors and (fit := learned.fit()).dof:
        from service.regression import inference  # noqa: PLC0415 - scipy takes 0.2 s to import

        found = inference.intervals(fit, x, y)
        for place, target in enumerate(schema.targets):
            lines[target] |= {end: getattr(found, end)[:, place].tolist() for end in ("mean_lower", "mean_upper", "lower", "upper")}
    return {"x": grid.tolist(), "targets": lines}
