"""The textbook runs of gradient training, over HTTP and from the command line, beside the plain torch loop they come from."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from torch import Tensor, nn
from werkzeug.test import Client

from model_store.store import ModelStore
from service.cli import main
from service.config import Config
from service.regression.model import LinearRegression
from service.training.document import version_document

DTYPES = {"float32": torch.float32, "float64": torch.float64}
CRITERIA: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": nn.MSELoss(),
    "sse": nn.MSELoss(reduction="sum"),
    "l1": nn.L1Loss(),
    "huber": nn.HuberLoss(),
}
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adagrad": torch.optim.Adagrad,
    "rmsprop": torch.optim.RMSprop,
    "lbfgs": lambda parameters, lr: torch.optim.LBFGS(parameters, lr=lr, line_search_fn="strong_wolfe"),
}
NOISE = np.random.default_rng(4).normal(scale=0.5, size=61)


@dataclass(frozen=True)
class Run:
    """A run of a textbook: x [n, p], y [n] or [n, t], and what a request asks."""

    x: Any
    y: Any
    solver: dict[str, Any]
    dtype: str = "float64"
    intercept: bool = True
    new: Any = field(default_factory=lambda: [[4.5], [20.0], [-3.0]])

    @property
    def rows(self) -> list[list[float]]:
        """x as rows of numbers."""
        return [[float(value) for value in np.atleast_1d(row)] for row in self.x]

    @property
    def request(self) -> dict[str, Any]:
        """The body of `POST /train`."""
        options = {"solver": self.solver, "dtype": self.dtype, "intercept": self.intercept, "history": True, "new_schema": True}
        return {"model": "book", "instances": self.rows, "targets": np.asarray(self.y).tolist()} | options


LINE = np.arange(11.0)
HUNDRED = np.arange(1.0, 100.0)
SHORT = np.arange(1.0, 6.0)
SLOPE = np.arange(-30, 31) / 10
PLANE = np.random.default_rng(9).normal(size=(40, 3))
TWO = np.column_stack([PLANE @ [1.0, 2.0, 3.0] + 0.5, PLANE @ [-1.0, 0.0, 4.0] - 2.0])
ZERO = {"init": "zeros"}
NEW = [[0.5, -1.0, 2.0], [3.0, 0.0, -0.25]]


def sgd(rate: float, epochs: int, **more: Any) -> dict[str, Any]:
    return {"name": "sgd", "learning_rate": rate, "epochs": epochs, "seed": 7} | more


RUNS = {
    "a": Run(LINE, 2 * LINE + 1, sgd(0.001, 100)),
    "a in float32": Run(LINE, 2 * LINE + 1, sgd(0.001, 100), dtype="float32"),
    "b": Run(HUNDRED, 20 * HUNDRED + 6, sgd(0.0001, 100, name="gradient_descent", init="zeros"), dtype="float32"),
    "b in float64": Run(HUNDRED, 20 * HUNDRED + 6, sgd(0.0001, 100, name="gradient_descent", init="zeros")),
    "c": Run(SHORT, [0, -1.1, -1.8, -3.1, -4.5], sgd(0.001, 1000, loss="sse")),
    "c by the plain update": Run(SHORT, [0, -1.1, -1.8, -3.1, -4.5], sgd(0.001, 1000, loss="sse", name="gradient_descent")),
    "d": Run(SLOPE, -3 * SLOPE + NOISE, sgd(0.1, 4, init={"weight": [-10]}), intercept=False),
    "d in float32": Run(SLOPE, -3 * SLOPE + NOISE, sgd(0.1, 4, init={"weight": [-10]}), intercept=False, dtype="float32"),
    "e by adam": Run(LINE, 2 * LINE + 1, sgd(0.1, 60, name="adam")),
    "e by adagrad and huber": Run(LINE, 2 * LINE + 1, sgd(0.5, 60, name="adagrad", loss="huber")),
    "e by rmsprop and l1": Run(LINE, 2 * LINE + 1, sgd(0.02, 60, name="rmsprop", loss="l1"), dtype="float32"),
    "e by lbfgs": Run(LINE, 2 * LINE + 1, sgd(1.0, 5, name="lbfgs")),
    "e with momentum": Run(LINE, 2 * LINE + 1, sgd(0.001, 60, momentum=0.9)),
    "several columns": Run(PLANE, TWO[:, 0], sgd(0.05, 30), new=NEW),
    "several targets": Run(PLANE, TWO, sgd(0.05, 30), new=NEW),
    "several targets in float32": Run(PLANE, TWO, sgd(0.05, 30, loss="sse", learning_rate=0.001), dtype="float32", new=NEW),
}


class Regression(nn.Module):
    """The class of the textbooks: one linear layer."""

    def __init__(self, columns: int, targets: int, *, bias: bool, dtype: torch.dtype) -> None:
        super().__init__()
        self.linear = nn.Linear(columns, targets, bias=bias, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)  # type: ignore[no-any-return]


def started(run: Run) -> Regression:
    """The model before training, made the usual way."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.solver["seed"])
        model = Regression(
            len(run.rows[0]), np.asarray(run.y).reshape(len(run.x), -1).shape[1], bias=run.intercept, dtype=DTYPES[run.dtype]
        )
    init = run.solver.get("init", "default")
    with torch.no_grad():
        if init == "zeros":
            for parameter in model.parameters():
                parameter.zero_()
        elif init != "default":
            model.linear.weight.copy_(torch.tensor([init["weight"]]))
    return model


