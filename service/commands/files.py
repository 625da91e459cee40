"""Files that commands write."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from service.errors import Invalid


@contextmanager
def whole_file(file: Path) -> Iterator[BinaryIO]:
    """An open file that takes the place of `file` when all is written, or is gone when not.

    Raises:
        Invalid: it cannot be written.
    """
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        with temporary.open("wb") as writing:
            yield writing
        temporary.replace(file)
    except OSError as error:
        raise Invalid({str(file): [f"cannot be written ({error.strerror or error})"]}) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_file(file: Path, data: bytes) -> None:
    """Write a file whole or not at all. Raises Invalid where it cannot be written."""
    with whole_file(file) as writing:
        writing.write(data)
