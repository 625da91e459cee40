"""A bucket with a mirror in a local directory: immutable objects that were seen once are read from there.

Mirrored are blobs and what stands under `models/`. Memory is not, so that what is dropped in the bucket is nowhere any more, nor
are the records of jobs, which change. Who acts (`MirroredObjects`) asks the bucket for all that may have changed, writes there
first and into the mirror at once; who watches (`WatchingObjects`) takes what the mirror says, which `Sync` keeps up with the bucket.
Invariants: the mirrored records of an alias have no holes above the lowest, so that whoever knows one finds the next by a single
probe; and a mirrored manifest was published, so a damaged or missing file costs a read from the bucket and nothing else.
"""

import re
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress

from model_store import blobs, names
from model_store.errors import AlreadyExists, CorruptObject, NotFound, StoreError, StoreUnavailable, UnsupportedFormat
from model_store.objects import LocalObjects
from model_store.reach import Reach
from model_store.sealed import unseal_any
from model_store.storage import Objects

NEWEST_FORMAT = 1 << 30  # whether a format can be read is for its reader to say, not for the mirror
LONGEST_FILL = 64  # records of an alias brought for those who know an old one; older ones look anew
_RECORD = re.compile(r"(models/[^/]+/aliases/[^/]+)/([0-9]+)\.json")
_MARK = re.compile(r"models/[^/]+/present")
_VERSION = re.compile(r"models/[^/]+/versions/[0-9]+\.(json|tombstone)")


class MirroredObjects:
    """The objects of a bucket, for those who write; what the mirror cannot take it gets by the next sync."""

    def __init__(self, bucket: Objects, local: LocalObjects) -> None:
        self.bucket, self.local = bucket, local

    @property
    def settled_seconds(self) -> float:
        """That of the bucket."""
        return self.bucket.settled_seconds

    def create(self, key: str, data: bytes) -> None:
        """Puts the object in the bucket if its key is free there, and then in the mirror; AlreadyExists if it is taken."""
        self.bucket.create(key, data)
        self.keep(key, data)
        if found := _RECORD.fullmatch(key):
            with suppress(StoreError):
                fill(self, found[1], int(found[2]))

    def replace(self, key: str, data: bytes) -> None:
        """Puts the object in the bucket and then in the mirror."""
        self.bucket.replace(key, data)
        self.keep(key, data)

    def read(self, key: str) -> bytes:
        """The object's bytes, from the mirror if it has them whole, otherwise from the bucket; NotFound if there is none."""
        data = self._mirrored(key)
        if data is None:
            data = self.bucket.read(key)
            # A manifest is kept by the sync alone, which knows whether it is needed, and the mark only as long as it stands.
            if key.startswith("blobs/") or (_is_mirrored(key) and self.local.exists(key)):
                self.keep(key, data)
        return data

    def exists(self, key: str) -> bool:
        """Whether there is an object under the key: asked of the bucket, but for moves of an alias, which never go away."""
        if _RECORD.fullmatch(key) is not None and self.local.exists(key):
            return True
        there = self.bucket.exists(key)
        # A publish goes on only where the mark stands; what it publishes is then seen by the watchers before the next sync.
        if there and _MARK.fullmatch(key) is not None and not self.local.exists(key):
            self.keep(key, b"")
        return there

    def age(self, key: str) -> float:
        """Seconds since the object was written; NotFound if there is none."""
        return self.bucket.age(key)

    def expiring(self, key: str) -> bool:
        """What the bucket says."""
        return self.bucket.expiring(key)

    def names(self, prefix: str) -> list[str]:
        """The names directly under the prefix in the bucket, sorted."""
        return self.bucket.names(prefix)

    def each_object(self, prefix: str) -> Iterator[str]:
        """The names of the objects directly under the prefix in the bucket."""
        return self.bucket.each_object(prefix)

    def delete(self, key: str) -> None:
        """Removes the object from the bucket and then from the mirror."""
        self.bucket.delete(key)
        if _is_mirrored(key):
            self.local.delete(key)

    def sweep(self, older_than_seconds: float) -> int:
        """What writers to the bucket left behind; the mirror's own is swept by the sync."""
        return self.bucket.sweep(older_than_seconds)

    def shared(self) -> AbstractContextManager[None]:
        """What the bucket gives."""
        return self.bucket.shared()

    def alone(self) -> AbstractContextManager[None]:
        """What the bucket gives."""
        return self.bucket.alone()

    def keep(self, key: str, data: bytes) -> None:
        """Puts an object of the bucket in the mirror, if that takes it; a full or failing disk fails no publish."""
        if _is_mirrored(key):
            with suppress(StoreError):
                self.local.replace(key, data)

    def _mirrored(self, key: str) -> bytes | None:
        """The object's bytes in the mirror, if they are there and whole."""
        try:
            data = self.local.read(key) if _is_mirrored(key) else None
        except NotFound:
            return None
        return data if data is not None and _is_whole(key, data) else None