def by_hand(run: Run) -> tuple[Regression, list[tuple[Any, ...]]]:
    """The textbook's loop: the trained model, and (epoch, loss, weight, bias) before each epoch and after the last."""
    model, criterion, rate = started(run), CRITERIA[run.solver.get("loss", "mse")], run.solver["learning_rate"]
    x = torch.tensor(run.rows, dtype=DTYPES[run.dtype])
    y = torch.tensor(np.asarray(run.y, dtype=float), dtype=DTYPES[run.dtype]).reshape(len(x), -1)
    states = []

    def note(epoch: int) -> None:
        weight, bias = model.linear.weight, model.linear.bias
        several = np.ndim(run.y) == 2
        parameters = [None if p is None else (p if several else p[0]).tolist() for p in (weight, bias)]
        states.append((epoch, criterion(model(x), y).item(), *parameters))

    more = {"momentum": run.solver["momentum"]} if "momentum" in run.solver else {}
    plain = run.solver["name"] == "gradient_descent"
    optimizer = None if plain else OPTIMIZERS[run.solver["name"]](model.parameters(), lr=rate, **more)

    def closure() -> Tensor:
        model.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        return loss

    for epoch in range(run.solver["epochs"]):
        note(epoch)
        if optimizer is not None:
            optimizer.step(closure)
        else:
            closure()
            with torch.no_grad():
                for w in model.parameters():
                    w -= rate * w.grad  # noqa: PLW2901  # the textbook's own line
    note(run.solver["epochs"])
    return model.eval(), states


def trained(client: Client, run: Run) -> Any:
    answer = client.post("/train", json=run.request)
    assert answer.status_code == 201, answer.json
    return answer.json


def states(document: Any) -> list[tuple[Any, ...]]:
    """The history of a version document, as the loop notes it."""
    return [(entry["epoch"], entry["loss"], entry["weight"], entry["bias"]) for entry in document["history"]]


def command(tmp_path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, env={"PLUMBLINE_STORE": str(tmp_path / "cli"), "COLUMNS": "250"})


def write_csv(path: Path, run: Run) -> list[str]:
    """The rows as a CSV file; returns the names of the targets."""
    table = np.column_stack([np.asarray(run.rows), np.asarray(run.y, dtype=float)])
    columns = len(run.rows[0])
    targets = ["y"] if np.ndim(run.y) == 1 else [f"y{i}" for i in range(1, table.shape[1] - columns + 1)]
    lines = [",".join([*(f"x{i}" for i in range(1, columns + 1)), *targets]), *(",".join(map(repr, row)) for row in table.tolist())]
    path.write_text("\n".join(lines) + "\n")
    return targets


@pytest.mark.parametrize("name", RUNS)
def test_a_run_over_http_is_the_plain_loop_bit_for_bit(name: str, client: Client) -> None:
    """Loss and parameters of every epoch, and the predictions of the version loaded again, are those of the torch loop."""
    run = RUNS[name]
    model, loop = by_hand(run)
    document = trained(client, run)
    new = torch.tensor(run.new, dtype=DTYPES[run.dtype])
    answer: Any = client.post("/predict", json={"model": "book", "instances": run.new}).json
    with torch.inference_mode():
        expected = model(new).double()

    assert states(document) == loop
    assert answer["predictions"] == (expected if np.ndim(run.y) == 2 else expected[:, 0]).tolist()
    assert document["fit"]["loss"] == loop[-1][1]
    assert document["fit"]["epochs"] == run.solver["epochs"]


