"""`service learn`, `forget`, `merge`, `refit` and `select`: what the doors of living models do, on the store or at a running service."""

from pathlib import Path
from typing import Any

import click

from service.commands.completing import VERSION
from service.commands.making import made, makes_a_version
from service.commands.requests import find_files, options_of
from service.commands.telling import tell, tells_errors

files = click.argument("files", nargs=-1, required=True, type=click.Path())
weights = click.option("--weights", metavar="COLUMN", help="Column of weights.")


@click.command(short_help="Learn further rows of files.")
@files
@weights
@makes_a_version
@tells_errors
def learn(files: tuple[str, ...], model: str, url: str | None, token_file: Path | None, *, as_json: bool, **given: Any) -> None:
    """Learn the rows of FILES: a new version, as if trained on all rows.

    \b
    Example:
      python -m service learn june.csv --model rent
    """
    paths, options = find_files(files), options_of(given)

    def here() -> Any:
        from service.training.living_command import learn_files  # noqa: PLC0415 - torch takes a second to import

        return learn_files(paths, model, options)

    _tell(made("learn", model, options, paths=paths, url=url, token_file=token_file, here=here), as_json=as_json)


@click.command(short_help="Forget rows, as if they had never come.")
@files
@weights
@click.option("--unchecked", is_flag=True, help="Trust that the rows were learned, where there is no ledger to look it up.")
@click.option("--purge", is_flag=True, help="Also delete the versions that hold the rows, or may.")
@makes_a_version
@tells_errors
def forget(files: tuple[str, ...], model: str, url: str | None, token_file: Path | None, *, as_json: bool, **given: Any) -> None:
    """Forget the rows of FILES: a new version, as if they had never come.

    \b
    Example:
      python -m service forget withdrawn.csv --model rent --purge
    """
    paths, options = find_files(files), options_of(given)

    def here() -> Any:
        from service.training.living_command import forget_files  # noqa: PLC0415

        return forget_files(paths, model, options)

    _tell(made("forget", model, options, paths=paths, url=url, token_file=token_file, here=here), as_json=as_json)


@click.command(short_help="Merge models, as if trained on the rows of all.")
@click.argument("others", nargs=-1, required=True, metavar="MODEL[@VERSION]...", shell_complete=VERSION)
@makes_a_version
@tells_errors
def merge(others: tuple[str, ...], model: str, url: str | None, token_file: Path | None, *, as_json: bool, **given: Any) -> None:
    """Merge other models, or versions of them, into --model: a new version, as if trained on the rows of all.

    Their frames must be equal: train them with --like.

    \b
    Example:
      python -m service merge north south@4 --model all
    """
    options = options_of(given)

    def here() -> Any:
        from service.training.living_command import merge_models  # noqa: PLC0415

        return merge_models(model, {"with": list(others), **options})

    _tell(made("merge", model, {"others": others, **options}, url=url, token_file=token_file, here=here), as_json=as_json)


@click.command(short_help="Fit fewer terms, or by another solver, without the rows.")
@click.option("--terms", multiple=True, metavar="TERMS", help="Terms of the base to keep, separated by commas or repeated; by default all.")
@makes_a_version
@tells_errors
def refit(model: str, url: str | None, token_file: Path | None, *, as_json: bool, **given: Any) -> None:
    """Fit some of the terms, or by another solver: a new version from what the base remembers.

    \b
    Examples:
      python -m service refit --model rent --terms area,rooms
      python -m service refit --model rent --solver '{"name": "exact", "ridge": 2}'
    """
    options = options_of(given)

    def here() -> Any:
        from service.training.living_command import refit_model  # noqa: PLC0415

        return refit_model(model, options)

    _tell(made("refit", model, options, url=url, token_file=token_file, here=here), as_json=as_json)


@click.command(short_help="Choose terms or a ridge penalty, without the rows.")
@click.option("--subset", type=click.Choice(["aic", "bic", "cp"]), help="Choose among all subsets of the terms by this criterion.")
@click.option("--ridge", type=click.Choice(["gcv", "folds"]), help="Choose a ridge penalty, by the folds of the training if it had any.")
@click.option("--publish", is_flag=True, help="Publish what was chosen as a version.")
@makes_a_version
@tells_errors
def select(model: str, url: str | None, token_file: Path | None, *, as_json: bool, **given: Any) -> None:
    """Choose terms or a ridge penalty from what the base remembers, and show what is collinear.

    \b
    Example:
      python -m service select --model rent --subset bic --publish
    """
    options = options_of(given)

    def here() -> Any:
        from service.training.living_command import select_model  # noqa: PLC0415

        return select_model(model, options)

    document = made("select", model, options, url=url, token_file=token_file, here=here)
    from service.training.showing import show_selection  # noqa: PLC0415 - rich takes a while to import

    tell(document, show_selection, as_json=as_json)


def _tell(document: Any, *, as_json: bool) -> None:
    from service.training.showing import show  # noqa: PLC0415

    tell(document, show, as_json=as_json)
