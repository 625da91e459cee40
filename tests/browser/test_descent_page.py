"""Gradient descent as pictures: each textbook run of the page is that of the tests, and what is drawn is what the service says."""

import re
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import PHONE, Opened, too_wide, violations
from tests.support import Service
from tests.test_textbook import RUNS, Run, by_hand

expect.set_options(timeout=20_000)
KEYS = ("a", "b", "c", "d", "e")
OF_PAGE = {"e": "e by adam"}
VARIANTS = {
    "Adam": "e by adam",
    "AdaGrad, Huber loss": "e by adagrad and huber",
    "RMSprop, absolute loss": "e by rmsprop and l1",
    "L-BFGS": "e by lbfgs",
    "SGD": "a",
    "SGD with momentum": "e with momentum",
}


def run_of(key: str) -> Run:
    return RUNS[OF_PAGE.get(key, key)]


def module(page: Page, name: str, expression: str, argument: Any = None) -> Any:
    """What an expression of `m`, a module of the page, and of `a` gives."""
    return page.evaluate(f"async (a) => {{ const m = await import('/web/{name}.js'); return {expression}; }}", argument)


def choose(page: Page, service: Service, key: str) -> Any:
    """Choose a run, wait for its pictures, and answer the document of its version."""
    page.locator(f"[data-run={key}]").click()
    expect(page.locator(".player output")).to_contain_text("Epoch")
    model, version = re.findall(r"#/descent/([\w-]+)/(\d+)", page.url)[0]
    return service.get(f"/models/{model}/versions/{version}").json


def chart(page: Page, title: str) -> Locator:
    return page.locator("figure", has=page.get_by_text(title, exact=True)).locator("svg")


def lines_of(drawing: Locator, selector: str) -> list[np.ndarray[Any, Any]]:
    """Polylines of a chart in the units of its axes [points, 2], by the numbers and places of its ticks alone."""
    ticks = drawing.locator(".axes text:not(.label)").evaluate_all(
        "all => all.map(t => [t.textContent, +t.getAttribute('x'), +t.getAttribute('y'), t.getAttribute('text-anchor')])"
    )
    scales = []
    for anchor, place in (("middle", 1), ("end", 2)):
        marks = [(float(tick[0].replace("−", "-").replace(",", "")), tick[place]) for tick in ticks if tick[3] == anchor]
        offset = 4.0 if anchor == "end" else 0.0  # the text stands so many pixels below its line
        scales.append(np.polyfit([pixel - offset for _, pixel in marks], [value for value, _ in marks], 1))
    paths = drawing.locator(selector).evaluate_all("all => all.map(p => p.getAttribute('d'))")
    pixels = [np.array([step.split() for step in re.split("[ML]", path)[1:]], float) for path in paths]
    return [np.column_stack([np.polyval(scale, points[:, i]) for i, scale in enumerate(scales)]) for points in pixels]


def parameters(entry: dict[str, Any]) -> list[float]:
    return [entry["weight"][0], *([] if entry["bias"] is None else [entry["bias"]])]


@pytest.mark.parametrize("key", KEYS)
def test_a_run_of_the_page_asks_what_the_textbook_run_asks(key: str, open_page: Opened, service: Service) -> None:
    """Rows, solver, dtype and intercept are those of tests/test_textbook.py; where it starts is where the torch loop starts."""
    page = open_page()
    run = run_of(key)
    request = module(page, "textbook", "[m.requestOf(a, m.RUNS[a]), m.RUNS[a].start]", key)
    first = by_hand(run)[1][0]

    assert {name: request[0][name] for name in ("instances", "targets", "solver", "dtype", "intercept", "history")} == {
        name: run.request[name] for name in ("instances", "targets", "solver", "dtype", "intercept", "history")
    }
    assert request[1] == {"weight": first[2][0], "bias": first[3] if run.intercept else None}


def test_the_other_optimizers_of_run_e_are_those_of_the_tests(open_page: Opened, service: Service) -> None:
    """By name, with the same rates, losses, epochs and dtypes."""
    page = open_page()
    variants = module(page, "textbook", "Object.entries(m.RUNS.e.variants).map(([n, v]) => [n, m.requestOf('e', {...m.RUNS.e, ...v})])")

    assert {name: (request["solver"], request["dtype"]) for name, request in variants} == {
        name: (RUNS[run].solver, RUNS[run].dtype) for name, run in VARIANTS.items()
    }


