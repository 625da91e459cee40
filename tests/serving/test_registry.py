"""What a worker serves: the newest version that loads, without restarts, and never a half-loaded or damaged one."""

import gc
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save

from model_store.errors import NotFound, UnknownAlias, UnknownModel, UnknownVersion
from model_store.store import ModelStore
from service.errors import MustWait, NotReady
from service.regression.model import LinearRegression
from service.regression.schema import Feature, Frame, Schema
from service.regression.terms import parse_term
from service.serving.registry import FRESH_SECONDS, Registry

CPU = torch.device("cpu")
RETRY = 2.0
SCHEMA = Schema((Feature("x", "numeric"),), (parse_term("x", {"x": "numeric"}),), ("y",), Frame())


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(root: Path) -> ModelStore:
    return ModelStore.open(root)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(store: ModelStore, clock: Clock) -> Callable[..., Registry]:
    """Registries of the one store, each like a worker of its own."""

    def make(capacity: int = 10, may_wait: Callable[[], bool] = lambda: True) -> Registry:
        return Registry(store, CPU, capacity=capacity, retry_seconds=RETRY, clock=clock, may_wait=may_wait)

    return make


def publish(store: ModelStore, slope: float, model: str = "m", *, schema: Schema = SCHEMA, **options: Any) -> int:
    """Publish y = slope x as the next version."""
    blob = LinearRegression.from_coefficients(np.array([[slope]]), np.array([0.0])).to_bytes()
    document = {"schema": schema.to_dict(), "fit": {}}
    return store.publish(model, blobs={"state_dict": blob}, document=document, **options).version


def damage(root: Path, store: ModelStore, version: int, model: str = "m") -> Callable[[], None]:
    """Turn a bit of a version's weights; what is returned turns it back."""
    digest = store.manifest(model, version).blobs["state_dict"]
    path = root / "blobs" / "sha256" / digest.removeprefix("sha256:")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))

    def mend() -> None:
        path.write_bytes(whole)

    return mend


def slope(registry: Registry, model: str = "m", **which: str) -> float:
    """The slope that is served."""
    return float(registry.get(model, **which).module.predict(np.ones((1, 1)))[0, 0])


@contextmanager
def held_load(store: ModelStore) -> Iterator[threading.Event]:
    """Loads wait until the block ends; yields the event that tells that one has begun."""
    loading, go_on = threading.Event(), threading.Event()
    manifest = store.manifest

    def slow(model: str, version: int) -> Any:
        loading.set()
        assert go_on.wait(30)
        return manifest(model, version)

    store.manifest = slow  # type: ignore[method-assign]  # the one step at which a load can be held
    try:
        yield loading
    finally:
        go_on.set()


def test_a_new_version_is_served_by_the_next_request(store: ModelStore, make: Callable[..., Registry]) -> None:
    """Every worker serves a version as soon as it is published, without being told."""
    publish(store, 1)
    workers = [make(), make()]
    assert [slope(worker) for worker in workers] == [1, 1]

    for version in range(2, 6):
        publish(store, version)
        assert [(worker.get("m").version, slope(worker)) for worker in workers] == [(str(version), version)] * 2
        assert list(workers[0].live_versions()) == [("m", version)]


def test_versions_of_one_schema_share_it(store: ModelStore, make: Callable[..., Registry]) -> None:
    """Another schema, be it by a name, is another; one that no loaded version has is not kept."""
    registry = make(capacity=2)
    publish(store, 1)
    first = registry.get("m").schema
    publish(store, 2)
    assert registry.get("m").schema is first

    publish(store, 3, schema=replace(SCHEMA, targets=("z",)))
    assert registry.get("m").schema.targets == ("z",)
    gone = weakref.ref(first)
    publish(store, 4, schema=replace(SCHEMA, targets=("z",)))
    registry.get("m")
    del first
    gc.collect()
    assert gone() is None


def test_an_unpromoted_version_is_not_served(store: ModelStore, make: Callable[..., Registry]) -> None:
    """Publication without promotion changes nothing that is served; by its number the version is there."""
    publish(store, 1)
    registry = make()
    registry.get("m")
    publish(store, 2, promote=False)

    assert (slope(registry), slope(registry, version="2")) == (1, 2)


def test_aliases_are_followed(store: ModelStore, make: Callable[..., Registry]) -> None:
    """Each alias serves the version it names, and a rollback is served like any other move."""
    publish(store, 1)
    publish(store, 2)
    store.move_alias("m", "stable", 1)
    registry = make()
    assert (slope(registry), slope(registry, alias="stable")) == (2, 1)

    store.move_alias("m", "stable", 2)
    store.rollback("m")

    assert (slope(registry), slope(registry, alias="stable")) == (1, 2)


