"""One store with versions of every sort that figures are drawn of."""

from typing import Any

import numpy as np
import pytest

from tests.plots.gallery import Gallery

DESCENT = {"name": "gradient_descent", "learning_rate": 0.1, "epochs": 25, "init": "zeros"}
HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', '$x^2$ & "quoted" \u0007', "房价 🏠", "long" * 80)
HOSTILE_TARGET = "</title></svg><script>alert(2)</script>"


def table() -> dict[str, Any]:
    """Sixty rows of two features and two targets."""
    rng = np.random.default_rng(6)
    area, rooms = rng.uniform(40, 120, size=60), rng.integers(1, 6, size=60)
    rent = 120 + 9.3 * area + 30 * rooms + rng.normal(size=60) * 60
    return {"area": area.tolist(), "rooms": rooms.tolist(), "rent": rent.tolist(), "costs": (0.2 * rent + rng.normal(size=60) * 9).tolist()}


def line() -> tuple[Any, Any]:
    """The feature and the target of fifty rows near y = 1 + 2 x."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=50)
    return x, 1 + 2 * x + 0.3 * rng.normal(size=50)


@pytest.fixture(scope="session")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    """The store."""
    made = Gallery(tmp_path_factory.mktemp("gallery") / "store")
    (x, y), rows = line(), table()
    short = {"columns": {"x": x.tolist(), "y": y.tolist()}, "target": "y", "sample": 100}
    made.train("line", **short)
    made.train("descent", **short, solver=DESCENT, history=True)
    made.train("slope", **short, solver=DESCENT, history=True, intercept=False)
    made.train("curve", **short, terms=["x", "x^2", "x^3"])
    made.train("lasso", **short | {"solver": {"name": "lasso", "l1": 0.1}})
    made.train("houses", columns=rows, target=["rent", "costs"], terms=["area", "area^2", "rooms"], sample=40)
    made.train("plane", columns={name: rows[name] for name in ("area", "rooms", "rent")}, target="rent", sample=40)
    made.train("aliased", columns={"a": [1, 2, 3, 4, 6], "b": [2, 4, 6, 8, 12], "y": [1, 2, 4, 3, 5]}, target="y", sample=9)
    made.train("single", instances=[[1]], targets=[3], sample=9)
    made.train("perfect", instances=[[1], [2], [3]], targets=[3, 5, 7], sample=9)
    made.train("bare", instances=[[1], [2], [3]], targets=[3, 5, 8])
    rng = np.random.default_rng(8)
    hostile = {name: rng.normal(size=30).tolist() for name in (*HOSTILE, HOSTILE_TARGET)}
    told = {"description": "<b>bold</b>", "labels": {"<i>": "</style><script>x</script>"}}
    made.train("hostile", columns=hostile, target=HOSTILE_TARGET, sample=30, **told)
    return made
