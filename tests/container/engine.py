"""A container engine, whichever this machine has: Docker, podman, or podman set up by `container-box` where there is neither.

Whatever a test starts is known by its id and removed by it.
"""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import ROOT, Reply, ask, free_port

BOX = ROOT.parent / "shared" / "tools" / "container-box"
STORE = "/var/lib/plumbline"


def sh(*command: str | Path, timeout: float = 120, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, whatever its exit code."""
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, input=text, check=False)


def must(*command: str | Path, timeout: float = 120) -> str:
    """The standard output of a command that has to succeed."""
    done = sh(*command, timeout=timeout)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


@dataclass(frozen=True)
class Engine:
    """How to build, run and look at containers; `prefix` is what the names of one's own images start with."""

    build: tuple[str | Path, ...]
    run: tuple[str | Path, ...]
    cli: str
    prefix: str = ""
    read_only: tuple[str, ...] = ("--read-only",)

    def inspect(self, name: str) -> Any:
        """What the engine knows about a container or an image."""
        return json.loads(must(self.cli, "inspect", name))[0]


def find_engine() -> Engine | None:
    """The engine of this machine, podman being installed where `container-box` can do it; None when there is none to be had."""
    if shutil.which("docker") and sh("docker", "version").returncode == 0:
        return Engine(("docker", "build"), ("docker", "run"), "docker")
    # Unlike Docker, podman mounts writable file systems in a read-only container unless it is told not to.
    strict = ("--read-only", "--read-only-tmpfs=false")
    if BOX.exists() and sh(BOX, "up", timeout=600).returncode == 0:
        return Engine((BOX, "build", "--format", "docker", *constraints()), (BOX, "run"), "podman", "localhost/", strict)
    if shutil.which("podman") and sh("podman", "info").returncode == 0:
        return Engine(("podman", "build", "--format", "docker"), ("podman", "run"), "podman", "localhost/", strict)
    return None


def constraints() -> list[str]:
    """Mounts of the files of constraints that this machine's pip reads: `container-box` passes on the setting alone."""
    settings = dict(line.partition("=")[::2] for line in must(sys.executable, "-m", "pip", "config", "list").splitlines())
    named = settings.get("global.constraint", "").strip("'").split()
    return [option for path in named if Path(path).is_file() for option in ("-v", f"{path}:{path}:ro")]


@dataclass
class Box:
    """The image and what was started from it."""

    engine: Engine
    image: str
    containers: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)

    def volume(self) -> str:
        """A new named volume."""
        name = must(self.engine.cli, "volume", "create")
        self.volumes.append(name)
        return name

    def once(
        self, options: Sequence[str] = (), command: Sequence[str] = (), *, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a container to its end and remove it."""
        stdin = ("-i",) if text is not None else ()
        return sh(*self.engine.run, "--rm", *stdin, *options, self.image, *command, text=text)

    def python(self, program: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Run a Python program in a container of the image."""
        return self.once(["--entrypoint", "python", *options], ["-"], text=program)

    def serve(self, *options: str, ready: bool = True) -> "Served":
        """Start the service in a container, published on a free port of 127.0.0.1, and wait until it is ready."""
        port = free_port()
        started = time.monotonic()
        # The last line: podman warns on standard output where it has no systemd to run health checks with.
        container = must(*self.engine.run, "-d", "-p", f"127.0.0.1:{port}:8080", *options, self.image).splitlines()[-1]
        self.containers.append(container)
        served = Served(self, container, f"http://127.0.0.1:{port}", started)
        if ready:
            served.wait_ready()
        return served

    def token(self, volume: str) -> dict[str, str]:
        """The header that carries the write token of the service whose store is `volume`."""
        text = self.once(["--entrypoint", "cat", "-v", f"{volume}:{STORE}"], [f"{STORE}/write-token"]).stdout.strip()
        assert len(text) >= 32
        return {"Authorization": f"Bearer {text}"}

    def remove_all(self) -> None:
        """Remove what was started, by its id."""
        for container in self.containers:
            must(self.engine.cli, "rm", "-f", "-v", container)
        for volume in self.volumes:
            must(self.engine.cli, "volume", "rm", volume)


@dataclass
class Served:
    """The service in a container."""

    box: Box
    container: str
    url: str
    started: float
    ready_seconds: float = 0.0

    def wait_ready(self, seconds: float = 60) -> None:
        """Wait until `/readyz` answers 200."""
        while time.monotonic() < self.started + seconds:
            try:
                if self.get("/readyz", timeout=5).status == 200:
                    self.ready_seconds = time.monotonic() - self.started
                    return
            except OSError:
                pass
            time.sleep(0.02)
        raise AssertionError(f"not ready within {seconds} s:\n{self.log()}")

    def get(self, path: str, **options: Any) -> Reply:
        """GET `path`."""
        return ask(self.url + path, **options)

    def post(self, path: str, document: Any, headers: dict[str, str] | None = None) -> Reply:
        """POST `document` as JSON to `path`."""
        body = json.dumps(document).encode()
        return ask(self.url + path, method="POST", body=body, headers={"Content-Type": "application/json"} | (headers or {}))

    def log(self) -> str:
        """What the container wrote so far."""
        done = sh(self.box.engine.cli, "logs", self.container)
        return done.stdout + done.stderr

    def stop(self) -> int:
        """Send SIGTERM, wait, and return the exit code."""
        must(self.box.engine.cli, "stop", "-t", "40", self.container)
        return int(self.box.engine.inspect(self.container)["State"]["ExitCode"])

    def processes(self) -> list[int]:
        """The process ids of the container on this machine, its first process first."""
        first = int(self.box.engine.inspect(self.container)["State"]["Pid"])
        found = [first]
        for parent in found:  # grows while it is read: children of children too
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        return found
