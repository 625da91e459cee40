"""Learning: whatever the way to a set of rows, what is published is what one training on them gives, bit for bit."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_store.errors import Forgotten, UnknownModel, UnknownVersion
from model_store.store import ModelStore
from service.errors import Contradiction, Invalid, PreconditionFailed
from service.training import living
from tests.training.rooms import Rooms, same


@pytest.fixture
def rooms(tmp_path: Path) -> Rooms:
    return Rooms(tmp_path, 60)


@pytest.mark.parametrize("seed", range(3))
def test_rows_learned_in_any_order_and_pieces_are_one_training(rooms: Rooms, seed: int) -> None:
    """Weights of zero, several targets, categories, powers and interactions: fingerprint, coefficients and inference are equal."""
    whole = rooms.train("whole", range(60))
    random = np.random.default_rng(seed)
    first, *pieces = np.split(random.permutation(60), np.sort(random.integers(1, 60, 5)))
    rooms.in_frame_of("whole", "pieces", [*first, *pieces[0]])
    for piece in pieces[1:]:
        if rooms.table["weight"][piece].any():
            document = rooms.learn("pieces", piece)

    assert same(document, whole)
    assert (document["operation"], document["aliases"]) == ("learn", ["live"])
    assert rooms.store.blob(document["state_dict"]) == rooms.store.blob(whole["state_dict"])


def test_a_version_says_what_it_was_made_from(rooms: Rooms) -> None:
    """Parent, operation, description and labels are the request's; the move of live tells who and why."""
    rooms.train("m", range(30))
    document = rooms.learn("m", range(30, 60), description="spring", labels={"team": "risk"})

    told = {name: document[name] for name in ("version", "parent", "operation", "description", "labels")}
    assert told == {"version": "2", "parent": "1", "operation": "learn", "description": "spring", "labels": {"team": "risk"}}
    assert rooms.store.alias("m", "live").reason == "learn"


def test_learning_can_lift_the_rank(tmp_path: Path) -> None:
    """A base with fewer rows than columns has aliased columns, which more rows free again."""
    rooms = Rooms(tmp_path, 60)
    whole = rooms.train("whole", range(60))
    few = rooms.in_frame_of("whole", "m", range(4))
    assert few["fit"]["aliased"]

    assert same(rooms.learn("m", range(4, 60)), whole)


@pytest.mark.parametrize(
    "solver", [{"name": "exact", "ridge": 2.0}, {"name": "lasso", "l1": 5.0}, {"name": "elastic_net", "l1": 5.0, "l2": 1.0}]
)
def test_the_solver_is_inherited(rooms: Rooms, solver: Any) -> None:
    """A penalty stays with a model that learns, unless another solver is asked for."""
    whole = rooms.train("whole", range(60), solver=solver)
    rooms.in_frame_of("whole", "m", range(40), solver=solver)

    assert same(rooms.learn("m", range(40, 60)), whole)
    assert same(rooms.learn("m", range(1), base="1", promote=False, solver="exact"), rooms.in_frame_of("whole", "n", [*range(40), 0]))


def test_a_version_trained_by_gradient_needs_a_solver(rooms: Rooms) -> None:
    """Its moments are there, its rows are not: with `exact` it learns, without it is refused with that advice."""
    options = {"terms": ["rooms"], "features": ["rooms"]}
    rooms.train("m", range(40), solver={"name": "sgd", "epochs": 1, "learning_rate": 1e-9}, **options)
    with pytest.raises(Contradiction, match='pass "solver": "exact" or a penalty'):
        rooms.learn("m", range(40, 60))

    assert same(rooms.learn("m", range(40, 60), solver="exact"), rooms.train("whole", range(60), **options))


def test_base_and_promote(rooms: Rooms) -> None:
    """A base of any number or alias is built on; without promotion live stays where it is."""
    rooms.train("m", range(20))
    rooms.learn("m", range(20, 40))
    beside = rooms.learn("m", range(40, 60), base="1", promote=False)
    assert (beside["version"], beside["parent"], beside["aliases"], rooms.store.alias("m", "live").version) == ("3", "1", [], 2)

    rooms.store.move_alias("m", "next", 3)
    ahead = rooms.learn("m", range(20, 40), base="next")
    assert (ahead["parent"], ahead["aliases"]) == ("3", ["live"])
    assert ahead["fingerprint"] == rooms.in_frame_of("m@1", "whole", range(60))["fingerprint"]


