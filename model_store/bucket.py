"""Objects in a bucket (s3://, gs://, az://) under keys that are relative POSIX paths.

Invariant: what `create` reported stays as it was put, and of several creates of one key exactly one is reported.
There is no lock in a bucket: `shared` and `alone` hold nothing. What is taken away is safe by its age alone: nothing younger than
`settled_seconds` is removed as unused, and what is used again after a quarter of that is written again (`expiring`). A publish
must therefore come to its manifest within three quarters of that time, and the clocks of replicas and bucket agree within a few
minutes.

Credentials and endpoints are those of obstore's own environment variables: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL and AWS_ALLOW_HTTP; GOOGLE_SERVICE_ACCOUNT and the like; AZURE_STORAGE_ACCOUNT_NAME,
AZURE_STORAGE_ACCOUNT_KEY and the like; or the identity of the machine. No text of the library is passed on: it may name them.
"""

import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import obstore
from obstore import exceptions, store

from model_store.errors import AlreadyExists, NotFound, StoreError, StoreFull, StoreUnavailable
from model_store.objects import absent, check_key

SCHEMES = {"s3": "AWS", "gs": "GOOGLE", "az": "AZURE"}  # of the address, and how obstore's variables begin
SETTLED_SECONDS = 3600.0
WRITER = "writer"  # metadata by which a create that was sent twice knows its own first
LARGE = 1 << 20  # bytes from which the time of a put is that of its bytes, not of the bucket
TRIES = 5
PAGE = 1000  # objects in one answer to a listing
# One retry: a caller is to fail within seconds. Without these, obstore tries for three minutes.
RETRY: Any = {
    "max_retries": 1,
    "retry_timeout": timedelta(seconds=3),
    "backoff": {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=1), "base": 2},
}
# `timeout` bounds a whole request with its body, `read_timeout` each wait for the next bytes of the answer, so that a large object
# may take its time and a silent bucket may not. A put is answered when its last byte has arrived: only `timeout` can bound it.
QUICK: Any = {"connect_timeout": timedelta(seconds=1), "timeout": timedelta(seconds=3)}
READING: Any = {"connect_timeout": timedelta(seconds=1), "read_timeout": timedelta(seconds=3), "timeout": timedelta(seconds=300)}
WRITING: Any = {"connect_timeout": timedelta(seconds=1), "timeout": timedelta(seconds=300)}

T = TypeVar("T")


