"""Schema, terms, policies and penalties over HTTP, against constructions in numpy and fits of scikit-learn."""

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import ElasticNet, Lasso, Ridge
from werkzeug.test import Client

RANDOM = np.random.default_rng(21)
AREA = RANDOM.uniform(20, 150, size=80)
ROOMS = RANDOM.integers(1, 6, size=80).astype(float)
ZIP = RANDOM.choice(["berlin", "hamburg", "köln"], size=80)
RENT = 8 * AREA + 30 * ROOMS - 0.01 * AREA**2 + 90 * (ZIP == "hamburg") - 45 * (ZIP == "köln") + RANDOM.normal(scale=5, size=80)
FLATS: dict[str, Any] = {"area": AREA.tolist(), "rooms": ROOMS.tolist(), "zip": ZIP.tolist(), "rent": RENT.tolist()}
NEW: dict[str, Any] = {"area": [33.0, 71.5, 120.0], "rooms": [1, 2, 4], "zip": ["berlin", "köln", "hamburg"]}


def trained(client: Client, **request: Any) -> Any:
    answer = client.post("/train", json={"columns": FLATS, "target": "rent"} | request)
    assert answer.status_code == 201, answer.json
    return answer.json


def refused(client: Client, status: int = 422, **request: Any) -> Any:
    answer = client.post("/train", json={"columns": FLATS, "target": "rent"} | request)
    assert answer.status_code == status, answer.json
    problem: Any = answer.json
    return problem["errors"] if status == 422 else problem["detail"]


def predicted(client: Client, **request: Any) -> Any:
    answer = client.post("/predict", json=request)
    assert answer.status_code == 200, answer.json
    document: Any = answer.json
    return document["predictions"]


def estimates(document: Any) -> dict[str, float]:
    return {row["term"]: row["estimate"] for row in document["fit"]["coefficients"]}


