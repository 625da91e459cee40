"""What the store needs of storage: objects under keys, put-if-absent, and one lock or an age that stands in for it.

`LocalObjects` offers it on a directory, `BucketObjects` in a bucket, and `MirroredObjects` in a bucket with a copy at hand.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol


class Objects(Protocol):
    """Objects under keys that are relative POSIX paths; under its key an object is absent or whole.

    Every method raises InvalidName for what is not a key, and StoreUnavailable or StoreFull when the storage fails.
    """

    @property
    def settled_seconds(self) -> float:
        """The age below which nothing is removed as unused, because a publish under way may need it; 0 where a lock guards it."""

    def create(self, key: str, data: bytes) -> None:
        """Puts the object if its key is free; AlreadyExists if it is taken."""

    def replace(self, key: str, data: bytes) -> None:
        """Puts the object whatever was under its key; the last of several writers wins."""

    def read(self, key: str) -> bytes:
        """The object's bytes; NotFound if there is none."""

    def exists(self, key: str) -> bool:
        """Whether there is an object under the key."""

    def age(self, key: str) -> float:
        """Seconds since the object was written; NotFound if there is none."""

    def expiring(self, key: str) -> bool:
        """Whether an object that is about to be used again must be written again for that, lest its age lets it be removed."""

    def names(self, prefix: str) -> list[str]:
        """The names directly under the prefix, sorted; none if nothing is there."""

    def each_object(self, prefix: str) -> Iterator[str]:
        """The names of the objects directly under the prefix, in no order and never all at once, however many there are."""

    def delete(self, key: str) -> None:
        """Removes the object; it need not exist."""

    def sweep(self, older_than_seconds: float) -> int:
        """Removes what writers that died left behind, if older than that many seconds; how many that were."""

    def shared(self) -> AbstractContextManager[None]:
        """Held while something is added: any number at once, none beside `alone`."""

    def alone(self) -> AbstractContextManager[None]:
        """Held while something is taken away: one at a time, none beside `shared`."""
