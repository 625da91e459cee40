"""What every command does alike: errors a user can mend become one clear message, answers are shown or printed as JSON."""

import json
import os
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import click

from model_store.errors import StoreError
from service.errors import Invalid, PlumblineError

as_json = click.option("--json", "as_json", is_flag=True, help="Print the document that the HTTP API answers.")


def tells_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Turn the errors a user can mend into one clear message and exit code 1."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except (PlumblineError, StoreError) as error:
            raise click.ClickException(explained(error)) from error
        except KeyboardInterrupt:
            # Left to end by itself, Python dies of the signal instead of exiting with 1 when the interrupt fell into code made
            # from a string, as libraries do while they are imported.
            click.echo("Aborted!", err=True)
            os._exit(1)
        except Exception as error:
            from service.client.problem import Problem  # noqa: PLC0415 - only those who ask a service pay for its library

            if isinstance(error, Problem):
                raise click.ClickException(str(error)) from error
            raise

    return run


def explained(error: PlumblineError | StoreError) -> str:
    """What an error says, and under it what is wrong with each part."""
    parts = error.errors if isinstance(error, Invalid) else {}
    return "\n".join([str(error), *(f"  {path}: {', '.join(messages)}" for path, messages in parts.items())])


def print_json(document: object) -> None:
    """Print a document; numbers read back to the same bits."""
    click.echo(json.dumps(document, ensure_ascii=False, allow_nan=False))


def tell(document: Mapping[str, Any], show: Callable[[Any], None], *, as_json: bool) -> None:
    """Print a document as it is, or as `show` shows it."""
    if as_json:
        print_json(document)
    else:
        show(document)


def one_blas_thread() -> None:
    """All cores work on rows, each with a BLAS of one thread; to be called before numpy and torch are first imported."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
