"""The documentation is run: every command and program against a real service, and what a page shows is what comes."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import ROOT, Service
from tests.transcripts import DOCUMENTS, Reader, blocks, same, snippets

# What stands in `sh` blocks is not run here: building, Docker and platforms have tests of their own (`make container`, `.ci/run`).
ELSEWHERE = ("make ", "docker ")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the reader of all pages works."""
    return tmp_path_factory.mktemp("reader")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, directory: Path) -> Iterator[Service]:
    """One service for all pages; each page trains models of its own."""
    (directory / "data").mkdir()
    (directory / "examples").symlink_to(ROOT / "examples")
    running = Service(tmp_path_factory.mktemp("docs"), DEVICE="cpu", WORKERS="1", DATA_ROOTS=str(directory / "data")).start()
    yield running
    assert running.stop() == 0


@pytest.mark.parametrize("document", DOCUMENTS, ids=[str(document.relative_to(ROOT)) for document in DOCUMENTS])
def test_what_a_page_shows_is_what_happens(document: Path, directory: Path, shared: Service, start_service: Callable[..., Service]) -> None:
    """Every command and program of a page runs, in order, and gives the output shown, and the pictures shown are those it draws."""
    reader = Reader(directory, shared, start_service)

    for snippet in snippets(document.read_text("utf-8")):
        came = reader.run(snippet)
        assert snippet.shown is None or same(came, snippet.shown, exact=snippet.exact), f"{snippet.code}\n{came}"
    for picture in re.findall(r"\]\(((?:docs/)?pictures/[^)]+)\)", document.read_text("utf-8")):
        drawn = directory / Path(picture).name
        assert drawn.read_bytes() == (document.parent / picture).read_bytes(), f"{picture} is drawn otherwise now: take {drawn}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=[str(document.relative_to(ROOT)) for document in DOCUMENTS])
def test_nothing_that_looks_like_a_snippet_escapes(document: Path) -> None:
    """A block is run, is the output of one that is run, or is of a kind that is tested elsewhere."""
    pieces = blocks(document.read_text("utf-8"))

    assert document.read_text("utf-8").count("```") == 2 * len(pieces)
    assert {language for language, _, _ in pieces} <= {"console", "python", "pycon", "text", "sh"}
    lines = [line for language, _, text in pieces if language == "sh" for line in text.splitlines()]
    assert [line for line in lines if not line.startswith(ELSEWHERE)] == []


@pytest.mark.parametrize(
    ("came", "shown", "exact", "expected"),
    [
        ('{"a": 1.0, "time": "now"}', '{"a": 1.0,\n "time": "then"}', False, True),
        ("0.1000000000000001", "0.1", False, True),
        ("0.1000000000000001", "0.1", True, False),
        ("0.2", "0.1", False, False),
        ("sha256:12e4", "sha256:12e5", False, False),
        ('{"a": 1, "b": 2, "c": 3}', '{"a": 1, … "c": 3}', False, True),
        ('{"a": 1, "b": 2, "c": 4}', '{"a": 1, … "c": 3}', False, False),
        ("one two", "one", False, False),
        ("one", "one two", False, False),
        ("one two three", "… two …", False, True),
        ("one three", "… two …", False, False),
        ("", "something", False, False),
    ],
)
def test_outputs_are_compared_as_the_pages_promise(came: str, shown: str, *, exact: bool, expected: bool) -> None:
    """Text exactly, numbers to nine digits or bit for bit, `…` as anything, and nothing may be missing or too much."""
    assert same(came, shown, exact=exact) is expected


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("document", DOCUMENTS, ids=[str(document.relative_to(ROOT)) for document in DOCUMENTS])
def test_links_lead_somewhere(document: Path) -> None:
    """Every file and heading that a page links to is there."""
    lost = []
    for link in re.findall(r"\]\((?!https?://)([^)]+)\)", document.read_text("utf-8")):
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        headings = re.findall(r"^#+ (.+)$", target.read_text("utf-8"), re.MULTILINE) if target.suffix == ".md" else []
        if not target.exists() or (anchor and anchor not in [slug(heading) for heading in headings]):
            lost.append(link)
    assert lost == []


def test_the_index_names_every_page() -> None:
    """`docs/README.md` and the README lead to each page."""
    pages = [document.name for document in DOCUMENTS if document.name != "README.md"]

    assert [page for page in pages if f"]({page})" not in (ROOT / "docs/README.md").read_text("utf-8")] == []
    assert [page for page in pages if f"](docs/{page})" not in (ROOT / "README.md").read_text("utf-8")] == []
