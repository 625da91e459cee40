"""Records as canonical JSON under a seal: `{"body": …, "digest": "sha256:…", "format": 1}`.

Invariant: `unseal` returns a body only if sealing that body again gives the very same bytes, so no changed bit passes.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from model_store.errors import CorruptObject, InvalidDocument, UnsupportedFormat

FORMAT = 1
_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")


def seal(body: Mapping[str, Any], *, number: int = FORMAT) -> bytes:
    """The bytes of a record of that format: sorted keys, no spaces, UTF-8; the digest is over the same JSON without its digest.

    Raises InvalidDocument if the body is not JSON (NaN, infinities and lone surrogates are not).
    """
    begin, end = b'{"body":' + _canonical(body), b',"format":' + _canonical(number) + b"}"
    return begin + f',"digest":"sha256:{hashlib.sha256(begin + end).hexdigest()}"'.encode() + end


def unseal(data: bytes, key: str) -> dict[str, Any]:
    """The body sealed in `data`, which was stored under `key`, of a kind of record that has one format.

    Raises CorruptObject if any bit differs from what was sealed, UnsupportedFormat if it is whole but of another format.
    """
    return unseal_any(data, key, newest=FORMAT)[0]


def unseal_any(data: bytes, key: str, *, newest: int) -> tuple[dict[str, Any], int]:
    """As `unseal`, for a kind of record whose formats 1 to `newest` are all read: the body, and its format."""
    try:
        envelope = json.loads(data)
        body, number = envelope["body"], envelope["format"]
        whole = isinstance(body, dict) and seal(body, number=number) == data
    except (ValueError, TypeError, KeyError, RecursionError, InvalidDocument):
        whole = False
    if not whole:
        raise damaged(key, "its content does not match its digest")
    if type(number) is not int or not 1 <= number <= newest:
        known = f"1 to {newest}" if newest > 1 else "1"
        raise UnsupportedFormat(f"{key} has a format that this release does not read (it reads {known}): upgrade the service")
    return dict(body), number


def damaged(key: str, what: str) -> CorruptObject:
    """The error for a damaged object: its key, what is wrong, and the ways out."""
    return CorruptObject(f"{key} is damaged: {what}; move the alias to another version (roll back) or restore this file from a backup")


def require(condition: bool, rule: str) -> None:  # noqa: FBT001  an assertion reads condition first
    """Raises InvalidDocument with the rule unless the condition holds."""
    if not condition:
        raise InvalidDocument(rule)


def timestamp() -> str:
    """The time now: UTC, ISO 8601, microseconds, ending in Z."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def is_timestamp(value: object) -> bool:
    """Whether the value is a time in the form `timestamp` gives."""
    if not isinstance(value, str) or _TIMESTAMP.fullmatch(value) is None:
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _canonical(value: object) -> bytes:
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidDocument(
            "the record cannot be written as JSON: use objects with text keys, lists, text, finite numbers, true, false and null"
        ) from error
