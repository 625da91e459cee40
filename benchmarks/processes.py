"""Programs that are measured: started with all they start, until they answer, and ended with all of it."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.wrk import Request
from tests.operations.processes import descendants
from tests.support import ask

START_SECONDS = 120


@contextmanager
def running(command: Sequence[str], folder: Path, environ: Mapping[str, str], url: str, first: Request) -> Iterator[int]:
    """A server in a session of its own, from the moment it answers its first request; yields its process id."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(url, first):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, f"{command[0]} did not answer in {START_SECONDS} s:\n{(folder / 'log').read_text()}"
            time.sleep(0.1)
        yield process.pid
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):  # the session outlives its first process where that leaves others behind
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(15)


def _answers(url: str, first: Request) -> bool:
    try:
        return ask(url + first.path, method="POST", body=first.body, headers=dict(first.headers), timeout=10).status == 200
    except OSError:
        return False


def pss(pid: int) -> float:
    """Memory of a process in MB, what it shares divided among those who share it."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) / 1024


def pss_of_all(pid: int) -> float:
    """Memory in MB of a process and all that it started."""
    return sum(pss(each) for each in (pid, *descendants(pid)))
