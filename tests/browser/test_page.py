"""The page as people use it: looking, predicting, comparing, changing what is live, by mouse, by keyboard and on a phone."""

import json
import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import DESK, PHONE, Opened, settled, too_wide, violations
from tests.support import Service

IMG = "<img src=x onerror=\"document.title='owned'\">"
SCRIPT = "<script>document.title='owned'</script>"
NOISE = np.random.default_rng(11)
TEXT = re.compile


def flats(rows: int) -> dict[str, list[Any]]:
    """Rents of made-up flats."""
    area = NOISE.uniform(30, 140, rows).round(1)
    rooms = np.maximum(1, (area / 28 + NOISE.normal(0, 0.7, rows)).round())
    place = NOISE.choice(["north", "south", "west"], rows)
    rent = 120 + 8.7 * area + 24 * rooms + np.select([place == "north", place == "west"], [60, -35]) + NOISE.normal(0, 55, rows)
    return {"area": area.tolist(), "rooms": rooms.tolist(), "district": place.tolist(), "rent": rent.round(2).tolist()}


@pytest.fixture(scope="module")
def rent(service: Service) -> str:
    """A model with a sample and four versions; the third, of which the fourth is a refit that is not live, is live."""
    train = {"model": "rent", "columns": flats(150), "target": "rent", "sample": 1000, "description": "autumn survey"}
    assert service.post("/train", train).status == 201
    assert service.post("/models/rent/learn", {"columns": flats(40)}).status == 201
    assert service.post("/models/rent/learn", {"columns": flats(25)}).status == 201
    assert service.post("/models/rent/refit", {"terms": ["area", "district"], "promote": False}).status == 201
    return "rent"


@pytest.fixture(scope="module")
def hostile(service: Service) -> str:
    """A model whose names are markup."""
    columns = {
        IMG: [1, 2, 3, 4, 5, 6.5],
        "a very long name that goes on and on and on <b>": [2, 1, 5, 4, 4, 9],
        SCRIPT: [3, 5, 10, 11.5, 12, 20],
    }
    body = {"model": "hostile", "columns": columns, "target": SCRIPT, "sample": 100, "description": IMG, "labels": {"a": IMG}}
    assert service.post("/train", body).status == 201
    return "hostile"


def number(text: str) -> float:
    """A number as the page writes it."""
    return float(text.replace(",", "").replace("−", "-"))


def command(page: Page, within: str) -> str:
    """The curl that a part of the page shows."""
    return page.locator(f"{within} .curl code").first.text_content() or ""


def figure(page: Page, title: str) -> Locator:
    """The figure with this title."""
    return page.locator("figure").filter(has=page.locator("figcaption").get_by_text(title, exact=True))


