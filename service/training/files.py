"""Files of rows: of which form they are, and which of them a request may name.

A name in a request is looked up under the configured roots and nowhere else, and whatever else it leads to, there or not,
is refused in the same words.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TypeVar

from service.errors import Invalid, TooLarge
from service.training.tables import SUFFIXES

SOURCE = "source"
MOST_FILES = 10_000
LONGEST_NAME = 1000
Found = TypeVar("Found", Path, str)
GLOB = re.compile(r"[*?\[]")
NO_ROOT = "no files can be named here: set PLUMBLINE_DATA_ROOTS to where they are, or send the rows in the request"
NOT_UNDER = (
    "must be the relative name of a file, or a glob, under one of PLUMBLINE_DATA_ROOTS; "
    "absolute names, '..', addresses and links that lead out of it are refused"
)


def one_form(paths: Sequence[Path]) -> str:
    """The form of files (csv, parquet, arrow, ndjson) by their suffixes.

    Raises:
        Invalid: a file is of a form that is not read, or of another than the first's; each is named.
    """
    forms = {path.name: SUFFIXES.get(path.suffix.lower()) for path in paths}
    if wrong := [name for name, form in forms.items() if form is None]:
        raise Invalid({name: [f"must end in one of {', '.join(SUFFIXES)}"] for name in wrong})
    if len(set(forms.values())) > 1:
        raise Invalid({name: ["is of another form than the first file"] for name, form in forms.items() if form != forms[paths[0].name]})
    return SUFFIXES[paths[0].suffix.lower()]


def find_named(source: object, roots: Sequence[Path | str], *, copies: Path, check: Callable[[], None] = lambda: None) -> list[Path]:
    """The files that a request's `source` names: under the first root that has any, sorted.

    Those in a bucket are copied into the directory `copies`; `check` may raise to stop that.

    Raises:
        Invalid: it names none, or something else than a file within that root.
        TooLarge: a glob that matches too many.
        NotReady, StoreFull: a bucket cannot be read, or there is no room for its files.
    """
    if not roots:
        raise Invalid({SOURCE: [NO_ROOT]})
    if not isinstance(source, str) or not _is_within(source):
        raise Invalid({SOURCE: [NOT_UNDER]})
    for root in roots:
        if isinstance(root, str):
            from service.training.bucket_files import fetch  # noqa: PLC0415 - most need no library for buckets

            if paths := fetch(root, source, copies, check=check):
                return paths
            continue
        try:
            paths = bounded(_matches(root, source))
        except (OSError, ValueError, RuntimeError) as error:  # a name too long, a bad pattern, a loop of links
            raise Invalid({SOURCE: [NOT_UNDER]}) from error
        if paths:
            return paths
    raise Invalid({SOURCE: [NOT_UNDER]})


def bounded(found: Iterable[Found]) -> list[Found]:
    """What a name or a glob means, sorted. Raises TooLarge where it is more than can be named at once."""
    some = sorted(islice(found, MOST_FILES + 1))
    if len(some) > MOST_FILES:
        raise TooLarge(f"source matches more than {MOST_FILES} files: name fewer, or put them together")
    return some


def _is_within(source: str) -> bool:
    """Whether a name cannot leave the directory it is looked up in, links aside."""
    if not 0 < len(source) <= LONGEST_NAME or not source.isprintable() or "\\" in source or ":" in source:
        return False
    parts = PurePosixPath(source).parts
    return not source.startswith(("/", "~")) and ".." not in parts and parts.count("**") <= 1 and bool(parts)


def _matches(root: Path, source: str) -> Iterator[Path]:
    """The files under a root that a name or a glob means, with their links followed.

    Raises:
        Invalid: one leads out of the root, or is not a file.
    """
    inside = root.resolve()
    is_glob = GLOB.search(source) is not None
    for path in inside.glob(source) if is_glob else [inside / source]:
        real = path.resolve()
        if not real.is_relative_to(inside):
            raise Invalid({SOURCE: [NOT_UNDER]})
        if real.is_file():
            yield real
        elif is_glob and not real.is_dir():  # a link that leads nowhere, a pipe, a device
            raise Invalid({SOURCE: [NOT_UNDER]})
