"""Merging and refitting: what sites learned apart is one training on all rows, and other terms or penalties are one training with them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.errors import Contradiction, Invalid
from tests.training.rooms import Rooms, same


@pytest.fixture
def rooms(tmp_path: Path) -> Rooms:
    return Rooms(tmp_path, 60)


def test_three_models_merged_are_one_training(rooms: Rooms) -> None:
    """Bit for bit, in any order, with folds; the document says who was merged, and rows of each can be forgotten by the ledger."""
    rooms.table["weight"][:] = 1.0
    whole = rooms.train("whole", range(60), folds=4)
    fingerprints = [
        rooms.in_frame_of("whole", name, rows, folds=4)["fingerprint"]
        for name, rows in (("south", range(20)), ("north", range(20, 35)), ("west", range(35, 60)))
    ]
    document = rooms.merge("north", "west", "south@1")

    assert same(document, whole)
    assert (document["operation"], document["parent"], document["memory"]) == ("merge", "1", {"ledger": True, "folds": 4, "sample": False})
    assert document["merged"] == [
        {"model": "west", "version": "1", "fingerprint": fingerprints[2]},
        {"model": "south", "version": "1", "fingerprint": fingerprints[0]},
    ]
    made, true = rooms.store.manifest("north", 2).memory, rooms.store.manifest("whole", 1).memory
    assert {name: made[name] for name in made if name.startswith("folds")} == {
        name: true[name] for name in true if name.startswith("folds")
    }
    rooms.store.delete_model("south")  # what was merged is the model's own
    assert rooms.forget("north", [3, 22, 50])["fingerprint"] == rooms.forget("whole", [50, 3, 22])["fingerprint"]
    assert same(rooms.learn("north", [3, 22, 50]), whole)


def test_equal_scales_give_equal_frames(tmp_path: Path) -> None:
    """Separately created models without categories and powers merge without any agreement before."""
    rooms = Rooms(tmp_path, 60)
    options: dict[str, Any] = {"features": ["area", "rooms"], "terms": ["area", "rooms", "area*rooms"]}
    whole = rooms.train("whole", range(60), **options)
    for name, rows in (("a", range(20)), ("b", range(20, 60))):
        rooms.train(name, rows, **options)

    assert same(rooms.merge("a", "b"), whole)


def test_a_merge_keeps_a_ledger_and_folds_only_where_all_have_them(rooms: Rooms) -> None:
    """One without a ledger, or with other folds, leaves the merged model without."""
    rooms.train("m", range(20), folds=3)
    rooms.in_frame_of("m", "other", range(20, 60), ledger="off", folds=2)

    assert rooms.merge("m", "other")["memory"] == {"ledger": False, "folds": 0, "sample": False}


def test_what_cannot_be_merged_is_refused(rooms: Rooms) -> None:
    """Another frame with the `like` to use, and the model itself."""
    rooms.train("m", range(30))
    rooms.train("wider", range(30), terms=["area", "rooms", "town"])
    rooms.table["area"] += 1000
    rooms.train("shifted", range(30))
    with pytest.raises(Contradiction, match=r'another frame \(terms\): train it again with "like": "m@1", then merge'):
        rooms.merge("m", "wider")
    with pytest.raises(Contradiction, match=r"another frame \(polynomials\)"):
        rooms.merge("m", "shifted")
    with pytest.raises(Invalid) as itself:
        rooms.merge("m", "shifted", "m@1")
    assert itself.value.errors == {"with": ["names m itself, whose versions share rows: those would count twice"]}


@pytest.mark.parametrize(
    "solver", [{"name": "exact", "ridge": 3.0}, {"name": "lasso", "l1": 2.0}, {"name": "elastic_net", "l1": 2.0, "l2": 1.0}, "exact"]
)
def test_another_solver_is_one_training_with_it(rooms: Rooms, solver: Any) -> None:
    """From moments alone; ledger and folds stay."""
    rooms.train("m", range(60), solver={"name": "exact", "ridge": 1.0}, folds=2)
    document = rooms.refit("m", solver=solver)

    assert same(document, rooms.in_frame_of("m@1", "truth", range(60), solver=solver))
    assert (document["operation"], document["memory"]) == ("refit", {"ledger": True, "folds": 2, "sample": False})
    assert same(rooms.learn("m", range(5)), rooms.in_frame_of("m@1", "truth", [*range(60), *range(5)], solver=solver))


@pytest.mark.parametrize(
    "terms", [["rooms", "area"], ["area^2", "area", "town"], ["town"], ["area*town", "town"], ["town", "area", "area*town", "rooms"]]
)
def test_some_of_the_terms_are_one_training_with_them(rooms: Rooms, terms: list[str]) -> None:
    """In the order stored, powers without higher ones among them; predictions are numpy's least squares, and rows look as before."""
    rooms.train("m", range(60), folds=2)
    document = rooms.refit("m", terms=terms)

    assert document["schema"]["terms"] == [term for term in rooms.options["terms"] if term in terms]
    assert [feature["name"] for feature in document["schema"]["features"]] == rooms.options["features"]
    assert document["memory"] == {"ledger": False, "folds": 0, "sample": False}
    assert same(document, rooms.in_frame_of("m", "truth", range(60)))
    assert same(rooms.learn("m", range(5)), rooms.in_frame_of("m", "truth", [*range(60), *range(5)]))

    table = rooms.table
    towns = {town: (table["town"] == town).astype(float) for town in ("Jena", "Ulm")}
    columns = {"intercept": np.ones(60), "rooms": table["rooms"], "area": table["area"], "area^2": table["area"] ** 2}
    columns |= {f"town[{town}]": marks for town, marks in towns.items()}
    columns |= {f"area*town[{town}]": table["area"] * marks for town, marks in towns.items()}
    rows = [row for row in document["fit"]["coefficients"] if row["target"] == "rent"]
    root = np.sqrt(table["weight"])
    design = np.column_stack([columns[row["term"]] for row in rows]) * root[:, None]
    truth = np.linalg.lstsq(design, table["rent"] * root, rcond=None)[0]
    np.testing.assert_allclose([row["estimate"] for row in rows], truth, rtol=1e-7)


def test_terms_that_cannot_stand_alone_are_refused(rooms: Rooms) -> None:
    """A power without the lower ones is 409 with advice; a term that is not stored, or cannot be read, is 422."""
    rooms.train("m", range(60))
    for terms in (["area^2", "rooms"], ["area*town", "area"]):
        with pytest.raises(Contradiction, match="needs the lower powers"):
            rooms.refit("m", terms=terms)
    for terms, text in ((["rooms^2"], "rooms^2: not in version 1, whose terms are area"), (["1+"], "position")):
        with pytest.raises(Invalid) as refused:
            rooms.refit("m", terms=terms)
        assert text in refused.value.errors["terms"][0]