def test_from_the_list_to_a_version(open_page: Opened, rent: str) -> None:
    """The start lists the model with its live version's facts; it leads to the timeline, and from there to the version."""
    page = open_page("/")
    card = page.get_by_role("link", name=TEXT("^rent ?version 3 is live"))

    expect(card).to_contain_text("rent ~ area + rooms + district")
    expect(card).to_contain_text("215")
    card.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("rent")
    expect(page.locator(".timeline li")).to_have_count(4)
    expect(page.locator(".timeline li").nth(0)).to_contain_text("from version 3")
    expect(page.locator(".timeline li").nth(1)).to_contain_text("(+25)")
    page.get_by_role("link", name="Version 3", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("rent, version 3")
    expect(page).to_have_title("rent, version 3 · Plumbline")


def test_the_table_says_what_the_document_says(open_page: Opened, service: Service, rent: str) -> None:
    """Every coefficient is in the table, in its digits, with its interval drawn between its ends."""
    fit = service.get("/models/rent/versions/3").json["fit"]
    page = open_page("/models/rent/versions/3")
    rows = page.get_by_role("region", name="Coefficients").locator("tbody tr:not(.axis)")

    expect(rows).to_have_count(len(fit["coefficients"]))
    for index, row in enumerate(fit["coefficients"]):
        cells = rows.nth(index).locator("th, td").all_inner_texts()
        assert cells[0] == row["term"]
        assert number(cells[1]) == pytest.approx(row["estimate"], rel=1e-4)
        if row["term"] != "intercept":
            line = rows.nth(index).locator("line.range")
            ends = [float((line.get_attribute(end) or "").rstrip("%")) for end in ("x1", "x2")]
            middle = float((rows.nth(index).locator("circle").get_attribute("cx") or "").rstrip("%"))
            share = (row["estimate"] - row["lower"]) / (row["upper"] - row["lower"])
            assert middle == pytest.approx(ends[0] + share * (ends[1] - ends[0]), abs=0.02)


def test_sliders_predict_what_the_service_predicts(open_page: Opened, service: Service, rent: str) -> None:
    """Moving a slider changes the number, the interval, the line and the parts, and the curl beside it says the same."""
    page = open_page("/models/rent/versions/3")
    panel = page.locator("section.prediction")

    panel.get_by_label("area", exact=True).fill("77.5")
    panel.get_by_label("district").select_option("west")
    settled(page)
    asked = json.loads(re.search(r"-d '(.*)'$", command(page, ".prediction"), re.DOTALL)[1])  # type: ignore[index]
    truth = service.post("/predict", asked).json
    assert (asked["instances"][0]["area"], asked["instances"][0]["district"]) == (77.5, "west")
    assert number(panel.get_by_role("status").inner_text()) == pytest.approx(truth["predictions"][0], rel=1e-3)
    low, high = re.search(r"between (\S+) and (\S+)\.", panel.locator(".answer").inner_text()).groups()  # type: ignore[union-attr]
    assert [number(low), number(high)] == pytest.approx([truth["lower"][0], truth["upper"][0]], rel=1e-3)
    parts = [number(text) for text in panel.get_by_role("region", name="What the prediction").locator("td.number").all_inner_texts()]
    assert parts[0] + sum(parts[1:-1]) == pytest.approx(parts[-1], abs=0.05)
    slider = panel.get_by_label("area, slider")
    slider.focus()
    page.keyboard.press("End")
    expect(panel.get_by_label("area", exact=True)).not_to_have_value("77.5")
    panel.get_by_label("area", exact=True).fill("2000")
    expect(panel).to_contain_text("far outside what was learned")


def test_the_rows_are_drawn_where_they_are(open_page: Opened, service: Service, rent: str) -> None:
    """In the residual plot the points stand to each other as the sample's residuals and fitted values do."""
    sample = service.get("/models/rent/versions/3/sample").json
    page = open_page("/models/rent/versions/3")
    circles = figure(page, "Residuals").locator(".points circle")
    drawn = np.array(circles.evaluate_all("all => all.map(c => [c.getAttribute('cx'), c.getAttribute('cy')].map(Number))"))
    truth = np.column_stack([sample["fitted"]["rent"], sample["residual"]["rent"]])

    assert len(drawn) == sample["count"] == 215
    for axis, sign in ((0, 1), (1, -1)):
        slope, start = np.polyfit(truth[:, axis], drawn[:, axis], 1)
        assert np.sign(slope) == sign
        assert np.abs(drawn[:, axis] - (start + slope * truth[:, axis])).max() < 0.02


def test_without_a_sample_there_is_advice(open_page: Opened, service: Service) -> None:
    """A version that keeps no rows says how to keep some; its sliders know where its data were."""
    rows = np.random.default_rng(2).normal(50, 10, 80)
    body = {"model": "bare", "columns": {"x": rows.tolist(), "y": (3 * rows + NOISE.normal(size=80)).tolist()}, "target": "y"}
    assert service.post("/train", body).status == 201
    page = open_page("/models/bare/versions/1")

    expect(page.get_by_text('"sample": 1000')).to_be_visible()
    expect(figure(page, "Residuals")).to_have_count(0)
    slider = page.get_by_label("x, slider")
    assert float(slider.get_attribute("min") or "") == pytest.approx(rows.mean() - 3 * rows.std(), abs=1)
    assert float(slider.get_attribute("max") or "") == pytest.approx(rows.mean() + 3 * rows.std(), abs=1)


def test_a_version_that_forgot_its_rows_still_predicts(open_page: Opened, service: Service) -> None:
    """What a version cannot tell any more is not asked again: the prediction is there, and the service's reason for the rest."""
    row = {"columns": {"x": [1, 2, 3, 4], "y": [1, 2, 2, 4]}}
    assert service.post("/train", {"model": "forgetful", "target": "y", "sample": 10, **row}).status == 201
    while service.get("/models/forgetful/versions/1/sample").status == 200:
        assert service.post("/models/forgetful/learn", row).status == 201
    page = open_page("/models/forgetful/versions/1", expected=(404, 422))
    panel = page.locator("section.prediction")

    panel.get_by_label("x", exact=True).fill("3")
    expect(panel).to_contain_text("keeps no moments of this version")
    settled(page)
    truth = service.post("/predict", {"model": "forgetful", "version": "1", "instances": [[3]]}).json["predictions"][0]
    assert number(panel.get_by_role("status").inner_text()) == pytest.approx(truth, rel=1e-3)
    assert json.loads(re.search(r"-d '(.*)'$", command(page, ".prediction"), re.DOTALL)[1])["instances"] == [{"x": 3}]  # type: ignore[index]


def test_two_versions_side_by_side(open_page: Opened, service: Service, rent: str) -> None:
    """The comparison is reached from the chooser and shows the changes that the service computes."""
    truth = service.get("/models/rent/diff?from=1&to=3").json
    page = open_page("/models/rent")

    page.get_by_label("From").select_option("1")
    page.get_by_label("to", exact=True).select_option("3")
    page.locator("form").get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("rent: version 1 and version 3")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(len(truth["coefficients"]))
    for index, row in enumerate(truth["coefficients"]):
        change = rows.nth(index).locator("td").nth(2).inner_text()
        assert number(change) == pytest.approx(row["change"], rel=1e-2)


def test_promote_and_roll_back_by_keyboard_alone(open_page: Opened, service: Service) -> None:
    """Tab, Enter and Escape are enough to make a version live with a reason, to refrain from it, and to roll back."""
    rows = {"columns": {"x": [1, 2, 3, 4], "y": [1, 2, 2, 4]}}
    assert service.post("/train", {"model": "keyboard", "target": "y", **rows}).status == 201
    assert service.post("/models/keyboard/learn", {**rows, "promote": False}).status == 201
    page = open_page("/models/keyboard")

    def reach(name: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.locator("button:focus", has_text=name).count():
                return
        raise AssertionError(f"the Tab key does not reach {name}")

    reach("Make live")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    reach("Make live")
    page.keyboard.press("Enter")
    page.get_by_label("Reason").focus()
    page.keyboard.type("it's better")
    shown = command(page, "dialog")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Look at version 2")).to_be_visible()
    move = service.get("/models/keyboard/aliases/live").json
    assert (move["version"], move["reason"]) == ("2", "it's better")
    assert shown.endswith("""-d '{"version":"2","expect":"1","reason":"it'\\''s better"}'""")
    reach("Roll back")
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Roll back").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Look at version 1")).to_be_visible()
    assert service.get("/models/keyboard/aliases/live").json["version"] == "1"


