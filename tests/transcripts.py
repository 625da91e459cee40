"""The snippets of the documentation, and how they are run as a reader would run them; `docs/README.md` tells writers the same.

A `console` block holds commands after `$ ` and under each what it prints. A command goes on while a quote is open or a line ends
with a backslash. A `python` block is a whole program, and the `text` block that follows it, if one does, is what it prints. A `pycon`
block is a whole session, which doctest follows. Otherwise `…` stands for anything, and numbers are compared to nine digits, or bit
for bit in a block that is marked `exact`.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support import ROOT, Service

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ADDRESS = "127.0.0.1:8080"
BLOCK = re.compile(r"^```(\w*)( exact)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What differs from run to run: times, identities made by chance, and the digest of the weights, whose file format is a library's.
VOLATILE = re.compile(r'("(?:created|time|started|finished|id|request_id|state_dict)": ?)"[^"]*"')
TOKEN = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?!\w)|\w+|[^\w\s─━]")
SETTINGS = re.compile(r"((?:PLUMBLINE_\w+=\S+ )+)make run &$")


@dataclass(frozen=True)
class Snippet:
    """A command or a program, what it prints (None: nothing is said of it), and whether the numbers are those to the last bit."""

    language: str
    code: str
    shown: str | None
    exact: bool


def blocks(page: str) -> list[tuple[str, bool, str]]:
    """(language, marked `exact`, text) of every block of a page, in order."""
    return [(language, bool(exact), text) for language, exact, text in BLOCK.findall(page)]


def snippets(page: str) -> list[Snippet]:
    """What a page has to be run, in order."""
    found: list[Snippet] = []
    pieces = blocks(page)
    for place, (language, exact, text) in enumerate(pieces):
        if language == "console":
            found += [Snippet("console", command, shown, exact) for command, shown in commands(text)]
        if language == "pycon":
            found.append(Snippet("pycon", text, None, exact))
        if language == "python":
            following = pieces[place + 1] if place + 1 < len(pieces) else ("", False, "")
            found.append(Snippet("python", text, following[2] if following[0] == "text" else None, following[1]))
    return found


def commands(text: str) -> list[tuple[str, str]]:
    """(command, output) pairs of a `console` block."""
    pairs = []
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        ends = (n for n, line in enumerate(lines, 1) if not line.endswith("\\") and "".join(lines[:n]).count("'") % 2 == 0)
        end = next(ends)
        pairs.append(("\n".join(lines[:end]), "\n".join(lines[end:])))
    return pairs


class Reader:
    """Somebody who follows one page: in a directory of their own, against a service on a free port.

    `NAME=VALUE make run &` starts a service with these settings, which answers the rest of the page.
    """

    def __init__(self, directory: Path, service: Service, start: Callable[..., Service]) -> None:
        self._directory = directory
        self._service = service
        self._start = start
        # On a busy machine a training may take longer than the ten seconds that a request waits for it by itself.
        (directory / ".curlrc").write_text('header = "Prefer: wait=50"\n')

    def run(self, snippet: Snippet) -> str:
        """What a snippet prints."""
        settings = SETTINGS.match(snippet.code)
        if settings:
            given = dict(setting.removeprefix("PLUMBLINE_").split("=", 1) for setting in settings[1].split())
            self._service = self._start(DEVICE="cpu", WORKERS="1", **given)
            return self._as_printed(self._service.log.read_text())
        here = snippet.code.replace(ADDRESS, self._service.url.removeprefix("http://")).replace(".venv/bin/python", sys.executable)
        (self._directory / "session.txt").write_text(here)
        command = {
            "console": ["bash", "-euo", "pipefail", "-c", here],
            "python": [sys.executable, "-c", here],
            "pycon": [sys.executable, "-m", "doctest", "-o", "ELLIPSIS", "session.txt"],
        }[snippet.language]
        environ = os.environ | {"PLUMBLINE_STORE": str(self._service.store), "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
        environ["CURL_HOME"] = str(self._directory)
        done = subprocess.run(command, cwd=self._directory, env=environ, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{snippet.code}\n{done.stdout}\n{done.stderr}"
        return self._as_printed(done.stdout)

    def _as_printed(self, output: str) -> str:
        return output.replace(self._service.url.removeprefix("http://"), ADDRESS)


def tokens(text: str) -> list[str]:
    """The numbers, words and signs of an output; blanks, line ends and the rules of tables do not count."""
    return TOKEN.findall(VOLATILE.sub(r"\1varies", text))


def same(came: str, shown: str, *, exact: bool = False) -> bool:
    """Whether an output is the one shown, in which `…` stands for any part of it."""
    parts: list[list[str]] = [[]]
    for token in tokens(shown):
        if token == "…":
            parts.append([])
        else:
            parts[-1].append(token)
    rest = tokens(came)
    first, *others = parts
    if len(parts) == 1:
        return len(rest) == len(first) and _begins(rest, first, exact=exact)
    if not _begins(rest, first, exact=exact):
        return False
    rest = rest[len(first) :]
    for part in others[:-1]:
        place = next((n for n in range(len(rest) + 1) if _begins(rest[n:], part, exact=exact)), None)
        if place is None:
            return False
        rest = rest[place + len(part) :]
    last = others[-1]
    return len(rest) >= len(last) and _begins(rest[len(rest) - len(last) :], last, exact=exact)


def _begins(came: list[str], part: list[str], *, exact: bool) -> bool:
    return len(came) >= len(part) and all(_equal(a, b, exact=exact) for a, b in zip(came, part, strict=False))


def _equal(came: str, shown: str, *, exact: bool) -> bool:
    if came == shown:
        return True
    try:
        a, b = float(came), float(shown)
    except ValueError:
        return False
    return not exact and abs(a - b) <= 1e-9 * max(1.0, abs(b))
