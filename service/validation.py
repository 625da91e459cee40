"""Validation by marshmallow schemas, with its errors as ours: {"path": ["message"]}."""

import re
from collections.abc import Mapping
from typing import Any

import marshmallow as ma
from marshmallow import validate

from service.errors import Invalid

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
is_name = validate.Regexp(
    rf"^(?:{NAME.pattern})\Z", error="must be 1 to 64 letters, digits, dots, underscores or hyphens, the first a letter or digit"
)
is_version = validate.Regexp(r"^[1-9][0-9]{0,15}\Z", error="must be a version number such as 3")


def validated(schema: ma.Schema, given: Mapping[str, Any]) -> Any:
    """What `schema` loads from `given`.

    Raises:
        Invalid: names each offending field.
    """
    try:
        return schema.load(given)
    except ma.ValidationError as error:
        raise Invalid(_flatten(error.messages_dict)) from error


def _flatten(messages: Mapping[str, Any], prefix: str = "") -> dict[str, list[str]]:
    flat: dict[str, list[str]] = {}
    for name, value in messages.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{path}.")
        else:
            flat[path] = [text.rstrip(".") for text in value]
    return flat
