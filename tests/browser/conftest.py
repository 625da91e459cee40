"""The page in Debian's chromium, before a real service. A tab in which anything went wrong unseen fails its test."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.support import Service

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
PHONE, DESK = (360, 740), (1280, 900)
Opened = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs a browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for all tests."""
    program = shutil.which("chromium")
    if program is None:
        pytest.fail("there is no chromium: install it with apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser, service: Service) -> Iterator[Opened]:
    """Open the page at an address behind `#`; no message of the console and no error may be left over when the test ends.

    Chromium counts an answer of 400 or more as an error on the console: `expected` are the statuses that a test provokes.
    """
    contexts, told = [], []

    def open_at(
        address: str = "/",
        *,
        size: tuple[int, int] = DESK,
        scheme: str = "light",
        url: str | None = None,
        expected: tuple[int, ...] = (),
        **more: Any,
    ) -> Page:
        def hear(message: ConsoleMessage) -> None:
            foreseen = any(f"status of {status}" in message.text for status in expected)
            if message.type in ("error", "warning") and not foreseen:
                told.append(message.text)

        shape = {"width": size[0], "height": size[1]}
        context = chromium.new_context(viewport=shape, color_scheme=scheme, reduced_motion="reduce", locale="en-GB", **more)
        context.set_default_timeout(20_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", hear)
        page.on("pageerror", lambda error: told.append(str(error)))
        page.goto(f"{url or service.url}/#{address}")
        settled(page)
        return page

    yield open_at
    for context in contexts:
        context.close()
    assert told == []


def settled(page: Page) -> None:
    """Wait until everything that was asked for is there, or a question waits for an answer."""
    page.locator("dialog, .view").filter(has_not_text="Loading …").first.wait_for()
    page.wait_for_load_state("networkidle")


def violations(page: Page) -> list[str]:
    """What axe-core finds wrong with the page as it is: the rule, and where."""
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [f"{rule['id']}: {node['html'][:160]}" for rule in found["violations"] for node in rule["nodes"]]


def too_wide(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
