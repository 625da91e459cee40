"""Drawing in a process of its own.

matplotlib takes a second of a processor, holds the interpreter's lock meanwhile and keeps 60 MB: in a worker, predictions would wait
for it. A process that is started for one drawing costs half a second more, and leaves nothing behind.
"""

import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

from service.documents import dump
from service.errors import Contradiction, TimeLimit
from service.plots.__main__ import UNDRAWABLE
from service.plots.subject import Subject

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS = 60  # a second when there is nothing else to do; whatever else there is comes first
KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")  # of the environment; it holds secrets that drawing need not know
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def drawn_apart(subject: bytes, kind: str, form: str, *, scratch: Path) -> bytes:
    """The file of a kind, in `svg`, `png` or `html`, of a subject as `written` has it; fonts are looked up once, in `scratch`.

    Raises:
        Contradiction: it cannot be drawn of this version; the text says why and what to do.
        TimeLimit: it takes too long.
        RuntimeError: drawing failed.
    """
    environ = {name: os.environ[name] for name in KEPT if name in os.environ} | ONE_THREAD | {"MPLCONFIGDIR": str(scratch)}
    command = [sys.executable, "-m", "service.plots", kind, form, str(int(SECONDS) + 1)]
    try:
        done = subprocess.run(  # noqa: S603 - nothing in the command comes from outside
            command, input=subject, capture_output=True, cwd=ROOT, env=environ, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise TimeLimit(f"drawing took longer than {SECONDS} seconds: train with a smaller sample, or ask again later") from error
    if done.returncode == UNDRAWABLE:
        raise Contradiction(done.stdout.decode())
    if done.returncode:
        raise RuntimeError(f"drawing {kind} ended with {done.returncode}: {done.stderr.decode(errors='replace')[-2000:]}")
    return done.stdout


def written(subject: Subject) -> bytes:
    """A subject in JSON, equal bytes for equal subjects."""
    return dump({field.name: getattr(subject, field.name) for field in fields(subject)})
