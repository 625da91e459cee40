"""Import of an exported version: bit-equal to the original in another store, with its origin, and never of parts that do not fit."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from werkzeug.test import Client

from model_store.archive import Archive, pack, unpack
from model_store.errors import BadArchive
from model_store.store import ModelStore
from service.app import create_app
from service.config import Config
from service.errors import Contradiction
from service.regression.moments import Moments
from service.training.document import version_document
from service.training.importing import import_version

CURVE: dict[str, Any] = {
    "model": "curve",
    "description": "a few flats",
    "labels": {"town": "Ulm"},
    "terms": ["x", "x^2", "town"],
    "columns": {"x": [50, 60, 70, 90, 110, 120, 80], "town": list("ababbab"), "y": [0.1, 3.7, -2, 9, 1e-7, 4, 8]},
    "target": "y",
}
ROWS = [{"x": 55.5, "town": "a"}, {"x": -1e3, "town": "b"}]


@pytest.fixture
def store(client: Client, config: Config) -> ModelStore:
    """The store in which `curve` was trained twice; version 2 is live."""
    for targets in (CURVE["columns"]["y"], [1, 2, 4, 8, 16, 32, 65]):
        answer = client.post("/train", json=CURVE | {"columns": CURVE["columns"] | {"y": targets}})
        assert answer.status_code == 201
    return ModelStore.open(config.store)


@pytest.fixture
def target(tmp_path: Path) -> ModelStore:
    """Another store."""
    return ModelStore.open(tmp_path / "target")


def test_the_round_trip_is_bit_equal(client: Client, store: ModelStore, target: ModelStore, tmp_path: Path) -> None:
    """Weights, moments, fingerprint, coefficients and predictions are those of the original; the origin is told."""
    import_version(target, pack(store, "curve", 1), promote=True, who="me")
    original, imported = store.manifest("curve", 1), target.manifest("curve", 1)
    other = Client(create_app(Config.from_environ({"PLUMBLINE_STORE": str(tmp_path / "target")})))
    predicted = [
        c.post("/predict", json={"model": "curve", "version": "1", "instances": ROWS}).json["predictions"] for c in (client, other)
    ]

    assert imported.blobs == original.blobs
    assert imported.memory == original.memory
    assert imported.fingerprint == original.fingerprint
    assert (imported.operation, imported.parent, imported.description, imported.labels) == ("import", None, "a few flats", {"town": "Ulm"})
    document = dict(imported.document)
    assert document.pop("imported") == {
        "model": "curve",
        "version": "1",
        "created": original.created,
        "operation": "train",
        "fingerprint": original.fingerprint,
    }
    assert json.dumps(document) == json.dumps(original.document)
    assert predicted[0] == predicted[1]
    assert (target.alias("curve", "live").version, target.alias("curve", "live").who) == (1, "me")
    moments = [Moments.from_bytes(s.remembered(m, "moments")) for s, m in ((store, original), (target, imported))]
    assert moments[0].to_bytes() == moments[1].to_bytes()


def test_an_import_takes_the_next_number_and_is_not_served_unasked(store: ModelStore, target: ModelStore) -> None:
    """Under its own name or another, after what is there; live moves only when asked for."""
    data = pack(store, "curve", 2)
    assert [import_version(target, data, promote=promote).version for promote in (True, False)] == [1, 2]
    assert import_version(target, data, model="renamed").version == 1

    assert target.aliases("curve") == {"live": 1}
    assert target.aliases("renamed") == {}
    assert version_document(target, target.manifest("renamed", 1))["imported"]["model"] == "curve"


def test_another_schema_needs_to_be_asked_for(client: Client, store: ModelStore) -> None:
    """An existing model takes the import of another schema only with `new_schema`, as it does a training."""
    client.post("/train", json={"model": "line", "instances": [[0], [1]], "targets": [1, 2]})
    data = pack(store, "curve", 1)
    with pytest.raises(Contradiction, match="another schema"):
        import_version(store, data, model="line")
    assert store.versions("line") == [1]
    assert import_version(store, data, model="line", new_schema=True).version == 2


def forged(archive: Archive, **document: Any) -> Archive:
    """The archive with members of its document replaced, digests and all in order."""
    return replace(archive, manifest=replace(archive.manifest, document=archive.manifest.document | document))


FORGERIES: dict[str, Callable[[Archive], Archive]] = {
    "a fingerprint of other rows": lambda archive: replace(archive, manifest=replace(archive.manifest, fingerprint="sha256:" + "0" * 64)),
    "a schema of other terms": lambda a: forged(a, schema=a.manifest.document["schema"] | {"terms": ["x", "town"]}),
    "no schema": lambda archive: forged(archive, schema={}),
    "no fit": lambda archive: forged(archive, fit={"n": 3}),
    "a document that overrides its version": lambda archive: forged(archive, version="9"),
    "a schema of another kind": lambda archive: forged(archive, schema=[1]),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_parts_that_do_not_belong_together_are_refused(store: ModelStore, target: ModelStore, forgery: str) -> None:
    """An archive whose digests are right and whose content is not is told, and nothing is stored."""
    archive = FORGERIES[forgery](unpack(pack(store, "curve", 1)))
    with pytest.raises(BadArchive, match="do not belong together"):
        import_version(target, archive.to_bytes())
    assert target.models() == []


def test_weights_of_another_version_are_refused(store: ModelStore, target: ModelStore) -> None:
    """A manifest with blobs or moments of another version, or of something else, is no version."""
    one, two = (unpack(pack(store, "curve", version)) for version in (1, 2))
    swapped = replace(one, manifest=replace(one.manifest, memory=two.manifest.memory), memory=two.memory)
    digests = {"state_dict": one.manifest.memory["moments"]}
    nonsense = replace(one, manifest=replace(one.manifest, blobs=digests), blobs={"state_dict": one.memory["moments"]})
    for archive in (swapped, nonsense):
        with pytest.raises(BadArchive, match="do not belong together"):
            import_version(target, archive.to_bytes())


def test_an_import_over_http_is_that_of_the_command_line(client: Client, store: ModelStore) -> None:
    """201 with the document and its place; a damaged body is 422, and nothing is published."""
    data = pack(store, "curve", 1)
    answer = client.post("/models/taken/import?promote=true", data=data, content_type="application/zip")
    refused = client.post("/models/taken/import", data=data[:-1] + b"x", content_type="application/zip")

    assert (answer.status_code, answer.headers["Location"]) == (201, "/models/taken/versions/1")
    assert answer.json == client.get("/models/taken/versions/live").json
    assert answer.json["imported"]["version"] == "1"
    assert refused.status_code == 422
    assert "export it again" in refused.json["detail"]
    assert client.get("/models/taken/versions").json["versions"] == ["1"]
    assert np.isfinite(client.post("/predict", json={"model": "taken", "instances": ROWS}).json["predictions"]).all()