@pytest.mark.parametrize("key", KEYS)
def test_what_is_drawn_of_a_run_is_its_history(key: str, open_page: Opened, service: Service) -> None:
    """Every epoch can be chosen; the line of the first and of the last, the path and the loss are the service's, to a tenth of a pixel."""
    page = open_page("/descent")
    document = choose(page, service, key)
    history = document["history"]
    last = run_of(key).solver["epochs"]
    assert len(history) == last + 1
    assert page.locator(".player input").get_attribute("max") == str(last)
    assert page.locator(".player output").text_content().startswith(f"Epoch {last} of {last}: slope ")
    data = chart(page, "The data and the line")

    for key_pressed, entry in (("End", history[-1]), ("Home", history[0])):
        page.locator(".descent").press(key_pressed)
        (drawn,) = lines_of(data, "path.current")
        x = np.asarray(run_of(key).x)
        found = np.polyfit(*drawn.T, 1)
        expected = np.array([entry["weight"][0], entry["bias"] or 0.0])
        off = np.abs((found - expected) @ [x, np.ones(len(x))]).max()
        assert off < 5e-4 * np.ptp(np.r_[run_of(key).y, drawn[:, 1]]), (found, expected)
    page.locator(".descent").press("End")
    if document["schema"]["frame"]["intercept"]:
        (path,) = lines_of(chart(page, "The way down the error"), "path.path")
        walked = np.array([parameters(entry) for entry in history])
        np.testing.assert_allclose(path, walked, atol=5e-4 * np.ptp(walked, axis=0).max())


def test_the_tangents_of_run_d_have_the_slopes_of_its_gradients(open_page: Opened, service: Service) -> None:
    """Five points on the parabola, each with its tangent: by numpy, the mean of 2 x (w x - y)."""
    page = open_page("/descent")
    history = choose(page, service, "d")["history"]
    run = RUNS["d"]
    way = chart(page, "The way down the error, with its tangents")
    *before, last = [*lines_of(way, "path.quiet"), *lines_of(way, "path.current")]
    tangents = [*before[:4], last]  # the state that is shown is among the others, too
    slopes = [np.ptp(t[:, 1]) / np.ptp(t[:, 0]) * -1 if t[0, 1] > t[-1, 1] else np.ptp(t[:, 1]) / np.ptp(t[:, 0]) for t in tangents]
    expected = [np.mean(2 * run.x * (e["weight"][0] * run.x - run.y)) for e in history]

    assert way.locator(".points.contrast circle").count() == 5
    np.testing.assert_allclose(slopes, expected, rtol=0.01, atol=0.2)
    heights = [t[:, 1].mean() for t in tangents]
    np.testing.assert_allclose(heights, [e["loss"] for e in history], atol=0.3)


@pytest.mark.parametrize("loss", ["mse", "sse", "l1", "huber"])
def test_costs_and_their_gradients_are_numpy_s(loss: str, open_page: Opened, service: Service) -> None:
    """At random lines, with and without an intercept; and on an ellipse the cost is the same everywhere."""
    page = open_page()
    generator = np.random.default_rng(5)
    x, y = generator.normal(size=30) + 3, generator.normal(size=30)
    each = {"mse": np.square, "sse": np.square, "l1": np.abs, "huber": lambda r: np.where(abs(r) <= 1, r * r / 2, abs(r) - 0.5)}[loss]

    def cost(b: Any) -> float:
        values = each(b[-1] * x + (b[0] if len(b) > 1 else 0) - y)
        return float(values.sum() if loss == "sse" else values.mean())

    for width in (1, 2):
        at = generator.normal(size=(20, width)).tolist()
        rows = {"x": x.tolist(), "y": y.tolist(), "at": at, "how": {"intercept": width == 2, "loss": loss}}
        made = "(() => { const c = m.costOfRows(a.x, a.y, a.how); return a.at.map(b => [c.at(b), c.gradient(b)]) })()"
        for b, (value, gradient) in zip(at, module(page, "cost", made, rows), strict=True):
            step = 1e-6 * np.eye(width)
            slopes = [(cost(b + d) - cost(b - d)) / 2e-6 for d in step]
            assert value == pytest.approx(cost(b), rel=1e-11)
            np.testing.assert_allclose(gradient, slopes, rtol=1e-4, atol=1e-4)
    if loss in {"mse", "sse"}:
        ellipse = module(page, "cost", "m.ellipse(m.costOfRows(a.x, a.y, a.how), 500)", rows)
        np.testing.assert_allclose([cost(b) for b in ellipse], 500, rtol=1e-9)


