"""`python -m service plot` and `report`: files straight from the store."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from service.cli import main
from service.plots.kinds import file_of
from tests.plots.gallery import Gallery


@pytest.fixture
def run(gallery: Gallery, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> object:
    """Run a command on the store, in a directory of its own."""
    monkeypatch.setenv("PLUMBLINE_STORE", str(gallery.root))
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> Result:
        return CliRunner().invoke(main, arguments)

    return command


def test_figures_and_reports_are_written(run, gallery: Gallery, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """The suffix says which form; the file is the one that the door gives."""
    assert run("plot", "line@1", "coefficients", "-o", "c.svg").output == "c.svg: coefficients of line@1\n"
    assert run("plot", "line", "fit", "-o", "f.PNG").exit_code == 0
    assert run("report", "line@live", "-o", "r.html").output == "r.html: report of line@1\n"

    assert (tmp_path / "c.svg").read_bytes() == file_of(gallery.subject("line", "coefficients"), "coefficients", "svg")
    assert (tmp_path / "f.PNG").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "r.html").read_bytes().startswith(b"<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (("plot", "line", "coefficients", "-o", "c.pdf"), 1, "must end in .svg or .png"),
        (("plot", "line", "loss", "-o", "l.svg"), 1, "has no history"),
        (("plot", "bare", "fit", "-o", "l.svg"), 1, '"sample": 1000'),
        (("plot", "none", "fit", "-o", "l.svg"), 1, "none"),
        (("plot", "line", "fit", "-o", "no/such/place.svg"), 1, "cannot be written"),
        (("plot", "line", "pie", "-o", "l.svg"), 2, "pie"),
        (("report", "line"), 2, "--output"),
    ],
)
def test_what_is_wrong_is_told(run, tmp_path: Path, arguments: tuple[str, ...], code: int, why: str) -> None:  # type: ignore[no-untyped-def]
    """Exit code 1 with a plain message where the data or the file are wrong, 2 where the command line is; no file is left behind."""
    result = run(*arguments)

    assert result.exit_code == code
    assert why in result.output
    assert list(tmp_path.iterdir()) == []
