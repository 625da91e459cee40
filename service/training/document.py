"""A published version as the HTTP API and the command line show it."""

from typing import Any

from model_store.manifest import Manifest
from model_store.store import ModelStore


def version_document(store: ModelStore, manifest: Manifest) -> dict[str, Any]:
    """The version document: what the manifest says, and the aliases that name the version now."""
    aliases = [alias for alias, version in store.aliases(manifest.model).items() if version == manifest.version]
    return {
        "model": manifest.model,
        "version": str(manifest.version),
        "aliases": aliases,
        "created": manifest.created,
        "operation": manifest.operation,
        "parent": str(manifest.parent) if manifest.parent is not None else None,
        "description": manifest.description,
        "labels": dict(manifest.labels),
        "fingerprint": manifest.fingerprint,
        "state_dict": manifest.blobs["state_dict"],
        **manifest.document,
    }
