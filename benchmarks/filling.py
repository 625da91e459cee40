"""Stores with many models, filled without training each of them."""

from pathlib import Path

import numpy as np

from model_store import ModelStore
from tests.support import Service


def fill(folder: Path, count: int, features: int) -> list[str]:
    """A store for a `Service` in the folder with so many models of so many features: one is trained, the others predict
    as it does and remember no rows.

    Returns their names, in the order in which a worker loads them when it starts.
    """
    X = np.random.default_rng(0).normal(size=(2 * features + 2, features))
    service = Service(folder, WORKERS="1").start()
    try:
        request = {"model": name_of(0), "instances": X.tolist(), "targets": X.sum(axis=1).tolist()}
        trained = service.post("/train", request, headers={"Prefer": "wait=60"}, timeout=90)
        assert trained.status == 201, trained.body
    finally:
        service.stop()
    store = ModelStore.open(service.store)
    manifest = store.manifest(name_of(0), 1)
    blobs = {name: store.blob(digest) for name, digest in manifest.blobs.items()}
    for number in range(1, count):
        store.publish(name_of(number), blobs=blobs, document=manifest.document, fingerprint=manifest.fingerprint)
    return sorted(name_of(number) for number in range(count))


def name_of(number: int) -> str:
    """The name of a model."""
    return f"m{number:04}"
