"""What one version is: its lineage, the digests of its blobs and of its memory, and the caller's document.

Invariant: a Manifest that exists is valid, and equals what its own bytes read back as.
Formats: 3 tells the intent; 2 has none; 1 had no memory either, and everything in its blobs.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self, cast

from model_store.errors import InvalidDocument, InvalidName
from model_store.names import check_name, is_digest
from model_store.sealed import damaged, is_timestamp, require, seal, unseal_any

FORMAT = 3
_WORD = re.compile(r"[a-z][a-z_-]{0,31}")


@dataclass(frozen=True, kw_only=True)
class Intent:
    """What was to follow on a version that was asked for under a key, for a retry to end it: with `promote` the move of `live` by `who`.

    With `expect`, only while `live` names that version. Raises InvalidDocument for fields of a wrong type.
    """

    idempotency_key: str
    who: str
    promote: bool
    expect: int | None

    def __post_init__(self) -> None:
        require(isinstance(self.idempotency_key, str) and isinstance(self.who, str), "idempotency_key and who must be text")
        require(isinstance(self.promote, bool), "promote must be true or false")
        require(self.expect is None or is_count(self.expect), "expect must be a whole number from 1, or nothing")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """One immutable version of a model.

    `created` is UTC, ISO 8601 with microseconds, ending in Z; `operation` is the word for what made the version (train, learn, …);
    `parent` the version it was made from; `blobs` maps a name to `sha256:<hex>`, and so does `memory`, of what only later operations
    need and what may be dropped before the version is; `document` is the caller's JSON, not looked into.
    Raises InvalidName or InvalidDocument for anything else.
    """

    model: str
    version: int
    created: str
    operation: str
    parent: int | None
    description: str
    labels: dict[str, str]
    fingerprint: str | None
    blobs: dict[str, str]
    memory: dict[str, str]
    document: dict[str, Any]
    libraries: dict[str, str]
    intent: Intent | None = None

    def __post_init__(self) -> None:
        require(isinstance(self.model, str), "model must be text")
        check_name(self.model)
        require(is_count(self.version), "version must be a whole number from 1")
        require(is_timestamp(self.created), "created must be a UTC time such as 2031-01-31T12:00:00.000000Z")
        require(isinstance(self.operation, str) and _WORD.fullmatch(self.operation) is not None, "operation must be one word in lower case")
        require(self.parent is None or is_count(self.parent), "parent must be a whole number from 1, or nothing")
        require(self.parent is None or self.parent < self.version, "parent must be an earlier version than the one made from it")
        require(isinstance(self.description, str), "description must be text")
        require(_maps_text(self.labels), "labels must map text to text")
        require(self.fingerprint is None or isinstance(self.fingerprint, str), "fingerprint must be text, or nothing")
        for part, digests in (("blobs", self.blobs), ("memory", self.memory)):
            require(_maps_text(digests) and all(map(is_digest, digests.values())), f"{part} must map names to sha256 digests")
            for name in digests:
                check_name(name, "blob")
        require(isinstance(self.document, dict), "document must be a JSON object")
        require(_maps_text(self.libraries), "libraries must map text to text")

    def to_bytes(self) -> bytes:
        """The sealed canonical JSON; InvalidDocument if the document, or a text, is not JSON."""
        body = {name: getattr(self, name) for name in _BODY}
        return seal(body, number=2) if self.intent is None else seal(body | {"intent": asdict(self.intent)}, number=3)

    @classmethod
    def from_bytes(cls, data: bytes, key: str) -> Self:
        """The manifest stored under `key`; CorruptObject if damaged or not a manifest, UnsupportedFormat if of a newer release."""
        body, number = unseal_any(data, key, newest=FORMAT)
        if number == 1:
            body.setdefault("memory", {})
        try:
            intent = _intent(body.pop("intent", None)) if number == FORMAT else None
            require(set(body) == _BODY, "its fields are not those of a manifest")
            return cls(**body, intent=intent)
        except (InvalidName, InvalidDocument) as error:
            raise damaged(key, str(error)) from error


_BODY = {field.name for field in fields(Manifest)} - {"intent"}
_INTENT = {field.name for field in fields(Intent)}


def is_count(value: object) -> bool:
    """Whether the value is a whole number from 1; True is none."""
    return type(value) is int and value >= 1


def _intent(value: object) -> Intent:
    require(isinstance(value, dict) and set(value) == _INTENT, "its intent has other fields than an intent")
    return Intent(**cast("dict[str, Any]", value))


def _maps_text(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(key, str) and isinstance(text, str) for key, text in value.items())
