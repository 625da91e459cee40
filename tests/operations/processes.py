"""The processes of a running service: who they are, which one holds a connection, and what they leave behind."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support import Service


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Return as soon as `condition` holds, and fail when it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be reaped does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def kill(pid: int) -> None:
    """Kill a process and see it end, which takes a moment where its memory is large or its priority low."""
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not alive(pid), "the end of a killed process")


def descendants(pid: int) -> set[int]:
    """The living processes that `pid` started, and those that they did."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(parent, []).append(int(path.parent.name))
    found, waiting = set[int](), [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            found.add(child)
            waiting.append(child)
    return {child for child in found if alive(child)}


def trainer_pid(service: Service) -> int | None:
    """The trainer process now alive, once it has loaded."""
    spawned = re.findall(r"Spawned dirty worker \(pid: (\d+)\)", service.log.read_text())
    listening = re.findall(r"Dirty worker (\d+) listening", service.log.read_text())
    return next((int(pid) for pid in reversed(spawned) if pid in listening and alive(int(pid))), None)


def supervisor_pid(service: Service) -> int:
    """The process that supervises the trainer."""
    started = re.findall(r"Dirty arbiter starting \(pid: (\d+)\)", service.log.read_text())
    return next(int(pid) for pid in reversed(started) if alive(int(pid)))


def wait_for_trainer(service: Service) -> int:
    """The trainer's process id, as soon as there is a trainer."""
    wait_until(lambda: trainer_pid(service) is not None, "a trainer")
    pid = trainer_pid(service)
    assert pid is not None
    return pid


def wait_for_workers(service: Service, number: int) -> list[int]:
    """The process ids of the web workers, as soon as all have loaded the application."""

    def loaded() -> bool:
        return len(service.worker_pids()) == number and all(open_metrics(pid) for pid in service.worker_pids())

    wait_until(loaded, f"{number} web workers")
    return service.worker_pids()


def open_metrics(pid: int) -> list[Path]:
    """The metric files a process has open: none before it has loaded the application."""
    return [path for path in _open_files(pid) if path.suffix == ".db"]


def run_directory(service: Service) -> Path:
    """The directory in memory that belongs to a running service."""
    return next(path.parent.parent for pid in service.worker_pids() for path in open_metrics(pid))


def metric_files(service: Service) -> list[str]:
    """The names of all metric files of a running service."""
    return sorted(path.name for path in (run_directory(service) / "metrics").iterdir())


def _open_files(pid: int) -> list[Path]:
    found = []
    try:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                found.append(descriptor.readlink())
    except (FileNotFoundError, ProcessLookupError):
        return []
    return found


@contextmanager
def only(service: Service, pid: int) -> Iterator[None]:
    """Hold all web workers but one, so that it is the one that accepts new connections."""
    others = [other for other in service.worker_pids() if other != pid]
    for other in others:
        os.kill(other, signal.SIGSTOP)
    try:
        yield
    finally:
        for other in others:
            os.kill(other, signal.SIGCONT)


def holder(service: Service, port: int) -> int:
    """The worker that holds the connection from the client port `port`."""
    server = int(service.url.rpartition(":")[2])
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {f"socket:[{f[9]}]" for f in lines if f[1].endswith(f":{server:04X}") and f[2].endswith(f":{port:04X}")}
    for pid in service.worker_pids():
        if any(str(path) in inodes for path in _open_files(pid)):
            return pid
    raise AssertionError(f"no worker holds the connection from port {port}")