def test_a_move_that_somebody_else_made_first_is_told(open_page: Opened, service: Service) -> None:
    """What the page shows may be old: then nothing is moved, and the dialog says why."""
    rows = {"columns": {"x": [1, 2, 3, 4], "y": [1, 2, 2, 4]}}
    assert service.post("/train", {"model": "race", "target": "y", **rows}).status == 201
    for _ in range(2):
        assert service.post("/models/race/learn", {**rows, "promote": False}).status == 201
    page = open_page("/models/race", expected=(412,))

    page.get_by_role("button", name="Make live version 2").click()
    body = json.dumps({"version": "3"}).encode()
    assert service.get("/models/race/aliases/live", method="PUT", body=body, headers={"Content-Type": "application/json"}).status == 200
    page.get_by_role("dialog").get_by_role("button", name="Make live").click()
    expect(page.get_by_role("alert")).to_contain_text("version 3")
    assert service.get("/models/race/aliases/live").json["version"] == "3"


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_is_accessible_and_fits(open_page: Opened, rent: str, hostile: str, size: tuple[int, int], scheme: str) -> None:
    """axe-core finds nothing, with everything unfolded too, nothing is wider than the window, and no name becomes markup."""
    page = open_page("/", size=size, scheme=scheme)
    for address in (
        "/",
        "/models/rent",
        "/models/rent/versions/3",
        "/models/rent/compare/1/4",
        "/models/hostile/versions/1",
        "/models/hostile",
    ):
        page.goto(f"{page.url.split('#')[0]}#{address}")
        settled(page)
        for _ in range(2):
            assert (address, violations(page), too_wide(page)) == (address, [], 0)
            page.evaluate("document.querySelectorAll('details').forEach(box => box.open = true)")
        assert page.locator("img[src='x'], main script").count() == 0
        assert "owned" not in page.title()