class WatchingObjects(MirroredObjects):
    """The objects as the mirror has them, for those who serve.

    The bucket is asked only for versions that no alias names, about each at most once in `refresh_seconds`, and for what is damaged
    in the mirror or gone from it; never while `reach` says that it cannot be reached.
    """

    def __init__(self, bucket: Objects, local: LocalObjects, reach: Reach, *, refresh_seconds: float) -> None:
        super().__init__(bucket, local)
        self._reach, self._refresh_seconds = reach, refresh_seconds
        self._answers: dict[str, tuple[float, bool]] = {}  # what the bucket said of a version, and until when that counts

    def exists(self, key: str) -> bool:
        """Whether there is an object under the key, by the mirror; one `stat`, but for versions that no alias names."""
        if self.local.exists(key):
            return True
        return _VERSION.fullmatch(key) is not None and not self._is_aliased(key) and self._asked(key)

    def read(self, key: str) -> bytes:
        """The object's bytes, from the mirror if it has them whole; NotFound if there is none, StoreUnavailable out of reach."""
        data = self._mirrored(key)
        if data is not None:
            return data
        if not _is_mirrored(key):
            return self.bucket.read(key)
        self._require_reach()
        return super().read(key)

    def names(self, prefix: str) -> list[str]:
        """The names directly under the prefix in the mirror, sorted."""
        return self.local.names(prefix)

    def each_object(self, prefix: str) -> Iterator[str]:
        """The names of the objects directly under the prefix in the mirror."""
        return self.local.each_object(prefix)

    def _is_aliased(self, key: str) -> bool:
        """Whether a tombstone is asked for whose version an alias names: its manifest is in the mirror, and it is not deleted."""
        return key.endswith(".tombstone") and self.local.exists(key.removesuffix("tombstone") + "json")

    def _asked(self, key: str) -> bool:
        until, answer = self._answers.get(key, (0.0, False))
        if time.monotonic() >= until:
            self._require_reach()
            if len(self._answers) >= 1024:  # an arbitrary bound: they are quick to ask again
                self._answers.clear()
            answer = self.bucket.exists(key)
            self._answers[key] = (time.monotonic() + self._refresh_seconds, answer)
        return answer

    def _require_reach(self) -> None:
        reason = self._reach.reason()
        if reason is not None:
            raise StoreUnavailable(reason)


def fill(objects: MirroredObjects, folder: str, last: int) -> None:
    """Brings the moves of an alias up to `last` into the mirror, the last one first, so that nobody takes another for the last.

    Raises StoreError if the bucket or the mirror fails.
    """
    known = record_numbers(objects.local, folder)
    wanted = [last, *range(max(min(known, default=last), last - LONGEST_FILL), last)]
    if known and last > max(known):
        wanted.append(max(known) + 1)  # what those who know the highest look for
    for seq in wanted:
        key = f"{folder}/{seq}.json"
        if seq not in known:
            with suppress(AlreadyExists):
                objects.local.create(key, objects.bucket.read(key))


def record_numbers(objects: Objects, folder: str) -> set[int]:
    """The numbers of the moves that stand in an alias's folder."""
    found = (names.number(name.removesuffix(".json")) for name in objects.names(folder))
    return {number for number in found if number is not None}


def _is_mirrored(key: str) -> bool:
    return key.startswith(("blobs/", "models/"))


def _is_whole(key: str, data: bytes) -> bool:
    """Whether a mirrored object is as it was put, by its own digest."""
    if key.startswith("blobs/"):
        return blobs.key_of(blobs.digest(data)) == key
    if not key.endswith(".json"):
        return not data
    try:
        unseal_any(data, key, newest=NEWEST_FORMAT)
    except UnsupportedFormat:
        return True
    except CorruptObject:
        return False
    return True