def rows_of(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def csv_of(columns: dict[str, list[Any]]) -> str:
    lines = [",".join(columns), *(",".join("" if v is None else str(v) for v in row) for row in zip(*columns.values(), strict=True))]
    return "\n".join(lines) + "\n"


def numpy_fit(design: Any, y: Any = RENT) -> Any:
    return np.linalg.lstsq(np.column_stack(design), y, rcond=None)[0]


def test_text_is_categorical_by_itself(client: Client) -> None:
    """Text makes a column per category but the first in the alphabet; coefficients and predictions are those of lstsq on dummies."""
    document = trained(client)
    truth = numpy_fit([np.ones(80), AREA, ROOMS, ZIP == "hamburg", ZIP == "köln"])
    frame = document["schema"]["frame"]

    assert [feature["type"] for feature in document["schema"]["features"]] == ["numeric", "numeric", "categorical"]
    assert frame["categories"] == {"zip": ["berlin", "hamburg", "köln"]}
    assert list(estimates(document)) == ["intercept", "area", "rooms", "zip[hamburg]", "zip[köln]"]
    np.testing.assert_allclose(list(estimates(document).values()), truth, rtol=1e-10)
    new = np.column_stack([np.ones(3), NEW["area"], NEW["rooms"], [0, 0, 1], [0, 1, 0]])
    np.testing.assert_allclose(predicted(client, columns=NEW), new @ truth, rtol=1e-12)


def test_numbers_are_categories_where_declared(client: Client) -> None:
    """Postcodes as numbers make dummies when `categorical` names them, and 10115 and 10115.0 are one category."""
    codes = np.array([10115, 20095, 50667])[np.unique(ZIP, return_inverse=True)[1]]
    columns = FLATS | {"zip": [float(code) if row % 2 else int(code) for row, code in enumerate(codes)]}
    document = trained(client, columns=columns, categorical=["zip"], model="numbers")
    text = trained(client)

    assert document["schema"]["frame"]["categories"] == {"zip": ["10115", "20095", "50667"]}
    assert [row for name, row in estimates(document).items()] == [row for name, row in estimates(text).items()]
    assert predicted(client, model="numbers", columns=NEW | {"zip": [10115, "50667", 20095.0]}) == predicted(client, columns=NEW)


@pytest.mark.parametrize("form", ["columns", "instances", "positional"])
def test_an_unseen_category_is_an_error_that_names_its_cell(form: str, client: Client) -> None:
    """422 with the path of each offending cell and nothing of the payload; the model goes on predicting."""
    trained(client)
    unseen = NEW | {"zip": ["berlin", "secret town", None]}
    body, paths = {
        "columns": ({"columns": unseen}, ["columns.zip[1]", "columns.zip[2]"]),
        "instances": ({"instances": rows_of(unseen)}, ["instances[1].zip", "instances[2].zip"]),
        "positional": ({"instances": [list(row.values()) for row in rows_of(unseen)]}, ["instances[1].zip", "instances[2].zip"]),
    }[form]
    answer = client.post("/predict", json=body)
    problem: Any = answer.json

    assert answer.status_code == 422
    assert sorted(problem["errors"]) == paths
    assert problem["errors"][paths[0]] == ["is a category that training has not seen"]
    assert problem["errors"][paths[1]] == ["is missing"]
    assert "secret" not in answer.text


def test_an_unseen_category_may_stand_for_the_reference(client: Client) -> None:
    """With `unseen` reference a new town is predicted as the reference is; a missing one is still an error."""
    trained(client, unseen="reference")
    as_reference = predicted(client, columns=NEW | {"zip": ["berlin"] * 3})

    assert predicted(client, columns=NEW | {"zip": ["berlin", "dresden", "bonn"]}) == as_reference
    answer = client.post("/predict", json={"columns": NEW | {"zip": [None, "bonn", "bonn"]}})
    assert (answer.status_code, list((answer.json or {})["errors"])) == (422, ["columns.zip[0]"])


def test_numbers_where_text_belongs_and_text_where_numbers_belong(client: Client) -> None:
    """A prediction with text, true, a huge integer or nothing in a numeric column names each cell."""
    trained(client)
    odd = {"area": ["50", True, 2**53 + 1, None], "rooms": [1, 1, 1, 1], "zip": ["berlin"] * 4}
    answer = client.post("/predict", json={"columns": odd})
    problem: Any = answer.json

    assert answer.status_code == 422
    assert sorted(problem["errors"]) == [f"columns.area[{row}]" for row in range(4)]
    assert problem["errors"]["columns.area[0]"] == problem["errors"]["columns.area[1]"] == ["must be a number"]
    assert problem["errors"]["columns.area[3]"] == ["is missing"]


HOLES: dict[str, list[int]] = {"area": [3, 40], "zip": [7], "rent": [11, 40]}
FULL = [row for row in range(80) if row not in {3, 7, 11, 40}]


def with_holes() -> dict[str, list[Any]]:
    return {name: [None if row in HOLES.get(name, []) else value for row, value in enumerate(column)] for name, column in FLATS.items()}


def test_missing_values_are_errors_that_name_their_cells(client: Client) -> None:
    """By default each null in JSON is refused by its path, features and target alike."""
    for request in ({"columns": with_holes()}, {"columns": {n: c for n, c in with_holes().items() if n != "zip"}}):
        errors = refused(client, **request)
        assert errors
        assert set(errors) <= {f"columns.{name}[{row}]" for name, rows in HOLES.items() for row in rows}
    only_features = with_holes() | {"rent": FLATS["rent"]}
    assert sorted(refused(client, columns=only_features)) == ["columns.area[3]", "columns.area[40]", "columns.zip[7]"]
    assert sorted(refused(client, columns=FLATS | {"rent": with_holes()["rent"]})) == ["columns.rent[11]", "columns.rent[40]"]


def test_rows_with_missing_values_are_dropped_where_asked(client: Client) -> None:
    """Under `missing` drop, JSON nulls and empty CSV cells give the fingerprint and the fit of the complete rows alone."""
    complete = {name: [column[row] for row in FULL] for name, column in FLATS.items()}
    truth = trained(client, columns=complete, missing="drop")
    others = [trained(client, columns=with_holes(), missing="drop")]
    named = client.post("/train", json={"instances": rows_of(with_holes()), "target": "rent", "missing": "drop"})
    table = client.post("/train?target=rent&missing=drop", data=csv_of(with_holes()).encode(), content_type="text/csv")
    others += [named.json, table.json]

    assert [answer.status_code for answer in (named, table)] == [201, 201]
    for other in others:
        assert (other["fingerprint"], other["fit"]) == (truth["fingerprint"], truth["fit"])


def test_rows_that_are_dropped_leave_no_trace_in_the_frame(client: Client) -> None:
    """A category and an extreme value that stand only in rows without a target change neither frame nor fingerprint."""
    more = {"area": [1e6, 50.0], "rooms": [2.0, 2.0], "zip": ["atlantis", "berlin"], "rent": [None, None]}
    asked = {"missing": "drop", "terms": ["area", "area^2", "zip"]}
    plain = trained(client, **asked)
    holed = trained(client, columns={name: [*column, *more[name]] for name, column in FLATS.items()}, **asked)

    assert holed["schema"] == plain["schema"]
    assert holed["fingerprint"] == plain["fingerprint"]


def test_faults_keep_their_place_where_rows_are_dropped(client: Client) -> None:
    """In a frame that drops, an unseen category is named by its row in the request, whatever rows before it were dropped."""
    trained(client, missing="drop")
    odd = with_holes()
    odd["zip"][50] = "dresden"

    assert refused(client, columns=odd, like="default") == {"columns.zip[50]": ["is a category that training has not seen"]}
    nothing = refused(client, columns=FLATS | {"rent": [None] * 80}, missing="drop", model="nothing")
    assert nothing == {"instances": ["have no rows to train on"]}


@pytest.mark.parametrize("missing", ["error", "drop"])
def test_garbage_is_never_dropped(missing: str, client: Client) -> None:
    """Text in a numeric column is an error that names the cell, in JSON and in CSV, whatever the policy for missing values."""
    garbage = [*FLATS["area"][:5], "n.a.?", *FLATS["area"][6:]]
    errors = refused(client, columns=FLATS | {"area": garbage}, missing=missing, features=["area", "rooms"])
    assert [path for path in errors if path.startswith("columns.area")] == list(errors)
    text = {name: [str(value) for value in column] for name, column in FLATS.items()}
    text["rent"][5] = "12,5x"
    answer = client.post(
        f"/train?target=rent&features=area,rooms&missing={missing}", data=csv_of(text).replace("12,5x", "125x"), content_type="text/csv"
    )
    problem: Any = answer.json

    assert answer.status_code == 422
    assert problem["errors"] == {"row 6, column rent": ["must be a number"]}


def test_terms_are_the_columns_that_numpy_makes(client: Client) -> None:
    """Powers, interactions of numbers, of categories and of both: coefficients, R2 and predictions are those of the built design."""
    terms = ["area", "area^2", "rooms", "area*rooms", "zip", "zip*rooms"]
    document = trained(client, terms=terms)

    def design(area: Any, rooms: Any, town: Any) -> list[Any]:
        h, k = np.equal(town, "hamburg"), np.equal(town, "köln")
        return [np.ones(len(area)), area, np.square(area), rooms, area * rooms, h, k, h * rooms, k * rooms]

    X = design(AREA, ROOMS, ZIP)
    truth = numpy_fit(X)
    new = np.column_stack(design(np.array(NEW["area"]), np.array(NEW["rooms"]), np.array(NEW["zip"])))
    residual = RENT - np.column_stack(X) @ truth
    found = estimates(document)

    assert document["schema"]["terms"] == terms
    assert list(found) == [
        *("intercept", "area", "area^2", "rooms", "area*rooms", "zip[hamburg]", "zip[köln]"),
        *("zip[hamburg]*rooms", "zip[köln]*rooms"),
    ]
    np.testing.assert_allclose(list(found.values()), truth, rtol=1e-7)
    np.testing.assert_allclose(document["fit"]["rss"], residual @ residual, rtol=1e-11)
    np.testing.assert_allclose(predicted(client, columns=NEW), new @ truth, rtol=1e-9)


def test_the_order_of_factors_and_columns_never_matters(client: Client) -> None:
    """Columns, rows' members and features in any order, and `rooms*area` for `area*rooms`: one fingerprint where names are equal."""
    asked = {"features": ["area", "rooms", "zip"], "terms": ["area*rooms", "zip"]}
    first = trained(client, **asked)
    turned = {name: FLATS[name] for name in ("zip", "rent", "rooms", "area")}
    second = trained(client, columns=turned, **asked)
    third = client.post("/train", json={"instances": rows_of(turned), "target": "rent"} | asked).json or {}
    fourth = trained(client, terms=["rooms*area", "zip"])

    assert first["fingerprint"] == second["fingerprint"] == third["fingerprint"]
    assert first["state_dict"] == second["state_dict"] == third["state_dict"] == fourth["state_dict"]
    turned_new = {name: NEW[name] for name in ("rooms", "zip", "area")}
    assert predicted(client, columns=turned_new) == predicted(client, columns=NEW) == predicted(client, instances=rows_of(turned_new))


def test_a_cubic_is_reported_in_powers_of_x(client: Client) -> None:
    """For x in 1000 to 1010 the raw coefficients of an exact cubic come back to 12 digits, where float64 normal equations have none."""
    x = np.arange(1000.0, 1011.0)
    y = (x - 1000) ** 3 - 7 * (x - 1000)  # whole numbers, exact
    raw = [-(1000.0**3) + 7000, 3 * 1000.0**2 - 7, -3000.0, 1.0]
    document = trained(client, columns={"x": x.tolist(), "y": y.tolist()}, target="y", terms=["x", "x^2", "x^3"])

    np.testing.assert_allclose(list(estimates(document).values()), raw, rtol=1e-12)
    np.testing.assert_allclose(predicted(client, columns={"x": [1000.5, 1009.0]}), [0.125 - 3.5, 729 - 63], rtol=1e-11)
    assert document["fit"]["digits"] > 12


def test_odd_names_stand_in_backticks(client: Client) -> None:
    """Names with blanks, signs, quotes and backticks work as features and, quoted, in terms."""
    columns = {"living area": FLATS["area"], "rooms^2": FLATS["rooms"], "a`b": FLATS["rent"][::-1], "rent": FLATS["rent"]}
    plain = trained(client, columns=columns)
    truth = numpy_fit([np.ones(80), AREA, ROOMS, RENT[::-1]])
    assert list(estimates(plain)) == ["intercept", "`living area`", "`rooms^2`", "`a``b`"]
    np.testing.assert_allclose(list(estimates(plain).values()), truth, rtol=1e-10)
    terms = ["`living area`", "`living area`^2", "`rooms^2`*`a``b`"]
    truth = numpy_fit([np.ones(80), AREA, AREA**2, ROOMS * RENT[::-1]])
    document = trained(client, columns=columns, terms=terms, new_schema=True)
    assert document["schema"]["terms"] == terms
    np.testing.assert_allclose(list(estimates(document).values()), truth, rtol=1e-8)


@pytest.mark.parametrize(
    ("term", "position", "says"),
    [
        ("area^^2", 5, "a power from 1 to 30 is expected here"),
        ("area*", 5, "the name of a feature is expected here"),
        ("area+rooms", 4, "'+' cannot stand here"),
        ("area^0", 5, "a power is a whole number from 1 to 30"),
        ("area^31", 5, "a power is a whole number from 1 to 30"),
        ("balcony", 0, "no feature is called 'balcony'"),
        ("area*balcony", 5, "no feature is called 'balcony'"),
        ("zip^2", 0, "zip is categorical and has no powers"),
        ("__import__('os')", 10, "'(' cannot stand here"),
        ("area rooms", 5, 'write "*" or "^" before'),
    ],
)
def test_a_wrong_term_is_told_with_its_position(term: str, position: int, says: str, client: Client) -> None:
    """422 under `terms`, with the term, the place in it, and what to write instead."""
    errors = refused(client, terms=["rooms", term])

    assert list(errors) == ["terms"]
    assert errors["terms"][0].startswith(f"term {term!r}, position {position}: ")
    assert says in errors["terms"][0]


def test_a_term_that_stands_twice_is_refused(client: Client) -> None:
    """`rooms*area` is `area*rooms`."""
    assert refused(client, terms=["area*rooms", "rooms*area"]) == {"terms": ["term 'rooms*area' is there twice: leave one out"]}


def test_like_trains_in_the_frame_of_another_version(client: Client) -> None:
    """Other rows take over categories and polynomial; equal rows give an equal fingerprint; an unseen category is named."""
    terms = ["area", "area^2", "zip"]
    whole = trained(client, terms=terms)
    part = {name: [value for value, town in zip(column, ZIP, strict=True) if town != "köln"] for name, column in FLATS.items()}
    own = trained(client, columns=part, terms=terms, model="own")
    alike = trained(client, columns=part, like="default@1", model="alike")
    again = trained(client, like="default@live", model="again")

    assert own["schema"]["frame"]["categories"] == {"zip": ["berlin", "hamburg"]}
    assert alike["schema"] == again["schema"] == whole["schema"]
    assert again["fingerprint"] == whole["fingerprint"]
    assert again["state_dict"] == whole["state_dict"]
    assert alike["fit"]["aliased"] == ["zip[köln]"]
    odd = FLATS | {"zip": ["dresden", *FLATS["zip"][1:]]}
    assert refused(client, columns=odd, like="default") == {"columns.zip[0]": ["is a category that training has not seen"]}
    assert "is decided by the frame" in refused(client, like="default", terms=["area"])["terms"][0]


def test_like_needs_a_version_that_is_there(client: Client) -> None:
    """An unknown model or version is 404, and nothing is published."""
    trained(client)
    for like in ("nobody", "default@7", "default@blue"):
        assert client.post("/train", json={"columns": FLATS, "target": "rent", "like": like, "model": "new"}).status_code == 404
    assert client.get("/models/new").status_code == 404


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"columns": {name: FLATS[name] for name in ("area", "zip", "rent")}}, "other features"),
        ({"terms": ["area", "area^2"]}, "other terms"),
        ({"target": "rooms"}, "other"),
        ({"intercept": False}, "intercept False instead of True"),
        ({"columns": FLATS | {"rooms": [f"n{r}" for r in FLATS["rooms"]]}}, "other features"),
    ],
)
def test_another_schema_only_where_asked(change: dict[str, Any], says: str, client: Client) -> None:
    """409 with what differs and the way out, and `live` stays; with `new_schema` 201 and the new version serves."""
    trained(client)
    detail = refused(client, 409, **change)
    before: Any = client.get("/models/default/versions/live").json

    assert says in detail
    assert "new_schema" in detail
    assert before["version"] == "1"
    after = trained(client, new_schema=True, **change)
    assert (after["version"], after["aliases"]) == ("2", ["live"])


