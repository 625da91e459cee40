"""The fingerprint of a version: what its rows and its frame decide, and nothing else."""

import json

from service.regression.canonical import Canonical
from service.regression.schema import Schema


def fingerprint_of(schema: Schema, moments: Canonical) -> str:
    """`sha256:` over frame, feature, term and target names, row count and canonical moments; not over solver or weights."""
    context = json.dumps(schema.to_dict(), sort_keys=True, ensure_ascii=True).encode()
    return f"sha256:{moments.fingerprint(context)}"
