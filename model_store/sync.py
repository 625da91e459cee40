"""Keeps a mirror up with its bucket: one look brings every news of every alias, and drops what is no longer needed.

Invariant: a move is mirrored only after the version that it names is, so whoever sees it finds all that it needs.
The mirror keeps the manifests of the versions that an alias names, their blobs, and the latest moves of each alias. Everything else
is dropped at the look after `SPARED_SECONDS` (a manifest: after `refresh_seconds`); whoever asks for it reads it from the bucket.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from model_store import aliases, blobs, counting, names, versions
from model_store.errors import NotFound, StoreError, StoreFull, StoreUnavailable
from model_store.manifest import Manifest
from model_store.mirror import MirroredObjects, fill, record_numbers
from model_store.names import check_alias, check_name

AT_ONCE = 8  # models looked at together: the time of a look is that of waiting for answers
KEPT_MOVES = 128
SPARED_SECONDS = 600.0


class Sync:
    """Looks at a bucket for its mirror; one per mirror at a time."""

    def __init__(self, objects: MirroredObjects, *, refresh_seconds: float, spared_seconds: float = SPARED_SECONDS) -> None:
        self._objects, self._bucket, self._local = objects, objects.bucket, objects.local
        self._refresh_seconds, self._spared_seconds = refresh_seconds, spared_seconds

    def look(self) -> dict[str, str]:
        """Brings what is new and drops what is not needed; by model, what could not be brought for a fault of its own.

        Raises:
            StoreUnavailable, StoreFull: the bucket or the mirror fails.
        """
        models = [name for name in self._bucket.names("models") if _is_name(name)]
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="sync") as pool:
            faults = dict(zip(models, pool.map(self._look_at, models), strict=True))
        self._drop()
        return {model: fault for model, fault in faults.items() if fault is not None}

    def _look_at(self, model: str) -> str | None:
        """One model; what is wrong with it, if anything."""
        mark = f"models/{model}/present"
        present = "present" in self._bucket.names(f"models/{model}")
        fault = None
        if present or self._local.exists(mark):
            for alias in self._bucket.names(f"models/{model}/aliases"):
                try:
                    self._follow(model, check_alias(alias))
                except (StoreUnavailable, StoreFull):
                    raise
                except StoreError as error:
                    fault = str(error)
        if present and not self._local.exists(mark):
            self._objects.keep(mark, b"")
        if not present and self._local.exists(mark):
            self._local.delete(mark)
        return fault

    def _follow(self, model: str, alias: str) -> None:
        """Brings the alias's latest move and the version that it names."""
        folder = f"models/{model}/aliases/{alias}"
        known = max(record_numbers(self._local, folder), default=0)

        def is_made(seq: int) -> bool:
            return seq <= known or self._bucket.exists(aliases.record_key(model, alias, seq))

        last = counting.last(is_made, hint=known)
        if last == 0:
            return
        version = aliases.read(self._objects, model, alias, last).version
        if version is not None:
            with suppress(NotFound):  # deleted before we came
                self._bring(model, version)
        fill(self._objects, folder, last)

    def _bring(self, model: str, version: int) -> None:
        key = versions.manifest_key(model, version)
        data = self._objects.read(key)
        for digest in Manifest.from_bytes(data, key).blobs.values():
            blob = blobs.key_of(digest)
            if not self._local.exists(blob):
                self._local.replace(blob, blobs.read(self._bucket, blob, digest))
        if not self._local.exists(key):
            self._local.replace(key, data)

    def _drop(self) -> None:
        """Removes from the mirror what no alias needs."""
        used: set[str] = set()
        for model in self._local.names("models"):
            for alias in self._local.names(f"models/{model}/aliases"):
                folder = f"models/{model}/aliases/{alias}"
                for seq in sorted(record_numbers(self._local, folder))[:-KEPT_MOVES]:
                    self._drop_old(aliases.record_key(model, alias, seq), self._spared_seconds)
            used |= self._drop_versions(model)
        for name in self._local.names("blobs/sha256"):
            if blobs.PREFIX + name not in used:
                self._drop_old(f"blobs/sha256/{name}", self._spared_seconds)
        self._local.sweep(self._spared_seconds)

    def _drop_versions(self, model: str) -> set[str]:
        """Removes the manifests and tombstones that no alias needs; the digests that the others name."""
        used: set[str] = set()
        named = self._named(model)
        for name in self._local.names(f"models/{model}/versions"):
            key = f"models/{model}/versions/{name}"
            if name.endswith(".json") and names.number(name.removesuffix(".json")) in named:
                with suppress(StoreError):  # a damaged one is brought again when it is read
                    used.update(Manifest.from_bytes(self._objects.read(key), key).blobs.values())
            else:
                self._drop_old(key, self._refresh_seconds)
        return used

    def _named(self, model: str) -> set[int]:
        """The versions that the aliases of a model name, by the mirror."""
        named: set[int] = set()
        for alias in self._local.names(f"models/{model}/aliases"):
            seq = max(record_numbers(self._local, f"models/{model}/aliases/{alias}"), default=0)
            with suppress(StoreError):
                version = aliases.read(self._objects, model, alias, seq).version
                named |= set() if version is None else {version}
        return named

    def _drop_old(self, key: str, seconds: float) -> None:
        with suppress(NotFound):
            if self._local.age(key) >= seconds:
                self._local.delete(key)


def _is_name(name: str) -> bool:
    """Whether a name in the bucket is one of the store's; others are not looked at."""
    with suppress(StoreError):
        return bool(check_name(name))
    return False
