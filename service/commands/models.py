"""`service models`: what the store holds, and changing it, without a running service.

A version is named MODEL@VERSION by its number or an alias; without @VERSION it is the live one.
"""

import os

import click

from model_store.names import is_digits
from model_store.opening import Opened
from model_store.store import LIVE, ModelStore
from service.commands.telling import as_json, print_json, tells_errors
from service.config import Config
from service.training.comparison import comparison
from service.training.document import alias_document, model_document, move_document, version_document
from service.training.showing import show, show_table

WHO = "command line"
reason = click.option("--reason", default="", help="Why, for the history.")
limit = click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Most lines.")


def opened() -> ModelStore:
    """The store that the settings name."""
    config = Config.from_environ(os.environ)
    return Opened.at(config.store, cache=config.cache).acting


@click.group()
def models() -> None:
    """Look at the models of the store, and change what is served."""


@models.command(name="list")
@click.argument("model", required=False)
@limit
@as_json
@tells_errors
def list_command(model: str | None, limit: int, *, as_json: bool) -> None:
    """List the models, or the versions of MODEL, newest first."""
    store = opened()
    if model is not None:
        _list_versions(store, model, limit, as_json=as_json)
        return
    names = store.models()
    documents = [model_document(store, name) for name in names[:limit]]
    if as_json:
        print_json({"models": documents, "after": names[limit - 1] if len(names) > limit else None})
        return
    rows = [[d["model"], d["latest"], d.get("damaged") or ", ".join(f"{a} {v}" for a, v in d["aliases"].items())] for d in documents]
    show_table(("model", "latest", "aliases"), rows)


def _list_versions(store: ModelStore, model: str, limit: int, *, as_json: bool) -> None:
    numbers = store.newest_versions(model, limit=limit + 1)
    if as_json:
        after = str(numbers[limit - 1]) if len(numbers) > limit else None
        print_json({"model": model, "versions": [str(number) for number in numbers[:limit]], "after": after})
        return
    documents = [version_document(store, store.manifest(model, number)) for number in numbers[:limit]]
    rows = [
        [d["version"], d["created"], d["operation"], d["parent"], d["fit"]["n"], ", ".join(d["aliases"]), d["description"]]
        for d in documents
    ]
    show_table(("version", "created", "operation", "parent", "n", "aliases", "description"), rows)


@models.command(name="show")
@click.argument("version")
@as_json
@tells_errors
def show_command(version: str, *, as_json: bool) -> None:
    """Show a VERSION: where it comes from, its fit and its coefficients."""
    store = opened()
    model, number = resolved(store, version)
    document = version_document(store, store.manifest(model, number))
    if as_json:
        print_json(document)
        return
    for name in ("aliases", "created", "operation", "parent", "description", "labels", "fingerprint", "state_dict"):
        if document[name]:
            click.echo(f"{name}: {_text(document[name])}")
    show(document)


@models.command()
@click.argument("version")
@click.option("--alias", default=LIVE, show_default=True, help="Alias to move, or to make.")
@click.option("--expect", type=click.IntRange(1), help="Only if the alias names this version until now.")
@reason
@as_json
@tells_errors
def promote(version: str, alias: str, expect: int | None, reason: str, *, as_json: bool) -> None:
    """Move live (or another alias) to a VERSION."""
    store = opened()
    model, number = resolved(store, version)
    record = store.move_alias(model, alias, number, expect=expect, who=WHO, reason=reason)
    _tell_move(move_document(model, record), as_json=as_json)


@models.command()
@click.argument("model")
@reason
@as_json
@tells_errors
def rollback(model: str, reason: str, *, as_json: bool) -> None:
    """Move live back to the version it named before; a second rollback undoes the first."""
    record = opened().rollback(model, who=WHO, reason=reason or "rollback")
    _tell_move(move_document(model, record), as_json=as_json)


@models.command()
@click.argument("alias")
@limit
@as_json
@tells_errors
def history(alias: str, limit: int, *, as_json: bool) -> None:
    """Show the moves of an ALIAS (MODEL@ALIAS; without @ALIAS it is live), newest first."""
    model, _, name = alias.partition("@")
    document = alias_document(opened(), model, name or LIVE, limit=limit)
    if as_json:
        print_json(document)
        return
    fields = ("version", "time", "who", "reason")
    show_table(fields, [[move[field] for field in fields] for move in document["history"]])


@models.command()
@click.argument("model")
@click.argument("from_", metavar="FROM")
@click.argument("to")
@as_json
@tells_errors
def diff(model: str, from_: str, to: str, *, as_json: bool) -> None:
    """Compare two versions of MODEL, coefficient by coefficient; FROM and TO are numbers or aliases."""
    store = opened()
    document = comparison(*(store.manifest(model, store.resolve(model, end)) for end in (from_, to)))
    if as_json:
        print_json(document)
        return
    for name in ("n", "r2", "residual_std"):
        click.echo(f"{name}: {document[name]['from']} -> {document[name]['to']}")
    fields = ("target", "term", "from", "to", "change", "from_std_error", "to_std_error", "change_in_std_errors")
    show_table([field.replace("_", " ") for field in fields], [[row[field] for field in fields] for row in document["coefficients"]])


@models.command()
@click.argument("what")
@click.option("--yes", is_flag=True, help="Delete a whole model without asking.")
@tells_errors
def delete(what: str, *, yes: bool) -> None:
    """Delete for ever WHAT: MODEL@3 a version that no alias names, MODEL@NAME an alias (not its version), MODEL all of it."""
    store = opened()
    model, _, reference = what.partition("@")
    if is_digits(reference):
        store.delete_version(model, store.resolve(model, reference))
    elif reference:
        store.delete_alias(model, reference, who=WHO, reason="the alias was deleted")
    else:
        if not yes and store.has_model(model):
            click.confirm(f"Delete model {model} with all its versions?", abort=True)
        store.delete_model(model, who=WHO, reason="the model was deleted")
    click.echo(f"{what} is deleted")


@models.command()
@click.option("--older-than", type=click.FloatRange(0), default=3600.0, show_default=True, help="Seconds; younger files are left alone.")
@tells_errors
def collect(older_than: float) -> None:
    """Remove what no version refers to any more; safe beside a running service."""
    removed = opened().collect(older_than)
    for name, count in vars(removed).items():
        click.echo(f"{name.replace('_', ' ')} removed: {count}")


def resolved(store: ModelStore, version: str) -> tuple[str, int]:
    """The model and the number that MODEL@VERSION names."""
    model, _, reference = version.partition("@")
    return model, store.resolve(model, reference or LIVE)


def _tell_move(document: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        print_json(document)
    else:
        click.echo(f"{document['model']}@{document['alias']} is version {document['version']}")


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={text}" for key, text in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value or "")
