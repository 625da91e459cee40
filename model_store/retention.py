"""Which versions of a model are kept, and which of them keep their memory.

Invariant: it runs alone, and never takes anything from a version that an alias names.
"""

from dataclasses import dataclass
from itertools import islice, takewhile

from model_store import aliases, memory, versions
from model_store.storage import Objects


@dataclass(frozen=True)
class Retired:
    """How many versions were deleted, and how many pieces of memory dropped."""

    versions: int
    memories: int


def retire(
    objects: Objects, model: str, *, newest: int, keep_versions: int, keep_memories: int, older_than_seconds: float, thorough: bool
) -> Retired:
    """Deletes the versions more than `keep_versions` numbers before `newest`, and drops the memory of all but the latest `keep_memories`.

    Those that an alias names keep both. It goes down from the first that is too many to one that is deleted already, so that its
    effort does not grow with the numbers used; where it is `thorough`, it looks at every one. Memory younger than
    `older_than_seconds` stays, for where nothing holds a publish under way and this apart.
    Raises CorruptObject, having dropped no memory, if a manifest that keeps its memory cannot be read.
    """
    with objects.alone():
        named = set(aliases.current(objects, model).values())
        surplus = [number for number in _before(objects, model, newest - keep_versions, thorough=thorough) if number not in named]
        for number in surplus:
            versions.bury(objects, model, number)
        latest = islice(versions.newest(objects, model, before=newest + 1), keep_memories)
        remembering = {*latest, *(number for number in named if versions.is_present(objects, model, number))}
        kept = {digest for number in remembering for digest in versions.read(objects, model, number).memory.values()}
        dropped = memory.drop(objects, model, keep=kept, older_than_seconds=older_than_seconds)
        return Retired(versions=len(surplus), memories=dropped)


def _before(objects: Objects, model: str, last: int, *, thorough: bool) -> list[int]:
    """The versions up to the number `last`: all, or those down to the first that is deleted."""
    if thorough:
        return [number for number in versions.Numbers.of(objects, model).present if number <= last]
    return list(takewhile(lambda number: versions.is_present(objects, model, number), range(last, 0, -1)))
