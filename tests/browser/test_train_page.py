"""Training on the page: a file or a pasted table becomes the model that the API makes of the same rows, and what is wrong is told."""

import csv
import io
import json
import random
import re
import urllib.parse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PHONE, Opened, too_wide, violations
from tests.support import Service

expect.set_options(timeout=20_000)
GENERATOR = np.random.default_rng(8)
AREA = GENERATOR.uniform(30, 140, 60).round(1)
ROOMS = np.maximum(1, (AREA / 28 + GENERATOR.normal(0, 0.7, 60)).round())
ZONE = GENERATOR.choice(["north", "south"], 60)
RENT = (100 + 9 * AREA + 20 * ROOMS + np.where(ZONE == "north", 50, 0) + GENERATOR.normal(0, 40, 60)).round(2)
TABLE = [["area", "rooms", "zone", "rent"], *zip(AREA.tolist(), ROOMS.tolist(), ZONE.tolist(), RENT.tolist(), strict=True)]


def text_of(rows: list[Any], separator: str = ",", **how: Any) -> str:
    """Rows as the standard library writes them."""
    out = io.StringIO()
    csv.writer(out, delimiter=separator, lineterminator="\n", **how).writerows(rows)
    return out.getvalue()


def drop(page: Page, name: str, text: str) -> None:
    """Let a file fall on the place for it, as a mouse does."""
    page.evaluate(
        """([name, text]) => {
            const carried = new DataTransfer();
            carried.items.add(new File([text], name, {type: "text/csv"}));
            document.querySelector(".drop").dispatchEvent(new DragEvent("drop", {dataTransfer: carried, bubbles: true, cancelable: true}));
        }""",
        [name, text],
    )


def paste(page: Page, text: str) -> None:
    page.locator("textarea").fill(text)


def trained(page: Page, service: Service) -> Any:
    """Press the button, and answer the document of the version that it leads to."""
    page.get_by_role("button", name="Train", exact=True).click()
    link = page.get_by_role("link", name="Look at the version").get_attribute("href")
    assert link is not None
    return service.get(link.removeprefix("#")).json


def test_who_has_no_file_trains_on_an_example(open_page: Opened, service: Service) -> None:
    """A button puts in the flats that the empty field shows: the model is that of the README."""
    page = open_page("/train")
    page.get_by_role("button", name="Try these six flats").click()
    expect(page.get_by_text("3 columns, 6 rows")).to_be_visible()
    expect(page.get_by_role("button", name="Try these six flats")).to_be_hidden()
    page.get_by_label("Name", exact=True).fill("six-flats")

    assert trained(page, service)["fit"]["r2"] == pytest.approx(0.9986557736937, rel=1e-12)


def test_a_dropped_file_becomes_the_model_of_its_rows(open_page: Opened, service: Service) -> None:
    """Columns and types are found, the last number is the target; fingerprint and fit are those of the API, and a sample is kept."""
    page = open_page("/train")
    drop(page, "flats in town.csv", text_of(TABLE))
    expect(page.get_by_text("4 columns, 60 rows")).to_be_visible()
    assert page.get_by_role("radio", name="rent is the target").is_checked()
    assert page.get_by_role("checkbox", name="zone is a category").is_checked()
    assert page.get_by_label("Name", exact=True).input_value() == "flats-in-town"
    document = trained(page, service)
    names, *rows = TABLE
    same = {"model": "flats-same", "columns": {name: [row[i] for row in rows] for i, name in enumerate(names)}, "target": "rent"}
    expected = service.post("/train", same).json

    assert document["model"] == "flats-in-town"
    assert (document["fingerprint"], document["fit"]) == (expected["fingerprint"], expected["fit"])
    assert service.get("/models/flats-in-town/versions/1/sample").json["count"] == 60


def test_what_is_chosen_is_what_is_trained(open_page: Opened, service: Service) -> None:
    """Another target, a number as a category, a column left out, squares and products, ridge, no sample; and the curl does the same."""
    page = open_page("/train")
    paste(page, text_of(TABLE, "\t"))
    page.get_by_role("radio", name="area is the target").check()
    assert page.get_by_role("checkbox", name="rent is a feature").is_checked()
    page.get_by_role("checkbox", name="rooms is a category").check()
    page.get_by_role("checkbox", name="squares").check()
    page.get_by_role("checkbox", name="products of pairs").check()
    expect(page.get_by_text("4 terms: rooms, zone, rent, rent^2")).to_be_visible()
    page.get_by_role("checkbox", name="zone is a feature").uncheck()
    page.get_by_label("Solver").select_option("ridge")
    page.get_by_label("Penalty").fill("0.5")
    page.get_by_label("Rows to keep").fill("0")
    page.get_by_label("Name", exact=True).fill("chosen")
    command = page.locator("form .curl code").text_content() or ""
    document = trained(page, service)

    assert document["schema"]["features"] == [{"name": "rooms", "type": "categorical"}, {"name": "rent", "type": "numeric"}]
    assert document["schema"]["terms"] == ["rooms", "rent", "rent^2"]
    assert (document["schema"]["targets"], document["fit"]["solver"]) == (["area"], {"name": "exact", "ridge": 0.5})
    assert not document["memory"]["sample"]
    query = dict(urllib.parse.parse_qsl(command.split("/train?")[1].split("'")[0]))
    assert json.loads(query["solver"]) == {"name": "exact", "ridge": 0.5}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_tables_are_read_as_the_standard_library_reads_them(separator: str, open_page: Opened) -> None:
    """Separators, quotes and line ends in cells: names and rows are those that were written, and what is sent is the same table."""
    chance = random.Random(3)
    page = open_page()
    pieces = ["a", "b c", '"', "é", "1.5", "-2", separator, "\n", "x,y;z"]
    for _ in range(20):
        width, height = chance.randint(2, 5), chance.randint(1, 8)
        names = [f"n{i}" for i in range(width)]
        rows = [["".join(chance.choices(pieces, k=chance.randint(1, 3))).strip() or "0" for _ in names] for _ in range(height)]
        text = text_of([names, *rows], separator)
        read, sent = page.evaluate("async (t) => { const m = await import('/web/table.js'); return [m.readTable(t), m.toCsv(t)]; }", text)

        assert [column["name"] for column in read["columns"]] == names
        assert read["rows"] == rows
        assert list(csv.reader(io.StringIO(sent, newline=""))) == [names, *rows]