def test_a_rate_too_large_is_shown_as_what_it_is(open_page: Opened, service: Service) -> None:
    """Nothing is published; the advice names the largest stable rate; the steps drawn are those of the plain loop."""
    page = open_page("/descent", expected=(422,))
    before = choose(page, service, "d")["version"]
    page.get_by_label("Learning rate").fill("0.5")
    page.get_by_role("button", name="Train again").click()
    expect(page.get_by_role("alert")).to_contain_text("largest stable learning_rate")
    expect(page.locator(".player output")).to_contain_text("Epoch")
    steps = by_hand(Run(RUNS["d"].x, RUNS["d"].y, RUNS["d"].solver | {"learning_rate": 0.5}, intercept=False))[1]
    run = {"x": RUNS["d"].x.tolist(), "y": RUNS["d"].y.tolist()}
    how = "m.costOfRows(a.x, a.y, {intercept: false}), {weight: -10, bias: null}, {rate: 0.5, epochs: 4, ruin: 1e9}"
    walk = module(page, "cost", f"m.walk({how})", run)

    assert service.get("/models/textbook-d/versions/live").json["version"] == before
    np.testing.assert_allclose([e["weight"][0] for e in walk], [weight[0] for _, _, weight, _ in steps], rtol=1e-9)
    np.testing.assert_allclose([e["loss"] for e in walk], [loss for _, loss, _, _ in steps], rtol=1e-9)


def test_a_run_is_walked_by_keys_and_played(open_page: Opened, service: Service) -> None:
    """Home, arrows and End choose the epoch, the space bar plays and pauses, and the last epoch ends the play."""
    page = open_page("/descent")
    choose(page, service, "a")
    said, board = page.locator(".player output"), page.locator(".descent")
    for key, epoch in (("Home", 0), ("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", 100)):
        board.press(key)
        assert said.text_content().startswith(f"Epoch {epoch} of 100:")
    board.press("Space")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(said).not_to_contain_text("Epoch 100 of 100")
    board.press("Space")
    paused = said.text_content()
    page.wait_for_timeout(300)
    assert said.text_content() == paused
    page.locator(".player input").fill("99")
    board.press("Space")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    assert said.text_content().startswith("Epoch 100 of 100:")
    logarithmic = page.get_by_role("checkbox", name="logarithmic loss")
    logarithmic.press("Space")
    expect(logarithmic).not_to_be_checked()  # a key means what it means where it is pressed
    expect(page.get_by_role("button", name="Play")).to_be_visible()


def test_a_version_without_rows_or_history_says_how_to_get_them(open_page: Opened, service: Service) -> None:
    """The cost needs no rows; the data do; the exact solver has no epochs."""
    request = RUNS["a"].request | {"model": "plain"}
    assert service.post("/train", request).status == 201
    assert service.post("/train", request | {"solver": "exact", "history": False}).status == 201
    page = open_page("/descent/plain/1", expected=(404,))
    expect(page.get_by_role("alert")).to_contain_text("sample")
    assert chart(page, "The way down the error").locator("path.contour").count() == 9
    page = open_page("/descent/plain/2")
    expect(page.get_by_role("alert")).to_contain_text("history")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pictures_are_for_everybody(scheme: str, open_page: Opened, service: Service) -> None:
    """At the width of a phone nothing sticks out, and axe-core finds nothing wrong, in both schemes, whatever the run."""
    page = open_page("/descent", size=PHONE, scheme=scheme)
    for key in ("d", "e"):
        choose(page, service, key)
        assert violations(page) == []
        assert too_wide(page) <= 0
