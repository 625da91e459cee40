"""`service train`: rows of files to a published version."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from service.commands.completing import MODEL
from service.commands.making import made, publishes
from service.commands.requests import find_files, options_of
from service.commands.sagemaker import is_training_job, run_training_job
from service.commands.telling import tell, tells_errors
from service.config import Config


def _options(command: Any) -> Any:
    for option in reversed(publishes):
        command = option(command)
    return command


@click.command(short_help="Fit the rows of files and publish the version.")
@click.argument("files", nargs=-1, type=click.Path())
@click.option("--target", multiple=True, metavar="COLUMN", help="Target column; repeat for several targets.")
@click.option("--features", multiple=True, metavar="COLUMNS", help="Features, separated by commas or repeated; by default all others.")
@click.option("--terms", multiple=True, metavar="TERMS", help="Design columns: area, area^2, area*rooms; separated by commas or repeated.")
@click.option("--categorical", multiple=True, metavar="COLUMNS", help="Features whose numbers are categories; text is by itself.")
@click.option("--weights", metavar="COLUMN", help="Column of weights.")
@click.option("--model", default="default", show_default=True, shell_complete=MODEL, help="Model to publish a version of.")
@click.option("--intercept/--no-intercept", default=True, show_default=True)
@click.option("--missing", type=click.Choice(["error", "drop"]), default="error", show_default=True, help="What to do with missing values.")
@click.option(
    "--unseen", type=click.Choice(["error", "reference"]), default="error", show_default=True, help="New categories when predicting."
)
@click.option("--like", metavar="MODEL@VERSION", help="Train in the frame of another version.")
@click.option("--new-schema", is_flag=True, help="Let the model take another schema.")
@click.option("--solver", default="exact", show_default=True, help="A solver's name, or its JSON as in POST /train.")
@click.option("--dtype", type=click.Choice(["float64", "float32"]), default="float64", show_default=True, help="Of gradient training.")
@click.option(
    "--ledger", type=click.Choice(["auto", "on", "off"]), default="auto", show_default=True, help="Remember which rows were learned."
)
@click.option("--folds", type=int, help="Keep the moments of this many folds, for cross-validation without the rows.")
@click.option("--sample", type=int, default=0, show_default=True, help="Keep this many of the rows, for plots and diagnostics.")
@click.option("--history", is_flag=True, help="Print loss and parameters of every epoch of gradient training.")
@_options
@tells_errors
def train(files: tuple[str, ...], model: str, url: str | None, token_file: Path | None, *, as_json: bool, **given: Any) -> None:
    """Fit the rows of FILES and publish the version.

    FILES are CSV, Parquet, Arrow or NDJSON, by their suffix; globs too. The version goes to the store, from which a running service
    takes it up, or with --url the files go to the service. Without FILES, do the training job that SageMaker has mounted.

    \b
    Examples:
      python -m service train flats.csv --target rent --model rent
      python -m service train '2031-*.parquet' --target rent --terms area,area^2,town
      python -m service train flats.csv --target rent --url http://127.0.0.1:8080
    """
    root = Config.from_environ(os.environ).sagemaker_root
    if not files and is_training_job(root):
        sys.exit(run_training_job(root))
    if not files:
        raise click.UsageError("name the FILES to train on")
    if not given["target"]:
        raise click.UsageError("name the target column with --target")
    options = options_of(given)
    paths = find_files(files)

    def here() -> Any:
        from service.training.command import train_paths  # noqa: PLC0415 - torch takes a second to import
        from service.training.document import version_document  # noqa: PLC0415

        return version_document(*train_paths(paths, None, {"model": model, **options}, who="command line"))

    document = made("train", model, options, paths=paths, url=url, token_file=token_file, here=here)
    from service.training.showing import show  # noqa: PLC0415 - rich takes a while to import

    tell(document, show, as_json=as_json)
