"""The commit of a version: the move of `live` to it, by the process that publishes it or by a retry after that process has died.

Invariant: of what was asked for under one key at most one version stays, and one that `live` ever named stays.
"""

from itertools import takewhile

from model_store import aliases, models, versions
from model_store.aliases import AliasRecord
from model_store.errors import Conflict
from model_store.manifest import Intent, Manifest
from model_store.names import LIVE
from model_store.storage import Objects


def commit(objects: Objects, manifest: Manifest, move: AliasRecord | None, *, expect: int | None) -> None:
    """The last steps of a publish, which may be repeated: the model is there, and `live` moves, if it is to.

    Raises Conflict, and the version is deleted, if `live` names another version than expected.
    """
    models.mark(objects, manifest.model)
    try:
        if move is not None:
            aliases.append(objects, manifest.model, move, expect=expect)
    except Conflict:
        if _was_live(objects, manifest):  # a retry was quicker, or what it was a retry of
            return
        versions.bury(objects, manifest.model, manifest.version)
        raise


def committed(objects: Objects, model: str, idempotency_key: str, *, since: str, newest: int) -> int | None:
    """The version that was published with this key at or after the time `since`; what was begun is committed now, or deleted."""
    before = 0  # a version that was there then: all made since have larger numbers
    for move in aliases.moves(objects, model, LIVE) if models.exists(objects, model) else ():
        if move.idempotency_key == idempotency_key:
            return move.version
        if move.time < since:
            before = move.version or 0
            break
    for number in takewhile(lambda number: number > before, versions.newest(objects, model, before=newest + 1)):
        manifest = versions.read(objects, model, number)
        intent = manifest.intent
        if intent is not None and intent.idempotency_key == idempotency_key and manifest.created >= since:
            return manifest.version if _is_ended(objects, manifest, intent) else None
    return None


def _is_ended(objects: Objects, manifest: Manifest, intent: Intent) -> bool:
    """Commit what a process that died has left; False where another version is live than it expected."""
    move = aliases.draft(LIVE, manifest.version, who=intent.who, reason=manifest.operation, idempotency_key=intent.idempotency_key)
    try:
        commit(objects, manifest, move if intent.promote else None, expect=intent.expect)
    except Conflict:
        return False
    return True


def _was_live(objects: Objects, manifest: Manifest) -> bool:
    moves = takewhile(lambda move: move.time >= manifest.created, aliases.moves(objects, manifest.model, LIVE))
    return any(move.version == manifest.version for move in moves)