def test_expect_is_held_against_live(rooms: Rooms) -> None:
    """Another version than expected is refused before anything is published."""
    rooms.train("m", range(20))
    with pytest.raises(PreconditionFailed, match="names version 1, not 2"):
        rooms.learn("m", range(20, 40), expect="2")

    assert rooms.learn("m", range(20, 40), expect="1")["version"] == "2"


def test_rows_that_do_not_fit_the_frame_are_named(rooms: Rooms) -> None:
    """A new category, a column that is missing and another target are refused, each by its place; nothing is published."""
    rooms.train("m", range(20))
    rooms.table["town"][21] = "Rom"
    with pytest.raises(Invalid) as unseen:
        rooms.learn("m", range(20, 40))
    assert unseen.value.errors == {"columns.town[1]": ["is a category that training has not seen"]}
    del rooms.table["rooms"]
    with pytest.raises(Invalid) as missing:
        rooms.learn("m", range(40, 60))
    assert missing.value.errors == {"rooms": ["is not a column of columns"]}
    with pytest.raises(Invalid) as target:
        rooms.learn("m", range(40, 60), target="rent")
    assert target.value.errors == {"target": ["is rent, costs in version 1"]}
    rooms.table["weight"][:] = 0.0
    rooms.table["rooms"] = rooms.table["area"]
    with pytest.raises(Invalid) as none:
        rooms.learn("m", range(40, 60))
    assert none.value.errors == {"instances": ["have no rows to learn"]}
    assert rooms.store.versions("m") == [1]


def test_what_is_not_there_is_told(rooms: Rooms) -> None:
    """An unknown model or base, and a base whose memory was dropped."""
    with pytest.raises(UnknownModel):
        rooms.learn("m", range(20))
    rooms.train("m", range(20))
    with pytest.raises(UnknownVersion):
        rooms.learn("m", range(20, 40), base="2")
    rooms.learn("m", range(20, 40))
    rooms.store.retire("m", keep_versions=9, keep_memories=1)
    with pytest.raises(Forgotten, match="keeps no moments of this version"):
        rooms.learn("m", range(40, 60), base="1")


def test_writers_at_once_lose_no_row(rooms: Rooms) -> None:
    """Four writers, each learning one row after another: whoever loses a race starts again from the winner."""
    whole = rooms.train("whole", range(60))
    rooms.in_frame_of("whole", "m", range(20))
    errors: list[BaseException] = []

    def write(mine: range) -> None:
        try:
            for row in mine:
                rooms.learn("m", [row], weights="weight")
        except BaseException as error:  # noqa: BLE001 - told by the test
            errors.append(error)

    rooms.table["weight"][20:] = np.where(rooms.table["weight"][20:] > 0, rooms.table["weight"][20:], 1.0)
    whole = rooms.in_frame_of("whole", "again", range(60))
    writers = [threading.Thread(target=write, args=(range(start, 60, 4),)) for start in range(20, 24)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert errors == []
    live = rooms.store.manifest("m", rooms.store.resolve("m", "live"))
    assert (live.fingerprint, live.document["fit"]) == (whole["fingerprint"], whole["fit"])
    assert len(rooms.store.versions("m")) == 41  # the losers' versions were deleted again


def test_a_race_that_a_base_or_an_expectation_loses_is_told(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `expect`, or with `base`, a writer that was overtaken does not start again from what it does not know."""
    rooms.train("m", range(20))
    publish = living.publish

    def overtaken(store: ModelStore, *rest: Any, **options: Any) -> Any:
        monkeypatch.setattr(living, "publish", publish)
        rooms.learn("m", range(20, 30))
        return publish(store, *rest, **options)

    monkeypatch.setattr(living, "publish", overtaken)
    with pytest.raises(PreconditionFailed, match="does not name version 1 any more"):
        rooms.learn("m", range(30, 40), expect="1")
    monkeypatch.setattr(living, "publish", overtaken)
    with pytest.raises(Contradiction, match="leave out base"):
        rooms.learn("m", range(30, 40), base="1")
    monkeypatch.setattr(living, "publish", overtaken)
    assert rooms.learn("m", range(30, 40))["fit"]["n"] == sum(
        rooms.table["weight"][[*range(30), *range(20, 30), *range(20, 30), *range(30, 40)]] > 0
    )
