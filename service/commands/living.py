"""`service learn`, `forget`, `merge`, `refit` and `select`: what the doors of living models do, on the store itself."""

from collections.abc import Callable
from typing import Any

import click

from service.commands.telling import one_blas_thread, tells_errors


def makes_a_version(command: Callable[..., None]) -> Callable[..., None]:
    """The options of every operation that makes a version from another one."""
    options = (
        click.option("--model", default="default", show_default=True, help="Model to publish a version of."),
        click.option("--base", help="Version to start from, a number or an alias; by default live."),
        click.option("--expect", help="Refuse unless live names this version."),
        click.option("--solver", help="A solver's name, or its JSON as in POST /train; by default that of the base."),
        click.option("--promote/--no-promote", default=True, show_default=True, help="Whether to serve the new version as live."),
        click.option("--description", default="", help="A sentence kept with the version."),
        click.option("--label", "labels", multiple=True, help="A label KEY=VALUE kept with the version; repeatable."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--weights", help="Column of weights.")
@makes_a_version
@tells_errors
def learn(files: tuple[str, ...], **options: Any) -> None:
    """Learn the rows of FILES: a new version, as if trained on all rows."""
    one_blas_thread()
    from service.training.living_command import learn_files  # noqa: PLC0415 - torch takes a second to import

    learn_files(files, options)


@click.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--weights", help="Column of weights.")
@click.option("--unchecked", is_flag=True, help="Trust that the rows were learned, where there is no ledger to look it up.")
@click.option("--purge", is_flag=True, help="Also delete the versions that hold the rows, or may.")
@makes_a_version
@tells_errors
def forget(files: tuple[str, ...], **options: Any) -> None:
    """Forget the rows of FILES: a new version, as if they had never come."""
    one_blas_thread()
    from service.training.living_command import forget_files  # noqa: PLC0415

    forget_files(files, options)


@click.command()
@click.argument("others", nargs=-1, required=True)
@makes_a_version
@tells_errors
def merge(others: tuple[str, ...], **options: Any) -> None:
    """Merge OTHERS, models or MODEL@VERSION with equal frames: a new version, as if trained on the rows of all."""
    one_blas_thread()
    from service.training.living_command import merge_models  # noqa: PLC0415

    merge_models(others, options)


@click.command()
@click.option("--terms", multiple=True, help="Terms of the base to keep, separated by commas or repeated; by default all.")
@makes_a_version
@tells_errors
def refit(**options: Any) -> None:
    """Fit some of the terms, or by another solver: a new version from what the base remembers."""
    one_blas_thread()
    from service.training.living_command import refit_model  # noqa: PLC0415

    refit_model(options)


@click.command()
@click.option("--subset", type=click.Choice(["aic", "bic", "cp"]), help="Choose among all subsets of the terms by this criterion.")
@click.option("--ridge", type=click.Choice(["gcv", "folds"]), help="Choose a ridge penalty, by the folds of the training if it had any.")
@click.option("--publish", is_flag=True, help="Publish what was chosen as a version.")
@makes_a_version
@tells_errors
def select(**options: Any) -> None:
    """Choose terms or a ridge penalty from what the base remembers, and show what is collinear."""
    one_blas_thread()
    from service.training.living_command import select_model  # noqa: PLC0415

    select_model(options)