def test_what_is_not_there_is_not_found(store: ModelStore, make: Callable[..., Registry]) -> None:
    """Unknown models, versions and aliases are told apart."""
    publish(store, 1)
    registry = make()

    for error, model, which in (
        (UnknownModel, "other", {}),
        (UnknownModel, "other", {"version": "1"}),
        (UnknownVersion, "m", {"version": "2"}),
        (UnknownAlias, "m", {"alias": "stable"}),
    ):
        with pytest.raises(error):
            registry.get(model, **which)
    assert registry.failures() == {}


def test_a_deleted_model_is_gone_at_once(store: ModelStore, make: Callable[..., Registry]) -> None:
    """What was in memory does not outlive its model, and a new model of the name is served afresh."""
    publish(store, 1)
    registry = make()
    registry.get("m")

    store.delete_model("m")
    for _ in range(2):
        with pytest.raises(NotFound):
            registry.get("m")
    assert list(registry.live_versions()) == []
    publish(store, 5)

    assert (slope(registry), registry.get("m").version) == (5, "2")


def test_a_deleted_version_is_gone_at_once(store: ModelStore, make: Callable[..., Registry]) -> None:
    """A pinned version that was deleted is not served from memory."""
    publish(store, 1)
    publish(store, 2)
    registry = make()
    registry.get("m", version="1")
    store.delete_version("m", 1)

    with pytest.raises(UnknownVersion):
        registry.get("m", version="1")


def test_a_damaged_new_version_leaves_the_old_one_serving(
    root: Path, store: ModelStore, clock: Clock, make: Callable[..., Registry]
) -> None:
    """A version that cannot be loaded is told and tried again after a while; until it loads, the one before goes on."""
    publish(store, 1)
    registry = make()
    registry.get("m")
    mend = damage(root, store, publish(store, 2))

    assert slope(registry) == 1
    assert list(registry.failures()) == ["m@live"]
    assert "does not match its digest" in registry.failures()["m@live"]
    mend()
    clock.now += RETRY
    assert slope(registry) == 1
    clock.now += 0.001
    assert slope(registry) == 2
    assert registry.failures() == {}


def test_a_version_after_a_damaged_one_is_served_at_once(root: Path, store: ModelStore, make: Callable[..., Registry]) -> None:
    """A later publication does not wait for the retry of a damaged one."""
    publish(store, 1)
    registry = make()
    registry.get("m")
    damage(root, store, publish(store, 2))
    assert slope(registry) == 1
    publish(store, 3)

    assert (slope(registry), registry.failures()) == (3, {})


def test_a_fresh_worker_falls_back_past_damage(root: Path, store: ModelStore, make: Callable[..., Registry]) -> None:
    """A worker that starts when the newest versions are damaged serves the latest that `live` named and that loads."""
    publish(store, 1)
    publish(store, 2)
    for value in (3, 4):
        damage(root, store, publish(store, value))
    registry = make()
    registry.warm()

    assert slope(registry) == 2
    assert "does not match its digest" in registry.failures()["m@live"]
    with pytest.raises(NotReady):
        registry.get("m", version="4")


def test_a_model_without_a_loadable_version_is_not_ready(root: Path, store: ModelStore, make: Callable[..., Registry]) -> None:
    """When nothing can be loaded the request is refused, and served as soon as the damage is mended."""
    mend = damage(root, store, publish(store, 1))
    registry = make()
    registry.warm()

    with pytest.raises(NotReady, match="model m has no version that can be loaded: blobs/sha256/"):
        registry.get("m")
    mend()
    assert slope(registry) == 1


def test_a_damaged_alias_record_leaves_the_old_version_serving(
    root: Path, store: ModelStore, clock: Clock, make: Callable[..., Registry]
) -> None:
    """When the record of a move cannot be trusted, what is in memory serves on; a fresh worker is not ready."""
    publish(store, 1)
    registry = make()
    registry.get("m")
    publish(store, 2)
    record = root / "models/m/aliases/live/2.json"
    whole = record.read_bytes()
    record.write_bytes(whole[:-1])

    assert slope(registry) == 1
    assert "2.json is damaged" in registry.failures()["m@live"]
    with pytest.raises(NotReady):
        make().get("m")
    record.write_bytes(whole)
    clock.now += RETRY + 0.001
    assert (slope(registry), registry.failures()) == (2, {})


@pytest.mark.parametrize(
    ("blobs", "document"),
    [
        ({"state_dict": b"no safetensors"}, {"schema": SCHEMA.to_dict()}),
        ({"state_dict": save({"linear.other": torch.zeros(1, 1)})}, {"schema": SCHEMA.to_dict()}),
        ({"weights": b""}, {"schema": SCHEMA.to_dict()}),
        ({"state_dict": LinearRegression.from_coefficients(np.ones((1, 1)), None).to_bytes()}, {"other": 1}),
        ({"state_dict": LinearRegression.from_coefficients(np.ones((1, 2)), None).to_bytes()}, {"schema": SCHEMA.to_dict()}),
        ({"state_dict": LinearRegression.from_coefficients(np.ones((2, 1)), None).to_bytes()}, {"schema": SCHEMA.to_dict()}),
        (
            {"state_dict": LinearRegression.from_coefficients(np.full((1, 1), np.nan), None).to_bytes()},
            {"schema": SCHEMA.to_dict()},
        ),
    ],
)
def test_a_version_that_is_no_model_leaves_the_old_one_serving(
    store: ModelStore, make: Callable[..., Registry], blobs: dict[str, bytes], document: dict[str, Any]
) -> None:
    """A version whole in the store but made of something else is told and passed over like a damaged one."""
    publish(store, 1)
    registry = make()
    registry.get("m")
    store.publish("m", blobs=blobs, document=document)

    assert (slope(registry), slope(make())) == (1, 1)
    assert registry.failures() == {"m@live": "version 2 of model m cannot be used: see the log"}


