"""`python -m service learn`, `forget`, `merge` and `refit`: what HTTP does, from a terminal, with the same bits."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from werkzeug.test import Client

from model_store.store import ModelStore
from service.cli import main

RIDGE = {"name": "exact", "ridge": 2}
ROWS = ["50,3,700.5", "70,1,880", "90,12,1010", "60,30,690", "75,8,905", "120,2,1390", "33,40,470"]


def command(tmp_path: Path, *arguments: str) -> Result:
    """What `python -m service` does with these arguments, and its exit code."""
    return CliRunner().invoke(main, arguments, env={"PLUMBLINE_STORE": str(tmp_path / "store"), "COLUMNS": "120"})


@pytest.fixture
def csv(tmp_path: Path) -> Any:
    def write(*rows: int) -> tuple[str, str]:
        text = "\n".join(["area,age,rent", *(ROWS[row] for row in rows)]) + "\n"
        path = tmp_path / f"rows-{'-'.join(map(str, rows))}.csv"
        path.write_text(text)
        return str(path), text

    return write


def test_the_command_line_does_what_http_does(client: Client, csv: Any, tmp_path: Path) -> None:
    """The same operations on two models of one store, by either way: equal versions, and the command line's are shown."""
    for model in ("http", "cli", "other"):
        client.post(f"/train?model={model}&target=rent&folds=2", data=csv(0, 1, 2, 3)[1], content_type="text/csv")
    steps = [
        (("learn", csv(4, 5)[0], "--label", "team=risk", "--description", "more"), "learn?description=more&labels=team=risk", csv(4, 5)[1]),
        (("forget", csv(1)[0], "--purge", "--expect", "2"), "forget?purge=true&expect=2", csv(1)[1]),
        (("merge", "other@1"), "merge", {"with": ["other@1"]}),
        (("refit", "--terms", "area", "--solver", json.dumps(RIDGE)), "refit", {"terms": ["area"], "solver": RIDGE}),
        (("refit", "--base", "3", "--no-promote", "--solver", "exact"), "refit", {"base": "3", "promote": False, "solver": "exact"}),
    ]
    for number, (arguments, path, body) in enumerate(steps, 2):
        sent = {"json": body} if isinstance(body, dict) else {"data": body, "content_type": "text/csv"}
        answer = client.post(f"/models/http/{path}", **sent)
        assert answer.status_code == 201, answer.text
        done = command(tmp_path, *arguments, "--model", "cli")
        assert (done.exit_code, done.stderr) == (0, ""), done.stderr
        assert done.stdout.startswith(f"cli version {number}: n = "), done.stdout
        by_http, by_command = (client.get(f"/models/{model}/versions/{number}").json for model in ("http", "cli"))
        own = ("model", "created")
        assert {k: v for k, v in by_http.items() if k not in own} == {k: v for k, v in by_command.items() if k not in own}
        if arguments[0] == "forget":
            assert "forgotten: 1 rows; purged 1, 2" in done.stdout
    assert ModelStore.open(tmp_path / "store").alias("cli", "live").who == "command line"


def test_a_selection_is_shown(client: Client, csv: Any, tmp_path: Path) -> None:
    """Candidates, path and inflation factors are tables; with `--publish` the version follows, the one that HTTP would make."""
    for model in ("cli", "http"):
        client.post(f"/train?model={model}&target=rent&folds=2", data=csv(0, 1, 2, 3, 4, 5, 6)[1], content_type="text/csv")
    shown = command(tmp_path, "select", "--model", "cli", "--subset", "bic", "--ridge", "gcv")
    assert (shown.exit_code, ModelStore.open(tmp_path / "store").versions("cli")) == (0, [1])
    assert all(re.search(rf"┃ +{name} +┃", shown.stdout) for name in ("terms", "bic", "penalty", "vif")), shown.stdout
    published = command(tmp_path, "select", "--model", "cli", "--subset", "bic", "--publish")
    assert "cli version 2: n = 7" in published.stdout
    answer: Any = client.post("/models/http/select", json={"subset": "bic", "publish": True}).json
    document: Any = client.get("/models/cli/versions/2").json
    assert (document["fingerprint"], document["selection"]) == (answer["fingerprint"], answer["selection"])


def test_what_is_refused_is_told_plainly(client: Client, csv: Any, tmp_path: Path) -> None:
    """An error of the request is one sentence and exit code 1, of the command line 2."""
    client.post("/train?model=cli&target=rent", data=csv(0, 1, 2, 3)[1], content_type="text/csv")
    unknown = command(tmp_path, "forget", csv(5)[0], "--model", "cli")
    assert (unknown.exit_code, "1 of these 1 rows were never learned" in unknown.stderr) == (1, True)
    assert command(tmp_path, "learn", csv(5)[0], "--model", "cli", "--expect", "2").exit_code == 1
    assert command(tmp_path, "merge", "none", "--model", "cli").exit_code == 1
    assert command(tmp_path, "merge").exit_code == 2
    assert os.environ.get("PLUMBLINE_STORE") is None
