"""The ledger: which rows a version has learned, as digests under secret keys, so that only those can be forgotten.

It consists of segments, the oldest first: each operation adds one for every so many rows, sorted while others are still read, and small
ones are joined so that their number stays logarithmic.
A forget writes the segments that held the rows anew, so that nothing of the rows is left in them.
Invariant: the segments together count each row as often as it was learned and not forgotten; rows of weight 0 are not in them.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from service.regression.limbs import Integers
from service.regression.products import Array
from service.regression.row_digests import Digests, Groups, RowHasher, groups_of
from service.training.pieces import LEDGER, Piece
from service.training.segments import Entries, entries_of, joined

_FORMAT = 1
_LARGE = 1 << 16  # rows from which on a segment is not joined any more: no learn waits longer than milliseconds for it


@dataclass(frozen=True)
class Segment:
    """Rows under one key. All of them came after version `since`: earlier versions of the same line do not have them from here."""

    key: bytes
    since: int
    distinct: int
    content: Entries | Piece

    @classmethod
    def of(cls, key: bytes, since: int, entries: Entries) -> "Segment":
        """A new segment."""
        return cls(key, since, len(entries.counts), entries)

    def entries(self) -> Entries:
        """The digests and their counts."""
        return self.content.read(Entries.from_bytes) if isinstance(self.content, Piece) else self.content


class Ledger:
    """The segments of one version, to be changed in place."""

    def __init__(self, segments: Sequence[Segment] = (), *, key: bytes | None = None) -> None:
        self.segments = list(segments)
        self.key = key or (self.segments[-1].key if self.segments else os.urandom(32))
        self._hasher = RowHasher(self.key)
        self._noted: list[Digests] = []
        self._sorted: list[Entries] = []

    @classmethod
    def load(cls, index: Piece) -> "Ledger":
        """The ledger whose index is given; its segments stay in the store until they are needed."""
        described = index.read(_parsed)
        segments = [
            Segment(bytes.fromhex(part["key"]), part["since"], part["distinct"], replace(index, name=f"{LEDGER}.{number}"))
            for number, part in enumerate(described)
        ]
        return cls(segments)

    @property
    def keys(self) -> tuple[bytes, ...]:
        """The keys of all segments, each once."""
        return tuple(dict.fromkeys(segment.key for segment in self.segments))

    def add(self, X: Array, Y: Array, weights: Array | None) -> None:
        """Note design rows X [n, features] with targets Y [n, targets] and weights [n]."""
        if weights is not None and not weights.all():
            counted = weights > 0
            X, Y, weights = X[counted], Y[counted], weights[counted]
        self._noted.append(self._hasher.digests(X, Y, weights))
        if sum(map(len, self._noted)) >= _LARGE:
            self._sort()

    def settle(self, since: int) -> None:
        """Make what `add` noted the segments, of rows that came after version `since`; again where another version came first."""
        self._sort()
        self.segments = []
        self.append([Segment.of(self.key, since, entries) for entries in self._sorted])

    def _sort(self) -> None:
        """Sort what was noted last."""
        if self._noted:
            self._sorted.append(entries_of(np.concatenate(self._noted)))
            self._noted = []

    def date(self, since: int) -> None:
        """Say that all rows came after version `since` of the model that the ledger is now for."""
        self.segments = [replace(segment, since=since) for segment in self.segments]

    def append(self, segments: Sequence[Segment]) -> None:
        """Add segments as the newest; small ones at the end become one."""
        self.segments += [segment for segment in segments if segment.distinct]
        while len(self.segments) > 1:
            older, newer = self.segments[-2:]
            both = older.distinct + newer.distinct
            if older.key != newer.key or older.distinct > 2 * newer.distinct or both > _LARGE:
                break
            entries = joined(older.entries(), newer.entries())
            self.segments[-2:] = [Segment.of(older.key, min(older.since, newer.since), entries)]

    def remove(self, rows: "Wanted") -> "Taken":
        """Take rows out, from the newest segments first; what is not there is told, and then the ledger is not to be used."""
        first, left = rows.groups.first, rows.groups.counts.copy()
        segments, since = list(self.segments), None
        for place in range(len(segments) - 1, -1, -1):
            if not left.any():
                break
            segment = segments[place]
            entries = segment.entries()
            at = entries.places(rows.digests(segment.key)[first])
            taken = np.where(at >= 0, np.minimum(left, entries.counts[at] if len(entries.counts) else 0), 0)
            if taken.any():
                left -= taken
                since = segment.since if since is None else min(since, segment.since)
                segments[place] = Segment.of(segment.key, segment.since, entries.without(at, taken))
        self.segments = [segment for segment in segments if segment.distinct]
        return Taken(missing=rows.places_of_last(left), since=since or 0)

    def has_any(self, rows: "Wanted") -> bool:
        """Whether any of the rows is in it."""
        return any((segment.entries().places(rows.digests(segment.key)[rows.groups.first]) >= 0).any() for segment in self.segments)

    def pieces(self) -> dict[str, bytes | str]:
        """What the store is to keep."""
        index = [{"key": part.key.hex(), "since": part.since, "distinct": part.distinct} for part in self.segments]
        pieces: dict[str, bytes | str] = {LEDGER: json.dumps({"format": _FORMAT, "segments": index}).encode()}
        for number, segment in enumerate(self.segments):
            content = segment.content
            pieces[f"{LEDGER}.{number}"] = content.kept() if isinstance(content, Piece) else content.to_bytes()
        return pieces


@dataclass(frozen=True)
class Taken:
    """What a removal found: places of rows that are `missing`, and the version after which all that were found came."""

    missing: Integers
    since: int


class Wanted:
    """Rows asked about, in the order they came: their digests under each key that a ledger may have."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._hashers = {key: RowHasher(key) for key in keys}
        self._parts: dict[bytes, list[Digests]] = {key: [] for key in keys}
        self._places: list[Integers] = []

    def add(self, X: Array, Y: Array, weights: Array | None, *, places: Integers) -> None:
        """Ask about design rows; `places` [n] are theirs in the request. Rows of weight 0 are not asked about: they count nowhere."""
        if weights is not None and not weights.all():
            counted = weights > 0
            X, Y, weights, places = X[counted], Y[counted], weights[counted], places[counted]
        for key, hasher in self._hashers.items():
            self._parts[key].append(hasher.digests(X, Y, weights))
        self._places.append(places)

    def digests(self, key: bytes) -> Digests:
        """The digests [n, 2] under a key; none are asked for under a key that is not known."""
        if len(parts := self._parts[key]) > 1:
            self._parts[key] = parts = [np.concatenate(parts)]
        return parts[0]

    @cached_property
    def places(self) -> Integers:
        """The places [n] of the rows in the request."""
        return np.concatenate(self._places)

    @cached_property
    def groups(self) -> Groups:
        """Which of the rows are equal."""
        return groups_of(self.digests(next(iter(self._parts))))

    def places_of_last(self, left: Integers) -> Integers:
        """The places of the last `left` [groups] rows of each group, ascending."""
        return np.sort(self.places[self.groups.last(left)])


def _parsed(data: bytes) -> list[dict[str, Any]]:
    """The segments that an index lists."""
    try:
        document = json.loads(data)
        if document["format"] != _FORMAT:
            raise ValueError(f"it is of format {document['format']}, this program reads format {_FORMAT}")
        return [{"key": part["key"], "since": part["since"], "distinct": part["distinct"]} for part in document["segments"]]
    except (KeyError, TypeError) as error:
        raise ValueError("it is no index of a ledger") from error
