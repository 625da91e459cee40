"""The write token of a service that others can reach: never absent, never weak, never printed."""

import os
import secrets
from pathlib import Path

from service.config import Config

FILE = "write-token"


def ensure_write_token(config: Config) -> Path | None:
    """Where the write token of a reachable service is kept, made now if need be; None when one is configured or nobody can reach it.

    The file lies in the directory of the replica, so that a container keeps its token with its volume; its mode is 0600.
    """
    if config.loopback or config.write_token:
        return None
    path = config.directory / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return path
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return path
