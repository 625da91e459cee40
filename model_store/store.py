"""The store of models: publish, read, move aliases, roll back, delete, collect, and the records of jobs.

Invariant: whatever the instant at which a process dies, the store is as it was before the call or as it is after it, but for
an unaliased version, which a retry under its key ends, or leftovers that `collect` removes; and whatever is read back has been verified.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from model_store import aliases, models, versions
from model_store import memory as memories
from model_store.aliases import AliasRecord
from model_store.blobs import digests, key_of, put, require
from model_store.collect import Collected, collect
from model_store.commits import commit, committed
from model_store.errors import Conflict, UnknownAlias
from model_store.job_records import JobRecords
from model_store.manifest import Intent, Manifest
from model_store.memory import Memory
from model_store.names import LIVE, check_alias, check_name, is_digits, number
from model_store.objects import LocalObjects
from model_store.retention import Retired, retire
from model_store.sealed import timestamp
from model_store.storage import Objects


class ModelStore:
    """Everything the service keeps, in one place; any number of threads and processes may use it at once.

    Every method raises InvalidName for a name the store never uses, UnknownModel, UnknownVersion or UnknownAlias for what is
    not there, CorruptObject for what is damaged, StoreFull or StoreUnavailable when the storage fails.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._newest_seen: dict[str, int] = {}  # where the search for the next number begins
        self.job_records = JobRecords(objects)

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """The store in a local directory, made if it is not there; StoreUnavailable if this user cannot write in it."""
        objects = LocalObjects(Path(path))
        objects.prepare()
        return cls(objects)

    # -- publishing ----------------------------------------------------------------------------------------------------

    def publish(
        self,
        model: str,
        *,
        blobs: Mapping[str, bytes],
        document: Mapping[str, Any],
        memory: Memory = MappingProxyType({}),
        operation: str = "train",
        parent: int | None = None,
        description: str = "",
        labels: Mapping[str, str] | None = None,
        fingerprint: str | None = None,
        libraries: Mapping[str, str] | None = None,
        promote: bool = True,
        expect: int | None = None,
        who: str = "",
        idempotency_key: str | None = None,
    ) -> Manifest:
        """Stores a new version and, with `promote`, moves `live` to it; returns its manifest as it reads back.

        Durable in this order: blobs and memory, manifest (which claims the next number), the model's mark, the move of `live`, which
        is the commit. With `expect`, only while `live` names that version; otherwise the new one is deleted and Conflict raised.
        What a process that dies has begun with an `idempotency_key`, `committed` ends.
        `memory` holds bytes, or digests of memory that the model has. Raises InvalidDocument, before anything is written, for fields
        that cannot be stored, and Forgotten if memory given by its digest is not there any more.
        """
        check_name(model)
        draft = Manifest(
            model=model,
            version=1 + self._newest(model),
            created=timestamp(),
            operation=operation,
            parent=parent,
            description=description,
            labels=dict(labels or {}),
            fingerprint=fingerprint,
            blobs=digests(blobs),
            memory=memories.digests(memory),
            document=dict(document),
            libraries=dict(libraries or {}),
            intent=None if idempotency_key is None else Intent(idempotency_key=idempotency_key, who=who, promote=promote, expect=expect),
        )
        data = draft.to_bytes()
        move = aliases.draft(LIVE, None, who=who, reason=operation, idempotency_key=idempotency_key)
        with self._objects.shared():
            for name, digest in draft.blobs.items():
                put(self._objects, key_of(digest), blobs[name])
            memories.put(self._objects, model, memory, draft.memory)
            manifest = versions.claim(self._objects, draft, data)
            self._newest_seen[model] = manifest.version
            commit(self._objects, manifest, replace(move, version=manifest.version) if promote else None, expect=expect)
        return manifest

    # -- reading -------------------------------------------------------------------------------------------------------

    def models(self) -> list[str]:
        """The names of the models, sorted."""
        return models.names(self._objects)

    def has_model(self, model: str) -> bool:
        """Whether there is such a model; one probe."""
        return models.exists(self._objects, model)

    def versions(self, model: str) -> list[int]:
        """The numbers of the model's versions, ascending, without the deleted ones."""
        models.require(self._objects, model)
        return versions.Numbers.of(self._objects, model).present

    def manifest(self, model: str, version: int) -> Manifest:
        """What the version is."""
        models.require(self._objects, model)
        return versions.read(self._objects, model, version)

    def latest(self, model: str) -> int | None:
        """The version with the largest number; None where all are deleted."""
        return next(iter(self.newest_versions(model, limit=1)), None)

    def newest_versions(self, model: str, *, limit: int, before: int | None = None) -> list[int]:
        """The newest `limit` versions, or the newest older than `before`, newest first; the effort does not grow with their number."""
        models.require(self._objects, model)
        top = self._newest(model) + 1
        return list(islice(versions.newest(self._objects, model, before=top if before is None else min(top, before)), limit))

    def blob(self, digest: str) -> bytes:
        """The bytes of a blob that a manifest names; they match the digest, or CorruptObject is raised."""
        return require(self._objects, digest)

    def remembered(self, manifest: Manifest, name: str) -> bytes:
        """One piece of a version's memory; Forgotten if it has none of that name, or keeps it no more."""
        return memories.read(self._objects, manifest, name)

    def resolve(self, model: str, reference: str) -> int:
        """The version that a reference stands for: its decimal number, or an alias; UnknownVersion if it is not (or no more) there."""
        version = number(reference) if is_digits(reference) else self.alias(model, reference).version
        if version is None:
            raise versions.unknown(model, "of that number")
        self._require_version(model, version)
        return version

    # -- aliases -------------------------------------------------------------------------------------------------------

    def newer(self, model: str, alias: str, seq: int) -> bool:
        """Whether the alias has moved since its record `seq` was read; one probe, nothing listed or parsed."""
        return self._objects.exists(_checked_record_key(model, alias, seq + 1))

    def alias(self, model: str, name: str, *, hint: int = 0) -> AliasRecord:
        """The current record of the alias, whose version is a number; the `seq` of a record read before makes the search short."""
        seq = self._last(model, name, hint=hint)
        record = aliases.read(self._objects, model, name, seq) if seq else None
        if record is None or record.version is None:
            raise UnknownAlias(f"model {model} has no alias {name}: list its aliases, or move this one to a version")
        return record

    def alias_history(self, model: str, name: str) -> list[AliasRecord]:
        """Every move of the alias, oldest first; none if it never was."""
        return [aliases.read(self._objects, model, name, seq) for seq in range(1, self._last(model, name) + 1)]

    def alias_moves(self, model: str, name: str, *, limit: int, before: int | None = None) -> list[AliasRecord]:
        """The latest `limit` moves of the alias, or the latest before the move `before`, newest first."""
        last = self._last(model, name)
        top = last if before is None else min(last, before - 1)
        return [aliases.read(self._objects, model, name, seq) for seq in range(top, max(top - limit, 0), -1)]

    def committed(self, model: str, idempotency_key: str, *, since: str) -> int | None:
        """The version published with this key at or after the time `since` (as records have it); None if there is none.

        Where a process died before it moved `live`, that is done now; or the version is deleted if it expected another one to be live.
        """
        with self._objects.shared():
            return committed(self._objects, model, idempotency_key, since=since, newest=self._newest(check_name(model)))

    def aliases(self, model: str) -> dict[str, int]:
        """The version that each alias of the model names."""
        models.require(self._objects, model)
        return aliases.current(self._objects, model)

    def move_alias(
        self,
        model: str,
        alias: str,
        version: int,
        *,
        expect: int | None = None,
        who: str = "",
        reason: str = "",
        idempotency_key: str | None = None,
    ) -> AliasRecord:
        """Moves (or makes) the alias and returns the record; with `expect`, Conflict unless it names that version until then."""
        check_alias(alias)
        with self._objects.shared():
            self._require_version(model, version)
            move = aliases.draft(alias, version, who=who, reason=reason, idempotency_key=idempotency_key)
            return aliases.append(self._objects, model, move, expect=expect)

    def delete_alias(self, model: str, alias: str, *, who: str = "", reason: str = "") -> AliasRecord:
        """Takes the alias away by a record that names no version; its log stays. Conflict for `live`, without which nothing is served."""
        if alias == LIVE:
            raise Conflict(f"alias {LIVE} of model {model} cannot be deleted: move it to another version, or delete the model")
        with self._objects.shared():
            self.alias(model, alias)
            gone = aliases.draft(alias, None, who=who, reason=reason, idempotency_key=None)
            return aliases.append(self._objects, model, gone)

    def rollback(self, model: str, *, who: str = "", reason: str = "rollback", idempotency_key: str | None = None) -> AliasRecord:
        """Moves `live` to the version it named before, skipping deleted ones; Conflict if there is none.

        A second rollback undoes the first; to go further back, move the alias.
        """
        current = self.alias(model, LIVE)
        for seq in range(current.seq - 1, 0, -1):
            version = aliases.read(self._objects, model, LIVE, seq).version
            if version is not None and version != current.version and versions.is_present(self._objects, model, version):
                return self.move_alias(
                    model, LIVE, version, expect=current.version, who=who, reason=reason, idempotency_key=idempotency_key
                )
        raise Conflict(f"model {model} has no earlier version that {LIVE} named and that is still there: move the alias to another version")

    # -- removing ------------------------------------------------------------------------------------------------------

    def delete_version(self, model: str, version: int) -> None:
        """Deletes the version for ever (its number is not used again); Conflict while an alias names it."""
        with self._objects.alone():
            self._require_version(model, version)
            named = [alias for alias, target in aliases.current(self._objects, model).items() if target == version]
            if named:
                raise Conflict(f"version {version} of model {model} is named by {', '.join(named)}: move that alias first")
            versions.bury(self._objects, model, version)

    def delete_model(self, model: str, *, who: str = "", reason: str = "") -> None:
        """Deletes every version; each alias gets a last record that names none, by which its readers learn of it.

        Numbers and logs go on where they were if the name is published again. A deletion cut short is finished by repeating it.
        """
        models.delete(self._objects, model, who=who, reason=reason)

    def retire(
        self, model: str, *, keep_versions: int, keep_memories: int, older_than_seconds: float = 0.0, thorough: bool = False
    ) -> Retired:
        """Deletes all but the latest versions, and the memory of all but the latest few; those that an alias names keep both.

        Versions count by their numbers. What an earlier call has left behind, `thorough` finds: a version that has lost its alias.
        """
        models.require(self._objects, model)
        return retire(
            self._objects,
            model,
            newest=self._newest(model),
            keep_versions=keep_versions,
            keep_memories=keep_memories,
            older_than_seconds=max(older_than_seconds, self._objects.settled_seconds),
            thorough=thorough,
        )

    def collect(self, older_than_seconds: float = 3600) -> Collected:
        """Removes unreferenced blobs and temporary files of at least that age; safe beside any publish."""
        return collect(self._objects, older_than_seconds=max(older_than_seconds, self._objects.settled_seconds))

    # -- what must be there --------------------------------------------------------------------------------------------

    def _require_version(self, model: str, version: int) -> None:
        models.require(self._objects, model)
        if not versions.is_present(self._objects, model, version):
            raise versions.unknown(model, str(version))

    def _newest(self, model: str) -> int:
        """The largest number the model ever used; quick where this object has seen one of the last."""
        newest = versions.last(self._objects, model, hint=self._newest_seen.get(model, 0))
        self._newest_seen[model] = newest
        return newest

    def _last(self, model: str, alias: str, *, hint: int = 0) -> int:
        check_alias(alias)
        models.require(self._objects, model)
        return aliases.last(self._objects, model, alias, hint=hint)


@lru_cache(maxsize=512)  # asked for with every prediction, of few models; every move makes a new one
def _checked_record_key(model: str, alias: str, seq: int) -> str:
    return aliases.record_key(check_name(model), check_alias(alias), seq)
