"""The errors of the store, one small tree; every text says what is wrong, where (the key), and what to do.

StoreError
├── NotFound              nothing under this key, no such job
│   ├── UnknownModel
│   ├── UnknownVersion
│   ├── UnknownAlias
│   └── Forgotten         the version is there, its memory is not any more
├── AlreadyExists         put-if-absent found something under its key
├── Conflict              the state is not the one expected, so nothing was changed
├── InvalidName           not a name, alias, digest or key of the store
├── InvalidDocument       what is to be stored is not what a record may hold
├── BadArchive            what is to be imported is not an exported version, or is damaged
├── CorruptObject         a stored object is damaged
│   └── UnsupportedFormat a stored object is whole, but written by a newer release
├── StoreFull             no space or quota left
└── StoreUnavailable      the storage refuses or fails: rights, read-only, input/output, a lock held too long
"""


class StoreError(Exception):
    """Base of all errors of the store."""


class NotFound(StoreError):
    """Nothing is stored there."""


class UnknownModel(NotFound):
    """No model has this name."""


class UnknownVersion(NotFound):
    """The model has no version of this number, or it was deleted."""


class UnknownAlias(NotFound):
    """The model has no alias of this name."""


class Forgotten(NotFound):
    """The memory of a version was dropped, as it is for all but the latest and the aliased ones."""


class AlreadyExists(StoreError):
    """Something is stored under this key already."""


class Conflict(StoreError):
    """The state of the model is not the one the call needs; nothing was changed."""


class InvalidName(StoreError):
    """A name, alias, digest or key that the store never uses; the text does not repeat it."""


class InvalidDocument(StoreError):
    """A field to be stored has a wrong type or cannot be written as JSON; nothing was stored."""


class BadArchive(StoreError):
    """Bytes to be imported are not an exported version, or not a whole one; nothing was stored."""


class CorruptObject(StoreError):
    """A stored object is damaged, misplaced or missing."""


class UnsupportedFormat(CorruptObject):
    """A stored object is whole but has a format number that this release does not read."""


class StoreFull(StoreError):
    """No space, or no quota, is left."""


class StoreUnavailable(StoreError):
    """The storage refuses or fails."""
