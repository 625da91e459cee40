"""Clients whose own dependencies differ from ours: each in a virtual environment of its own, made once and kept under `var`.

`make clients` makes them beforehand; it needs nothing installed.
"""

import subprocess
import sys
from pathlib import Path

KSERVE, MLSERVER = "kserve==0.21.0", "mlserver==1.7.1"
CLIENTS = Path(__file__).parents[2] / "var" / "clients"


def foreign_python(requirement: str) -> Path:
    """The Python of an environment that has `requirement`, such as `kserve==0.21.0`."""
    folder = CLIENTS / requirement.replace("==", "-")
    python, whole = folder / "bin" / "python", folder / "whole"
    if not whole.exists():  # what an interrupted installation left is made anew
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement], check=True)
        whole.touch()
    return python


if __name__ == "__main__":
    for client in (KSERVE, MLSERVER):
        print(foreign_python(client).parents[1].relative_to(CLIENTS), flush=True)  # noqa: T201
