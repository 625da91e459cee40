"""Where a command works: on the store itself, or by asking a running service. Both answer the documents of the HTTP API."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from model_store.names import LIVE, is_digits
from model_store.opening import Opened
from model_store.store import ModelStore
from service.config import Config
from service.errors import Invalid
from service.training.comparison import comparison
from service.training.document import alias_document, model_document, move_document, version_document

if TYPE_CHECKING:
    from service.client import Plumbline

WHO = "command line"
URL = re.compile(r"https?://[^/?#@\s]+(/[^?#\s]*)?")


class ServiceUrl(click.ParamType[str]):
    """The address of a service."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The address itself; anything else is a wrong command line."""
        if not URL.fullmatch(value):
            self.fail("must be the address of a service, such as http://127.0.0.1:8080", param, ctx)
        return str(value)


def at_service(command: Callable[..., None]) -> Callable[..., None]:
    """The options of a command that can ask a running service."""
    for option in (
        click.option("--token-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="File with the token for --url."),
        click.option("--url", type=ServiceUrl(), help="Ask the service at this address, instead of working on the store itself."),
    ):
        command = option(command)
    return command


def service_at(url: str, token_file: Path | None) -> "Plumbline":
    """The service at an address, with the token of `token_of`."""
    from service.client import Plumbline  # noqa: PLC0415 - only those who ask a service pay for its library

    return Plumbline(url, token=token_of(token_file))


def token_of(token_file: Path | None) -> str | None:
    """The token of a file or else of the settings, the first where there are several; None where there is none.

    Raises:
        Invalid: the file holds none.
    """
    tokens = list(Config.from_environ(os.environ).token)
    if token_file is not None:
        tokens = token_file.read_text("utf-8", errors="replace").replace(",", " ").split()
        if not tokens or not tokens[0].isascii() or not tokens[0].isprintable():
            raise Invalid({str(token_file): ["holds no token"]})
    return tokens[0] if tokens else None


def opened() -> ModelStore:
    """The store that the settings name."""
    config = Config.from_environ(os.environ)
    return Opened.at(config.store, cache=config.cache).acting


def resolved(store: ModelStore, version: str) -> tuple[str, int]:
    """The model and the number that MODEL@VERSION names."""
    model, _, reference = version.partition("@")
    return model, store.resolve(model, reference or LIVE)


class Place(Protocol):
    """Models, versions and aliases, wherever they are kept. A version is named MODEL@VERSION; everything may raise as the place does."""

    def models(self, limit: int) -> Any:
        """A page of models."""

    def versions(self, model: str, limit: int) -> Any:
        """A page of version numbers, newest first."""

    def version(self, name: str) -> Any:
        """A version document."""

    def promote(self, name: str, alias: str, expect: int | None, reason: str) -> Any:
        """The move of an alias."""

    def rollback(self, model: str, reason: str) -> Any:
        """The move of live back."""

    def history(self, model: str, alias: str, limit: int) -> Any:
        """An alias with its latest moves."""

    def diff(self, model: str, before: str, after: str) -> Any:
        """Two versions side by side."""

    def delete(self, model: str, reference: str) -> None:
        """Delete a version by its number, an alias by its name, or with neither the model."""


def place_at(url: str | None, token_file: Path | None) -> Place:
    """The service at an address, or else the store."""
    return Served(service_at(url, token_file)) if url else Stored(opened())


class Stored:
    """The store itself."""

    def __init__(self, store: ModelStore) -> None:
        self._store = store

    def models(self, limit: int) -> Any:
        names = self._store.models()
        documents = [model_document(self._store, name) for name in names[:limit]]
        return {"models": documents, "after": names[limit - 1] if len(names) > limit else None}

    def versions(self, model: str, limit: int) -> Any:
        numbers = self._store.newest_versions(model, limit=limit + 1)
        after = str(numbers[limit - 1]) if len(numbers) > limit else None
        return {"model": model, "versions": [str(number) for number in numbers[:limit]], "after": after}

    def version(self, name: str) -> Any:
        return version_document(self._store, self._store.manifest(*resolved(self._store, name)))

    def promote(self, name: str, alias: str, expect: int | None, reason: str) -> Any:
        model, number = resolved(self._store, name)
        return move_document(model, self._store.move_alias(model, alias, number, expect=expect, who=WHO, reason=reason))

    def rollback(self, model: str, reason: str) -> Any:
        return move_document(model, self._store.rollback(model, who=WHO, reason=reason or "rollback"))

    def history(self, model: str, alias: str, limit: int) -> Any:
        return alias_document(self._store, model, alias, limit=limit)

    def diff(self, model: str, before: str, after: str) -> Any:
        return comparison(*(self._store.manifest(model, self._store.resolve(model, end)) for end in (before, after)))

    def delete(self, model: str, reference: str) -> None:
        if is_digits(reference):
            self._store.delete_version(model, self._store.resolve(model, reference))
        elif reference:
            self._store.delete_alias(model, reference, who=WHO, reason="the alias was deleted")
        else:
            self._store.delete_model(model, who=WHO, reason="the model was deleted")


class Served:
    """A running service."""

    def __init__(self, service: "Plumbline") -> None:
        self._service = service

    def models(self, limit: int) -> Any:
        return self._service.get("/models", limit=limit)

    def versions(self, model: str, limit: int) -> Any:
        return self._service.get(_path(model, "versions"), limit=limit)

    def version(self, name: str) -> Any:
        return self._service.version(name).document

    def promote(self, name: str, alias: str, expect: int | None, reason: str) -> Any:
        return vars(self._service.promote(name, alias=alias, expect=str(expect) if expect else None, reason=reason))

    def rollback(self, model: str, reason: str) -> Any:
        return vars(self._service.rollback(model, reason=reason))

    def history(self, model: str, alias: str, limit: int) -> Any:
        return self._service.get(_path(model, "aliases", alias), limit=limit)

    def diff(self, model: str, before: str, after: str) -> Any:
        return self._service.diff(model, before, after).document

    def delete(self, model: str, reference: str) -> None:
        named = {"version" if is_digits(reference) else "alias": reference} if reference else {}
        self._service.delete(model, **named)


def _path(model: str, *rest: str) -> str:
    from service.client.connection import path_of  # noqa: PLC0415

    return path_of("models", model, *rest)
