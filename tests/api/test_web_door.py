"""The page's files: the whole list and nothing else, with the headers that keep a browser from anything but them."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.test import Client

from tests.api.conftest import MakeClient
from tests.support import ROOT

WEB = ROOT / "service" / "web"
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
FILES = sorted(path for path in WEB.rglob("*") if path.suffix in TYPES)
MOST_BYTES = 100_000


def policy(header: str) -> dict[str, list[str]]:
    """A Content-Security-Policy by its directives."""
    return {name: values for name, *values in (part.split() for part in header.split(";"))}


def imported(text: str, folder: Path) -> Iterator[Path]:
    """The files that a module imports from others of the page."""
    for found in re.findall(r'(?:from|import)\s+"(\.[^"]+)"', text):
        yield (folder / found).resolve()


def test_a_browser_gets_the_page_and_others_the_status(client: Client) -> None:
    """`GET /` goes by `Accept`, and caches are told so."""
    page = client.get("/", headers=BROWSER)

    assert page.content_type == "text/html; charset=utf-8"
    assert page.text == (WEB / "index.html").read_text("utf-8")
    for headers in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}):
        assert client.get("/", headers=headers).json == {"status": "alive"}
    assert {page.headers["Vary"], client.get("/").headers["Vary"]} == {"Accept"}


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.relative_to(WEB).as_posix())
def test_every_file_is_served_as_it_is(client: Client, file: Path) -> None:
    """The bytes, their type, no guessing, an ETag, and 304 to who has them already."""
    address = f"/web/{file.relative_to(WEB).as_posix()}"

    first = client.get(address)
    again = client.get(address, headers={"If-None-Match": first.headers["ETag"]})

    assert (first.status_code, first.data, first.content_type) == (200, file.read_bytes(), TYPES[file.suffix])
    assert first.headers["X-Content-Type-Options"] == "nosniff"
    assert first.headers["Cache-Control"] == "no-cache"
    assert (again.status_code, again.data) == (304, b"")


def test_the_policy_lets_in_nothing_but_our_own_files(client: Client) -> None:
    """Scripts and styles come from files of this service alone, and no other site may show the page in a frame."""
    allowed = policy(client.get("/", headers=BROWSER).headers["Content-Security-Policy"])

    assert allowed["default-src"] == ["'self'"]
    assert {"script-src", "style-src", "connect-src"}.isdisjoint(allowed)
    assert allowed["object-src"] == allowed["base-uri"] == allowed["frame-ancestors"] == ["'none'"]
    page = (WEB / "index.html").read_text("utf-8")
    assert re.findall(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", page) == []


def test_what_the_page_asks_for_is_there(client: Client) -> None:
    """Every address in the page and every import of its modules names a file that is served."""
    wanted = re.findall(r'(?:src|href)="(/[^"]*)"', (WEB / "index.html").read_text("utf-8"))
    modules = {path for file in FILES if file.suffix == ".js" for path in imported(file.read_text("utf-8"), file.parent)}

    assert wanted
    assert modules
    assert [address for address in wanted if client.get(address, buffered=True).status_code != 200] == []
    assert modules <= set(FILES)


@pytest.mark.parametrize("view", sorted(path.name for path in (WEB / "views").iterdir()))
def test_the_page_is_light(view: str) -> None:
    """What a view loads, with the frame and all modules that it needs, is below 100 kB uncompressed."""
    loaded: set[Path] = set()
    wanted = [WEB / name for name in ("index.html", "style.css", "icon.svg", "app.js", f"views/{view}")]
    while wanted:
        file = wanted.pop()
        if file not in loaded:
            loaded.add(file)
            wanted.extend(imported(file.read_text("utf-8"), file.parent))

    assert sum(file.stat().st_size for file in loaded) < MOST_BYTES


@pytest.mark.parametrize(
    "file", ["absent.js", "__init__.py", "../config.py", "..%2f..%2fpyproject.toml", "etc/passwd", "views", "views/", ""]
)
def test_nothing_else_is_served(client: Client, file: str) -> None:
    """What is not on the list is 404, whatever it looks like."""
    answer = client.get(f"/web/{file}")

    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")


def test_the_page_is_public_where_reading_needs_a_token(make_client: MakeClient) -> None:
    """The page can ask for the token that the models need."""
    client = make_client(WRITE_TOKEN="w" * 20, READ_TOKEN="r" * 20)

    assert client.get("/", headers=BROWSER).content_type.startswith("text/html")
    assert client.get("/web/app.js").status_code == 200
    assert client.get("/models").status_code == 401
