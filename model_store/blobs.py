"""Objects named by the SHA-256 of their content: what serves versions, under `blobs/sha256/<hex>`, for all models together.

Invariant: what is read under a digest matches it, so neither damage nor a mix-up passes.
"""

import hashlib
from collections.abc import Mapping

from model_store.errors import AlreadyExists, InvalidName, NotFound
from model_store.names import is_digest
from model_store.sealed import damaged
from model_store.storage import Objects

PREFIX = "sha256:"


def digest(data: bytes) -> str:
    """`sha256:` and 64 hexadecimal digits."""
    return PREFIX + hashlib.sha256(data).hexdigest()


def digests(blobs: Mapping[str, bytes]) -> dict[str, str]:
    """The digest of every blob, under the blob's name."""
    return {name: digest(data) for name, data in blobs.items()}


def key_of(name: str) -> str:
    """The key of a blob by its digest; InvalidName unless that is `sha256:` and 64 hexadecimal digits."""
    if not is_digest(name):
        raise InvalidName("not the digest of a blob: use 'sha256:' and 64 hexadecimal digits in lower case")
    return "blobs/sha256/" + name.removeprefix(PREFIX)


def put(objects: Objects, key: str, data: bytes) -> None:
    """Stores a blob under its key; one that is there already is verified, and mended if it is damaged."""
    try:
        objects.create(key, data)
    except AlreadyExists:
        if objects.read(key) != data or objects.expiring(key):
            objects.replace(key, data)


def read(objects: Objects, key: str, expected: str) -> bytes:
    """The bytes of a blob, verified; NotFound if it is not there, CorruptObject if its digest is not the one `expected`."""
    data = objects.read(key)
    if digest(data) != expected:
        raise damaged(key, "its content does not match its digest")
    return data


def require(objects: Objects, name: str) -> bytes:
    """The bytes of a blob that a manifest names; CorruptObject if they are damaged or missing."""
    key = key_of(name)
    try:
        return read(objects, key, name)
    except NotFound:
        raise damaged(key, "it is missing") from None