def test_the_report_and_the_weights_are_saved_as_they_are(open_page: Opened, service: Service, rent: str) -> None:
    """What the buttons save is, byte for byte, what the service answers."""
    page = open_page("/models/rent/versions/3")

    for name, address in (("report", "report.html"), ("residuals", "plots/residuals.svg"), ("json", "state_dict?format=json")):
        with page.expect_download() as saving:
            page.locator(".files").get_by_role("button", name=name, exact=True).click()
        assert saving.value.path().read_bytes() == service.get(f"/models/rent/versions/3/{address}").body


def test_an_address_that_leads_nowhere_is_advice(open_page: Opened) -> None:
    """A model that is not there is told with the service's own words, and a wrong address with a way back."""
    page = open_page("/models/absent", expected=(404,))

    expect(page.get_by_role("alert")).to_contain_text("absent")
    page.goto(f"{page.url.split('#')[0]}#/no/such/page/here")
    expect(page.get_by_role("link", name="To the models")).to_be_visible()


def test_the_first_visit_teaches(open_page: Opened, start_service: Callable[..., Service]) -> None:
    """Without models the page says what to do; with tokens it asks for one and keeps it in the tab alone."""
    protected = start_service(WORKERS="1", WRITE_TOKEN="write-token-000001", READ_TOKEN="read-token-0000001")
    page = open_page("/", url=protected.url, expected=(401, 403))

    dialog = page.get_by_role("dialog", name="A token is needed")
    dialog.get_by_label("Token").fill("wrong")
    dialog.get_by_role("button", name="Use this token").click()
    expect(page.get_by_text("The token that was sent may not do this")).to_be_visible()
    page.get_by_role("dialog").get_by_label("Token").fill("read-token-0000001")
    assert violations(page) == []
    page.get_by_role("dialog").get_by_role("button", name="Use this token").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Lines through your data")
    assert "Authorization: Bearer $TOKEN" in command(page, "main")
    assert "read-token" not in page.content()
    assert page.evaluate("[Object.values(localStorage), document.cookie, Object.values(sessionStorage)]") == [
        [],
        "",
        ["read-token-0000001"],
    ]
    assert violations(page) == []


def test_the_page_is_light_and_quick(open_page: Opened, rent: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What the start loads, uncompressed, is below 150 kB and comes from the service alone; how long it took is printed."""
    page = open_page("/")
    entries = page.evaluate(
        "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
        ".map(e => [e.name, e.decodedBodySize, e.responseEnd])"
    )
    interactive = page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
    files = [entry for entry in entries if "/web/" in entry[0] or entry[0].split("#")[0].endswith("/")]  # not the models' documents
    size = sum(entry[1] for entry in files)
    whole = max(entry[2] for entry in entries)
    with capsys.disabled():
        sys.stdout.write(f"\n{len(files)} files, {size} bytes, interactive after {interactive:.0f} ms, whole after {whole:.0f} ms\n")

    assert size < 150_000
    assert {entry[0].split("/")[2] for entry in entries} == {page.url.split("/")[2]}
