"""`python -m service train`: the training of the service, from a terminal."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from model_store.store import ModelStore
from service.cli import main
from service.training.document import version_document
from tests.support import ROOT

ROWS = "area,age,rent\n50,3,700.5\n70,1,880\n90,12,1010\n60,30,690\n"


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rents.csv"
    path.write_text(ROWS)
    return path


def command(tmp_path: Path, *arguments: str, **settings: str) -> Result:
    """What `python -m service` does with these arguments, and its exit code."""
    return CliRunner().invoke(main, arguments, env={"PLUMBLINE_STORE": str(tmp_path / "store"), "COLUMNS": "120"} | settings)


def test_a_file_is_trained_and_published(rows: Path, tmp_path: Path) -> None:
    """The version stands in the store as it would from HTTP, its table is printed, and without a terminal nothing else is."""
    done = command(tmp_path, "train", str(rows), "--target", "rent", "--model", "rent", "--description", "a few flats")
    store = ModelStore.open(tmp_path / "store")
    document = version_document(store, store.manifest("rent", 1))

    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("rent version 1: n = 4, R² = 0.99")
    for row in document["fit"]["coefficients"]:
        assert f"│ {row['term']:<9} │ {row['estimate']:>8.6g} │" in done.stdout
    assert (document["aliases"], document["description"]) == (["live"], "a few flats")
    assert document["schema"]["features"] == [{"name": "area", "type": "numeric"}, {"name": "age", "type": "numeric"}]
    assert store.alias("rent", "live").who == "command line"


def test_the_options_reach_the_training(rows: Path, tmp_path: Path) -> None:
    """Features, several targets, no intercept and no promotion are what is trained."""
    done = command(
        tmp_path, "train", str(rows), "--target", "rent", "--target", "age", "--features", "area", "--no-intercept", "--no-promote"
    )
    store = ModelStore.open(tmp_path / "store")
    document = version_document(store, store.manifest("default", 1))

    assert done.exit_code == 0
    assert document["schema"]["features"] == [{"name": "area", "type": "numeric"}]
    assert (document["schema"]["targets"], document["schema"]["frame"]["intercept"]) == (["rent", "age"], False)
    assert document["aliases"] == []


def test_numbers_that_do_not_exist_are_shown_as_none(tmp_path: Path) -> None:
    """A perfect fit has no t; the table says so with a dash."""
    path = tmp_path / "perfect.csv"
    path.write_text("a,y\n1,2\n2,4\n")
    done = command(tmp_path, "train", str(path), "--target", "y")

    assert done.exit_code == 0
    assert done.stdout.count("-") >= 6


@pytest.mark.parametrize(
    ("text", "arguments", "says"),
    [
        (
            "a,y\n1,zebra\n",
            ["--target", "y"],
            "Error: some fields of the request are not valid\n  row 1, column y: must be a number\n",
        ),
        ("a,y\n1,2\n", ["--target", "z"], "Error: some fields of the request are not valid\n  z: is not a column of the file\n"),
        ("a,y\n1,2,3\n", ["--target", "y"], "Error: the data cannot be read as csv: every line must have as many fields as the header\n"),
        ("a,y\n1,2\n", ["--target", "y", "--model", "../x"], "  model: must be 1 to 64 letters"),
    ],
)
def test_wrong_data_end_with_one_clear_message(tmp_path: Path, text: str, arguments: list[str], says: str) -> None:
    """What the user can mend is told without a traceback, and the exit code is 1."""
    path = tmp_path / "wrong.csv"
    path.write_text(text)
    done = command(tmp_path, "train", str(path), *arguments)

    assert (done.exit_code, done.stdout) == (1, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert "zebra" not in done.stderr


@pytest.mark.parametrize("name", ["absent.csv", "absent-*.csv", "rents.txt"])
def test_files_that_cannot_be_found_or_read_are_told(rows: Path, tmp_path: Path, name: str) -> None:
    """A pattern without a file, or a file of an unknown form, is told by its name with exit code 1."""
    rows.with_name("rents.txt").write_text(ROWS)
    done = command(tmp_path, "train", str(tmp_path / name), "--target", "rent")

    assert (done.exit_code, done.stdout) == (1, "")
    says = "rents.txt: must end in one of .csv" if name == "rents.txt" else f"{tmp_path / name}: matches no file"
    assert says in done.stderr


def test_a_store_that_cannot_be_used_is_told(rows: Path, tmp_path: Path) -> None:
    """A store that is no directory is told in the store's words, with exit code 1."""
    done = command(tmp_path, "train", str(rows), "--target", "rent", PLUMBLINE_STORE=str(rows))

    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: the store failed at")


@pytest.mark.parametrize("arguments", [["train"], ["train", "a.csv"], ["trian"], ["train", "--targets", "y"]])
def test_a_wrong_command_line_exits_with_2(tmp_path: Path, arguments: list[str]) -> None:
    """A command line that cannot be understood is told apart from data that cannot."""
    done = command(tmp_path, *arguments)

    assert (done.exit_code, done.stdout) == (2, "")
    assert "Usage:" in done.stderr


def test_help_and_commands(tmp_path: Path) -> None:
    """`-h` lists the commands."""
    done = command(tmp_path, "-h")

    assert done.exit_code == 0
    assert all(name in done.stdout for name in ("config", "selftest", "serve", "train"))


def test_a_terminal_sees_the_progress(rows: Path, tmp_path: Path) -> None:
    """Where standard error is a terminal a bar counts the rows, and standard output holds the table alone."""
    ours, theirs = pty.openpty()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PLUMBLINE_")}
    environ |= {"PLUMBLINE_STORE": str(tmp_path / "store"), "COLUMNS": "120", "TERM": "xterm"}
    arguments = [sys.executable, "-m", "service", "train", str(rows), "--target", "rent"]
    with subprocess.Popen(arguments, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=theirs, text=True) as process:
        assert process.stdout is not None
        printed = process.stdout.read()
    os.close(theirs)
    seen = b""
    try:
        while chunk := os.read(ours, 4096):
            seen += chunk
    except OSError:  # the other end is closed
        pass
    os.close(ours)

    assert process.returncode == 0
    assert printed.startswith("default version 1")
    assert "rows" in seen.decode()
    assert "4/4" in seen.decode()
