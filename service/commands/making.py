"""What the commands that make versions have in common: their options, and how a running service is asked for one."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from service.commands.completing import MODEL
from service.commands.places import at_service, service_at
from service.commands.requests import one_file
from service.commands.telling import as_json, one_blas_thread

if TYPE_CHECKING:
    from service.client import Job


def makes_a_version(command: Callable[..., None]) -> Callable[..., None]:
    """The options of every operation that makes a version from another one."""
    options = (
        click.option("--model", default="default", show_default=True, shell_complete=MODEL, help="Model to publish a version of."),
        click.option("--base", help="Version to start from, a number or an alias; by default live."),
        click.option("--expect", help="Refuse unless live names this version."),
        click.option("--solver", help="A solver's name, or its JSON as in POST /train; by default that of the base."),
        *publishes,
    )
    for option in reversed(options):
        command = option(command)
    return command


publishes = (
    click.option("--promote/--no-promote", default=True, show_default=True, help="Whether to serve the new version as live."),
    click.option("--description", default="", help="A sentence kept with the version."),
    click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="A label kept with the version; repeatable."),
    at_service,
    as_json,
)


def made(
    verb: str,
    model: str,
    options: Mapping[str, Any],
    *,
    paths: Sequence[Path] = (),
    url: str | None,
    token_file: Path | None,
    here: Callable[[], Any],
) -> Any:
    """The document of what an operation makes: at the service at `url`, or `here`, which may import torch."""
    if url is None:
        one_blas_thread()
        return here()
    ask = getattr(service_at(url, token_file), verb)
    if not paths:
        return ask(model, **options).document
    from service.training.bars import bars  # noqa: PLC0415 - rich takes a while to import

    with one_file(paths) as path, bars(None) as bar:

        def on_news(job: "Job") -> None:
            if told := job.progress:
                bar.rows(told["rows"], told["rows_total"])
                if "epoch" in told:
                    bar.epochs(told["epoch"], told["epochs"], told["loss"])

        where = {"model": model} if verb == "train" else {}
        names = () if verb == "train" else (model,)
        return ask(*names, path, progress=on_news, **where, **options).document
