"""Models in versions: immutable blobs by digest, one manifest per version, aliases as append-only logs.

Invariant: this package knows neither HTTP nor regression and imports only the standard library.
"""

from model_store.aliases import AliasRecord
from model_store.collect import Collected
from model_store.manifest import Manifest
from model_store.names import LIVE, check_alias, check_name
from model_store.retention import Retired
from model_store.store import ModelStore

__all__ = ["LIVE", "AliasRecord", "Collected", "Manifest", "ModelStore", "Retired", "check_alias", "check_name"]
