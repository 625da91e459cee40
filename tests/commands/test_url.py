"""With `--url` every command does at a running service what it does on the store."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner, Result

from service.cli import main
from tests.operations.processes import wait_until
from tests.support import ROOT, Service

ROWS = ["50,3,700.5", "70,1,880", "90,12,1010", "60,30,690", "75,8,905", "120,2,1390", "33,40,470"]
TOKEN = "a-token-of-some-length"


def command(service: Service, *arguments: str, **settings: str) -> Result:
    """What the command line does at the service; its own store is empty."""
    environ = {"PLUMBLINE_STORE": str(service.store.with_name("own")), "COLUMNS": "120"} | settings
    return CliRunner().invoke(main, [*arguments, "--url", service.url], env=environ)


def on_store(service: Service, *arguments: str) -> Result:
    """What the command line does on the store of the service."""
    return CliRunner().invoke(main, arguments, env={"PLUMBLINE_STORE": str(service.store), "COLUMNS": "120"})


@pytest.fixture
def csv(tmp_path: Path) -> Callable[..., str]:
    def write(name: str, *rows: int) -> str:
        path = tmp_path / name
        path.write_text("\n".join(["area,age,rent", *(ROWS[row] for row in rows)]) + "\n")
        return str(path)

    return write


def test_a_service_does_what_the_store_does(service: Service, csv: Callable[..., str]) -> None:
    """The same commands on two models, one by the service and one on its store: equal documents, and equal tables."""
    steps = [
        ("train", csv("a.csv", 0, 1, 2, 3), "--target", "rent", "--features", "area,age", "--label", "team=risk", "--folds", "2"),
        ("learn", csv("b.csv", 4, 5, 6), "--description", "more"),
        ("forget", csv("c.csv", 1), "--purge", "--expect", "2"),
        ("refit", "--terms", "area", "--solver", '{"name": "exact", "ridge": 2}'),
        ("select", "--base", "3", "--subset", "bic", "--ridge", "gcv"),
        ("select", "--base", "3", "--subset", "bic", "--publish"),
    ]
    own = ("model", "created", "base")
    for step in steps:
        there, here = command(service, *step, "--model", "there", "--json"), on_store(service, *step, "--model", "here", "--json")
        assert (there.exit_code, there.stderr, here.exit_code, here.stderr) == (0, "", 0, "")
        one, other = (json.loads(done.stdout) for done in (there, here))
        assert {k: v for k, v in one.items() if k not in own} == {k: v for k, v in other.items() if k not in own}
    shown = command(service, "merge", "here@3", "--base", "3", "--model", "there").stdout
    assert shown.startswith("there version 6: n = 12, R² = ")


@pytest.mark.parametrize("suffix", [".csv", ".ndjson", ".parquet", ".arrow"])
def test_several_files_are_one_training(service: Service, csv: Callable[..., str], tmp_path: Path, suffix: str) -> None:
    """Files that a glob means arrive as one body: the fingerprint is that of the training on the store."""
    for name, rows in (("p", (0, 1, 2)), ("q", (3, 4)), ("r", (5, 6))):
        frame = pl.read_csv(csv(f"{name}.txt", *rows)).cast(pl.Float64)
        writers: Any = {".csv": frame.write_csv, ".parquet": frame.write_parquet, ".arrow": frame.write_ipc, ".ndjson": frame.write_ndjson}
        writers[suffix](tmp_path / f"{name}{suffix}")
    asked = ("train", str(tmp_path / f"*{suffix}"), "--target", "rent", "--json")
    there, here = command(service, *asked, "--model", "several"), on_store(service, *asked, "--model", "several-here")

    assert (there.exit_code, here.exit_code) == (0, 0), there.stderr + here.stderr
    assert json.loads(there.stdout)["fit"]["n"] == 7
    assert json.loads(there.stdout)["fingerprint"] == json.loads(here.stdout)["fingerprint"]


def test_files_of_other_columns_are_refused(service: Service, csv: Callable[..., str], tmp_path: Path) -> None:
    """Files that do not belong together are named, before anything is sent."""
    csv("a.csv", 0, 1)
    (tmp_path / "b.csv").write_text("area,rent\n1,2\n")
    done = command(service, "train", str(tmp_path / "*.csv"), "--target", "rent", "--model", "mixed")

    assert (done.exit_code, "b.csv: has other columns than the first file" in done.stderr) == (1, True)


def test_models_are_looked_at_and_moved(service: Service, csv: Callable[..., str]) -> None:
    """`models` prints the same by either way, and what it moves at the service is moved."""
    for rows in ((0, 1, 2, 3), (0, 1, 2, 3, 4)):
        assert command(service, "train", csv("rows.csv", *rows), "--target", "rent", "--model", "looked").exit_code == 0
    for looked in (("list", "looked"), ("show", "looked@1"), ("history", "looked"), ("diff", "looked", "1", "live")):
        for form in ((), ("--json",)):
            there, here = command(service, "models", *looked, *form), on_store(service, "models", *looked, *form)
            assert (there.exit_code, there.stdout) == (0, here.stdout)
    assert command(service, "models", "promote", "looked@1", "--expect", "2").stdout == "looked@live is version 1\n"
    assert command(service, "models", "promote", "looked@1", "--expect", "2").exit_code == 1
    assert command(service, "models", "rollback", "looked", "--reason", "no").stdout == "looked@live is version 2\n"
    assert command(service, "models", "delete", "looked@1").stdout == "looked@1 is deleted\n"
    assert command(service, "models", "delete", "looked", "--yes").exit_code == 0
    gone = command(service, "models", "show", "looked")
    assert (gone.exit_code, "there is no model looked" in gone.stderr) == (1, True)


def test_pictures_and_reports_are_those_of_the_store(service: Service, csv: Callable[..., str], tmp_path: Path) -> None:
    """`plot` and `report` save the bytes that they make of the store; what cannot be drawn is told as there."""
    assert command(service, "train", csv("rows.csv", *range(7)), "--target", "rent", "--model", "drawn").exit_code == 0
    for asked, name in ((("plot", "drawn", "coefficients"), "p.svg"), (("report", "drawn@1"), "r.html")):
        there, here = tmp_path / f"there-{name}", tmp_path / f"here-{name}"
        done = command(service, *asked, "-o", str(there))
        assert (done.exit_code, done.stderr) == (0, "")
        assert on_store(service, *asked, "-o", str(here)).exit_code == 0
        assert there.read_bytes() == here.read_bytes()
    refused = command(service, "plot", "drawn", "residuals", "-o", str(tmp_path / "no.png"))
    assert (refused.exit_code, "kept none of its rows" in refused.stderr, (tmp_path / "no.png").exists()) == (1, True, False)


def test_a_version_is_imported_by_a_service(service: Service, csv: Callable[..., str], tmp_path: Path) -> None:
    """Under its own name or another; its weights are those exported, and it is served only with --promote."""
    assert command(service, "train", csv("rows.csv", *range(7)), "--target", "rent", "--model", "moving").exit_code == 0
    file = str(tmp_path / "moving.zip")
    assert on_store(service, "export", "moving@1", file).exit_code == 0
    again, other = command(service, "import", file, "--json"), command(service, "import", file, "--model", "moved", "--promote")
    moved = service.get("/models/moved/versions/live").json

    assert (again.exit_code, other.exit_code) == (0, 0), again.stderr + other.stderr
    assert [json.loads(again.stdout)[name] for name in ("model", "version", "aliases")] == ["moving", "2", []]
    assert other.stdout == "moved version 1 is version 1 of moving\n"
    assert moved["state_dict"] == service.get("/models/moving/versions/1").json["state_dict"]
    (tmp_path / "moving.zip").write_bytes(b"no archive")
    assert command(service, "import", file).exit_code == 1


def test_a_token_comes_from_the_settings_or_a_file(start_service: Callable[..., Service], csv: Callable[..., str], tmp_path: Path) -> None:
    """Without one a training is refused, as is a file without any; neither is ever printed."""
    service = start_service(WRITE_TOKEN=TOKEN, WORKERS="1")
    asked = ("train", csv("rows.csv", 0, 1, 2, 3), "--target", "rent")
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    empty = tmp_path / "empty"
    empty.write_text("\n")
    refused, by_setting = command(service, *asked), command(service, *asked, PLUMBLINE_TOKEN=TOKEN)
    by_file, without = command(service, *asked, "--token-file", str(file)), command(service, *asked, "--token-file", str(empty))

    assert (refused.exit_code, "this needs a token" in refused.stderr) == (1, True)
    assert (by_setting.exit_code, by_file.exit_code) == (0, 0)
    assert (without.exit_code, "holds no token" in without.stderr) == (1, True)


def test_an_interrupt_cancels_the_job(service: Service, csv: Callable[..., str]) -> None:
    """Ctrl-C while the service trains ends the training there, and the command with exit code 1."""
    solver = '{"name": "sgd", "learning_rate": 1e-9, "epochs": 1000000, "init": "zeros"}'
    asked = ("train", csv("rows.csv", *range(7)), "--target", "rent", "--model", "stopped", "--solver", solver, "--url", service.url)
    environ = {"PATH": os.environ["PATH"], "PLUMBLINE_STORE": str(service.store.with_name("own"))}
    with subprocess.Popen([sys.executable, "-m", "service", *asked], cwd=ROOT, env=environ, stderr=subprocess.PIPE) as process:
        wait_until(lambda: bool(service.get("/jobs?state=running").json["jobs"]), "a running training", 60)
        (job,) = service.get("/jobs?state=running").json["jobs"]
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 1
        assert process.stderr is not None
        assert process.stderr.read() == b"Aborted!\n"
    wait_until(lambda: service.get(f"/jobs/{job['id']}").json["state"] == "cancelled", "the job to be cancelled", 30)


def test_nobody_there_is_told(tmp_path: Path) -> None:
    """A service that does not run is told in one sentence, with exit code 1."""
    done = CliRunner().invoke(main, ["models", "list", "--url", "http://127.0.0.1:9"], env={"PLUMBLINE_STORE": str(tmp_path)})

    assert (done.exit_code, "is the service running there?" in done.stderr) == (1, True)
