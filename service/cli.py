"""The command line: `serve`, `train` and `config`. It calls what the HTTP doors call and adds nothing of its own.

Exit codes: 0 done, 1 the request or the data are wrong, 2 the command line is.
"""

import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from service.config import Config, explain
from service.errors import Invalid, PlumblineError

ROOT = Path(__file__).resolve().parent.parent


def tells_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Turn the errors a user can mend into one clear message and exit code 1."""
    from model_store.errors import StoreError  # noqa: PLC0415 - keeps `config` quick

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except Invalid as error:
            lines = [f"  {path}: {', '.join(messages)}" for path, messages in error.errors.items()]
            raise click.ClickException("\n".join([str(error), *lines])) from error
        except (PlumblineError, StoreError) as error:
            raise click.ClickException(str(error)) from error

    return run


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Train exact linear regressions and serve them."""


@main.command()
@tells_errors
def serve() -> None:
    """Serve models over HTTP until stopped; settings come from the environment (see `config`)."""
    Config.from_environ(os.environ)  # a wrong setting is told here, plainly, rather than from inside the server
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
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--target", required=True, multiple=True, help="Target column; repeat for several targets.")
@click.option("--features", multiple=True, help="Feature columns, separated by commas or repeated; all but the target by default.")
@click.option("--model", default="default", show_default=True, help="Model to publish a version of.")
@click.option("--intercept/--no-intercept", default=True, show_default=True)
@click.option("--promote/--no-promote", default=True, show_default=True, help="Whether to serve the new version as live.")
@click.option("--description", default="", help="A sentence kept with the version.")
@tells_errors
def train(file: Path, target: tuple[str, ...], features: tuple[str, ...], **options: Any) -> None:
    """Fit the rows of FILE (CSV with a header line) and publish the version in the store."""
    from service.training.command import train_file  # noqa: PLC0415 - torch takes a second to import

    names = [name for group in features for name in group.split(",")]
    train_file(file, options | {"target": list(target)} | ({"features": names} if names else {}))
