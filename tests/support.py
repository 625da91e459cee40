"""A real service in a process of its own: Gunicorn, its workers and its trainer, on a free port of 127.0.0.1."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    """A port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Reply:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def ask(url: str, *, method: str = "GET", body: bytes | None = None, headers: dict[str, str] | None = None, timeout: float = 30) -> Reply:
    """One HTTP request; an error status is an answer like any other."""
    request = urllib.request.Request(url, body, headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return Reply(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Reply(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read())


class Service:
    """A running service; `log` is where its output goes."""

    def __init__(self, directory: Path, **settings: str) -> None:
        self.store = directory / "store"
        self.log = directory / "service.log"
        self.url = f"http://127.0.0.1:{free_port()}"
        self._settings = {"WORKERS": "2"} | settings
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, ready_seconds: float = 60) -> "Service":
        """Start and wait until it is ready."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("PLUMBLINE_")}
        environ |= {"PLUMBLINE_STORE": str(self.store), "PLUMBLINE_BIND": self.url.removeprefix("http://"), "PYTHONUNBUFFERED": "1"}
        environ |= {f"PLUMBLINE_{name}": value for name, value in self._settings.items()}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([sys.executable, "-m", "service", "serve"], cwd=ROOT, env=environ, stdout=log, stderr=log)
        self.wait_ready(ready_seconds)
        return self

    def wait_ready(self, seconds: float = 60) -> None:
        """Wait until `/readyz` answers 200."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process is not None
            assert self.process.poll() is None, f"the service ended:\n{self.log.read_text()}"
            try:
                if ask(f"{self.url}/readyz", timeout=5).status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"the service was not ready within {seconds} s:\n{self.log.read_text()}")

    def stop(self) -> int:
        """Stop with SIGTERM and return the exit code."""
        assert self.process is not None
        self.process.terminate()
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def get(self, path: str, **options: Any) -> Reply:
        """GET `path`."""
        return ask(self.url + path, **options)

    def post(self, path: str, document: Any, **options: Any) -> Reply:
        """POST `document` as JSON to `path`."""
        headers = {"Content-Type": "application/json"} | options.pop("headers", {})
        return ask(self.url + path, method="POST", body=json.dumps(document).encode(), headers=headers, **options)

    def post_body(self, path: str, body: bytes, **options: Any) -> Reply:
        """POST `body`, which is JSON, to `path`."""
        return ask(self.url + path, method="POST", body=body, headers={"Content-Type": "application/json"}, **options)

    def worker_pids(self) -> list[int]:
        """The process ids of the web workers now alive, from the log."""
        lines = (json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{"))
        booted = [int(line["message"].split()[-1]) for line in lines if line["message"].startswith("Booting worker with pid")]
        return [pid for pid in booted if Path(f"/proc/{pid}").exists()]
