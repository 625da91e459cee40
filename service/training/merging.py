"""Merging models: what others remember of their rows is added to what the base does, as if one training had had them all."""

from collections.abc import Callable

from model_store.manifest import Manifest
from model_store.names import LIVE
from model_store.store import ModelStore
from service.errors import Contradiction, Invalid
from service.training.living import Base, Change, commit
from service.training.living_options import LivingOptions
from service.training.memory import Memory
from service.training.publishing import Making


def merge(
    store: ModelStore,
    model: str,
    asked: LivingOptions,
    *,
    check: Callable[[], None] = lambda: None,
    who: str = "",
    idempotency_key: str | None = None,
) -> Manifest:
    """Publish the base merged with the versions that `asked.others` names; a ledger and folds are kept where all have them.

    Raises:
        Invalid, Contradiction, PreconditionFailed, StoreError
    """
    if [name for name in asked.others if name.partition("@")[0] == model]:
        raise Invalid({"with": [f"names {model} itself, whose versions share rows: those would count twice"]})

    def change(base: Base) -> Change:
        check()
        merged = []
        for name in asked.others:
            other, _, reference = name.partition("@")
            manifest = store.manifest(other, store.resolve(other, reference or LIVE))
            _check_frames(base, manifest)
            memory = Memory.load(store, manifest, own=False)
            if memory.ledger:
                memory.ledger.date(since=base.manifest.version)
            base.memory.merge(memory)
            merged.append({"model": other, "version": str(manifest.version), "fingerprint": manifest.fingerprint})
        return Change(base.schema, base.memory, {"merged": merged})

    return commit(store, change, asked, Making(model=model, operation="merge", who=who, idempotency_key=idempotency_key))


def _check_frames(base: Base, other: Manifest) -> None:
    """Refuse sums that are not comparable.

    Raises:
        Contradiction
    """
    mine, theirs = base.manifest.document["schema"], other.document["schema"]
    if mine != theirs:
        parts = [part for part in ("features", "terms", "targets") if mine[part] != theirs[part]] or [
            part for part in mine["frame"] if mine["frame"][part] != theirs["frame"].get(part)
        ]
        like = f"{base.manifest.model}@{base.manifest.version}"
        raise Contradiction(
            f"version {other.version} of model {other.model} has another frame ({', '.join(parts)}): "
            f'train it again with "like": "{like}", then merge'
        )
