"""The house keeps its rooms: who may import whom, what may be loaded where, and that every error has its status."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_store import errors as store_errors
from service import errors
from service.api.answers import known_errors, status_of
from tests.conftest import pytest_collection_modifyitems as check_tests
from tests.support import ROOT

# A room may import itself, what is listed beside it, and nothing else of ours.
GROUND = ("allocator", "config", "errors", "logs", "metrics", "priority", "slots", "tokens", "validation")
DATA = ("service.ground", "service.regression", "service.rows", "service.documents")
ROOMS: dict[str, set[str]] = {
    "model_store": set(),
    "service.regression": set(),
    "service.ground": set(),
    "service.rows": {"service.regression", "service.ground"},
    "service.documents": {"service.regression", "service.ground", "service.rows"},
    "service.training": {"model_store", *DATA},
    "service.serving": {"model_store", *DATA},
    "service.plots": {"model_store", *DATA, "service.training", "service.serving"},
    "service.api": {"model_store", *DATA, "service.training", "service.serving", "service.plots"},
    "service.app": {"model_store", *DATA, "service.training", "service.serving", "service.plots", "service.api"},
    "service.client": set(),
    "service.commands": {"model_store", *DATA, "service.client", "service.training", "service.serving", "service.plots"},
    "service.cli": {"model_store", "service.ground", "service.training", "service.commands"},
    "service.__main__": {"service.cli", "service.commands"},
    "service.worker": {"service.ground"},
    "gunicorn.conf": {"service.ground"},
}
MATHEMATICS = {"numpy", "scipy", "torch", "safetensors"}
PACKAGES = ("service", "model_store")


def modules() -> Iterator[tuple[str, Path]]:
    """(dotted name, file) of every module that ships."""
    yield "gunicorn.conf", ROOT / "gunicorn.conf.py"
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), path


def room(name: str) -> str:
    """The room that a module stands in."""
    parts = name.split(".")
    if parts[0] != "service":
        return name if name == "gunicorn.conf" else parts[0]
    return "service.ground" if len(parts) > 1 and parts[1] in GROUND else ".".join(parts[:2])


def imports(path: Path) -> Iterator[str]:
    """Every module a file imports, wherever in it, by the name of what is imported."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the room they come from"
            module = node.module or ""
            yield from (f"{module}.{alias.name}" if module in ("service", "model_store") else module for alias in node.names)


def test_nothing_imports_upward() -> None:
    """Each room imports only the rooms beneath it; `regression` and `model_store` know neither each other nor anything above."""
    wrong = [
        f"{name} imports {imported}"
        for name, path in modules()
        if name != "service"
        for imported in imports(path)
        if imported.split(".")[0] in PACKAGES and room(imported) not in ROOMS[room(name)] | {room(name)}
    ]

    assert wrong == []


def test_every_module_stands_in_a_room() -> None:
    """A new top-level module must be given its place in the plan before it can be imported."""
    assert {room(name) for name, _ in modules()} - {"service", "service.web"} == set(ROOMS)


def test_the_mathematics_knows_only_numbers() -> None:
    """`regression` imports the standard library, numpy, scipy, torch and safetensors, and neither Flask nor anything else."""
    foreign = {
        imported.split(".")[0]
        for name, path in modules()
        if room(name) == "service.regression"
        for imported in imports(path)
        if imported.split(".")[0] not in sys.stdlib_module_names | set(PACKAGES)
    }

    assert foreign <= MATHEMATICS


def test_the_store_needs_the_standard_library_alone() -> None:
    """`model_store` imports nothing but itself and the standard library; what speaks to buckets, one library for that."""
    foreign = {
        (name, imported.split(".")[0])
        for name, path in modules()
        if room(name) == "model_store"
        for imported in imports(path)
        if imported.split(".")[0] not in sys.stdlib_module_names | {"model_store"}
    }

    assert foreign == {("model_store.bucket", "obstore")}


def test_flask_is_known_to_the_doors_alone() -> None:
    """Only `service.api` and `service.app` import Flask or Werkzeug."""
    knowing = {room(name) for name, path in modules() for imported in imports(path) if imported.split(".")[0] in ("flask", "werkzeug")}

    assert knowing == {"service.api", "service.app"}


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import runpy; runpy.run_path('gunicorn.conf.py')", {"torch", "prometheus_client", "flask", "polars", "scipy"}),
        ("import service.app", {"polars", "scipy", "rich", "pandas", "matplotlib"}),
        ("import service.plots.kinds", {"torch", "scipy", "flask", "prometheus_client"}),
        ("import service.cli", {"matplotlib", "torch", "numpy", "polars", "scipy", "flask", "prometheus_client", "rich", "urllib3"}),
        ("import service.client", {"torch", "numpy", "polars", "pandas", "pyarrow", "flask", "marshmallow", "click", "rich"}),
        (
            "from service.cli import main; main(['models', 'list'], standalone_mode=False)",
            {"torch", "numpy", "polars", "scipy", "flask", "prometheus_client"},
        ),
        ("import model_store.store, model_store.opening", {"torch", "numpy", "flask", "prometheus_client", "obstore"}),
    ],
)
def test_a_process_loads_only_what_it_needs(code: str, absent: set[str], tmp_path: Path) -> None:
    """Nothing of prometheus_client before the fork, torch only when it is due, and nothing that only trainings need in a web worker."""
    environ = {"PATH": "/usr/bin:/bin", "PLUMBLINE_STORE": str(tmp_path / "store"), "_PLUMBLINE_RUN_DIR": str(tmp_path)}

    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )

    assert set(done.stdout.split()) & absent == set()


@pytest.mark.parametrize("kind", list(known_errors()), ids=lambda kind: kind.__name__)
def test_every_error_has_a_status(kind: type[Exception]) -> None:
    """The one table gives each error of both trees a status, by itself or by an ancestor; the roots alone stand for no case."""
    assert status_of(kind) is not None or kind is errors.PlumblineError


@pytest.mark.parametrize("module", [errors, store_errors], ids=lambda module: module.__name__)
def test_the_drawn_tree_is_the_tree(module: object) -> None:
    """The tree in a module's docstring shows every error class of the module under its base, and no other."""
    drawn: dict[str, str] = {}
    above: list[str] = []
    for line in (module.__doc__ or "").splitlines():
        if found := re.match(r"([│├└─ ]+)(\w+)(?: |$)|()(\w+)$", line):
            depth, name = len(found[1] or "") // 4, found[2] or found[4]
            above[depth:] = [name]
            drawn[name] = above[depth - 1] if depth else "Exception"
    real = {name: kind.__base__.__name__ for name, kind in vars(module).items() if isinstance(kind, type) and issubclass(kind, Exception)}

    assert drawn == real


def test_tests_that_share_an_id_are_refused(request: pytest.FixtureRequest) -> None:
    """Of the tests with one id a run in several processes carries out one alone, so there is no second."""
    tests = request.session.items
    check_tests(tests)
    with pytest.raises(pytest.UsageError, match=re.escape(request.node.nodeid)):
        check_tests([*tests, request.node])
