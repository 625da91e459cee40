"""`service models`, `export` and `import`: the same documents as over HTTP, on the store itself, with exit codes for scripts."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from werkzeug.test import Client

from model_store.store import ModelStore
from service.cli import main
from service.config import Config
from tests.support import ROOT

LINE: dict[str, Any] = {"model": "m", "instances": [[0], [1], [2], [3]], "labels": {"site": "Ulm"}}


@pytest.fixture
def store(client: Client, config: Config) -> ModelStore:
    """The store with models `m`, of three versions, and `other`."""
    for targets in ([1, 3, 5, 8], [1, 4, 7, 9], [1, 5, 9, 14]):
        assert client.post("/train", json=LINE | {"targets": targets}).status_code == 201
    assert client.post("/train", json=LINE | {"model": "other", "targets": [1, 2, 3, 5]}).status_code == 201
    return ModelStore.open(config.store)


def run(config: Config, *arguments: str, **more: Any) -> Result:
    """What `python -m service` does with these arguments."""
    return CliRunner().invoke(main, arguments, env={"PLUMBLINE_STORE": str(config.store), "COLUMNS": "160"}, **more)


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (("list",), "/models"),
        (("list", "--limit", "1"), "/models?limit=1"),
        (("list", "m"), "/models/m/versions"),
        (("list", "m", "--limit", "2"), "/models/m/versions?limit=2"),
        (("show", "m"), "/models/m/versions/live"),
        (("show", "m@1"), "/models/m/versions/1"),
        (("history", "m"), "/models/m/aliases/live"),
        (("history", "m@live", "--limit", "2"), "/models/m/aliases/live?limit=2"),
        (("diff", "m", "1", "live"), "/models/m/diff?from=1&to=live"),
    ],
)
def test_documents_are_those_of_http(store: ModelStore, client: Client, config: Config, arguments: tuple[str, ...], path: str) -> None:
    """`--json` prints what the service answers, to the last bit; without it, a table that shows the same."""
    printed = run(config, "models", *arguments, "--json")
    shown = run(config, "models", *arguments)

    assert (printed.exit_code, printed.stderr) == (0, "")
    assert json.loads(printed.stdout) == client.get(path).json
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert shown.stdout != printed.stdout


def test_tables_show_what_matters(store: ModelStore, config: Config) -> None:
    """The list its aliases, a version its origin and coefficients, a comparison the change."""
    listed, versions, shown, diff = (
        run(config, "models", *arguments).stdout for arguments in (("list",), ("list", "m"), ("show", "m"), ("diff", "m", "1", "3"))
    )

    assert "m     │ 3      │ live 3" in listed
    assert [line.split()[1] for line in versions.splitlines() if line.startswith("│")] == ["3", "2", "1"]
    assert "labels: site=Ulm\n" in shown
    assert "m version 3: n = 4" in shown
    assert " 4.3 │" in shown
    assert "n: 4 -> 4\n" in diff
    assert re.search(r"│ x1 +│ +2\.3 │ +4\.3 │ +2 │", diff)


def test_promotions_and_rollbacks_are_told_and_served(store: ModelStore, client: Client, config: Config) -> None:
    """What the command line moves, the running service serves, with who and why in the history."""
    done = run(config, "models", "promote", "m@1", "--reason", "steady", "--expect", "3")
    assert (done.exit_code, done.stdout) == (0, "m@live is version 1\n")
    assert client.post("/predict", json={"model": "m", "instances": [[1]]}).json["version"] == "1"
    assert run(config, "models", "promote", "m@live", "--alias", "kept").stdout == "m@kept is version 1\n"
    back = json.loads(run(config, "models", "rollback", "m", "--json").stdout)
    history = client.get("/models/m/aliases/live").json

    assert (back["version"], back["reason"]) == ("3", "rollback")
    assert {name: value for name, value in history.items() if name in back} == back
    assert [(move["who"], move["reason"]) for move in history["history"][:2]] == [
        ("command line", "rollback"),
        ("command line", "steady"),
    ]


def test_deleting_and_collecting(store: ModelStore, config: Config) -> None:
    """A version, an alias, a model, each by its name; a whole model is asked about first; then nothing of them remains."""
    run(config, "models", "promote", "m@2", "--alias", "kept")
    for what in ("m@1", "m@kept", "m@2"):
        assert run(config, "models", "delete", what).stdout == f"{what} is deleted\n"
    assert store.versions("m") == [3]
    asked = run(config, "models", "delete", "other", input="n\n")
    assert (asked.exit_code, store.has_model("other")) == (1, True)
    assert run(config, "models", "delete", "other", input="y\n").exit_code == 0
    assert run(config, "models", "delete", "m", "--yes").exit_code == 0
    assert store.models() == []

    collected = run(config, "models", "collect", "--older-than", "0")
    assert "blobs removed: 4\n" in collected.stdout
    assert list((config.store / "blobs" / "sha256").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("models", "show", "none"), 1, "there is no model none"),
        (("models", "show", "m@9"), 1, "model m has no version 9"),
        (("models", "promote", "m@1", "--expect", "1"), 1, "names version 3, not 1 as expected"),
        (("models", "promote", "m@1", "--alias", "7"), 1, "digits alone refer to a version"),
        (("models", "rollback", "other"), 1, "no earlier version"),
        (("models", "delete", "m@3"), 1, "move that alias first"),
        (("models", "delete", "m@live"), 1, "cannot be deleted"),
        (("models", "delete", "none"), 1, "there is no model none"),
        (("models", "list", "--limit", "0"), 2, "limit"),
        (("models", "diff", "m", "1"), 2, "TO"),
        (("export", "m@9", "x"), 1, "model m has no version 9"),
        (("import", "no-such-file"), 2, "no-such-file"),
    ],
)
def test_errors_are_one_message_and_an_exit_code(
    store: ModelStore, config: Config, arguments: tuple[str, ...], code: int, told: str
) -> None:
    """1 where the store says no, 2 where the command line is wrong; never a traceback."""
    done = run(config, *arguments)

    assert done.exit_code == code
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert store.resolve("m", "live") == 3


def test_a_version_travels_as_a_file(store: ModelStore, config: Config, tmp_path: Path) -> None:
    """Exported, imported elsewhere under another name and promoted; a file that exists is replaced whole, or left as it was."""
    file = tmp_path / "m.zip"
    file.write_bytes(b"before")
    elsewhere = Config.from_environ({"PLUMBLINE_STORE": str(tmp_path / "elsewhere")})
    assert run(config, "export", "m@1", str(file)).exit_code == 0
    done = run(elsewhere, "import", str(file), "--model", "copy", "--promote")
    quiet = run(elsewhere, "import", str(file))
    document = json.loads(run(elsewhere, "models", "show", "copy", "--json").stdout)

    assert (done.exit_code, done.stdout) == (0, "copy version 1 is version 1 of m\n")
    assert "it is not served yet: `service models promote m@1`" in quiet.stdout
    assert document["fit"] == store.manifest("m", 1).document["fit"]
    assert document["fingerprint"] == store.manifest("m", 1).fingerprint

    refused = run(config, "export", "m@1", str(tmp_path / "no" / "folder"))
    assert (refused.exit_code, "cannot be written" in refused.stderr) == (1, True)
    file.write_bytes(file.read_bytes()[:-3])
    broken = run(elsewhere, "import", str(file))
    assert (broken.exit_code, "export it again" in broken.stderr) == (1, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "m.zip", "store"]


def test_listing_takes_no_time(store: ModelStore, config: Config) -> None:
    """`models list` starts without torch or numpy, in well under the second that those take."""
    code = (
        f"import resource\n{'from service.cli import main'}\ntry: main(['models', 'list'])\nfinally: print(resource.getrusage(0).ru_utime)"
    )
    environ = {"PATH": "/usr/bin:/bin", "PLUMBLINE_STORE": str(config.store)}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True, check=True)

    assert float(done.stdout.splitlines()[-1]) < 0.5
