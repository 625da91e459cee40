"""Which versions of a model are kept, and which of them keep their memory.

Invariant: it runs alone, and never takes anything from a version that an alias names.
"""

from dataclasses import dataclass

from model_store import aliases, memory, versions
from model_store.storage import Objects


@dataclass(frozen=True)
class Retired:
    """How many versions were deleted, and how many pieces of memory dropped."""

    versions: int
    memories: int


def retire(objects: Objects, model: str, *, keep_versions: int, keep_memories: int, older_than_seconds: float) -> Retired:
    """Deletes all but the latest `keep_versions` versions, and the memory of all but the latest `keep_memories`, aliased ones apart.

    Memory younger than `older_than_seconds` stays, for where nothing holds a publish under way and this apart.
    Raises CorruptObject, having dropped no memory, if a manifest that keeps its memory cannot be read.
    """
    with objects.alone():
        present = versions.Numbers.of(objects, model).present
        named = set(aliases.current(objects, model).values())
        surplus = [number for number in present[: max(0, len(present) - keep_versions)] if number not in named]
        for number in surplus:
            versions.bury(objects, model, number)
        remembering = {*present[max(0, len(present) - keep_memories) :], *named}.intersection(present).difference(surplus)
        kept = {digest for number in remembering for digest in versions.read(objects, model, number).memory.values()}
        dropped = memory.drop(objects, model, keep=kept, older_than_seconds=older_than_seconds)
        return Retired(versions=len(surplus), memories=dropped)
