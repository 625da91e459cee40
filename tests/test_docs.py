"""The README's tables are the product's: settings, metrics, commands, and what is printed at the start."""

import re
from dataclasses import fields

import marshmallow as ma
import pytest
from prometheus_client.metrics import MetricWrapperBase

from service import metrics
from service.cli import main
from service.config import Config, variable
from service.regression import inference, least_squares, strd
from service.regression.moments import Moments
from service.training.options import TrainOptionsSchema
from service.training.solver import GradientSchema
from tests.support import ROOT, Service

README = (ROOT / "README.md").read_text("utf-8")


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
    assert [command for command in main.commands if not re.search(rf"`{command}[ `]", README)] == []


def test_the_welcome_is_shown_as_it_is_printed(service: Service) -> None:
    """What `make run` prints, as the README shows it, is what the service prints when it starts."""
    block = README.split("```text\n")[1].split("```")[0]

    assert block.startswith("Plumbline listens on http://127.0.0.1:8080\n")
    assert block.replace("http://127.0.0.1:8080", service.url) in service.log.read_text()


@pytest.mark.parametrize(("heading", "schema"), [("Options", TrainOptionsSchema), ("Solvers", GradientSchema)])
def test_the_options_of_a_training_are_all_told(heading: str, schema: type[ma.Schema]) -> None:
    """The tables of docs/training.md have every option of a training, and of gradient training, and nothing else."""
    section = (ROOT / "docs/training.md").read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    told = re.findall(
        r"`(\w+)`", "".join(line.split(" | ")[0] for line in section.split("| option |")[1].splitlines() if line[:3] == "| `")
    )

    assert sorted(told) == sorted(name for name in schema().fields if name != "name")


@pytest.mark.skipif(strd.directory() is None, reason="the NIST data are not here: set NIST_STRD")
def test_the_digits_of_nists_problems_are_those_reached() -> None:
    """Plumbline's column of the table in docs/numerics.md is what comes out, problem by problem, to the last digit shown."""
    rows = re.findall(r"^\| (\w+) \| ([\d.]+)/([\d.]+) \|", (ROOT / "docs/numerics.md").read_text("utf-8"), re.MULTILINE)
    place = strd.directory()
    assert place is not None
    reached = []
    for dataset in strd.load(place):
        moments = Moments(dataset.X.shape[1], 1)
        moments.add(dataset.X, dataset.y)
        fit = least_squares.solve(moments, intercept=dataset.intercept)
        found = (fit.coefficients[:, 0], dataset.coefficients), (inference.summary(fit).std_error[:, 0], dataset.standard_errors)
        digits = [min(map(strd.lre, values.tolist(), certified)) for values, certified in found]
        reached.append((dataset.name, *(f"{number:.1f}" for number in digits)))

    assert [(name.lower(), *digits) for name, *digits in rows] == reached