def test_weights_as_a_column_and_as_a_list(client: Client) -> None:
    """A column of weights by name and a list beside the data are one training: weighted least squares; the column is no feature."""
    weights = RANDOM.uniform(0.5, 3, size=80)
    columns = {"area": FLATS["area"], "rooms": FLATS["rooms"], "rent": FLATS["rent"]}
    as_list = trained(client, columns=columns, weights=weights.tolist())
    as_column = trained(client, columns=columns | {"w": weights.tolist()}, weights="w")
    table = csv_of(columns | {"w": weights.tolist()})
    as_csv = client.post("/train?target=rent&weights=w", data=table, content_type="text/csv").json or {}
    instances = {"instances": np.column_stack([AREA, ROOMS]).tolist(), "targets": RENT.tolist(), "features": ["area", "rooms"]}
    positional = client.post("/train", json=instances | {"weights": weights.tolist(), "new_schema": True}).json or {}
    root = np.sqrt(weights)
    truth = numpy_fit([root, root * AREA, root * ROOMS], root * RENT)

    assert as_list["fingerprint"] == as_column["fingerprint"] == as_csv["fingerprint"]
    assert as_list["fit"] == as_column["fit"] == as_csv["fit"]
    assert list(estimates(positional).values()) == list(estimates(as_list).values())
    np.testing.assert_allclose(list(estimates(as_list).values()), truth, rtol=1e-11)


