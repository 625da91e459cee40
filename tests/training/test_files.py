"""Files that a request names: those under the configured roots, and nothing else in the world."""

import os
from pathlib import Path
from typing import Any

import pytest

from service.errors import Invalid
from service.training.files import NO_ROOT, NOT_UNDER, find_named, one_form

HOSTILE = [
    "/etc/passwd",
    "../outside.csv",
    "sub/../../outside.csv",
    "sub/../a.csv",
    "..",
    ".",
    "",
    "~/a.csv",
    "file:///etc/passwd",
    "http://127.0.0.1/a.csv",
    "s3://bucket/a.csv",
    "c:\\a.csv",
    "..\\outside.csv",
    "a.csv\0.txt",
    "a.csv\n",
    "a" * 2000,
    "a" * 300,
    "**/**/*.csv",
    "../*.csv",
    "link-out.csv",
    "link-nowhere.csv",
    "link-folder/outside.csv",
    "loop.csv",
    "pipe.csv",
    "sub",
    "missing.csv",
    "link-*.csv",
    "pipe*",
    "/*",
    7,
    None,
    ["a.csv"],
    {"a": 1},
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with files, and links, a loop and a pipe that lead elsewhere; beside it a file that is none of anybody's business."""
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    for path in (root / "a.csv", root / "sub" / "b.csv", tmp_path / "outside.csv"):
        path.write_text("x,y\n1,2\n")
    (root / "link-in.csv.txt").symlink_to(root / "a.csv")
    (root / "link-out.csv").symlink_to(tmp_path / "outside.csv")
    (root / "link-nowhere.csv").symlink_to(tmp_path / "not-there.csv")
    (root / "link-folder").symlink_to(tmp_path)
    (root / "loop.csv").symlink_to(root / "loop.csv")
    os.mkfifo(root / "pipe.csv")
    return root


def test_names_and_globs_find_files_under_the_roots(root: Path, tmp_path: Path) -> None:
    """A relative name is a file of the first root that has it; a glob is its files there, sorted; a link within is followed."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "c.parquet").write_bytes(b"")
    roots = (root, other)

    assert find_named("a.csv", roots, copies=Path("unused")) == [root / "a.csv"]
    assert find_named("sub/b.csv", roots, copies=Path("unused")) == [root / "sub" / "b.csv"]
    assert find_named("link-in.csv.txt", roots, copies=Path("unused")) == [root / "a.csv"]
    assert find_named("c.parquet", roots, copies=Path("unused")) == [other / "c.parquet"]
    assert find_named("**/[ab].csv", roots, copies=Path("unused")) == [root / "a.csv", root / "sub" / "b.csv"]
    assert find_named("sub/*", roots, copies=Path("unused")) == [root / "sub" / "b.csv"]


@pytest.mark.parametrize("source", HOSTILE, ids=lambda source: repr(source)[:30])
def test_everything_else_is_refused_in_the_same_words(root: Path, source: Any) -> None:
    """Absolute names, `..`, addresses, links that lead out, pipes and what is not there: one answer, which tells nothing."""
    with pytest.raises(Invalid) as refused:
        find_named(source, (root,), copies=Path("unused"))

    assert refused.value.errors == {"source": [NOT_UNDER]}


def test_without_roots_nothing_can_be_named(root: Path) -> None:
    """The default says what to set."""
    with pytest.raises(Invalid) as refused:
        find_named("a.csv", (), copies=Path("unused"))

    assert refused.value.errors == {"source": [NO_ROOT]}


def test_files_are_of_one_form(root: Path) -> None:
    """The suffix says the form; an unknown or a second one is refused by the file's name."""
    assert one_form([root / "a.csv", root / "b.CSV"]) == "csv"
    for names, wrong in ((["a.txt"], "a.txt"), (["a.csv", "b.parquet"], "b.parquet")):
        with pytest.raises(Invalid) as refused:
            one_form([root / name for name in names])
        assert list(refused.value.errors) == [wrong]
