"""What the command line says of itself, how quickly, and what a shell completes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from werkzeug.test import Client

from service.cli import main
from service.commands.completing import script
from service.config import Config
from tests.support import ROOT


def commands(group: click.Group = main, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every command, groups included."""
    for name, command in group.commands.items():
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


def test_the_list_of_commands_is_whole_lines() -> None:
    """Every command stands under a heading of its own kind, and none of what is said of them is cut off at 80 columns."""
    for arguments in ([], ["models"]):
        shown = CliRunner().invoke(main, [*arguments, "-h"], terminal_width=80).stdout
        assert "..." not in shown.partition("Options:")[2]
        assert "\nOther:\n" not in shown
        assert all(f"\n  {name} " in shown for name in (main.commands["models"].commands if arguments else main.commands))  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", [path for path in commands() if path[-1] not in ("config", "selftest")], ids=" ".join)
def test_help_shows_how_a_command_is_called(path: tuple[str, ...]) -> None:
    """Usage names the way the command is started, and the lines fit 80 columns, examples aside."""
    shown = CliRunner().invoke(main, [*path, "--help"], prog_name="python -m service", terminal_width=80).stdout

    assert shown.startswith(f"Usage: python -m service {' '.join(path)} ")
    assert [line for line in shown.splitlines() if len(line) > 80 and "python -m service" not in line] == []


def test_examples_can_be_parsed() -> None:
    """Every example in a help text names a command and options that exist."""
    texts = [main.help or ""]
    for path in commands():
        group: click.Command = main
        for name in path:
            group = group.commands[name]  # type: ignore[attr-defined]
        texts.append(group.help or "")
    examples = [line.partition("python -m service ")[2] for text in texts for line in text.splitlines() if "python -m service " in line]

    assert len(examples) > 20
    for example in examples:
        words = example.split()
        command: click.Command = main
        while isinstance(command, click.Group):
            command = command.commands[words.pop(0)]
        known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        assert [word for word in words if word.startswith("-") and word != "-" and word not in known] == [], example


def test_help_takes_no_time() -> None:
    """`-h` costs less than 0.3 s of processor time, and loads nothing that computes."""
    code = "import resource, sys\nfrom service.cli import main\ntry: main(['-h'])\nfinally: print(resource.getrusage(0).ru_utime)"
    seconds = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        seconds.append(float(done.stdout.splitlines()[-1]))

    assert min(seconds) < 0.3


def test_a_shell_completes_models_and_versions(client: Client, config: Config, tmp_path: Path) -> None:
    """In bash, Tab behind `plumbline` offers commands, models of the store and, behind @, aliases and versions."""
    for _ in range(2):
        client.post("/train", json={"model": "rent", "instances": [[0], [1], [2]], "targets": [1, 3, 5]})
    client.post("/train", json={"model": "wages", "instances": [[0], [1], [2]], "targets": [1, 3, 5]})
    environ = {"PATH": os.environ["PATH"], "PLUMBLINE_STORE": str(config.store), "HOME": str(tmp_path)}

    def offered(line: str) -> list[str]:
        words = line.split(" ")
        asked = f"COMP_WORDS=({' '.join(repr(word) for word in words)})\nCOMP_CWORD={len(words) - 1}\n_plumbline_completion\n"
        code = f"{script('bash')}\n{asked}printf '%s\\n' \"${{COMPREPLY[@]}}\"\n"
        done = subprocess.run(["bash", "-c", code], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return done.stdout.split()

    assert offered("plumbline pre") == ["predict"]
    assert offered("plumbline models show ") == ["rent", "wages"]
    assert offered("plumbline predict rent@") == ["rent@live", "rent@2", "rent@1"]
    ran = subprocess.run(
        ["bash", "-c", f"{script('bash')}\nplumbline --version"], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True
    )
    assert ran.stdout.startswith("Plumbline ")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_ask_the_same_program(shell: str) -> None:
    """The scripts for zsh and fish start this Python for completion, and never a program called `plumbline`, which there is none of."""
    printed = CliRunner().invoke(main, ["completion", shell]).stdout
    asking = next(line for line in printed.splitlines() if f"_PLUMBLINE_COMPLETE={shell}_complete" in line)

    assert f"PYTHONPATH={ROOT} {sys.executable} -m service" in asking
    assert "plumbline)" not in asking
