"""The command line. It calls what the HTTP doors call and adds nothing of its own.

Exit codes: 0 done, 1 the request or the data are wrong, 2 the command line is.
"""

import os
import sys
from pathlib import Path
from typing import Any

import click

from service.commands.archives import export_command, import_command
from service.commands.living import forget, learn, merge, refit, select
from service.commands.models import models
from service.commands.plots import plot, report
from service.commands.sagemaker import is_training_job, run_training_job, take_in_model
from service.commands.telling import one_blas_thread, tells_errors
from service.config import Config, explain

ROOT = Path(__file__).resolve().parent.parent


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Train exact linear regressions and serve them."""


@main.command()
@tells_errors
def serve() -> None:
    """Serve models over HTTP until stopped; settings come from the environment (see `config`)."""
    config = Config.from_environ(os.environ)  # a wrong setting is told here, plainly, rather than from inside the server
    take_in_model(config)
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", "gunicorn", "--config", str(ROOT / "gunicorn.conf.py")])  # noqa: S606 - to become Gunicorn is the point


@main.command(name="config")
@tells_errors
def config_command() -> None:
    """Show every setting, its value and where the value comes from; secrets are only counted."""
    Config.from_environ(os.environ)
    for name, value, source, meaning in explain(os.environ):
        click.echo(f"{name:32} {value or '-':24} {source:10} {meaning}")


@main.command()
@click.argument("files", nargs=-1)
@click.option("--target", multiple=True, help="Target column; repeat for several targets.")
@click.option("--features", multiple=True, help="Feature columns, separated by commas or repeated; all others by default.")
@click.option("--terms", multiple=True, help="Design columns such as area, area^2, area*rooms; separated by commas or repeated.")
@click.option("--categorical", multiple=True, help="Feature columns whose numbers are categories; text is by itself.")
@click.option("--weights", help="Column of weights.")
@click.option("--model", default="default", show_default=True, help="Model to publish a version of.")
@click.option("--intercept/--no-intercept", default=True, show_default=True)
@click.option("--missing", type=click.Choice(["error", "drop"]), default="error", show_default=True, help="What to do with missing values.")
@click.option(
    "--unseen", type=click.Choice(["error", "reference"]), default="error", show_default=True, help="New categories when predicting."
)
@click.option("--like", help="Train in the frame of another version: MODEL@VERSION.")
@click.option("--new-schema", is_flag=True, help="Let the model take another schema.")
@click.option("--solver", default="exact", show_default=True, help="A solver's name, or its JSON as in POST /train.")
@click.option("--dtype", type=click.Choice(["float64", "float32"]), default="float64", show_default=True, help="Of gradient training.")
@click.option(
    "--ledger", type=click.Choice(["auto", "on", "off"]), default="auto", show_default=True, help="Remember which rows were learned."
)
@click.option("--folds", type=int, help="Keep the moments of this many folds, for cross-validation without the rows.")
@click.option("--sample", type=int, default=0, show_default=True, help="Keep this many of the rows, for plots and diagnostics.")
@click.option("--history", is_flag=True, help="Print loss and parameters of every epoch of gradient training.")
@click.option("--promote/--no-promote", default=True, show_default=True, help="Whether to serve the new version as live.")
@click.option("--description", default="", help="A sentence kept with the version.")
@click.option("--label", "labels", multiple=True, help="A label KEY=VALUE kept with the version; repeatable.")
@tells_errors
def train(files: tuple[str, ...], **options: Any) -> None:
    """Fit the rows of FILES (CSV, Parquet, Arrow or NDJSON, by their suffix; globs too) and publish the version in the store.

    Without FILES, do the training job that SageMaker has mounted.
    """
    root = Config.from_environ(os.environ).sagemaker_root
    if not files and is_training_job(root):
        sys.exit(run_training_job(root))
    if not files:
        raise click.UsageError("name the FILES to train on")
    if not options["target"]:
        raise click.UsageError("name the target column with --target")
    one_blas_thread()
    from service.training.command import train_files  # noqa: PLC0415 - torch takes a second to import

    train_files(files, options)


@main.command()
@tells_errors
def selftest() -> None:
    """Check that this machine multiplies exactly, and print the digits reached on NIST's reference data where they are found."""
    from service.training.selftest import run  # noqa: PLC0415

    sys.exit(run())


for command in (learn, forget, merge, refit, select, models, plot, report, export_command, import_command):
    main.add_command(command)
