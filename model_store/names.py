"""The names the store accepts: models, aliases, blobs and jobs, and references to versions.

Invariant: a name that passes is one path segment, the same on every file system and in every URL, and never `.` or `..`.
"""

import re

from model_store.errors import InvalidName

LIVE = "live"  # the alias that is served by default
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DIGITS = re.compile(r"[0-9]+")
_NUMBER = re.compile(r"[1-9][0-9]{0,17}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def check_name(name: str, kind: str = "model") -> str:
    """The name itself if it matches `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`; else InvalidName, naming the `kind` but not the name."""
    if _NAME.fullmatch(name) is None:
        raise InvalidName(f"not a {kind} name: use 1 to 64 letters, digits, '.', '_' or '-', starting with a letter or digit")
    return name


def check_alias(alias: str) -> str:
    """The alias itself if it is a name and not all digits, since digits refer to a version; else InvalidName."""
    if _DIGITS.fullmatch(check_name(alias, "alias")):
        raise InvalidName("not an alias name: digits alone refer to a version; add a letter")
    return alias


def is_digits(reference: str) -> bool:
    """Whether a reference names a version by its number rather than by an alias."""
    return _DIGITS.fullmatch(reference) is not None


def number(text: str) -> int | None:
    """The number that a canonical decimal (from 1, no leading zero) stands for; None for any other text."""
    return int(text) if _NUMBER.fullmatch(text) else None


def is_digest(text: str) -> bool:
    """Whether the text is the name of a blob: `sha256:` and 64 hexadecimal digits in lower case."""
    return _DIGEST.fullmatch(text) is not None
