"""Compile the kernels of `service.regression` for this machine, once for each width of vectors that its kind of processor may have.

The compiler is that of the package ziglang (`deploy/compiler.txt`): the same one everywhere, without any other development files.

    python deploy/compile.py [SITE_PACKAGES]     where ziglang is, unless it is among this interpreter's own packages
"""

import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "service" / "regression" / "kernels.c"
ALIASES = {"amd64": "x86_64", "arm64": "aarch64"}
LEVELS = {"x86_64": ("x86_64_v2", "x86_64_v3", "x86_64_v4")}  # SSE4.2, AVX2, AVX-512; elsewhere what every processor of the kind has
WIDE = {"x86_64": ("-mprefer-vector-width=512",)}
OPTIONS = (
    "-std=c11", "-O3", "-fPIC", "-shared", "-nostdlib", "-s", "-Wall", "-Wextra", "-Werror",
    "-fno-math-errno", "-fno-trapping-math",  # nobody looks at errno or the flags: without them loops become vectors
    "-ffp-contract=off",  # a value times its root times a power of two is rounded as it is written
)  # fmt: skip


def compile_kernels() -> None:
    """Make `kernels.LEVEL.so` beside the source, for every level."""
    machine = ALIASES.get(platform.machine().lower(), platform.machine().lower())
    system = "macos" if sys.platform == "darwin" else "linux-gnu"
    with tempfile.TemporaryDirectory() as cache:
        places = {"ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache, "PYTHONPATH": os.pathsep.join(sys.argv[1:])}
        for level in LEVELS.get(machine, ("baseline",)):
            made = SOURCE.with_suffix(f".{level}.so")
            new = made.with_suffix(".new")
            target = ("-target", f"{machine}-{system}", f"-mcpu={level}", *WIDE.get(machine, ()))
            command = [sys.executable, "-m", "ziglang", "cc", *target, *OPTIONS, "-o", str(new), str(SOURCE)]
            subprocess.run(command, check=True, env=os.environ | places)  # noqa: S603 - our own words
            new.replace(made)  # at once: a service that runs keeps the file that it has open
            print(f"made {made.name}, {made.stat().st_size / 1000:.0f} kB")  # noqa: T201 - the build's log


if __name__ == "__main__":
    compile_kernels()
