"""Remove from site-packages what the service never uses at run time, so that the image is smaller; says what each removal saves.

sympy, mpmath and networkx stay: the first step of any `torch.optim` optimizer imports them.
"""

import shutil
import sys
from pathlib import Path

UNUSED = (
    "torch/include",  # headers and build files, to compile extensions with
    "torch/share",
    "torch/test",  # torch's own test programs
    "torch/bin/*Test",
    "torch/bin/test_*",
    "torch/bin/protoc*",
    "torch/lib/*test*.so",
    "setuptools*",  # needed only to compile extensions
    "_distutils_hack",
    "distutils-precedence.pth",
    "**/tests",  # the packages' own tests
    "**/*.a",  # static libraries
    "**/*.pyi",  # types
    "**/*.pyx",
    "**/*.pxd",
    "matplotlib/mpl-data/sample_data",
    "fontTools/*Lib",  # matplotlib needs it to embed fonts in PDF; figures here need names of glyphs alone
    "fontTools/pens",
    "fontTools/*cu2*u",
    "fontTools/misc/bezierTools*",
    "PIL/_avif*",  # images in AVIF
    "pillow.libs/libavif*",
    "swagger_ui_bundle/vendor/*/*.map",
    "swagger_ui_bundle/vendor/*/swagger-ui-es-*",
)


def size(path: Path) -> int:
    """Bytes of a file or of everything beneath a directory."""
    return sum(file.lstat().st_size for file in ([path] if path.is_file() else path.rglob("*")))


def prune(site_packages: Path) -> None:
    """Remove everything that `UNUSED` names."""
    for pattern in UNUSED:
        freed = 0
        for path in sorted(site_packages.glob(pattern)):
            if path.exists():  # a directory found earlier may have held it
                freed += size(path)
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        print(f"{freed / 1e6:7.1f} MB  {pattern}")  # noqa: T201 - the build's log


if __name__ == "__main__":
    prune(Path(sys.argv[1]))
