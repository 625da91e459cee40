"""Opening the store where a setting says it is: in a local directory, or in a bucket with a mirror under a local directory.

Invariant: nothing here waits for a bucket, so a process comes up whether or not it can be reached.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from model_store import aliases, models
from model_store.aliases import AliasRecord
from model_store.mirror import MirroredObjects, WatchingObjects, record_numbers
from model_store.names import check_alias, check_name
from model_store.objects import LocalObjects
from model_store.reach import Reach
from model_store.store import ModelStore


class WatchingStore(ModelStore):
    """A store for those who serve, read from the mirror that the sync keeps up: following an alias never waits for the bucket."""

    def newer(self, model: str, alias: str, seq: int) -> bool:
        """Whether the alias has moved since its record `seq` was read, or so long ago that the mirror has that no more; two probes."""
        exists, key = self._objects.exists, aliases.record_key
        return exists(key(check_name(model), check_alias(alias), seq + 1)) or not exists(key(model, alias, seq))

    def alias_history(self, model: str, name: str) -> list[AliasRecord]:
        """The latest moves of the alias, those that the mirror has, oldest first."""
        models.require(self._objects, model)
        return [aliases.read(self._objects, model, name, seq) for seq in sorted(record_numbers(self._objects, _folder(model, name)))]

    def _last(self, model: str, alias: str, *, hint: int = 0) -> int:
        """The highest number that the mirror has: it lacks the oldest, from which a search would begin."""
        check_alias(alias)
        models.require(self._objects, model)
        return max(record_numbers(self._objects, _folder(model, alias)), default=hint)


@dataclass(frozen=True)
class Opened:
    """A store: `acting` for those who write or must read what is there this moment, `watching` for those who serve.

    They are one and the same for a local directory. `mirrored` and `reach` are there for a bucket.
    """

    acting: ModelStore
    watching: ModelStore
    mirrored: MirroredObjects | None = None
    reach: Reach | None = None

    @classmethod
    def at(cls, place: Path | str, *, cache: Path, refresh_seconds: float = 2.0) -> Self:
        """The store at a directory, or at a bucket's address with its mirror under `cache`.

        Raises:
            StoreUnavailable, StoreFull: this user cannot write in the directory, or nobody can use such an address.
        """
        if isinstance(place, Path):
            store = ModelStore.open(place)
            return cls(store, store)
        from model_store.bucket import BucketObjects  # noqa: PLC0415 - a store in a directory needs no library for buckets

        local, reach, bucket = LocalObjects(cache / "mirror"), Reach(cache / "reach"), BucketObjects(place)
        local.prepare()
        reach.prepare()
        mirrored = MirroredObjects(bucket, local)
        watching = WatchingStore(WatchingObjects(bucket, local, reach, refresh_seconds=refresh_seconds))
        return cls(ModelStore(mirrored), watching, mirrored, reach)


def _folder(model: str, alias: str) -> str:
    return f"models/{check_name(model)}/aliases/{check_alias(alias)}"
