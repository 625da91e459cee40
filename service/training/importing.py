"""Taking over a version that another store exported: checked as if it came from a stranger, published under the next number."""

import numpy as np
import torch
from safetensors import SafetensorError

from model_store.archive import Archive, unpack
from model_store.errors import BadArchive
from model_store.manifest import Manifest
from model_store.store import ModelStore
from service.regression import canonical
from service.regression.model import LinearRegression
from service.regression.row_sample import RowSample
from service.regression.schema import Schema
from service.training.comparison import comparison
from service.training.document import version_members
from service.training.fingerprint import fingerprint_of
from service.training.framing import check_schema
from service.training.options import TrainOptions
from service.training.pieces import MOMENTS, SAMPLE

_CONTRADICTIONS = (ValueError, KeyError, TypeError, AttributeError, IndexError, RuntimeError, SafetensorError)


def import_version(
    store: ModelStore,
    data: bytes,
    *,
    model: str | None = None,
    promote: bool = False,
    new_schema: bool = False,
    who: str = "",
    idempotency_key: str | None = None,
) -> Manifest:
    """Publish the version that an archive holds, under `model` or else the name it had; returns its manifest.

    The document's `imported` tells where it comes from. Nothing is published unless weights, moments and document belong together.

    Raises:
        BadArchive: the bytes are not an archive, or its parts contradict one another.
        Contradiction: the model has another schema.
        StoreError: the version cannot be published.
    """
    archive = unpack(data)
    source = archive.manifest
    schema = _checked(archive)
    name = model or source.model
    check_schema(store, schema, TrainOptions(model=name, new_schema=new_schema))
    origin = {"model": source.model, "version": str(source.version), "created": source.created, "operation": source.operation}
    return store.publish(
        name,
        blobs=archive.blobs,
        memory=archive.memory,
        document=source.document | {"imported": origin | {"fingerprint": source.fingerprint}},
        operation="import",
        description=source.description,
        labels=source.labels,
        fingerprint=source.fingerprint,
        libraries=source.libraries,
        promote=promote,
        who=who,
        idempotency_key=idempotency_key,
    )


def _checked(archive: Archive) -> Schema:
    """The schema of an archive whose parts belong together; digests only say that each is as it was written."""
    manifest = archive.manifest
    try:
        schema = Schema.from_dict(manifest.document["schema"])
        comparison(manifest, manifest)  # reads what every reader of the coefficient table reads
        model = LinearRegression.from_bytes(archive.blobs["state_dict"], device=torch.device("cpu"))
        first = model.predict(np.zeros((1, len(schema.columns))))
        belongs = first.shape == (1, len(schema.targets)) and bool(np.isfinite(first).all())
        belongs &= not version_members(manifest).keys() & manifest.document.keys()
        moments = {**archive.blobs, **archive.memory}.get(MOMENTS)
        if moments is not None:
            belongs &= fingerprint_of(schema, canonical.from_bytes(moments)) == manifest.fingerprint
        if (sample := archive.memory.get(SAMPLE)) is not None:
            rows = RowSample.from_bytes(sample)
            belongs &= (rows.features, rows.targets) == (len(schema.feature_names), len(schema.targets))
    except _CONTRADICTIONS as error:
        raise _foreign() from error
    if not belongs:
        raise _foreign()
    return schema


def _foreign() -> BadArchive:
    return BadArchive("the archive is whole, but its weights, moments, schema and fit do not belong together: it was not made by `export`")
