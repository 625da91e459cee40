"""`service models`: what the store or a running service holds, and changing it.

A version is named MODEL@VERSION by its number or an alias; without @VERSION it is the live one.
"""

from pathlib import Path
from typing import Any

import click

from model_store.names import LIVE
from service.commands.completing import MODEL, VERSION
from service.commands.places import at_service, opened, place_at
from service.commands.telling import as_json, print_json, tell, tells_errors

reason = click.option("--reason", default="", help="Why, for the history.")
limit = click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="Most lines.")


@click.group(short_help="List, show, compare, promote, roll back, delete.")
def models() -> None:
    """List, show, compare, promote, roll back and delete models.

    \b
    Examples:
      python -m service models list
      python -m service models diff rent 3 live
      python -m service models promote rent@3 --reason "rooms add nothing"
      python -m service models rollback rent --url http://127.0.0.1:8080
    """


@models.command(name="list", short_help="List the models, or the versions of one.")
@click.argument("model", required=False, shell_complete=MODEL)
@limit
@at_service
@as_json
@tells_errors
def list_command(model: str | None, limit: int, url: str | None, token_file: Path | None, *, as_json: bool) -> None:
    """List the models, or the versions of MODEL, newest first."""
    place = place_at(url, token_file)
    document = place.models(limit) if model is None else place.versions(model, limit)
    if as_json:
        print_json(document)
        return
    from service.training.showing import show_table  # noqa: PLC0415 - rich takes a while to import

    if model is None:
        named = [[d["model"], d["latest"], d.get("damaged") or _text(d["aliases"], " ")] for d in document["models"]]
        show_table(("model", "latest", "aliases"), named)
    else:
        documents = [place.version(f"{model}@{number}") for number in document["versions"]]
        versions = [
            [d["version"], _minute(d["created"]), d["operation"], d["parent"], d["fit"]["n"], _text(d["aliases"]), d["description"]]
            for d in documents
        ]
        show_table(("version", "created (UTC)", "operation", "parent", "n", "aliases", "description"), versions)


@models.command(name="show", short_help="Show where a version comes from, its fit, its coefficients.")
@click.argument("version", metavar="MODEL[@VERSION]", shell_complete=VERSION)
@at_service
@as_json
@tells_errors
def show_command(version: str, url: str | None, token_file: Path | None, *, as_json: bool) -> None:
    """Show a version: where it comes from, its fit and its coefficients."""
    tell(place_at(url, token_file).version(version), _show, as_json=as_json)


def _show(document: Any) -> None:
    from service.training.showing import show  # noqa: PLC0415

    for name in ("aliases", "created", "operation", "parent", "description", "labels", "fingerprint", "state_dict"):
        if document[name]:
            click.echo(f"{name}: {_text(document[name])}")
    show(document)


@models.command(short_help="Let live, or another alias, name a version.")
@click.argument("version", metavar="MODEL@VERSION", shell_complete=VERSION)
@click.option("--alias", default=LIVE, show_default=True, help="Alias to move, or to make.")
@click.option("--expect", type=click.IntRange(1), help="Only if the alias names this version until now.")
@reason
@at_service
@as_json
@tells_errors
def promote(version: str, alias: str, url: str | None, token_file: Path | None, *, expect: int | None, reason: str, as_json: bool) -> None:
    """Let an alias name a version; live is what is served."""
    tell(place_at(url, token_file).promote(version, alias, expect, reason), _tell_move, as_json=as_json)


@models.command(short_help="Move live back to the version it named before.")
@click.argument("model", shell_complete=MODEL)
@reason
@at_service
@as_json
@tells_errors
def rollback(model: str, reason: str, url: str | None, token_file: Path | None, *, as_json: bool) -> None:
    """Move live back to the version it named before; a second rollback undoes the first."""
    tell(place_at(url, token_file).rollback(model, reason), _tell_move, as_json=as_json)


@models.command(short_help="Show every move of an alias: when, by whom, why.")
@click.argument("alias", metavar="MODEL[@ALIAS]", shell_complete=VERSION)
@limit
@at_service
@as_json
@tells_errors
def history(alias: str, limit: int, url: str | None, token_file: Path | None, *, as_json: bool) -> None:
    """Show the moves of an alias, newest first; without @ALIAS of live."""
    model, _, name = alias.partition("@")
    tell(place_at(url, token_file).history(model, name or LIVE, limit), _show_history, as_json=as_json)


def _show_history(document: Any) -> None:
    from service.training.showing import show_table  # noqa: PLC0415

    rows = [[move["version"], _minute(move["time"]), move["who"], move["reason"]] for move in document["history"]]
    show_table(("version", "time (UTC)", "who", "reason"), rows)


@models.command(short_help="Compare two versions, coefficient by coefficient.")
@click.argument("model", shell_complete=MODEL)
@click.argument("from_", metavar="FROM")
@click.argument("to")
@at_service
@as_json
@tells_errors
def diff(model: str, from_: str, to: str, url: str | None, token_file: Path | None, *, as_json: bool) -> None:
    """Compare two versions of MODEL, coefficient by coefficient; FROM and TO are numbers or aliases."""
    tell(place_at(url, token_file).diff(model, from_, to), _show_diff, as_json=as_json)


def _show_diff(document: Any) -> None:
    from service.training.showing import show_coefficients  # noqa: PLC0415

    for name in ("n", "r2", "residual_std"):
        click.echo(f"{name}: {document[name]['from']} -> {document[name]['to']}")
    members = {name: name for name in ("term", "from", "to", "change")}
    errors = {"from_std_error": "se from", "to_std_error": "se to", "change_in_std_errors": "change/se"}
    show_coefficients(members | errors, document["coefficients"])


@models.command(short_help="Delete a version, an alias or a model for ever.")
@click.argument("what", metavar="MODEL[@VERSION]", shell_complete=VERSION)
@click.option("--yes", is_flag=True, help="Delete a whole model without asking.")
@at_service
@tells_errors
def delete(what: str, url: str | None, token_file: Path | None, *, yes: bool) -> None:
    """Delete for ever: MODEL@3 a version that no alias names, MODEL@NAME an alias (not its version), MODEL all of it."""
    place = place_at(url, token_file)
    model, _, reference = what.partition("@")
    if not reference and not yes:
        place.versions(model, 1)  # nobody is asked about a model that does not exist
        click.confirm(f"Delete model {model} with all its versions?", abort=True)
    place.delete(model, reference)
    click.echo(f"{what} is deleted")


@models.command(short_help="Remove files that no version refers to.")
@click.option("--older-than", type=click.FloatRange(0), default=3600.0, show_default=True, help="Seconds; younger files are left alone.")
@tells_errors
def collect(older_than: float) -> None:
    """Remove what no version refers to any more; safe beside a running service."""
    removed = opened().collect(older_than)
    for name, count in vars(removed).items():
        click.echo(f"{name.replace('_', ' ')} removed: {count}")


def _tell_move(document: Any) -> None:
    click.echo(f"{document['model']}@{document['alias']} is version {document['version']}")


def _minute(time: str) -> str:
    return time[:16].replace("T", " ")


def _text(value: object, between: str = "=") -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}{between}{text}" for key, text in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value or "")
