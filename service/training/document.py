"""Models, published versions and aliases as the HTTP API and the command line show them."""

from typing import Any

from model_store.aliases import AliasRecord
from model_store.errors import CorruptObject
from model_store.manifest import Manifest
from model_store.store import ModelStore
from service.training.pieces import LEDGER, SAMPLE, count_folds


def version_document(store: ModelStore, manifest: Manifest) -> dict[str, Any]:
    """The version document: what the manifest says, and the aliases that name the version now."""
    aliases = [alias for alias, version in store.aliases(manifest.model).items() if version == manifest.version]
    return version_members(manifest) | {"aliases": aliases} | manifest.document


def version_members(manifest: Manifest) -> dict[str, Any]:
    """The members of a version document that say what the version is; what was fitted is the manifest's own document."""
    return {
        "model": manifest.model,
        "version": str(manifest.version),
        "aliases": [],
        "created": manifest.created,
        "operation": manifest.operation,
        "parent": str(manifest.parent) if manifest.parent is not None else None,
        "description": manifest.description,
        "labels": dict(manifest.labels),
        "fingerprint": manifest.fingerprint,
        "state_dict": manifest.blobs["state_dict"],
        "memory": {"ledger": LEDGER in manifest.memory, "folds": count_folds(manifest), "sample": SAMPLE in manifest.memory},
    }


def model_document(store: ModelStore, model: str) -> dict[str, Any]:
    """A model's aliases and latest version; where its aliases cannot be read, why, so that one damaged model hides no other."""
    latest = store.latest(model)
    document: dict[str, Any] = {"model": model, "aliases": {}, "latest": str(latest) if latest else None}
    try:
        document["aliases"] = {alias: str(number) for alias, number in store.aliases(model).items()}
    except CorruptObject as error:
        document["damaged"] = str(error)
    return document


def move_document(model: str, record: AliasRecord) -> dict[str, Any]:
    """One move of an alias: where to, when, by whom and why."""
    return {"model": model, "alias": record.alias} | _move(record)


def alias_document(store: ModelStore, model: str, alias: str, *, limit: int, before: int | None = None) -> dict[str, Any]:
    """Where an alias stands, and its latest `limit` moves (those before the move `before`), newest first.

    `after` is the number of the last move shown when there are earlier ones, else None.
    """
    current = store.alias(model, alias)
    moves = store.alias_moves(model, alias, limit=limit, before=before)
    more = bool(moves) and moves[-1].seq > 1
    return move_document(model, current) | {"history": [_move(move) for move in moves], "after": str(moves[-1].seq) if more else None}


def _move(record: AliasRecord) -> dict[str, Any]:
    version = str(record.version) if record.version is not None else None
    return {"version": version, "time": record.time, "who": record.who, "reason": record.reason}
