"""What a shell offers when Tab is pressed: models and versions of the store, and the script that makes it ask."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import click
from click.shell_completion import CompletionItem, get_completion_class

from model_store.errors import StoreError
from model_store.store import ModelStore
from service.errors import PlumblineError

NAME = "plumbline"
VARIABLE = "_PLUMBLINE_COMPLETE"
ROOT = Path(__file__).resolve().parent.parent.parent
MOST_VERSIONS = 50


def MODEL(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: N802 - as click's types
    """The models of the store; none where it cannot be read, since a shell has no use for an error."""
    return _offered(lambda store: store.models(), incomplete)


def VERSION(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: N802
    """The models of the store, and behind @ their aliases and their versions, newest first."""
    model, at, _ = incomplete.partition("@")

    def named(store: ModelStore) -> list[str]:
        numbers = map(str, store.newest_versions(model, limit=MOST_VERSIONS))
        return [f"{model}@{reference}" for reference in [*sorted(store.aliases(model)), *numbers]]

    return _offered(named, incomplete) if at else MODEL(_context, _parameter, incomplete)


def _offered(names: Callable[[ModelStore], list[str]], incomplete: str) -> list[CompletionItem]:
    from service.commands.places import opened  # noqa: PLC0415 - which offers what is here

    try:
        return [CompletionItem(name) for name in names(opened()) if name.startswith(incomplete)]
    except (StoreError, PlumblineError):
        return []


@click.command(short_help="Print the completion for bash, zsh or fish.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes SHELL know the command `plumbline`, and complete it by Tab.

    Models, versions and aliases are completed from the store.

    \b
    Examples:
      eval "$(python -m service completion bash)"          # in ~/.bashrc
      eval "$(python -m service completion zsh)"           # in ~/.zshrc, behind compinit
      python -m service completion fish | source           # in ~/.config/fish/config.fish
    """
    click.echo(script(shell))


def script(shell: str) -> str:
    """A function `plumbline` that runs this command line with this Python from any directory, and click's completion of it."""
    kind = get_completion_class(shell)
    if kind is None:
        raise ValueError(f"click completes no {shell}")
    run = f"env PYTHONPATH={shlex.quote(str(ROOT))} {shlex.quote(sys.executable)} -m service"
    asked = kind(click.Command(NAME), {}, NAME, VARIABLE).source()
    for called in (f"{VARIABLE}={shell}_complete $1", f"{VARIABLE}={shell}_complete {NAME}"):
        asked = asked.replace(called, f"{VARIABLE}={shell}_complete {run}")
    if shell == "fish":
        asked = asked.replace(f"(commandline -t) {NAME})", f"(commandline -t) {run})")
        return f"function {NAME}\n    {run} $argv\nend\n{asked}"
    return f'{NAME}() {{ {run} "$@"; }}\n{asked}'