def test_a_pasted_table_with_decimal_commas_is_understood(open_page: Opened, service: Service) -> None:
    """As a spreadsheet of the continent copies it: the numbers that arrive are those that were meant."""
    page = open_page("/train")
    paste(page, "x;y\n1,5;3\n2,5;5,25\n4;8\n5,75;12\n")
    page.get_by_label("Name", exact=True).fill("commas")
    document = trained(page, service)
    slope, intercept = np.polyfit([1.5, 2.5, 4, 5.75], [3, 5.25, 8, 12], 1)

    assert [c["estimate"] for c in document["fit"]["coefficients"]] == pytest.approx([intercept, slope], rel=1e-12)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a;b\n1,5;2\n2,5;4\n", "separated by semicolons"),
        ("a\tb\n1\t2\n", "separated by tabs"),
        ("1,2\n3,4\n", "first line holds numbers"),
        ("a,b\n1,5,2\n2,5,4\n", "Does a decimal comma"),
        ("a,b\n1,2\n3\n", "Row 2 has 1 cell where there are 2 columns"),
        ("a,a\n1,2\n", "Two columns are called a"),
        ('a,b\n"1,5",2\n', "seem to have a decimal comma"),
        ("a,b\n", "There is one line only"),
    ],
)
def test_a_file_that_would_be_misread_is_noticed(text: str, told: str, open_page: Opened) -> None:
    """Before anything is sent."""
    page = open_page("/train")
    drop(page, "rows.csv", text)
    expect(page.get_by_role("alert")).to_contain_text(told)


def test_an_error_stands_at_the_field_it_is_about(open_page: Opened, service: Service) -> None:
    """A learning rate too large is told at the learning rate, with the largest that is stable; at that rate the model is trained."""
    page = open_page("/train", expected=(422,))
    paste(page, text_of([row[:2] for row in TABLE], "\t"))
    page.get_by_label("Name", exact=True).fill("steps")
    page.get_by_label("Solver").select_option("gradient")
    page.get_by_role("checkbox", name="standardize").uncheck()
    page.get_by_label("Learning rate").fill("0.9")
    page.get_by_role("button", name="Train", exact=True).click()
    rate = page.get_by_label("Learning rate")
    expect(rate).to_have_attribute("aria-invalid", "")
    expect(rate).to_be_focused()
    advice = page.locator(f"#{rate.get_attribute('aria-describedby')}").text_content() or ""
    rate.fill(advice.split("learning_rate for these rows is ")[1].split(":")[0])
    document = trained(page, service)

    assert document["fit"]["solver"]["name"] == "sgd"
    assert len(document["history"]) == 101
    page.get_by_role("link", name="See how it learned").click()
    expect(page.locator(".player output")).to_contain_text("Epoch 100 of 100")


def test_the_loss_is_drawn_while_it_falls_and_the_training_can_be_stopped(open_page: Opened, service: Service) -> None:
    """The losses of the job's record, from the first epoch on; after Stop nothing is published."""
    page = open_page("/train")
    paste(page, text_of([row[:2] for row in TABLE], "\t"))
    page.get_by_label("Name", exact=True).fill("endless")
    page.get_by_label("Solver").select_option("gradient")
    page.get_by_label("Epochs").fill("1000000")
    page.get_by_role("button", name="Train", exact=True).click()
    drawn = page.locator("figure", has_text="The loss as it goes").locator("path.line")
    expect(drawn).to_have_attribute("d", re.compile(r"^M[^L]+(L[^L]+){20}"))  # of the epochs before the first look, too
    expect(page.get_by_text("of 1,000,000, loss")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("alert")).to_contain_text("cancelled")

    assert service.get("/models/endless").status == 404


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_form_is_for_everybody(scheme: str, open_page: Opened, tmp_path: Path) -> None:
    """At the width of a phone nothing sticks out and axe-core finds nothing wrong; a file is chosen and trained by keys alone."""
    page = open_page("/train", size=PHONE, scheme=scheme)
    page.locator("input[type=file]").focus()
    (tmp_path / "keys.csv").write_text(text_of(TABLE))
    page.locator("input[type=file]").set_input_files(tmp_path / "keys.csv")
    expect(page.get_by_text("4 columns, 60 rows")).to_be_visible()
    page.get_by_label("Solver").select_option("gradient")
    assert violations(page) == []
    assert too_wide(page) <= 0
    page.get_by_label("Name", exact=True).press("Enter")
    expect(page.get_by_role("link", name="Look at the version")).to_be_visible()
    assert violations(page) == []
