"""The command line. It calls what the HTTP doors call, or asks a running service, and adds nothing of its own.

Exit codes: 0 done, 1 the request or the data are wrong, 2 the command line is.
"""

import os
import sys
from pathlib import Path

import click

from service.commands.archives import export_command, import_command
from service.commands.bench import bench
from service.commands.completing import completion
from service.commands.living import forget, learn, merge, refit, select
from service.commands.models import models
from service.commands.plots import plot, report
from service.commands.predict import predict
from service.commands.sagemaker import take_in_model
from service.commands.sections import Sections
from service.commands.telling import print_json, tells_errors
from service.commands.train import train
from service.config import RELEASE, Config, explain

ROOT = Path(__file__).resolve().parent.parent


@click.group(cls=Sections, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(RELEASE, message="Plumbline %(version)s")
def main() -> None:
    """Train exact linear regressions and serve them.

    \b
    Examples:
      python -m service train flats.csv --target rent --model rent
      python -m service predict rent flats.csv --interval 0.95
      python -m service models show rent
      python -m service serve

    Commands work on the store that PLUMBLINE_STORE names, beside a running service or without one; with --url they ask a service,
    with the token that PLUMBLINE_TOKEN or --token-file gives. They exit with 0 when done, 1 when the request or the data are wrong,
    2 when the command line is.
    """


@main.command()
@tells_errors
def serve() -> None:
    """Serve models over HTTP until stopped.

    Settings come from the environment: see `config`.

    \b
    Example:
      PLUMBLINE_BIND=127.0.0.1:9000 python -m service serve
    """
    config = Config.from_environ(os.environ)  # a wrong setting is told here, plainly, rather than from inside the server
    take_in_model(config)
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", "gunicorn", "--config", str(ROOT / "gunicorn.conf.py")])  # noqa: S606 - to become Gunicorn is the point


@main.command(name="config", short_help="Show every setting, its value and its meaning.")
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects.")
@tells_errors
def config_command(*, as_json: bool) -> None:
    """Show every setting: its value, where the value comes from, what it means; secrets are only counted."""
    Config.from_environ(os.environ)
    settings = explain(os.environ)
    if as_json:
        print_json([dict(zip(("variable", "value", "source", "meaning"), setting, strict=True)) for setting in settings])
        return
    wide = [max(len(setting[column] or "-") for setting in settings) for column in range(3)]
    for name, value, source, meaning in settings:
        click.echo(f"{name:{wide[0]}}  {value or '-':{wide[1]}}  {source:{wide[2]}}  {meaning}")


@main.command(short_help="Check that this machine is exact.")
@click.option("--json", "as_json", is_flag=True, help="Print one object.")
@tells_errors
def selftest(*, as_json: bool) -> None:
    """Check that this machine multiplies exactly, and tell the digits reached on NIST's reference data where they are found."""
    from service.training.selftest import run  # noqa: PLC0415

    sys.exit(run(as_json=as_json))


main.add_section("Models", train, predict, models, plot, report, export_command, import_command)
main.add_section("Living models", learn, forget, merge, refit, select)
main.add_section("Service", serve, bench, config_command, selftest, completion)
