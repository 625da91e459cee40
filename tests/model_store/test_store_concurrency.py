"""Many processes at once: no number twice, no publish lost, no blob taken away in use."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path

from model_store import ModelStore
from model_store.errors import Conflict

PROCESSES = 8
EACH = 12
LIMIT_SECONDS = 120


def together(calls: list[tuple[Callable[..., None], tuple[object, ...]]]) -> None:
    """Runs every call in a process of its own, all starting at once; each must end well."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(len(calls))
    processes = [context.Process(target=worker, args=(barrier, *arguments)) for worker, arguments in calls]
    for process in processes:
        process.start()
    for process in processes:
        process.join(LIMIT_SECONDS)
    assert [process.exitcode for process in processes] == [0] * len(processes)


def publish_some(barrier: Barrier, root: Path, who: int) -> None:
    store = ModelStore.open(root)
    barrier.wait(LIMIT_SECONDS)
    for turn in range(EACH):
        store.publish("m", blobs={"state_dict": b"%d %d" % (who, turn), "same": b"same"}, document={"who": who, "turn": turn}, who=str(who))


def count_up(barrier: Barrier, root: Path) -> None:
    """A living operation: version n + 1 is made from version n, and holds one more."""
    store = ModelStore.open(root)
    barrier.wait(LIMIT_SECONDS)
    for _ in range(EACH):
        done = False
        while not done:
            base = store.resolve("m", "live")
            total = store.manifest("m", base).document["total"]
            made = store.publish("m", blobs={}, document={"total": total + 1}, parent=base, promote=False)
            try:
                store.move_alias("m", "live", made.version, expect=base)
                done = True
            except Conflict:
                store.delete_version("m", made.version)


def publish_and_delete(barrier: Barrier, root: Path, who: int) -> None:
    """Reuses blobs that others have just made unreferenced, and checks what it published."""
    store = ModelStore.open(root)
    barrier.wait(LIMIT_SECONDS)
    for turn in range(3 * EACH):
        data = b"%d" % ((who + turn) % 3)
        made = store.publish(f"m{who}", blobs={"state_dict": data}, document={})
        assert store.blob(made.blobs["state_dict"]) == data
        if made.version > 1:
            store.delete_version(f"m{who}", made.version - 1)


def collect_all_the_time(barrier: Barrier, root: Path) -> None:
    store = ModelStore.open(root)
    barrier.wait(LIMIT_SECONDS)
    for _ in range(10 * EACH):
        store.collect(older_than_seconds=0)


def test_eight_publishers_lose_nothing(root: Path) -> None:
    """Versions and moves are gap-free, and every publish of every process is there with its blob."""
    ModelStore.open(root)
    together([(publish_some, (root, who)) for who in range(PROCESSES)])
    store = ModelStore.open(root)
    numbers = list(range(1, PROCESSES * EACH + 1))
    manifests = [store.manifest("m", version) for version in store.versions("m")]
    assert [manifest.version for manifest in manifests] == numbers
    assert sorted((manifest.document["who"], manifest.document["turn"]) for manifest in manifests) == [
        (who, turn) for who in range(PROCESSES) for turn in range(EACH)
    ]
    assert all(
        store.blob(manifest.blobs["state_dict"]) == b"%d %d" % (manifest.document["who"], manifest.document["turn"])
        for manifest in manifests
    )
    history = store.alias_history("m", "live")
    assert [move.seq for move in history] == numbers
    assert sorted(move.version or 0 for move in history) == numbers


def test_compare_and_set_counts_exactly(root: Path) -> None:
    """Writers that rebase when they lose the race add up to what they did, as the alias record alone commits."""
    ModelStore.open(root).publish("m", blobs={}, document={"total": 0})
    together([(count_up, (root,))] * 4)
    store = ModelStore.open(root)
    assert store.manifest("m", store.resolve("m", "live")).document == {"total": 4 * EACH}
    assert [store.manifest("m", move.version or 0).document["total"] for move in store.alias_history("m", "live")] == list(
        range(4 * EACH + 1)
    )


def test_collect_never_takes_a_blob_in_use(root: Path) -> None:
    """Beside publishers that reuse just-deleted blobs, a collect of any age removes only what is unused."""
    ModelStore.open(root)
    together([(collect_all_the_time, (root,)), *((publish_and_delete, (root, who)) for who in range(4))])
    store = ModelStore.open(root)
    assert store.models() == ["m0", "m1", "m2", "m3"]
    for model in store.models():
        for version in store.versions(model):
            assert store.blob(store.manifest(model, version).blobs["state_dict"]) in {b"0", b"1", b"2"}