@pytest.mark.parametrize("name", RUNS)
def test_a_run_from_the_command_line_is_the_plain_loop(name: str, tmp_path: Path) -> None:
    """The same file, solver and history by `service train`: each epoch is printed, and the version stored has the loop's bits."""
    run = RUNS[name]
    model, loop = by_hand(run)
    targets = write_csv(tmp_path / "rows.csv", run)
    asked = [argument for target in targets for argument in ("--target", target)]
    asked += ["--solver", json.dumps(run.solver), "--dtype", run.dtype, "--history", *([] if run.intercept else ["--no-intercept"])]
    done = command(tmp_path, "train", str(tmp_path / "rows.csv"), *asked)
    assert (done.exit_code, done.stderr) == (0, "")
    store = ModelStore.open(tmp_path / "cli")
    document = version_document(store, store.manifest("default", 1))
    printed = re.findall(r"^epoch +(\d+)  loss (\S+)  weight (.*)  bias (.*)$", done.stdout, re.MULTILINE)
    loaded = LinearRegression.from_bytes(store.blob(document["state_dict"]), device=torch.device("cpu"))
    new = torch.tensor(run.new, dtype=DTYPES[run.dtype])

    assert states(document) == loop
    assert printed == [(str(epoch), f"{loss:.8g}", str(weight), str(bias)) for epoch, loss, weight, bias in loop]
    assert not loaded.training
    assert loaded.linear.weight.dtype == DTYPES[run.dtype]
    with torch.inference_mode():
        assert torch.equal(loaded(new), model(new))


def test_run_b_has_the_losses_its_book_prints(client: Client) -> None:
    """1338702.5 at first, then 7.9803, 7.9686, 7.9568, 7.9450, 7.9333, 7.9216 at epochs 15, 30, … 90."""
    losses = [entry["loss"] for entry in trained(client, RUNS["b"])["history"]]

    assert len(losses) == 101
    assert losses[0] == pytest.approx(1338702.5, rel=2.0**-22)  # 1338702 2/3 in exact arithmetic
    assert [f"{losses[epoch]:.4f}" for epoch in range(15, 91, 15)] == ["7.9803", "7.9686", "7.9568", "7.9450", "7.9333", "7.9216"]


def test_run_c_walks_one_path_by_optimizer_and_by_plain_update(client: Client) -> None:
    """Loss, W and b of torch.optim.SGD and of w -= lr * grad agree at each of the 1,001 states to 1e-6."""
    paths = [trained(client, RUNS[name])["history"] for name in ("c", "c by the plain update")]
    first, second = [np.array([(e["loss"], *e["weight"], e["bias"]) for e in path]) for path in paths]

    assert first.shape == (1001, 3)
    np.testing.assert_allclose(first, second, rtol=1e-6)


def test_run_f_the_derivatives_of_xw_plus_b() -> None:
    """At x = 5, w = 4, b = 2 the module's output is 22, and its derivatives by w and b are 5 and 1."""
    model = LinearRegression.from_coefficients(np.array([[4.0]]), np.array([2.0])).train().requires_grad_(requires_grad=True)
    y = model(torch.tensor([[5.0]], dtype=torch.float64))
    y.backward()

    assert y.item() == 22.0
    assert [p.grad.item() for p in model.parameters() if p.grad is not None] == [5.0, 1.0]


def test_run_f_over_http(client: Client) -> None:
    """One plain step at a residual of 1/2 under the squared loss moves w by the rate times 5 and b by the rate times 1."""
    solver = sgd(1 / 64, 1, name="gradient_descent", loss="sse", init={"weight": [4], "bias": 2})
    history = trained(client, Run([5], [21.5], solver))["history"]

    assert [(e["loss"], e["weight"], e["bias"]) for e in history] == [(0.25, [4.0], 2.0), (0.0087890625, [4 - 5 / 64], 2 - 1 / 64)]