@pytest.mark.parametrize(
    ("weights", "path", "message"),
    [
        ([1.0] * 79 + [-0.5], "weights[79]", "must not be negative"),
        ([None] + [1.0] * 79, "weights[0]", "must be a finite number"),
        ([1.0] * 79, "weights", "has 79 rows where columns has 80"),
        (["1"] + [1.0] * 79, "weights[0]", "must be a number"),
    ],
)
def test_wrong_weights_are_refused(weights: list[Any], path: str, message: str, client: Client) -> None:
    """Negative, missing, too few, or text: 422 at its place."""
    assert refused(client, weights=weights) == {path: [message]}


def test_weights_that_are_all_zero_are_refused(client: Client) -> None:
    """Rows that do not count are no rows to train on."""
    answer = client.post("/train", json={"columns": FLATS, "target": "rent", "weights": [0] * 80})

    assert answer.status_code == 422
    assert client.get("/models/default").status_code == 404


X3 = RANDOM.normal(size=(60, 4)) * [1.0, 3.0, 0.5, 1.0] + [0.0, 5.0, 0.0, -2.0]
Y3 = np.column_stack([X3 @ [2.0, 0.0, 1.0, 0.0], X3 @ [0.0, -1.0, 0.0, 0.5]]) + RANDOM.normal(size=(60, 2))


