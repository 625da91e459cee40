"""What may be a name, and that nothing else reaches the disk."""

from collections.abc import Callable
from pathlib import Path

import pytest

from model_store import ModelStore, check_alias, check_name
from model_store.errors import InvalidName, UnknownVersion
from model_store.objects import LocalObjects

BAD = [
    "",
    ".",
    "..",
    "../m",
    "m/../n",
    "m/n",
    "/etc/passwd",
    "a\0b",
    "a\n",
    "\n",
    "zq yx",
    "é",
    "\uff4d",  # a full-width m, which normalises to m
    "\u0661",  # an Arabic digit
    "-m",
    "_m",
    ".m",
    "a\\b",
    "a:b",
    "%2e%2e",
    "a" * 65,
]
CALLS: dict[str, Callable[[ModelStore, str], object]] = {
    "publish": lambda store, name: store.publish(name, blobs={}, document={}),
    "has_model": lambda store, name: store.has_model(name),
    "versions": lambda store, name: store.versions(name),
    "manifest": lambda store, name: store.manifest(name, 1),
    "blob": lambda store, name: store.blob(name),
    "resolve": lambda store, name: store.resolve(name, "live"),
    "resolve alias": lambda store, name: store.resolve("m", name),
    "newer": lambda store, name: store.newer(name, "live", 0),
    "newer alias": lambda store, name: store.newer("m", name, 0),
    "alias": lambda store, name: store.alias("m", name),
    "alias of": lambda store, name: store.alias(name, "live"),
    "alias_history": lambda store, name: store.alias_history("m", name),
    "aliases": lambda store, name: store.aliases(name),
    "move_alias": lambda store, name: store.move_alias("m", name, 1),
    "move_alias of": lambda store, name: store.move_alias(name, "live", 1),
    "rollback": lambda store, name: store.rollback(name),
    "delete_version": lambda store, name: store.delete_version(name, 1),
    "delete_model": lambda store, name: store.delete_model(name),
    "put_job": lambda store, name: store.job_records.put(name, {}),
    "job": lambda store, name: store.job_records.read(name),
    "delete_job": lambda store, name: store.job_records.delete(name),
}


@pytest.mark.parametrize("name", ["a", "0", "A.b_c-d", "a" * 64, "a..b", "house.v2"])
def test_names_of_the_plan_are_accepted(store: ModelStore, name: str) -> None:
    """A name of 1 to 64 allowed characters works as a model."""
    assert check_name(name) == name
    assert store.publish(name, blobs={}, document={}).model == name
    assert store.models() == [name]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", BAD)
def test_nothing_but_a_name_gets_past_any_method(store: ModelStore, root: Path, name: str, call: str) -> None:
    """Every method refuses every bad name, does not repeat it, and touches nothing."""
    store.publish("m", blobs={}, document={})
    before = sorted(root.parent.rglob("*"))
    with pytest.raises(InvalidName) as caught:
        CALLS[call](store, name)
    assert len(name) < 2 or name not in str(caught.value)
    assert sorted(root.parent.rglob("*")) == before


def test_an_alias_is_not_all_digits(store: ModelStore) -> None:
    """Digits refer to a version, so they cannot name an alias."""
    store.publish("m", blobs={}, document={})
    with pytest.raises(InvalidName, match=r"digits alone refer to a version"):
        store.move_alias("m", "1", 1)
    assert check_alias("1a") == "1a"


@pytest.mark.parametrize("reference", ["0", "01", "2", "9" * 18, "9" * 5000])
def test_a_number_without_a_version_is_unknown(store: ModelStore, reference: str) -> None:
    """Numbers that no version has, or that are not written as the store writes them, are unknown versions."""
    store.publish("m", blobs={}, document={})
    assert store.resolve("m", "1") == 1
    with pytest.raises(UnknownVersion, match=r"list its versions"):
        store.resolve("m", reference)


@pytest.mark.parametrize("key", ["", "/a", "a/", "a//b", "../a", "a/../b", "a/./b", ".a", "a\0", "a\n", "é"])
def test_objects_refuse_keys_that_leave_the_root(root: Path, key: str) -> None:
    """The storage itself refuses every key that is not a plain relative path, whatever called it."""
    objects = LocalObjects(root)
    objects.prepare()
    for call in (objects.read, objects.exists, objects.age, objects.names, objects.delete):
        with pytest.raises(InvalidName, match=r"^not a key of the store: use a relative path of names without '..'$"):
            call(key)
    for put in (objects.create, objects.replace):
        with pytest.raises(InvalidName):
            put(key, b"")
    assert list(root.iterdir()) == [root / "tmp"]
