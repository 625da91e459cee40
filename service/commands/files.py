"""Files that commands write."""

import secrets
from pathlib import Path

from service.errors import Invalid


def write_file(file: Path, data: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        Invalid: it cannot be written.
    """
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        temporary.write_bytes(data)
        temporary.replace(file)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise Invalid({str(file): [f"cannot be written ({error.strerror})"]}) from error
