"""Gradient training of the one `nn.Linear`, by torch.optim or by the plain update, from rows held in memory.

A fit is finite or it is not a fit: training that diverges returns a `Divergence` with advice, never a model.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TypedDict

import torch
from torch import Tensor, nn

from service.regression.basis import Basis
from service.regression.optimizers import INITS, LOSSES, OPTIMIZERS, GradientOptions, Loss, Objective, Start, largest_stable_rate

Progress = Callable[[int, int, float], None]  # epoch done, epochs asked, loss; what it raises ends the training
Numbers = float | list[float] | list[list[float]]


class Epoch(TypedDict):
    """The state after `epoch` epochs; `weight` and `bias` are nested as the targets are, `bias` is None without intercept."""

    epoch: int
    loss: float
    weight: Numbers
    bias: Numbers | None


@dataclass(frozen=True)
class GradientFit:
    """A trained model in the raw design basis: `weight` [m, p] and `bias` [m] (None without intercept), float64.

    They are the run's own numbers, widened, unless `standardize` changed the basis. `epochs` counts those run;
    `converged` says that `tolerance` ended them. `history` has `epochs` + 1 entries if asked for, else none.
    """

    weight: Tensor
    bias: Tensor | None
    loss: float
    epochs: int
    converged: bool
    history: tuple[Epoch, ...]


@dataclass(frozen=True)
class Divergence:
    """Training that left the finite numbers, or ended worse than it began: what happened and what to try instead."""

    epoch: int
    stable_rate: float | None
    advice: str


@dataclass(frozen=True)
class _Rows:
    """What the loss is a sum over, in the dtype of the run; weights [n, 1] of a mean loss have mean one."""

    design: Tensor
    targets: Tensor
    weights: Tensor | None
    criterion: Loss

    @classmethod
    def of(cls, design: Tensor, targets: Tensor, weights: Tensor | None, options: GradientOptions) -> "_Rows":
        criterion = LOSSES[options.loss]
        if weights is not None:
            weights = weights / weights.mean() if criterion.reduction == "mean" else weights
            weights = weights.to(design.dtype).reshape(-1, 1)
        return cls(design, targets, weights, criterion)

    def take(self, some: Tensor) -> "_Rows":
        return replace(
            self, design=self.design[some], targets=self.targets[some], weights=None if self.weights is None else self.weights[some]
        )

    def loss(self, prediction: Tensor) -> Tensor:
        return self.criterion(prediction, self.targets, self.weights)


def fit_gradient(
    X: Tensor,
    y: Tensor,
    options: GradientOptions,
    *,
    weights: Tensor | None = None,
    intercept: bool = True,
    dtype: torch.dtype = torch.float64,
    history: bool = False,
    progress: Progress | None = None,
    check: Callable[[], None] = lambda: None,
) -> GradientFit | Divergence:
    """Train `nn.Linear` on the design X [n, p] and targets y [n] or [n, m], both float64, its rows weighted by weights [n].

    The arithmetic is that of the usual torch loop in `dtype`: equal bits from an equal start. The same seed gives the same start
    and the same mini-batches. `check` is called before each batch; what it raises ends the training.
    Raises ValueError where shapes, values and options do not fit together.
    """
    _check(X, y, weights)
    basis = Basis.of(X, intercept=intercept, standardize=options.standardize)
    model = _initial_model(X.shape[1], y[0].numel(), options, basis, intercept=intercept, dtype=dtype)
    rows = _Rows.of(basis.design(X).to(dtype), y.to(dtype).reshape(len(y), -1), weights, options)

    entries: list[Epoch] = []
    first = previous = math.nan
    for epoch, loss in enumerate(_losses(model, rows, options, check)):
        if epoch == 0:
            first = loss
        elif progress is not None:
            progress(epoch, options.epochs, loss)
        if not math.isfinite(loss):
            return _divergence(epoch, first, loss, rows, options, intercept=intercept)
        if history:
            entries.append(_entry(epoch, loss, *basis.raw(model), y))
        converged = epoch > 0 and options.tolerance is not None and abs(previous - loss) <= options.tolerance * abs(previous)
        if converged:
            break
        previous = loss
    weight, bias = basis.raw(model)
    worse = loss > first and loss > rows.loss(torch.zeros_like(rows.targets)).item()
    if worse or not weight.isfinite().all() or not (bias is None or bias.isfinite().all()):
        return _divergence(epoch, first, loss, rows, options, intercept=intercept)
    return GradientFit(weight, bias, loss, epoch, converged, tuple(entries))


def prediction_gap(difference: Tensor, second_moments: Tensor) -> Tensor:
    """Root mean square, over the training rows, of how far apart two models predict, in units of the target; [m].

    `difference` [m, p] of their parameters and `second_moments` [p, p] = A'A / n of the design, in one basis (with an intercept,
    both include its column). Zero at the closed form, and free of the scales of the columns.
    """
    return torch.einsum("mi,ij,mj->m", difference, second_moments, difference).clamp_min(0).sqrt()


def _check(X: Tensor, y: Tensor, weights: Tensor | None) -> None:
    if X.ndim != 2 or y.ndim not in {1, 2} or len(X) != len(y) or (weights is not None and weights.shape != (len(X),)):
        raise ValueError("X is [rows, columns], y [rows] or [rows, targets], weights [rows]: pass as many rows of each")
    if len(X) == 0 or y[0].numel() == 0:
        raise ValueError("there are no rows or no targets: gradient training needs at least one of each")
    if X.shape[1] == 0:
        raise ValueError("there are no columns to train a weight for: use the exact solver for an intercept alone")
    if not (X.isfinite().all() and y.isfinite().all()):
        raise ValueError("X or y has values that are not finite: remove or replace them")
    if weights is not None and not (weights.isfinite().all() and (weights >= 0).all() and weights.any()):
        raise ValueError("weights must be finite, none negative and not all zero")


def _initial_model(columns: int, targets: int, options: GradientOptions, basis: Basis, *, intercept: bool, dtype: torch.dtype) -> nn.Linear:
    # made without its own draws, which would take them from the generator of the whole process
    model = nn.Linear(columns, targets, bias=intercept, dtype=dtype, device="meta").to_empty(device="cpu")
    if isinstance(options.init, Start):
        basis.load(model, options.init)
    else:
        INITS[options.init](model, torch.Generator().manual_seed(options.seed))
    return model


def _losses(model: nn.Linear, rows: _Rows, options: GradientOptions, check: Callable[[], None]) -> Iterator[float]:
    """The loss over all rows before each epoch and after the last; the model moves between one and the next."""
    step = OPTIMIZERS[options.name](list(model.parameters()), options)
    order = torch.Generator().manual_seed(options.seed)

    def objective(some: Tensor | None = None) -> Tensor:
        part = rows if some is None else rows.take(some)
        check()
        return part.loss(model(part.design))

    for _ in range(options.epochs):
        if options.batch_size is None:
            loss = objective()
            yield loss.item()
            step(_reusing(loss, objective))
        else:
            with torch.no_grad():
                loss = objective()
            yield loss.item()
            for some in torch.split(torch.randperm(len(rows.design), generator=order), options.batch_size):
                step(partial(objective, some))
    with torch.no_grad():
        loss = objective()
    yield loss.item()


def _reusing(loss: Tensor, objective: Objective) -> Objective:
    """The objective whose first evaluation was made already: a full-batch epoch costs one forward pass, not two."""
    made = [loss]
    return lambda: made.pop() if made else objective()


def _entry(epoch: int, loss: float, weight: Tensor, bias: Tensor | None, y: Tensor) -> Epoch:
    """Numbers nested as the targets are: y [n] has one weight row and a bare bias, y [n, m] a row and a bias per target."""
    weight, bias = (weight, bias) if y.ndim == 2 else (weight[0], None if bias is None else bias[0])
    return Epoch(epoch=epoch, loss=loss, weight=weight.tolist(), bias=None if bias is None else bias.tolist())


def _divergence(epoch: int, first: float, loss: float, rows: _Rows, options: GradientOptions, *, intercept: bool) -> Divergence:
    stable = _stable_rate(rows, options, intercept=intercept)
    gentler = "" if options.standardize else ', or "standardize": true'
    if epoch == 0:
        advice = f"the loss is not finite before the first epoch: pass smaller init values, dtype float64{gentler}"
    elif stable is not None and stable < options.rate:
        # shown a little below the bound, so that rounding to three digits never lifts it above
        advice = f"the largest stable learning_rate for these rows is {0.995 * stable:.3g}: pass a smaller one{gentler}"
    else:
        advice = f"pass a smaller learning_rate, {options.rate / 10:.3g} for example{gentler}"
    return Divergence(epoch, stable, f"training diverged: the loss was {first:.6g} at first and {loss:.6g} after epoch {epoch}; {advice}")


def _stable_rate(rows: _Rows, options: GradientOptions, *, intercept: bool) -> float | None:
    A = rows.design.double()
    A = torch.cat([A, A.new_ones(len(A), 1)], 1) if intercept else A
    weight = A.new_ones(len(A), 1) if rows.weights is None else rows.weights.double()
    if options.batch_size is None:
        moments, total = A.T @ (weight * A) / weight.sum(), float(weight.sum())
    else:  # no batch has larger moments than one made of copies of the longest row
        moments, total = (weight * A.square()).sum(1).max().reshape(1, 1), float(options.batch_size)
    return largest_stable_rate(moments, options, rows=total, targets=rows.targets.shape[1])