@pytest.mark.parametrize("targets", [1, 2])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize(
    ("solver", "peer"),
    [
        ({"name": "exact", "ridge": 2.5}, lambda fit: Ridge(alpha=2.5, fit_intercept=fit, solver="cholesky", tol=1e-12)),
        ({"name": "lasso", "l1": 0.3}, lambda fit: Lasso(alpha=0.3, fit_intercept=fit, tol=1e-12, max_iter=100_000)),
        (
            {"name": "elastic_net", "l1": 0.2, "l2": 0.3},
            lambda fit: ElasticNet(alpha=0.5, l1_ratio=0.4, fit_intercept=fit, tol=1e-12, max_iter=100_000),
        ),
    ],
)
def test_penalties_are_those_of_scikit_learn(solver: dict[str, Any], peer: Any, *, intercept: bool, targets: int, client: Client) -> None:
    """Ridge adds its penalty to the residual sum of squares; l1 and l2 stand beside half the mean square; the intercept goes free."""
    Y = Y3[:, 0] if targets == 1 else Y3
    answer = client.post("/train", json={"instances": X3.tolist(), "targets": Y.tolist(), "solver": solver, "intercept": intercept})
    assert answer.status_code == 201, answer.json
    document: Any = answer.json
    new = [[0.5, 4.0, 0.1, -1.0], [2.0, 9.0, -0.3, 0.0]]
    for k in range(targets):
        model = peer(intercept).fit(X3, Y3[:, k])
        truth = [*([model.intercept_] if intercept else []), *model.coef_]
        rows = document["fit"]["coefficients"][k * len(truth) : (k + 1) * len(truth)]
        np.testing.assert_allclose([row["estimate"] for row in rows], truth, rtol=1e-6, atol=1e-9)
        assert [row["estimate"] == 0 for row in rows] == [value == 0 for value in truth]
        np.testing.assert_allclose(np.array(predicted(client, instances=new)).reshape(2, -1)[:, k], model.predict(new), rtol=1e-6)
        assert all(row[name] is None for row in rows for name in ("std_error", "t", "p", "lower", "upper"))