@pytest.mark.parametrize("optimizer", ["sgd", "gradient_descent"])
def test_divergence_names_the_largest_stable_rate_and_publishes_nothing(optimizer: str, client: Client) -> None:
    """422; the rate it names lies just below 2 / the largest eigenvalue of the Hessian; a run at that rate is published, as version 1."""
    request = Run(HUNDRED, 20 * HUNDRED + 6, sgd(0.01, 100, name=optimizer)).request
    answer = client.post("/train", json=request)
    A = np.column_stack([HUNDRED, np.ones(99)])
    bound = 2 / np.linalg.eigvalsh(2 * A.T @ A / 99)[-1]
    problem: Any = answer.json

    assert answer.status_code == 422
    assert list(problem["errors"]) == ["solver.learning_rate"]
    found = re.search(r"largest stable learning_rate for these rows is (\S+):", problem["errors"]["solver.learning_rate"][0])
    assert found
    assert 0.98 * bound < float(found[1]) < bound
    assert client.get("/models/book").status_code == 404
    gentler = client.post("/train", json=request | {"solver": request["solver"] | {"learning_rate": float(found[1])}})
    assert (gentler.status_code, gentler.headers["Location"]) == (201, "/models/book/versions/1")


def test_divergence_from_the_command_line(tmp_path: Path) -> None:
    """Exit code 1 and the advice; the store has no model."""
    write_csv(tmp_path / "rows.csv", RUNS["a"])
    done = command(tmp_path, "train", str(tmp_path / "rows.csv"), "--target", "y", "--solver", json.dumps(sgd(1.0, 100)))

    assert (done.exit_code, done.stdout) == (1, "")
    assert "solver.learning_rate: training diverged" in done.stderr
    assert ModelStore.open(tmp_path / "cli").models() == []


def test_divergence_leaves_the_version_before_it_live(client: Client) -> None:
    """A model that serves goes on serving what it served."""
    assert trained(client, RUNS["a"])["version"] == "1"
    answer = client.post("/train", json=RUNS["a"].request | {"solver": sgd(1.0, 100)})
    document: Any = client.get("/models/book/versions/live").json

    assert answer.status_code == 422
    assert document["version"] == "1"


def test_the_gap_to_the_closed_form(client: Client) -> None:
    """The root mean square difference from the predictions of lstsq: known to six digits half way, next to nothing at the end."""
    half = RUNS["several targets"]
    document = trained(client, half)
    A = np.column_stack([PLANE, np.ones(40)])
    exact = np.linalg.lstsq(A, TWO, rcond=None)[0]
    last = document["history"][-1]
    gaps = np.sqrt(np.mean(np.square(A @ (np.vstack([np.array(last["weight"]).T, last["bias"]]) - exact)), axis=0))
    np.testing.assert_allclose(document["fit"]["gap_to_exact"], gaps, rtol=1e-6)
    noisy = Run(PLANE, TWO[:, 0] + NOISE[:40], sgd(0.3, 10_000, tolerance=0.0))
    fit = trained(client, noisy)["fit"]

    assert fit["converged"]
    assert fit["epochs"] < 10_000
    assert 0.0 <= fit["gap_to_exact"] < 1e-7


def test_standardized_training_reports_raw_parameters(client: Client) -> None:
    """Columns of scales 1e-3 and 1e6 diverge as they are; standardized, each state is that of a loop over z-scores, in raw terms."""
    x = np.random.default_rng(3).normal(size=(50, 2)) * [1e-3, 1e6] + [5.0, -3e6]
    y = x @ [400.0, 2e-6] + 3.0
    assert client.post("/train", json=Run(x, y, sgd(0.1, 50)).request).status_code == 422
    solver = sgd(0.1, 50, standardize=True)
    document = trained(client, Run(x, y, solver))
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    _, loop = by_hand(Run((x - mean) / deviation, y, solver))
    expected = [(loss, *(weight / deviation), bias - weight / deviation @ mean) for _, loss, weight, bias in loop]

    np.testing.assert_allclose([(e["loss"], *e["weight"], e["bias"]) for e in document["history"]], expected, rtol=1e-8)


def test_history_is_only_there_when_asked_for(client: Client, config: Config) -> None:
    """Without `history` the document has none; the exact solver has none to give."""
    for solver in (sgd(0.001, 3), "exact"):
        request = RUNS["a"].request | {"solver": solver, "history": False}
        answer: Any = client.post("/train", json=request).json
        assert "history" not in answer
    assert ModelStore.open(config.store).versions("book") == [1, 2]