def test_memory_is_bounded_and_the_least_recently_used_leaves(root: Path, store: ModelStore, make: Callable[..., Registry]) -> None:
    """Beyond its capacity a registry forgets the version unused for longest; one that was forgotten is read anew."""
    for value, model in enumerate("abc", start=1):
        publish(store, value, model)
    registry = make(capacity=2)
    registry.get("a")
    registry.get("b")
    registry.get("a")
    registry.get("c")
    for model in "abc":
        damage(root, store, 1, model)

    assert (slope(registry, "a"), slope(registry, "c")) == (1, 3)
    with pytest.raises(NotReady):
        registry.get("b")


def test_warming_loads_no_more_than_is_kept(root: Path, store: ModelStore, make: Callable[..., Registry]) -> None:
    """At its start a worker loads as many models as it keeps, and passes over those that have nothing live."""
    publish(store, 1, "a")
    publish(store, 2, "b", promote=False)
    publish(store, 3, "c")
    publish(store, 4, "d")
    registry = make(capacity=3)
    registry.warm()

    assert sorted(registry.live_versions()) == [("a", 1), ("c", 1)]


def test_what_is_loaded_never_trains(store: ModelStore, make: Callable[..., Registry]) -> None:
    """A loaded module is in eval mode on the registry's device, and none of its parameters needs a gradient."""
    publish(store, 1)
    module = make().get("m").module

    assert not module.training
    assert {(p.requires_grad, p.device, p.dtype) for p in module.parameters()} == {(False, CPU, torch.float64)}


def test_a_load_holds_up_nobody_who_has_a_version(store: ModelStore, make: Callable[..., Registry]) -> None:
    """While one thread loads a new version the others serve the old one, and afterwards all serve the new one."""
    publish(store, 1)
    registry = make()
    registry.get("m")
    publish(store, 2)
    served: list[float] = []
    thread = threading.Thread(target=lambda: served.append(slope(registry)))
    with held_load(store) as loading:
        thread.start()
        assert loading.wait(30)
        assert slope(registry) == 1
    thread.join()

    assert (served, slope(registry)) == ([2], 2)


@pytest.fixture
def hurried(make: Callable[..., Registry]) -> Registry:
    """A registry with version 1 in memory, whose main thread may not wait from now on."""
    main, waits = threading.get_ident(), True
    registry = make(may_wait=lambda: waits or threading.get_ident() != main)
    registry.get("m")
    waits = False
    return registry


@pytest.fixture
def published(store: ModelStore) -> int:
    """Version 1."""
    return publish(store, 1)


def loaders() -> list[threading.Thread]:
    """The threads that load beside requests."""
    return [thread for thread in threading.enumerate() if thread.name == "loader"]


def test_who_may_not_wait_is_served_what_was_the_newest_a_moment_ago(
    published: int, store: ModelStore, hurried: Registry, clock: Clock
) -> None:
    """A request that follows another closely has the version before, while one thread loads; then all have the new one."""
    clock.now += 10
    assert slope(hurried) == published
    publish(store, 2)
    clock.now += FRESH_SECONDS / 2
    with held_load(store) as loading:
        assert slope(hurried) == 1
        assert loading.wait(30)
        assert slope(hurried) == 1
        (loader,) = loaders()
        assert os.sched_getscheduler(loader.native_id or 0) == os.SCHED_BATCH, "it comes after the main loop"
    for thread in loaders():
        thread.join(30)

    assert slope(hurried) == 2


@pytest.mark.usefixtures("published")
def test_who_has_not_looked_for_a_moment_gets_the_new_version(store: ModelStore, hurried: Registry, clock: Clock) -> None:
    """The version may have been answered for since: whoever may not wait is told so, and nothing old is served."""
    publish(store, 2)
    clock.now += 1.5 * FRESH_SECONDS

    with pytest.raises(MustWait):
        hurried.get("m")
    assert loaders() == []


@pytest.mark.usefixtures("published")
def test_an_alias_that_is_gone_is_told_to_whoever_asks_next(store: ModelStore, hurried: Registry) -> None:
    """The thread that finds nothing keeps quiet; the next request waits and hears of it."""
    store.delete_model("m")
    assert slope(hurried) == 1
    for thread in loaders():
        thread.join(30)

    with pytest.raises(MustWait):
        hurried.get("m")
