"""Gradient training against torch loops written out by hand, and against what the Hessian says must happen."""

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from service.regression.gradient import Divergence, GradientFit, fit_gradient, prediction_gap
from service.regression.optimizers import INITS, LOSSES, OPTIMIZERS, GradientOptions, Start, largest_stable_rate

CRITERIA: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": nn.MSELoss(),
    "sse": nn.MSELoss(reduction="sum"),
    "l1": nn.L1Loss(),
    "huber": nn.HuberLoss(),
}
TORCH_OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adagrad": torch.optim.Adagrad,
    "rmsprop": torch.optim.RMSprop,
    "lbfgs": lambda parameters, lr: torch.optim.LBFGS(parameters, lr=lr, line_search_fn="strong_wolfe"),
}
SPEEDS = {"gradient_descent": 0.05, "sgd": 0.05, "adam": 0.1, "adagrad": 0.5, "rmsprop": 0.02, "lbfgs": 1.0}


def column(values: Any, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.as_tensor(values, dtype=dtype).reshape(-1, 1)


def people(n: int = 40, p: int = 3, seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    X = torch.randn(n, p, generator=generator, dtype=torch.float64)
    noise = torch.randn(n, generator=generator, dtype=torch.float64)
    return X, X @ torch.arange(1.0, p + 1, dtype=torch.float64) + 0.5 + 0.1 * noise


def trained(X: Tensor, y: Tensor, options: GradientOptions, **asked: Any) -> GradientFit:
    fit = fit_gradient(X, y, options, history=True, **asked)
    assert isinstance(fit, GradientFit)
    return fit


def states(fit: GradientFit) -> list[tuple[float, Any, Any]]:
    return [(entry["loss"], entry["weight"], entry["bias"]) for entry in fit.history]


def state(model: nn.Linear, loss: Tensor) -> tuple[float, Any, Any]:
    """The entry of history that one target's `model` should have left."""
    return loss.item(), model.weight[0].tolist(), None if model.bias is None else model.bias[0].item()


def plain_loop(
    model: nn.Linear, criterion: Callable[[Tensor, Tensor], Tensor], X: Tensor, y: Tensor, *, rate: float, epochs: int
) -> Iterator[Any]:
    """The textbook loop: loss, backward, w -= rate * w.grad."""
    for _ in range(epochs):
        loss = criterion(model(X), y)
        yield state(model, loss)
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for w in model.parameters():
                w -= rate * w.grad  # noqa: PLW2901  # the textbook's own line
    yield state(model, criterion(model(X), y))


def optimizer_loop(
    model: nn.Linear,
    criterion: Callable[[Tensor, Tensor], Tensor],
    optimizer: torch.optim.Optimizer,
    data: tuple[Tensor, Tensor],
    epochs: int,
) -> Iterator[Any]:
    """The usual torch loop, with a closure since LBFGS asks for one."""
    X, y = data

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = criterion(model(X), y)
        loss.backward()
        return loss

    for _ in range(epochs):
        yield state(model, criterion(model(X), y))
        optimizer.step(closure)
    yield state(model, criterion(model(X), y))


def zeroed(p: int, dtype: torch.dtype, *, bias: bool = True) -> nn.Linear:
    model = nn.Linear(p, 1, bias=bias, dtype=dtype)
    for w in model.parameters():
        nn.init.zeros_(w)
    return model


def seeded(p: int, seed: int, dtype: torch.dtype = torch.float64, *, bias: bool = True) -> nn.Linear:
    """nn.Linear's own start, as torch.manual_seed gives it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Linear(p, 1, bias=bias, dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_textbook_a_a_line_through_eleven_points_by_sgd(dtype: torch.dtype) -> None:
    """y = 2x + 1 by nn.Linear, MSELoss and SGD 0.001: the losses, parameters and predictions of the loop, bit for bit."""
    x = torch.arange(11, dtype=torch.float64)
    model = seeded(1, 7, dtype)
    loop = list(
        optimizer_loop(
            model, nn.MSELoss(), torch.optim.SGD(model.parameters(), lr=0.001), (column(x, dtype), column(2 * x + 1, dtype)), 100
        )
    )
    fit = trained(column(x), 2 * x + 1, GradientOptions(name="sgd", learning_rate=0.001, epochs=100, seed=7), dtype=dtype)
    assert states(fit) == loop
    assert fit.bias is not None
    served = nn.Linear(1, 1, dtype=dtype)
    served.load_state_dict({"weight": fit.weight.to(dtype), "bias": fit.bias.to(dtype)})
    new = column([4.5, 20.0, -3.0], dtype)
    with torch.inference_mode():
        assert torch.equal(served.eval()(new), model.eval()(new))


def test_textbook_b_the_plain_update_from_zero() -> None:
    """y = 20x + 6, x = 1..99, float32, plain update at 0.0001 from zero: the known losses, and the loop bit for bit."""
    x = torch.arange(1.0, 100.0, dtype=torch.float64)
    options = GradientOptions(name="gradient_descent", learning_rate=0.0001, epochs=100, init="zeros")
    fit = trained(column(x), 20 * x + 6, options, dtype=torch.float32)
    X, y = column(x, torch.float32), column(20 * x + 6, torch.float32)
    assert states(fit) == list(plain_loop(zeroed(1, torch.float32), nn.MSELoss(), X, y, rate=0.0001, epochs=100))
    assert [entry["epoch"] for entry in fit.history] == list(range(101))
    losses = [entry["loss"] for entry in fit.history]
    assert math.isclose(losses[0], 1338702.5, rel_tol=2**-22)
    assert [round(loss, 4) for loss in losses[15:91:15]] == [7.9803, 7.9686, 7.9568, 7.9450, 7.9333, 7.9216]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_textbook_c_the_plain_update_and_sgd_walk_the_same_path(dtype: torch.dtype) -> None:
    """Five points, summed squares, 1,000 steps: each equals its own loop in bits, and the other to 1e-6 at every step."""
    X, y = column([1.0, 2, 3, 4, 5]), torch.tensor([0.0, -1.1, -1.8, -3.1, -4.5], dtype=torch.float64)
    paths = {
        name: states(trained(X, y, GradientOptions(name=name, learning_rate=0.001, epochs=1000, loss="sse", init="zeros"), dtype=dtype))
        for name in ("gradient_descent", "sgd")
    }
    sse = nn.MSELoss(reduction="sum")
    model = zeroed(1, dtype)
    by_sgd = optimizer_loop(model, sse, torch.optim.SGD(model.parameters(), lr=0.001), (X.to(dtype), column(y, dtype)), 1000)
    assert paths["sgd"] == list(by_sgd)
    assert paths["gradient_descent"] == list(plain_loop(zeroed(1, dtype), sse, X.to(dtype), column(y, dtype), rate=0.001, epochs=1000))
    for plain, driven in zip(*paths.values(), strict=True):
        flat = [[loss, weight[0], bias] for loss, weight, bias in (plain, driven)]
        np.testing.assert_allclose(flat[0], flat[1], rtol=1e-6, atol=1e-6 if dtype == torch.float32 else 0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_textbook_d_a_slope_alone(dtype: torch.dtype) -> None:
    """y = -3x + noise without bias, from w = -10 at rate 0.1: loss and slope of each of 4 epochs equal the loop's."""
    x = torch.arange(-30, 31, dtype=torch.float64) / 10
    y = -3 * x + 0.1 * torch.randn(61, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    options = GradientOptions(name="gradient_descent", learning_rate=0.1, epochs=4, init=Start(weight=[-10.0]))
    fit = trained(column(x), y, options, intercept=False, dtype=dtype)
    model = zeroed(1, dtype, bias=False)
    nn.init.constant_(model.weight, -10.0)
    assert states(fit) == list(plain_loop(model, nn.MSELoss(), column(x, dtype), column(y, dtype), rate=0.1, epochs=4))
    assert [entry["epoch"] for entry in fit.history] == [0, 1, 2, 3, 4]
    assert fit.bias is None
    assert states(fit)[0][1:] == ([-10.0], None)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_textbook_e_every_optimizer_and_criterion_by_name(name: str, loss: str, dtype: torch.dtype) -> None:
    """Each optimizer with each criterion equals its torch loop in bits, and is the same model in eval mode once saved and loaded."""
    X, y = people()
    rate = SPEEDS[name] / (len(X) if loss == "sse" else 1)
    fit = trained(X, y, GradientOptions(name=name, learning_rate=rate, epochs=12, loss=loss, seed=5), dtype=dtype)
    model = seeded(3, 5, dtype)
    data = (X.to(dtype), column(y, dtype))
    if name == "gradient_descent":
        loop = plain_loop(model, CRITERIA[loss], *data, rate=rate, epochs=12)
    else:
        loop = optimizer_loop(model, CRITERIA[loss], TORCH_OPTIMIZERS[name](model.parameters(), lr=rate), data, 12)
    assert states(fit) == list(loop)
    assert fit.loss < fit.history[0]["loss"]
    assert fit.bias is not None
    served = nn.Linear(3, 1, dtype=dtype)
    served.load_state_dict({"weight": fit.weight.to(dtype), "bias": fit.bias.to(dtype)})
    with torch.inference_mode():
        assert torch.equal(served.eval()(data[0]), model.eval()(data[0]))


def test_textbook_f_the_derivatives_of_a_line() -> None:
    """At x = 5, w = 4, b = 2 the derivatives of y = x w + b are 5 and 1, so one plain step of size one on y - 0 moves them so."""
    start = Start(weight=[4.0], bias=2.0)
    options = GradientOptions(name="gradient_descent", learning_rate=1.0, epochs=1, loss="l1", init=start)
    # with a target far below the line, the absolute error is y less a constant: its derivatives are those of y itself
    fit = trained(column([5.0]), torch.tensor([-100.0], dtype=torch.float64), options)
    (_, (w0,), b0), (_, (w1,), b1) = states(fit)
    assert (w0 - w1, b0 - b1) == (5.0, 1.0)


def test_momentum_is_that_of_torch() -> None:
    """SGD with momentum 0.9 equals the torch loop in bits."""
    X, y = people()
    fit = trained(X, y, GradientOptions(name="sgd", learning_rate=0.02, momentum=0.9, epochs=30, init="zeros"))
    model = zeroed(3, torch.float64)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    assert states(fit) == list(optimizer_loop(model, nn.MSELoss(), optimizer, (X, column(y)), 30))


@pytest.mark.parametrize("seed", [0, 11])
def test_mini_batches_equal_the_torch_loop_of_the_same_seed(seed: int) -> None:
    """Each epoch goes once through the rows in a seeded random order; the last batch may be short; another seed walks elsewhere."""
    X, y = people()
    options = GradientOptions(name="sgd", learning_rate=0.02, epochs=5, batch_size=16, init="zeros", seed=seed)
    model = zeroed(3, torch.float64)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    order = torch.Generator().manual_seed(seed)
    expected = [state(model, nn.MSELoss()(model(X), column(y)))]
    for _ in range(5):
        for rows in torch.randperm(40, generator=order).split(16):
            optimizer.zero_grad()
            nn.MSELoss()(model(X[rows]), column(y)[rows]).backward()
            optimizer.step()
        expected.append(state(model, nn.MSELoss()(model(X), column(y))))
    fit = trained(X, y, options)
    assert states(fit) == expected
    assert (
        states(trained(X, y, GradientOptions(name="sgd", learning_rate=0.02, epochs=5, batch_size=16, init="zeros", seed=99))) != expected
    )


@pytest.mark.parametrize("init", INITS)
def test_starts_are_those_of_torch_and_leave_the_global_generator_alone(init: str) -> None:
    """Each named start equals nn.Linear's or nn.init's under torch.manual_seed, and draws nothing from torch's own generator."""
    X, y = people()
    before = torch.random.get_rng_state()
    fit = trained(X, y, GradientOptions(name="gradient_descent", epochs=1, init=init, seed=21))
    assert torch.equal(torch.random.get_rng_state(), before)
    model = seeded(3, 21)
    if init != "default":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(21)
            for w in model.parameters():
                getattr(nn.init, f"{init}_")(w)
    assert states(fit)[0] == state(model, nn.MSELoss()(model(X), column(y)))


def test_several_targets_are_one_linear_of_several_outputs() -> None:
    """Two targets walk as nn.Linear(p, 2) does; history is nested as the targets are."""
    X, y = people()
    Y = torch.stack([y, 1 - 2 * y], 1)
    start = Start(weight=[[1.0, 2.0, 3.0], [0.0, 0.5, 0.0]], bias=[0.25, -1.0])
    fit = trained(X, Y, GradientOptions(name="gradient_descent", learning_rate=0.1, epochs=8, init=start))
    weight, bias = torch.tensor(start.weight, dtype=torch.float64), torch.tensor(start.bias, dtype=torch.float64)
    model = nn.Linear(3, 2, dtype=torch.float64)
    model.load_state_dict({"weight": weight, "bias": bias})
    expected = []
    for epoch in range(9):
        loss = nn.MSELoss()(model(X), Y)
        expected.append({"epoch": epoch, "loss": loss.item(), "weight": model.weight.tolist(), "bias": model.bias.tolist()})
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            for w, gradient in zip(model.parameters(), gradients, strict=True):
                w -= 0.1 * gradient  # noqa: PLW2901  # the textbook's own line
    assert list(fit.history) == expected


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("batch_size", [None, 1000])
def test_a_weight_of_three_is_a_row_given_three_times(loss: str, batch_size: int | None) -> None:
    """Integer weights train as repeated rows do, for every loss, to rounding."""
    X, y = people(20)
    counts = torch.tensor([1, 3, 0, 2] * 5)
    rate = 0.05 / (30 if loss == "sse" else 1)
    options = GradientOptions(name="gradient_descent", learning_rate=rate, epochs=20, loss=loss, init="zeros", batch_size=batch_size)
    weighted = trained(X, y, options, weights=counts.double())
    repeated = trained(X.repeat_interleave(counts, 0), y.repeat_interleave(counts), options)
    torch.testing.assert_close(weighted.weight, repeated.weight, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(weighted.bias, repeated.bias, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("intercept", [True, False])
def test_standardized_training_reports_the_raw_basis(intercept: bool) -> None:  # noqa: FBT001  # a parameter of the test
    """Columns of wild scales train when standardized, from an explicit raw start, and end at the raw closed form."""
    X, y = people(60)
    X = X * torch.tensor([1e-3, 1.0, 1e6], dtype=torch.float64) + torch.tensor([0.5, 0.0, 3e6], dtype=torch.float64)
    start = Start(weight=[2.0, -1.0, 1e-6], bias=4.0 if intercept else 0.0)
    options = GradientOptions(name="gradient_descent", learning_rate=0.3, epochs=3000, standardize=True, init=start)
    fit = trained(X, y, options, intercept=intercept)
    A = np.column_stack([X, np.ones(60)]) if intercept else X.numpy()
    exact = np.linalg.lstsq(A / np.abs(A).max(0), y.numpy())[0] / np.abs(A).max(0)
    parameters = [fit.weight[0]] + ([fit.bias] if fit.bias is not None else [])
    np.testing.assert_allclose(torch.cat(parameters).numpy(), exact, rtol=1e-7)
    np.testing.assert_allclose(states(fit)[0][1], start.weight, rtol=1e-12)
    residual = y - X @ torch.tensor(start.weight, dtype=torch.float64) - start.bias
    assert math.isclose(fit.history[0]["loss"], float(residual.square().mean()), rel_tol=1e-9)


def test_a_constant_column_survives_standardizing() -> None:
    """A column of 0.1 throughout, whose mean rounds, neither divides by zero nor blows rounding up to a feature."""
    X, y = people(50, 2)
    X = torch.cat([X, torch.full((50, 1), 0.1, dtype=torch.float64)], 1)
    fit = trained(X, y, GradientOptions(name="gradient_descent", learning_rate=0.1, epochs=200, standardize=True, init="zeros"))
    assert fit.weight[0, 2].abs() < 1e-12


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_standardizing_takes_columns_whose_squares_no_float_holds(size: float) -> None:
    """Columns of size 1e-200 or 1e200 train to the same predictions as columns of size 1."""
    X, y = people()
    options = GradientOptions(name="gradient_descent", learning_rate=0.1, epochs=50, standardize=True, init="zeros")
    torch.testing.assert_close(trained(X * size, y, options).weight * size, trained(X, y, options).weight, rtol=1e-12, atol=0)


def test_tolerance_ends_the_training_at_the_first_epoch_that_hardly_changed_the_loss() -> None:
    """The run stops where the losses of a run without tolerance first change by less than asked, with that state."""
    X, y = people()
    asked = {"name": "gradient_descent", "learning_rate": 0.1, "epochs": 500, "init": "zeros"}
    whole = states(trained(X, y, GradientOptions(**asked)))
    losses = np.array([loss for loss, _, _ in whole])
    stop = 1 + int(np.argmax(np.abs(np.diff(losses)) <= 1e-6 * losses[:-1]))
    fit = trained(X, y, GradientOptions(**asked, tolerance=1e-6))
    assert (fit.epochs, fit.converged, states(fit)) == (stop, True, whole[: stop + 1])
    assert fit.weight[0].tolist() == whole[stop][1]


def test_progress_is_told_each_epoch_and_can_end_the_training() -> None:
    """The caller hears (epoch, epochs, loss) after every epoch, and what it raises comes out."""

    class CancelledError(Exception):
        pass

    heard: list[tuple[int, int, float]] = []

    def listen(epoch: int, epochs: int, loss: float) -> None:
        heard.append((epoch, epochs, loss))
        if epoch == 4:
            raise CancelledError

    X, y = people()
    whole = states(trained(X, y, GradientOptions(epochs=10)))
    with pytest.raises(CancelledError):
        fit_gradient(X, y, GradientOptions(epochs=10), progress=listen)
    assert heard == [(epoch, 10, whole[epoch][0]) for epoch in range(1, 5)]


def test_history_is_kept_only_where_asked() -> None:
    """Without `history` the fit is the same and carries no entries."""
    X, y = people()
    fit = fit_gradient(X, y, GradientOptions(epochs=3))
    assert isinstance(fit, GradientFit)
    assert fit.history == ()
    assert torch.equal(fit.weight, trained(X, y, GradientOptions(epochs=3)).weight)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    p=st.integers(1, 4),
    name=st.sampled_from(["gradient_descent", "sgd"]),
    loss=st.sampled_from(["mse", "sse"]),
    momentum=st.sampled_from([0.0, 0.5, 0.9]),
    intercept=st.booleans(),
    scale=st.sampled_from([1e-3, 1.0, 30.0]),
)
def test_just_below_the_stable_rate_converges_and_just_above_diverges(
    *, seed: int, p: int, name: str, loss: str, momentum: float, intercept: bool, scale: float
) -> None:
    """The advised bound is sharp: 3 % below it the loss falls, 3 % above it the run is a Divergence that names the bound."""
    X, y = people(30, p, seed)
    X = scale * X
    momentum = momentum if name == "sgd" else 0.0
    A = torch.cat([X, torch.ones(30, 1, dtype=torch.float64)], 1) if intercept else X
    options = GradientOptions(name=name, loss=loss, momentum=momentum)
    bound = largest_stable_rate(A.T @ A / 30, options, rows=30)
    assert bound is not None
    curvature = 2 * np.linalg.eigvalsh((A.T @ A).numpy())[-1] / (30 if loss == "mse" else 1)
    assert math.isclose(bound, 2 * (1 + momentum) / curvature, rel_tol=1e-12)

    def run(rate: float) -> GradientFit | Divergence:
        # from a start off the solution along the steepest direction, where instability shows
        top = torch.linalg.eigh(A.T @ A)[1][:, -1] / scale
        start = Start(weight=top[:p].tolist(), bias=float(top[p]) if intercept else 0.0)
        made = GradientOptions(name=name, loss=loss, momentum=momentum, learning_rate=rate, epochs=400, init=start)
        return fit_gradient(X, y, made, intercept=intercept)

    below, above = run(0.97 * bound), run(1.03 * bound)
    assert isinstance(below, GradientFit)
    assert isinstance(above, Divergence)
    assert above.stable_rate is not None
    assert math.isclose(above.stable_rate, bound, rel_tol=1e-9)
    named = re.search(r"the largest stable learning_rate for these rows is ([0-9.e+-]+):", above.advice)
    assert named is not None
    assert 0.985 * bound < float(named[1]) < bound
    assert isinstance(run(float(named[1])), GradientFit)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    batch_size=st.integers(1, 40),
    loss=st.sampled_from(["mse", "sse", "huber"]),
    momentum=st.sampled_from([0.0, 0.9]),
)
def test_the_rate_advised_for_mini_batches_converges(seed: int, batch_size: int, loss: str, momentum: float) -> None:
    """Whatever the batches, the rate that a diverged run advises is below the one that failed and does not diverge."""
    X, y = people(40, 3, seed)
    asked: dict[str, Any] = {"batch_size": batch_size, "momentum": momentum, "loss": loss, "init": "zeros", "seed": seed}
    failed = fit_gradient(X, y, GradientOptions(learning_rate=50.0, epochs=50, **asked))
    assume(isinstance(failed, Divergence))
    assert isinstance(failed, Divergence)
    assert failed.stable_rate is not None
    assert failed.stable_rate < 50.0
    assert isinstance(fit_gradient(X, y, GradientOptions(learning_rate=0.99 * failed.stable_rate, epochs=50, **asked)), GradientFit)


def test_divergence_says_what_to_do() -> None:
    """A rate far too large, one that no bound is known for, and a start that overflows: each advice, word for word."""
    X, y = column([1.0, 2.0, 3.0]), torch.tensor([2.0, 4.0, 6.0], dtype=torch.float64)
    by_rate = fit_gradient(X, y, GradientOptions(name="gradient_descent", learning_rate=1.0, epochs=3, init="zeros"), intercept=False)
    # the Hessian is 2 (1 + 4 + 9) / 3, so the bound is 3 / 14, and each step multiplies the error of the slope by 1 - 28 / 3
    assert by_rate == Divergence(
        3,
        pytest.approx(3 / 14, rel=1e-14),
        "training diverged: the loss was 18.6667 at first and 6.25143e+06 after epoch 3; "
        'the largest stable learning_rate for these rows is 0.213: pass a smaller one, or "standardize": true',
    )
    by_size = fit_gradient(X, y, GradientOptions(name="adam", learning_rate=100.0, epochs=1, init="zeros", standardize=True))
    assert by_size == Divergence(
        1, None, "training diverged: the loss was 18.6667 at first and 18892.1 after epoch 1; pass a smaller learning_rate, 10 for example"
    )
    again = fit_gradient(X * 1e-320, y, GradientOptions(name="gradient_descent", learning_rate=0.1, init="zeros", standardize=True))
    assert isinstance(again, Divergence)  # finite where it trained, but no float64 holds the slope of the raw column
    options = GradientOptions(name="gradient_descent", learning_rate=0.1, init=Start(weight=[1e200]))
    at_start = fit_gradient(X, y, options, dtype=torch.float32)
    assert isinstance(at_start, Divergence)
    assert at_start.advice == (
        "training diverged: the loss was inf at first and inf after epoch 0; the loss is not finite before the first epoch: "
        'pass smaller init values, dtype float64, or "standardize": true'
    )


def test_a_run_that_overflows_stops_at_once() -> None:
    """The first loss that is not finite ends the run: 10,000 epochs are not walked in NaN."""
    X, y = people()
    failed = fit_gradient(X, y, GradientOptions(learning_rate=1e6, epochs=10_000))
    assert isinstance(failed, Divergence)
    assert failed.epoch < 100


def test_a_start_at_the_solution_is_no_divergence() -> None:
    """A perfect start whose loss rises from 0 to rounding is a fit, not a divergence."""
    X, _ = people()
    y = X @ torch.tensor([1.1, 2.3, 3.7], dtype=torch.float64)
    fit = trained(X, y, GradientOptions(name="adam", epochs=20, init=Start(weight=[1.1, 2.3, 3.7])))
    assert fit.loss < 1e-1


def test_the_gap_to_the_closed_form_shrinks() -> None:
    """The root mean square difference of predictions falls with the epochs, to the last digits."""
    X, y = people()
    A = torch.cat([X, torch.ones(40, 1, dtype=torch.float64)], 1)
    exact = torch.from_numpy(np.linalg.lstsq(A.numpy(), y.numpy())[0])
    gaps = []
    for epochs in (1, 10, 100, 1000):
        fit = trained(X, y, GradientOptions(name="gradient_descent", learning_rate=0.2, epochs=epochs, init="zeros"))
        assert fit.bias is not None
        found = torch.cat([fit.weight, fit.bias[:, None]], 1)
        gap = prediction_gap(found - exact, A.T @ A / 40)
        expected = (A @ (found[0] - exact)).square().mean().sqrt()
        assert math.isclose(float(gap), float(expected), rel_tol=1e-6, abs_tol=1e-15)
        gaps.append(float(gap))
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] < 1e-13


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"name": "newton"}, "name is 'newton': pass one of gradient_descent, sgd, adam, adagrad, rmsprop, lbfgs"),
        ({"loss": "mae"}, "loss is 'mae': pass one of mse, sse, l1, huber"),
        ({"init": "ones"}, "init is 'ones': pass one of default, zeros, uniform, normal, or a weight and a bias"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0: pass a positive number"),
        ({"learning_rate": math.inf}, "learning_rate is inf: pass a positive number"),
        ({"epochs": 0}, "epochs is 0: pass a whole number of at least 1"),
        ({"batch_size": 0}, "batch_size is 0: pass a whole number of at least 1, or null for the full batch"),
        (
            {"batch_size": 8, "name": "lbfgs"},
            "lbfgs searches along lines of one fixed loss: leave batch_size null, or use sgd or adam",
        ),
        ({"momentum": 1.0}, "momentum is 1.0: pass a number from 0 up to, but not including, 1"),
        ({"momentum": 0.9, "name": "adam"}, "momentum belongs to sgd: leave it out for adam"),
        ({"seed": -1}, "seed is -1: pass a whole number from 0 to 2^63 - 1"),
        ({"tolerance": -1.0}, "tolerance is -1.0: pass 0 or a positive number, or null to train every epoch"),
    ],
)
def test_options_that_cannot_be_are_refused_with_what_to_pass(asked: dict[str, Any], text: str) -> None:
    """Every option is checked where it is made."""
    with pytest.raises(ValueError, match=re.escape(text)):
        GradientOptions(**asked)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"y": torch.zeros(3)}, "pass as many rows of each"),
        ({"X": torch.zeros(0, 3), "y": torch.zeros(0)}, "there are no rows or no targets"),
        ({"X": torch.zeros(40, 0)}, "there are no columns to train a weight for: use the exact solver"),
        ({"X": torch.full((40, 3), math.nan)}, "X or y has values that are not finite"),
        ({"weights": -torch.ones(40)}, "weights must be finite, none negative and not all zero"),
        ({"init": Start(weight=[1.0, 2.0])}, "init.weight has shape [2]: pass one number per design column and target, [1, 3]"),
        ({"init": Start(weight=[1.0, 2.0, 3.0], bias=[1.0, 2.0])}, "init.bias has shape [2]: pass one number per target, [1]"),
        ({"init": Start(weight=[1.0, math.nan, 3.0])}, "init has values that are not finite: pass finite numbers"),
        (
            {"init": Start(weight=[1.0, 2.0, 3.0], bias=1.0), "intercept": False},
            "init.bias is given but there is no intercept: leave it out",
        ),
    ],
)
def test_data_that_cannot_be_trained_on_are_refused(change: dict[str, Any], text: str) -> None:
    """Shapes and values that do not fit raise ValueError with what to pass."""
    X, y = people()
    asked: dict[str, Any] = {"X": X, "y": y} | change
    options = GradientOptions(init=asked.pop("init", "default"))
    with pytest.raises(ValueError, match=re.escape(text)):
        fit_gradient(asked.pop("X").double(), asked.pop("y").double(), options, **asked)
