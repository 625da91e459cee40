"""From a file to a model that learns and forgets, all on the page: each version is the one that the API makes of the same rows."""

import csv
import io
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PHONE, Opened, too_wide, violations
from tests.support import Service

expect.set_options(timeout=20_000)
GENERATOR = np.random.default_rng(12)
AREA = GENERATOR.uniform(30, 140, 40).round(1).tolist()
RENT = (100 + 9 * np.array(AREA) + GENERATOR.normal(0, 40, 40)).round(2).tolist()
FIRST, MORE = slice(0, 30), slice(30, 40)


def table(rows: slice, separator: str = "\t") -> str:
    """Some of the rows as a spreadsheet copies them."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator)
    writer.writerows([("area", "rent"), *zip(AREA[rows], RENT[rows], strict=True)])
    return out.getvalue()


def fingerprint(service: Service, rows: slice, like: str) -> Any:
    """That of one training with some of the rows, in the frame of another model."""
    columns = {"area": AREA[rows], "rent": RENT[rows]}
    return service.post("/train", {"model": f"{like}-once", "columns": columns, "target": "rent", "like": f"{like}@1"}).json["fingerprint"]


def give(page: Page, verb: str, rows: str) -> None:
    """Learn or forget rows."""
    panel = page.get_by_role("region", name="Learn and forget")
    panel.get_by_role("radio", name=verb).check()
    panel.locator("textarea").fill(rows)
    panel.get_by_role("button", name=f"{verb} these rows").click()


def test_train_see_predict_learn_and_forget(open_page: Opened, service: Service) -> None:
    """The fingerprints after learning and after forgetting are those of one training; the list of versions grows with them."""
    page = open_page("/train")
    page.locator("textarea").fill(table(FIRST))
    page.get_by_label("Name", exact=True).fill("alive")
    page.get_by_role("button", name="Train", exact=True).click()
    page.get_by_role("link", name="Look at the version").click()
    expect(page.get_by_role("heading", name="alive, version 1")).to_be_visible()
    expect(page.locator(".predicted")).to_contain_text("rent")
    page.get_by_role("link", name="alive", exact=True).click()
    give(page, "Learn", table(MORE, ";"))
    expect(page.get_by_text("is made of 40 rows, 10 rows more than version 1")).to_be_visible()
    learned = service.get("/models/alive/versions/live").json
    give(page, "Forget", table(MORE))
    expect(page.get_by_text("is made of 30 rows, 10 rows fewer than version 2")).to_be_visible()
    expect(page.get_by_text("Older versions still hold what was forgotten: 2")).to_be_visible()
    forgotten = service.get("/models/alive/versions/live").json

    assert (learned["version"], learned["operation"], forgotten["version"], forgotten["operation"]) == ("2", "learn", "3", "forget")
    assert learned["fingerprint"] == fingerprint(service, slice(0, 40), "alive")
    assert forgotten["fingerprint"] == fingerprint(service, FIRST, "alive")
    expect(page.get_by_role("link", name="Version 3").first).to_be_visible()


def test_rows_never_learned_are_refused_as_advice(open_page: Opened, service: Service) -> None:
    """Nothing is forgotten, the reason is told, and the rows stay in the form."""
    assert service.post("/train", {"model": "sure", "columns": {"area": AREA, "rent": RENT}, "target": "rent"}).status == 201
    page = open_page("/models/sure", expected=(409,))
    give(page, "Forget", "area\trent\n1\t2\n")
    expect(page.get_by_role("alert")).to_contain_text("never learned")

    assert page.locator("textarea").input_value() == "area\trent\n1\t2\n"
    assert service.get("/models/sure/versions/live").json["version"] == "1"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_model_by_gradient_learns_exactly_from_then_on(scheme: str, open_page: Opened, service: Service) -> None:
    """It says so, and does it; on a phone, and without anything that axe-core finds wrong."""
    columns = {"area": AREA, "rent": RENT}
    solver = {"name": "sgd", "learning_rate": 0.1, "epochs": 5, "standardize": True}
    body = {"model": f"steps-{scheme}", "columns": columns, "target": "rent", "solver": solver}
    assert service.post("/train", body).status == 201
    page = open_page(f"/models/steps-{scheme}", size=PHONE, scheme=scheme)
    expect(page.get_by_role("checkbox", name="solve exactly")).to_be_checked()
    give(page, "Learn", "area\trent\n50\t600\n")
    expect(page.get_by_text("is made of 41 rows, 1 row more than version 1")).to_be_visible()

    assert service.get(f"/models/steps-{scheme}/versions/live").json["fit"]["solver"] == "exact"
    assert violations(page) == []
    assert too_wide(page) <= 0
