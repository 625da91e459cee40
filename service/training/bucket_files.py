"""Files of rows in a bucket: brought into the spool one after another, to be read from there as any other.

Keys are matched, never joined to a path, and the names of the copies are this module's own, so no key leads anywhere else.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import obstore
from obstore import exceptions, store

from model_store.bucket import READING, connect
from service.errors import NotReady
from service.training.files import bounded
from service.training.spool import space_left

PART = 1 << 22  # bytes
WILD = re.compile(r"[*?]")
UNREACHABLE = "a bucket of PLUMBLINE_DATA_ROOTS cannot be read: check its address, its provider's variables and the network, then try again"


def fetch(root: str, source: str, into: Path, *, check: Callable[[], None]) -> list[Path]:
    """Copies of the objects under `root` that a name or a glob (`*`, `?`, `**/`) means, in the order of their keys; none if none does.

    `check` is called between parts, and may raise to stop.

    Raises:
        NotReady: the bucket cannot be read.
        TooLarge: more than can be named at once.
        StoreFull: there is no room for the copies.
    """
    try:
        bucket = connect(root, READING)
        keys = bounded(_matches(bucket, source))
        return [_copied(bucket, key, into / f"{place:05}-{_plain(key)}", check) for place, key in enumerate(keys)]
    except (exceptions.BaseError, ValueError):
        raise NotReady(UNREACHABLE) from None  # the library's text may name more than its reader should see


def pattern(source: str) -> re.Pattern[str]:
    """What a key must be to be meant: `*` and `?` stay within one part of it, and `**` stands for any parts."""
    parts = ["(?:[^/]+/)*" if part == "**" else _part(part) + "/" for part in source.split("/")]
    return re.compile("".join(parts).removesuffix("/"))


def _part(part: str) -> str:
    return re.escape(part).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")


def _matches(bucket: store.ObjectStore, source: str) -> Iterator[str]:
    """The keys that are meant."""
    wild = WILD.search(source)
    if wild is None:
        try:
            yield str(obstore.head(bucket, source)["path"])
        except (FileNotFoundError, exceptions.NotFoundError):
            return
        return
    folder = source[: wild.start()].rpartition("/")[0]
    wanted = pattern(source)
    for page in obstore.list(bucket, prefix=folder or None):
        yield from (str(found["path"]) for found in page if wanted.fullmatch(str(found["path"])))


def _copied(bucket: store.ObjectStore, key: str, to: Path, check: Callable[[], None]) -> Path:
    with space_left():
        to.parent.mkdir(exist_ok=True)
        with to.open("wb") as file:
            for part in obstore.get(bucket, key).stream(min_chunk_size=PART):
                check()
                file.write(bytes(part))
    return to


def _plain(key: str) -> str:
    """The last part of a key as a file's name: its suffix tells the form."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", PurePosixPath(key).name)[-100:]