class BucketObjects:
    """The objects under one prefix of a bucket, shared by any number of threads, processes and machines."""

    def __init__(self, url: str, *, settled_seconds: float = SETTLED_SECONDS) -> None:
        try:
            self._quick, self._reading, self._writing = (connect(url, options) for options in (QUICK, READING, WRITING))
        except (exceptions.BaseError, ValueError):
            raise StoreUnavailable("the bucket of the store cannot be used: check its address and the variables of its provider") from None
        self._settled_seconds = settled_seconds

    @property
    def settled_seconds(self) -> float:
        """The age below which nothing is removed as unused."""
        return self._settled_seconds

    def create(self, key: str, data: bytes) -> None:
        """Puts the object if its key is free; AlreadyExists if it is taken."""
        writer = secrets.token_hex(16)
        for _ in range(TRIES):
            try:
                self._put(key, data, mode="create", attributes={WRITER: writer})
            except AlreadyExists:
                # Either it is taken; or a first sending of ours arrived and its answer did not, and obstore sent it again; or
                # (S3's 409, which obstore tells in the same way) a rival was busy, and nothing need be there.
                first = self._writer(key)
                if first is None:
                    continue
                if first != writer:
                    raise
            return
        raise StoreUnavailable(f"the bucket is busy at {key}: try again")

    def replace(self, key: str, data: bytes) -> None:
        """Puts the object whatever was under its key; the last of several writers wins."""
        self._put(key, data, mode="overwrite")

    def read(self, key: str) -> bytes:
        """The object's bytes; NotFound if there is none."""
        return self._tell(key, lambda: bytes(obstore.get(self._reading, key).bytes()))

    def exists(self, key: str) -> bool:
        """Whether there is an object under the key: one request."""
        try:
            self._tell(key, lambda: obstore.head(self._quick, key))
        except NotFound:
            return False
        return True

    def age(self, key: str) -> float:
        """Seconds since the object was written, by the bucket's clock and ours; NotFound if there is none."""
        written = self._tell(key, lambda: obstore.head(self._quick, key)["last_modified"])
        return (datetime.now(UTC) - written).total_seconds()

    def expiring(self, key: str) -> bool:
        """Whether the object is older than a quarter of `settled_seconds`."""
        return self.age(key) > self._settled_seconds / 4

    def names(self, prefix: str) -> list[str]:
        """The names directly under the prefix, sorted; none if nothing is there; a request per thousand."""
        listed = self._tell(prefix, lambda: obstore.list_with_delimiter(self._quick, prefix))
        found = [*listed["common_prefixes"], *(item["path"] for item in listed["objects"])]
        return sorted({path.rstrip("/").rpartition("/")[2] for path in found})

    def each_object(self, prefix: str) -> Iterator[str]:
        """The names of the objects directly under the prefix, in no order and never all at once; a request per thousand."""
        pages = iter(self._tell(prefix, lambda: obstore.list(self._quick, prefix, chunk_size=PAGE)))
        while (page := self._tell(prefix, lambda: next(pages, None))) is not None:
            for item in page:
                folder, _, name = item["path"].rpartition("/")
                if folder == prefix:
                    yield name

    def delete(self, key: str) -> None:
        """Removes the object; it need not exist."""
        with suppress(NotFound):  # some providers say so
            self._tell(key, lambda: obstore.delete(self._quick, key))

    def sweep(self, older_than_seconds: float) -> int:  # noqa: ARG002 - the protocol's signature
        """Nothing: a put is whole or not there, and leaves nothing behind."""
        return 0

    def shared(self) -> AbstractContextManager[None]:
        """Holds nothing: a bucket has no lock."""
        return nullcontext()

    def alone(self) -> AbstractContextManager[None]:
        """Holds nothing: a bucket has no lock."""
        return nullcontext()

    def _put(self, key: str, data: bytes, **options: Any) -> None:
        target = self._writing if len(data) >= LARGE else self._quick
        try:
            # In parts it would not be one put, and so not put-if-absent.
            self._tell(key, lambda: obstore.put(target, key, data, use_multipart=False, **options))
        except NotFound:  # what S3 says of a put when the bucket itself is not there
            raise _no_bucket() from None

    def _writer(self, key: str) -> str | None:
        """Who created the object ("" if it does not say); None if it is not there."""
        try:
            got = self._tell(key, lambda: obstore.get(self._quick, key, options={"head": True}))
        except NotFound:
            return None
        return str(dict(got.attributes).get(WRITER, ""))

    def _tell(self, key: str, call: Callable[[], T]) -> T:
        """The result of a call; its errors in the store's words."""
        check_key(key)
        try:
            return call()
        except FileNotFoundError:
            raise absent(key) from None
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError):  # Azure gives the second
            raise AlreadyExists(f"{key} exists already") from None
        except (exceptions.BaseError, OSError, ValueError) as error:
            raise _translated(error, key) from None


def connect(url: str, options: Any) -> store.ObjectStore:
    """A bucket at an address, with the times of `options`; raises obstore's BaseError or ValueError where that cannot be."""
    # Given any client option, obstore no longer looks for this one in the environment.
    plain = os.environ.get(f"{SCHEMES[url.partition('://')[0]]}_ALLOW_HTTP", "").lower() in ("1", "true", "yes", "on")
    options = {**options, "allow_http": plain}
    connected: store.ObjectStore = store.from_url(url, client_options=options, retry_config=RETRY)
    return connected


def _translated(error: Exception, key: str) -> StoreError:
    if isinstance(error, (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)):
        return StoreUnavailable(
            f"the bucket does not allow these credentials to use {key}: give them the right to list, read, write and delete"
        )
    found = re.search(r"status code: (\d{3})", str(error))
    status = int(found[1]) if found else 0
    if status == 507:
        return StoreFull(f"no space is left in the bucket to write {key}: free some, or delete versions and collect, then try again")
    if status == 404:
        return _no_bucket()
    why = f"it answers with status {status}" if status else "it does not answer"
    return StoreUnavailable(f"the bucket failed at {key} ({why}): check the network, the endpoint and the provider, then try again")


def _no_bucket() -> StoreUnavailable:
    return StoreUnavailable("the bucket of the store does not exist: create it, or mend PLUMBLINE_STORE")
