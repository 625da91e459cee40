"""The README is run: its commands against a real service, and what it shows is what comes."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.metrics import MetricWrapperBase

from service import metrics
from service.cli import main
from service.config import Config, variable
from tests.support import ROOT, Service

README = (ROOT / "README.md").read_text("utf-8")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
VOLATILE = ("created", "time", "started", "finished", "id", "request_id", "state_dict")


def transcript() -> list[tuple[str, str]]:
    """(command, output) pairs of the README's `console` blocks, in order.

    A command goes on while a quote is open or a line ends with a backslash.
    """
    pairs: list[tuple[str, str]] = []
    for block in re.findall(r"^```console\n(.*?)^```$", README, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = part.splitlines()
            ends = (n for n, line in enumerate(lines, 1) if not line.endswith("\\") and "".join(lines[:n]).count("'") % 2 == 0)
            end = next(ends)
            pairs.append(("\n".join(lines[:end]), "\n".join(lines[end:]).strip()))
    return pairs


def without_volatile(value: Any) -> Any:
    """A JSON value with what differs from run to run left out, the names kept."""
    if isinstance(value, dict):
        return {name: "…" if name in VOLATILE else without_volatile(member) for name, member in value.items()}
    return [without_volatile(item) for item in value] if isinstance(value, list) else value


def numbers_and_text(text: str) -> tuple[list[float], str]:
    """The numbers of an output, and the rest of it; JSON in a fixed form, other text with its runs of blanks and rules made one."""
    try:
        text = json.dumps(without_volatile(json.loads(text)), ensure_ascii=False, sort_keys=True)
    except ValueError:
        text = re.sub(r"[ ─━]+", " ", text)
    return [float(number) for number in NUMBER.findall(text)], NUMBER.sub("#", text)


def run_as_reader(command: str, service: Service, directory: Path) -> str:
    """The output of a command of the README, run in a directory of its own and against a service on a free port."""
    here = command.replace("http://127.0.0.1:8080", service.url).replace(".venv/bin/python", sys.executable)
    environ = os.environ | {"PLUMBLINE_STORE": str(service.store), "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    bash = ["bash", "-euo", "pipefail", "-c", here]
    done = subprocess.run(bash, cwd=directory, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


def test_the_transcript_is_what_happens(start_service: Callable[..., Service], tmp_path: Path) -> None:
    """Every command of the README's transcript gives the output shown: the same text, and the same numbers to nine digits."""
    service = start_service(DEVICE="cpu")
    directory = tmp_path / "reader"
    directory.mkdir()
    pairs = transcript()

    assert len(pairs) >= 10
    for command, shown in pairs:
        came = run_as_reader(command, service, directory)
        numbers, text = numbers_and_text(came)
        shown_numbers, shown_text = numbers_and_text(shown)
        assert text == shown_text, f"{command}\n{came}"
        assert numbers == pytest.approx(shown_numbers, rel=1e-9, abs=1e-9), f"{command}\n{came}"


def table(heading: str) -> list[str]:
    """The rows of the table under a heading."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| `")]


def test_the_settings_table_is_the_configuration() -> None:
    """The README's table of settings has every setting with its default and its meaning, and nothing else."""
    defaults = {setting: f"`{setting.metadata['default']}`" if setting.metadata["default"] else "none" for setting in fields(Config)}
    defaults |= {setting: "one per core" for setting in defaults if setting.name == "workers"}

    assert table("Settings") == [
        f"| `{variable(setting)}` | {default} | {setting.metadata['meaning']} |" for setting, default in defaults.items()
    ]


def test_the_metrics_table_is_what_is_declared(service: Service) -> None:
    """The README's table of metrics has every metric with its kind, its labels and its help text, and nothing else."""
    declared = {}
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            (family,) = metric.describe()
            name = family.name + ("_total" if family.type == "counter" else "")
            declared[name] = f"| `{name}` | {family.type} | {', '.join(metric._labelnames) or '-'} | {family.documentation} |"
    service.post("/train", {"model": "scraped", "instances": [[1], [2]], "targets": [1, 2]})
    scraped = service.get("/metrics").body.decode()
    helped = {line.split()[2]: line for line in scraped.splitlines() if line.startswith("# HELP plumbline_model_info")}

    shown = table("Metrics")
    info = [row for row in shown if row.startswith("| `plumbline_model_info`")]
    assert [row for row in shown if row not in info] == list(declared.values())
    assert info == [f"| `plumbline_model_info` | gauge | model, version, device | {helped['plumbline_model_info'].split(maxsplit=3)[3]} |"]


def test_every_command_is_mentioned() -> None:
    """The README names every target of the Makefile and every command of the command line."""
    targets = re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert [target for target in targets if f"make {target}`" not in README and f"make {target}\n" not in README] == []
    assert [command for command in main.commands if f"`{command}`" not in README] == []


def test_the_welcome_is_shown_as_it_is_printed(service: Service) -> None:
    """What `make run` prints, as the README shows it, is what the service prints when it starts."""
    block = README.split("```text\n")[1].split("```")[0]

    assert block.startswith("Plumbline listens on http://127.0.0.1:8080\n")
    assert block.replace("http://127.0.0.1:8080", service.url) in service.log.read_text()


def test_links_lead_somewhere() -> None:
    """Every file that the README links to exists."""
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", README)

    assert [link for link in links if not (ROOT / link).exists()] == []
