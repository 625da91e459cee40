"""Loads by the program wrk: as many requests as the server answers, over a few kept connections, from one thread.

wrk cannot be installed with pip; it is the Debian package `wrk`.
"""

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MILLISECONDS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}
# A script of wrk sends what `wrk` holds, unless it defines `request`, which is then called each time: only where requests differ.
SCRIPT = """\
local folder = os.getenv("REQUESTS")
local function content(name)
  local file = io.open(folder .. "/" .. name, "rb")
  local text = file and file:read("*a")
  if file then file:close() end
  return text
end
local paths, headers, bodies = {}, {}, {}
while content("path." .. #paths) do
  local number = #paths
  headers[number + 1] = {}
  for name, value in content("headers." .. number):gmatch("(.-): (.-)\\n") do headers[number + 1][name] = value end
  bodies[number + 1] = content("body." .. number)
  paths[number + 1] = content("path." .. number)
end
wrk.method, wrk.path, wrk.headers, wrk.body = "POST", paths[1], headers[1], bodies[1]
if #paths > 1 then
  local texts, last = {}, 0
  function init()
    for i = 1, #paths do texts[i] = wrk.format(nil, paths[i], headers[i], bodies[i]) end
  end
  function request()
    last = last % #texts + 1
    return texts[last]
  end
end
"""


@dataclass(frozen=True)
class Request:
    """What is sent, over and over, by POST."""

    path: str
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Figure:
    """One measurement: requests per second, and milliseconds that half and 99 % of the requests took at most."""

    rate: float
    p50: float
    p99: float


def find() -> str:
    """The wrk program, installed from the distribution where that is possible."""
    if shutil.which("wrk") is None and shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "wrk"], check=False)
    program = shutil.which("wrk")
    if program is None:
        sys.exit("wrk is needed: install the package `wrk`")
    return program


def measure(url: str, requests: Sequence[Request], *, seconds: float, connections: int = 8, warm: float = 1) -> Figure:
    """The load of the server at `url` (without path) for some seconds, after `warm` seconds of it that are not counted.

    Several requests are sent in turn. A server that answers an error or drops a connection ends the benchmark.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "script.lua").write_text(SCRIPT)
        for number, request in enumerate(requests):
            (folder / f"path.{number}").write_text(request.path)
            (folder / f"headers.{number}").write_text("".join(f"{header}: {value}\n" for header, value in request.headers.items()))
            (folder / f"body.{number}").write_bytes(request.body)
        command = [find(), "-t1", f"-c{connections}", "--latency", "--timeout=60s", f"-s{folder}/script.lua"]
        environ = os.environ | {"REQUESTS": name}
        for length in (warm, seconds):
            asked = [*command, f"-d{max(1, round(length))}s", url]
            out = subprocess.run(asked, env=environ, capture_output=True, text=True, check=True, timeout=length + 120).stdout
    return _read(out, url)


def _read(out: str, url: str) -> Figure:
    """What wrk printed."""
    if "Non-2xx" in out or "Socket errors" in out:
        sys.exit(f"{url} failed under load:\n{out}")
    latency = {percent: float(number) * MILLISECONDS[unit] for percent, number, unit in re.findall(r"(\d+)%\s+([\d.]+)(us|ms|s|m)\s", out)}
    rate = re.search(r"Requests/sec:\s+([\d.]+)", out)
    assert rate is not None
    assert float(rate[1]), f"{url} answered nothing while it was measured; measure for longer:\n{out}"
    return Figure(float(rate[1]), latency["50"], latency["99"])


def median(figures: Sequence[Figure]) -> Figure:
    """The medians of several rounds, each number by itself."""
    return Figure(*(statistics.median(getattr(figure, key) for figure in figures) for key in ("rate", "p50", "p99")))