def test_penalties_must_be_numbers_from_zero_up(client: Client) -> None:
    """Negative, infinite and misspelt penalties are 422 under `solver`."""
    for solver in ({"name": "exact", "ridge": -1}, {"name": "lasso", "l1": -0.1}, {"name": "lasso"}, {"name": "lasso", "l1": 1, "l2": 1}):
        assert all(path.startswith("solver") for path in refused(client, solver=solver))


def test_several_targets_of_categories_and_terms(client: Client) -> None:
    """Two targets at once are two fits: coefficients by target, predictions a row per row."""
    columns = FLATS | {"price": (250 * RENT + 1000 * ROOMS).tolist()}
    terms = ["area", "area^2", "zip"]
    document = trained(client, columns=columns, target=["rent", "price"], features=["area", "zip"], terms=terms)
    X = [np.ones(80), AREA, AREA**2, ZIP == "hamburg", ZIP == "köln"]
    truth = np.column_stack([numpy_fit(X), numpy_fit(X, 250 * RENT + 1000 * ROOMS)])
    rows = document["fit"]["coefficients"]
    new = np.column_stack([np.ones(3), NEW["area"], np.square(NEW["area"]), [0, 0, 1], [0, 1, 0]])

    assert [row["target"] for row in rows] == ["rent"] * 5 + ["price"] * 5
    np.testing.assert_allclose([row["estimate"] for row in rows], truth.T.ravel(), rtol=1e-8)
    np.testing.assert_allclose(predicted(client, columns=NEW), new @ truth, rtol=1e-10)
    assert len(document["fit"]["r2"]) == 2
