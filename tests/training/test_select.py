"""Selecting: what is chosen from moments is what other programs choose from the rows, and is published as one training with it."""

from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.stats.outliers_influence import variance_inflation_factor

from service.errors import Contradiction, PreconditionFailed
from tests.training.rooms import Rooms, same


@pytest.fixture
def rooms(tmp_path: Path) -> Rooms:
    """Rents that depend on area and town alone."""
    rooms = Rooms(tmp_path, 80)
    rooms.table["weight"][:] = 1.0
    rooms.options = {name: value for name, value in rooms.options.items() if name != "weights"} | {
        "target": ["rent"],
        "features": ["area", "rooms", "town", "costs"],
        "terms": ["area", "rooms", "town", "costs"],
    }
    return rooms


def design(rooms: Rooms, terms: list[str]) -> np.ndarray:
    """The design of some terms, with an intercept."""
    columns = [np.ones(rooms.rows)]
    for term in terms:
        column = rooms.table[term]
        columns += [(column == town).astype(float) for town in ("Jena", "Ulm")] if term == "town" else [column]
    return np.column_stack(columns)


def test_the_best_subset_is_that_of_all_fits(rooms: Rooms) -> None:
    """AIC of each candidate, the F test against all terms and the inflation factors are statsmodels'; the winner is published."""
    rooms.train("m", range(80))
    answer = rooms.select("m", subset="aic")
    chosen = answer["selection"]["subset"]
    assert (answer["model"], answer["base"], "version" in answer) == ("m", "1", False)
    assert rooms.store.versions("m") == [1]

    fits = {tuple(c["terms"]): sm.OLS(rooms.table["rent"], design(rooms, c["terms"])).fit() for c in chosen["candidates"]}
    for candidate in chosen["candidates"]:
        fit = fits[tuple(candidate["terms"])]
        assert candidate["value"] == pytest.approx(fit.aic + 2, rel=1e-9)  # the variance counts as a parameter here
        assert candidate["rss"] == pytest.approx(fit.ssr, rel=1e-9)
    values = [candidate["value"] for candidate in chosen["candidates"]]
    assert (values, chosen["exhaustive"], len(values)) == (sorted(values), True, 15)
    assert chosen["terms"] == chosen["candidates"][0]["terms"]
    full = sm.OLS(rooms.table["rent"], design(rooms, rooms.options["terms"])).fit()
    f, p, numerator = full.compare_f_test(fits[tuple(chosen["terms"])])
    test = chosen["against_full"]
    assert (test["f"], test["p"], test["numerator"]) == (pytest.approx(f, rel=1e-8), pytest.approx(p, rel=1e-8), numerator)

    published = rooms.select("m", subset="aic", publish=True)
    assert (published["version"], published["operation"], published["aliases"]) == ("2", "select", ["live"])
    assert published["selection"] == answer["selection"]
    assert same(published, rooms.refit("m", base="1", promote=False, terms=chosen["terms"]))


def test_inflation_factors_are_statsmodels(rooms: Rooms) -> None:
    """One per column, without anything else being asked."""
    rooms.train("m", range(80))
    matrix = design(rooms, rooms.options["terms"])
    truth = [variance_inflation_factor(matrix, column) for column in range(1, matrix.shape[1])]
    found = rooms.select("m")["selection"]["inflation"]

    assert [entry["vif"] for entry in found["columns"]] == pytest.approx(truth, rel=1e-9)
    assert [(entry["term"], entry["columns"]) for entry in found["terms"]] == [("area", 1), ("rooms", 1), ("town", 2), ("costs", 1)]


@pytest.mark.parametrize("criterion", ["gcv", "folds"])
def test_the_ridge_penalty_chosen_is_published_as_a_training_with_it(rooms: Rooms, criterion: str) -> None:
    """The score is the least of its path, and learning goes on with the penalty."""
    rooms.train("m", range(80), folds=4)
    answer = rooms.select("m", ridge=criterion, publish=True)
    ridge = answer["selection"]["ridge"]
    solver = {"name": "exact", "ridge": ridge["penalty"]}

    assert ridge["criterion"] == criterion
    assert all(ridge["score"] <= entry["score"] for entry in ridge["path"])
    assert answer["fit"]["solver"] == (solver if ridge["penalty"] else "exact")
    assert same(answer, rooms.in_frame_of("m@1", "truth", range(80), solver=solver if ridge["penalty"] else "exact"))
    assert answer["memory"] == {"ledger": True, "folds": 4, "sample": False}


def test_terms_first_and_then_a_penalty_for_them(rooms: Rooms) -> None:
    """Both at once: the penalty is that of the chosen terms alone."""
    rooms.train("m", range(80), folds=3)
    both = rooms.select("m", subset="bic", ridge="folds", publish=True)
    terms = both["selection"]["subset"]["terms"]

    assert both["schema"]["terms"] == terms
    alone = rooms.train("alone", range(80), terms=terms, features=both_features(both))
    assert alone["schema"]["terms"] == terms
    expected = rooms.select("alone", ridge="gcv")["selection"]["inflation"]
    assert [entry["vif"] for entry in both["selection"]["inflation"]["columns"]] == pytest.approx(
        [entry["vif"] for entry in expected["columns"]], rel=1e-9
    )


def both_features(document: dict) -> list[str]:
    return [feature["name"] for feature in document["schema"]["features"]]


def test_only_subsets_that_can_stand_are_candidates(tmp_path: Path) -> None:
    """A power is never chosen without the lower ones that its basis needs."""
    rooms = Rooms(tmp_path, 60)
    rooms.train("m", range(60), terms=["area", "area^2", "area^3", "rooms"], features=["area", "rooms"])
    answer = rooms.select("m", subset="bic", publish=True)

    for candidate in answer["selection"]["subset"]["candidates"]:
        powers = [term for term in ("area", "area^2", "area^3") if term in candidate["terms"]]
        assert powers == ["area", "area^2", "area^3"][: len(powers)]
    assert answer["schema"]["terms"] == answer["selection"]["subset"]["terms"]


def test_what_cannot_be_selected_is_refused(rooms: Rooms) -> None:
    """Folds that are not there, data that leave nothing to compare, and another live version than expected."""
    rooms.train("m", range(80))
    with pytest.raises(Contradiction, match='train with "folds", or select by "gcv"'):
        rooms.select("m", ridge="folds")
    with pytest.raises(PreconditionFailed):
        rooms.select("m", subset="aic", expect="2")
    rooms.in_frame_of("m", "few", range(5))
    with pytest.raises(Contradiction, match="subsets cannot be compared"):
        rooms.select("few", subset="aic")
