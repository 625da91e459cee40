"""How Gunicorn runs Plumbline: web workers, one trainer pool beside them; torch is imported before the fork, and not used.

`python -m service serve` starts it; every value comes from `service.config`.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from service import logs
from service.config import Config
from service.tokens import ensure_write_token

RUN_DIR = "_PLUMBLINE_RUN_DIR"
PREFIX = "plumbline-run."
STOPPING = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}
WELCOME = """\
Plumbline listens on http://{address}
  train    curl -s http://{address}/train -H 'Content-Type: application/json'{token} \\
             -d '{{"model": "line", "instances": [[0], [1], [2]], "targets": [1, 3, 5]}}'
  predict  curl -s http://{address}/predict -H 'Content-Type: application/json' \\
             -d '{{"model": "line", "instances": [[10]]}}'
  look     http://{address}/
"""


def make_run_dir() -> Path:
    """A directory of this server's own, in memory where there is some: metric files and heartbeats need not outlive it.

    Its lock is held through a descriptor that every process of the server inherits, so that what a killed server left
    is told from what is in use: by a server whose processes this one cannot see (another container), or by workers that
    have yet to notice that their master is gone.
    """
    memory = Path("/dev/shm")  # noqa: S108 - a directory with mode 0700 is made in it
    base = memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())
    for left in base.glob(PREFIX + "*"):
        if (lock := lock_directory(left)) is not None:
            shutil.rmtree(left, ignore_errors=True)
            os.close(lock)
    while True:
        made = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
        if lock_directory(made) is not None and made.exists():  # else another server that starts now took it for left over
            return made


def lock_directory(path: Path) -> int | None:
    """A descriptor that holds the lock of a directory of ours; None when it is held already, gone or not ours."""
    descriptor = None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        if descriptor is not None:
            os.close(descriptor)
        return None
    return descriptor


settings = Config.from_environ(os.environ)
run_dir = Path(os.environ.setdefault(RUN_DIR, "") or make_run_dir())
os.environ[RUN_DIR] = str(run_dir)
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(run_dir / "metrics")
(run_dir / "metrics").mkdir(exist_ok=True)
# Gunicorn finds its trainer pool through files in the temporary directory named after `proc_name`;
# two servers on a machine must share neither, or the second ends the first one's trainer.
os.environ["TMPDIR"] = tempfile.tempdir = str(run_dir)

# Workers are the parallelism, and a training must not take the processors from them. Read when the libraries are imported.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"):
    os.environ.setdefault(_name, "1")

bind = [settings.address, *([f"{settings.host}:{settings.metrics_port}"] if settings.metrics_port else [])]
proc_name = f"plumbline-{settings.port}-{os.getpid()}"
wsgi_app = "service.app:wsgi()"
worker_class = "service.worker.worker.Worker"
workers = settings.workers
threads = settings.threads
worker_tmp_dir = str(run_dir)
preload_app = False  # a worker forked after torch was used hangs, and CUDA does not survive a fork; `Worker.check_config` imports it
keepalive = 75
sendfile = False  # it would wait for the client; the worker sends everything as clients take it
timeout = 120
graceful_timeout = settings.graceful_seconds
control_socket_disable = True
# With its number of workers named, Gunicorn need not import the application before the fork.
dirty_apps = [f"service.training.trainer:Trainer:{settings.trainers}"]
dirty_workers = settings.trainers
dirty_timeout = 86_400  # bounds only the hand-over of a job, which takes a millisecond; a training runs as long as it runs
dirty_graceful_timeout = max(1, settings.graceful_seconds - 2)  # the pool must end its trainer before the master ends the pool
logger_class = "service.logs.ServerLogger"
logconfig_dict = logs.settings(settings.log_level)

master: list[Any] = []


def on_starting(server: Any) -> None:
    """Before anything listens: the write token, where one is needed and none is set."""
    master.append(server)
    path = ensure_write_token(settings)
    if path is not None:
        os.environ["PLUMBLINE_WRITE_TOKEN_FILE"] = str(path)
        print(f"The write token is in {path}", flush=True)  # noqa: T201 - for the person who starts it; the token itself stays in its file


def when_ready(server: Any) -> None:  # noqa: ARG001 - the hook's signature
    """Tell whoever started it where it listens and how to send the first request."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "[::]") else settings.host  # noqa: S104 - compared, not bound
    token = "" if settings.loopback and not settings.write_token else ' -H "Authorization: Bearer $TOKEN"'
    print(WELCOME.format(address=f"{host}:{settings.port}", token=token), end="", flush=True)  # noqa: T201


def on_dirty_starting(pool: Any) -> None:
    """The trainer inherits the listening socket; kept open, it would take in connections that nobody accepts any more.

    And it inherits what its supervisor does with a signal, until it has its own handlers: what comes before is kept for them.
    """
    for listener in master[0].LISTENERS:
        listener.sock.close()

    def hold(how: int) -> None:
        if os.getpid() == pool.pid:
            signal.pthread_sigmask(how, STOPPING)

    os.register_at_fork(before=lambda: hold(signal.SIG_BLOCK), after_in_parent=lambda: hold(signal.SIG_UNBLOCK))


def dirty_worker_init(worker: Any) -> None:
    """A trainer told to stop before it was ready would not notice any more."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    if not worker.alive:
        sys.exit(0)


def on_exit(server: Any) -> None:  # noqa: ARG001 - the hook's signature
    """Leave nothing behind in memory."""
    with contextlib.suppress(OSError):
        shutil.rmtree(run_dir)
