"""Aliases as append-only logs: `models/<model>/aliases/<alias>/<seq>.json`, one record per move, the highest is current.

Invariant: the numbers are gap-free from 1 and a record never changes, so a reader who knows one finds the next by a single probe.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from typing import Self

from model_store import counting
from model_store.errors import AlreadyExists, Conflict, InvalidDocument
from model_store.manifest import is_count
from model_store.sealed import damaged, is_timestamp, require, seal, timestamp, unseal
from model_store.storage import Objects


@dataclass(frozen=True, kw_only=True)
class AliasRecord:
    """One move of an alias; `version` is None where the model was deleted. Raises InvalidDocument for fields of a wrong type."""

    alias: str
    seq: int
    version: int | None
    time: str
    who: str
    reason: str
    idempotency_key: str | None

    def __post_init__(self) -> None:
        require(isinstance(self.alias, str), "alias must be text")
        require(is_count(self.seq), "seq must be a whole number from 1")
        require(self.version is None or is_count(self.version), "version must be a whole number from 1, or nothing")
        require(is_timestamp(self.time), "time must be a UTC time such as 2031-01-31T12:00:00.000000Z")
        require(isinstance(self.who, str) and isinstance(self.reason, str), "who and reason must be text")
        require(self.idempotency_key is None or isinstance(self.idempotency_key, str), "idempotency_key must be text, or nothing")

    @classmethod
    def from_bytes(cls, data: bytes, key: str) -> Self:
        """The record stored under `key`; CorruptObject if damaged or not such a record."""
        body = unseal(data, key)
        try:
            require(set(body) == _FIELDS, "its fields are not those of an alias record")
            return cls(**body)
        except InvalidDocument as error:
            raise damaged(key, str(error)) from error


_FIELDS = {field.name for field in fields(AliasRecord)}


def record_key(model: str, alias: str, seq: int) -> str:
    """The key of one move; the names are checked by the caller."""
    return f"models/{model}/aliases/{alias}/{seq}.json"


def last(objects: Objects, model: str, alias: str, *, hint: int = 0) -> int:
    """The number of the current record, 0 if the alias never was; from a `hint` seen before, two probes if nothing moved."""
    return counting.last(lambda seq: objects.exists(record_key(model, alias, seq)), hint=hint)


def read(objects: Objects, model: str, alias: str, seq: int) -> AliasRecord:
    """One move; NotFound if it has not happened, CorruptObject if it cannot be trusted."""
    key = record_key(model, alias, seq)
    record = AliasRecord.from_bytes(objects.read(key), key)
    if (record.alias, record.seq) != (alias, seq):
        raise damaged(key, "it is the record of another move")
    return record


def moves(objects: Objects, model: str, alias: str) -> Iterator[AliasRecord]:
    """Every move, the latest first; read as they are asked for."""
    return (read(objects, model, alias, seq) for seq in range(last(objects, model, alias), 0, -1))


def current(objects: Objects, model: str) -> dict[str, int]:
    """The version that each alias of the model names, by the alias."""
    named = {}
    for alias in objects.names(f"models/{model}/aliases"):
        seq = last(objects, model, alias)
        version = read(objects, model, alias, seq).version if seq else None
        if version is not None:
            named[alias] = version
    return named


def draft(alias: str, version: int | None, *, who: str, reason: str, idempotency_key: str | None) -> AliasRecord:
    """A move that can be recorded, not yet numbered; InvalidDocument if a text cannot be stored."""
    move = AliasRecord(alias=alias, seq=1, version=version, time=timestamp(), who=who, reason=reason, idempotency_key=idempotency_key)
    seal(asdict(move))
    return move


def append(objects: Objects, model: str, move: AliasRecord, *, expect: int | None = None) -> AliasRecord:
    """Makes the move at this moment under the first free number and returns it as recorded.

    With `expect`, only directly after a record naming that version: the check and the put-if-absent together are a compare-and-set.
    Raises Conflict if another version is current.
    """
    seq = last(objects, model, move.alias)
    while True:
        if expect is not None:
            named = read(objects, model, move.alias, seq).version if seq else None
            if named != expect:
                raise Conflict(
                    f"alias {move.alias} of model {model} names version {named}, not {expect} as expected: read it again, then repeat"
                )
        move = replace(move, seq=seq + 1, time=timestamp())
        try:
            objects.create(record_key(model, move.alias, move.seq), seal(asdict(move)))
        except AlreadyExists:
            seq += 1
        else:
            return move
