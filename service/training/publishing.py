"""Publishing: a solved regression, with what it remembers of its rows, becomes the next version of its model.

Every verb that makes versions ends here, after everything is computed; the move of the alias `live` is the last step.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from model_store.manifest import Manifest
from model_store.store import ModelStore
from service.errors import Contradiction
from service.regression.model import LinearRegression
from service.regression.schema import Schema
from service.training.fingerprint import fingerprint_of
from service.training.memory import Memory
from service.training.solving import Solved


@dataclass(frozen=True, kw_only=True)
class Making:
    """How a version comes to be, as its manifest and the move of `live` record it.

    With `expect`, `live` moves only while it names that version. `lineage` is what the document tells of other models it came from.
    """

    model: str
    operation: str
    parent: int | None = None
    promote: bool = True
    expect: int | None = None
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    who: str = ""
    idempotency_key: str | None = None
    lineage: Mapping[str, Any] = field(default_factory=dict)


def publish(store: ModelStore, schema: Schema, memory: Memory, solved: Solved, making: Making, *, dtype: str = "float64") -> Manifest:
    """Store a solved regression and its memory as the next version of its model.

    Raises:
        Contradiction: the coefficients leave float64.
        Conflict: `live` names another version than expected; nothing was published.
        StoreError: the version cannot be published.
    """
    if not np.isfinite(solved.coefficients).all():
        raise Contradiction("the data are too large for float64: scale the columns and train again")
    first = int(schema.frame.intercept)
    slopes, intercepts = solved.coefficients[first:].T, solved.coefficients[0] if first else None
    model = LinearRegression.from_coefficients(slopes, intercepts, dtype=torch.float32 if dtype == "float32" else torch.float64)
    described = schema.to_dict()
    described["frame"] |= {"resolution": memory.moments.resolution.tolist()}
    document: dict[str, Any] = {"schema": described, "fit": solved.document, **making.lineage}
    if solved.history is not None:
        document["history"] = solved.history
    moments = memory.moments.canonical()
    return store.publish(
        making.model,
        blobs={"state_dict": model.to_bytes()},
        memory=memory.pieces(moments),
        document=document,
        operation=making.operation,
        parent=making.parent,
        description=making.description,
        labels=making.labels,
        fingerprint=fingerprint_of(schema, moments),
        libraries={"torch": torch.__version__, "numpy": np.__version__},
        promote=making.promote,
        expect=making.expect,
        who=making.who,
        idempotency_key=making.idempotency_key,
    )
