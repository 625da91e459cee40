"""The choices of gradient training: solvers, losses, starts, and the largest learning rate that is stable.

Every name is one line of a table here, so a new optimizer or loss is one line and inherits every test.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import huber_loss, l1_loss, mse_loss

Objective = Callable[[], Tensor]  # the loss, with its graph, at the parameters as they are now
Step = Callable[[Objective], None]  # moves the parameters once


class Elementwise(Protocol):
    """A loss of torch.nn.functional: (prediction, target) -> loss, reduced as asked."""

    def __call__(self, prediction: Tensor, target: Tensor, /, *, reduction: str) -> Tensor: ...


@dataclass(frozen=True)
class Loss:
    """A loss l(residual), how it is summed, and the largest second derivative of l (None where l has a kink)."""

    elementwise: Elementwise
    reduction: Literal["mean", "sum"]
    curvature: float | None

    def __call__(self, prediction: Tensor, target: Tensor, weights: Tensor | None) -> Tensor:
        """The loss of a batch. Weights [n, 1] of a mean are relative: scale them to mean one over all rows beforehand."""
        if weights is None:
            return self.elementwise(prediction, target, reduction=self.reduction)
        each = weights * self.elementwise(prediction, target, reduction="none")
        return each.mean() if self.reduction == "mean" else each.sum()


LOSSES = {
    "mse": Loss(mse_loss, "mean", 2.0),
    "sse": Loss(mse_loss, "sum", 2.0),
    "l1": Loss(l1_loss, "mean", None),
    "huber": Loss(huber_loss, "mean", 1.0),  # delta 1
}


@dataclass(frozen=True)
class Start:
    """Explicit first parameters in the raw design basis: `weight` one number per column (a row per target if several), `bias` likewise."""

    weight: Sequence[float] | Sequence[Sequence[float]]
    bias: float | Sequence[float] = 0.0


@dataclass(frozen=True, kw_only=True)
class GradientOptions:
    """How to train; the fields are those of a request's `solver`.

    `learning_rate` None is 0.01 (lbfgs: 1); `batch_size` None is the full batch; `tolerance` None trains every epoch, else
    training stops once an epoch changes the loss by no more than `tolerance` times the loss before it.
    Raises ValueError, whose text says what to pass.
    """

    name: str = "sgd"
    learning_rate: float | None = None
    epochs: int = 100
    batch_size: int | None = None
    momentum: float = 0.0
    loss: str = "mse"
    init: str | Start = "default"
    seed: int = 0
    standardize: bool = False
    tolerance: float | None = None

    def __post_init__(self) -> None:
        self._check_names()
        if self.learning_rate is not None and not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate is {self.learning_rate}: pass a positive number")
        if self.epochs < 1:
            raise ValueError(f"epochs is {self.epochs}: pass a whole number of at least 1")
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"batch_size is {self.batch_size}: pass a whole number of at least 1, or null for the full batch")
        if self.batch_size is not None and self.name == "lbfgs":
            raise ValueError("lbfgs searches along lines of one fixed loss: leave batch_size null, or use sgd or adam")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum is {self.momentum}: pass a number from 0 up to, but not including, 1")
        if self.momentum and self.name != "sgd":
            raise ValueError(f"momentum belongs to sgd: leave it out for {self.name}")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed is {self.seed}: pass a whole number from 0 to 2^63 - 1")
        if self.tolerance is not None and not 0 <= self.tolerance < math.inf:
            raise ValueError(f"tolerance is {self.tolerance}: pass 0 or a positive number, or null to train every epoch")

    def _check_names(self) -> None:
        for field, table in (("name", OPTIMIZERS), ("loss", LOSSES)):
            if getattr(self, field) not in table:
                raise ValueError(f"{field} is {getattr(self, field)!r}: pass one of {', '.join(table)}")
        if isinstance(self.init, str) and self.init not in INITS:
            raise ValueError(f"init is {self.init!r}: pass one of {', '.join(INITS)}, or a weight and a bias")

    @property
    def rate(self) -> float:
        """The learning rate in force."""
        default = 1.0 if self.name == "lbfgs" else 0.01
        return default if self.learning_rate is None else self.learning_rate


def _plain(parameters: list[nn.Parameter], options: GradientOptions) -> Step:
    def step(objective: Objective) -> None:
        gradients = torch.autograd.grad(objective(), parameters)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.sub_(options.rate * gradient)

    return step


def _driven(make: Callable[..., torch.optim.Optimizer], parameters: list[nn.Parameter], options: GradientOptions) -> Step:
    optimizer = make(parameters, lr=options.rate, **({"momentum": options.momentum} if options.momentum else {}))

    def step(objective: Objective) -> None:
        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = objective()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves Tensor.backward without annotations
            return loss

        optimizer.step(closure)  # type: ignore[arg-type]  # torch's stub asks for a float; its own LBFGS needs the tensor

    return step


OPTIMIZERS: dict[str, Callable[[list[nn.Parameter], GradientOptions], Step]] = {
    "gradient_descent": _plain,
    "sgd": partial(_driven, torch.optim.SGD),
    "adam": partial(_driven, torch.optim.Adam),
    "adagrad": partial(_driven, torch.optim.Adagrad),
    "rmsprop": partial(_driven, torch.optim.RMSprop),
    "lbfgs": partial(_driven, partial(torch.optim.LBFGS, line_search_fn="strong_wolfe")),
}


def _like_linear(model: nn.Linear, generator: torch.Generator) -> None:
    """The draws of nn.Linear.reset_parameters, which takes no generator."""
    weight, *bias = model.parameters()
    nn.init.kaiming_uniform_(weight, a=math.sqrt(5), generator=generator)
    for parameter in bias:
        bound = 1 / math.sqrt(model.in_features)
        nn.init.uniform_(parameter, -bound, bound, generator=generator)


def _each(fill: Callable[..., Tensor], model: nn.Linear, generator: torch.Generator) -> None:
    for parameter in model.parameters():
        fill(parameter, generator=generator)


INITS: dict[str, Callable[[nn.Linear, torch.Generator], None]] = {
    "default": _like_linear,
    "zeros": partial(_each, lambda parameter, generator: nn.init.zeros_(parameter)),  # noqa: ARG005  # zeros are not drawn
    "uniform": partial(_each, nn.init.uniform_),  # on [0, 1)
    "normal": partial(_each, nn.init.normal_),  # mean 0, standard deviation 1
}


def largest_stable_rate(second_moments: Tensor, options: GradientOptions, *, rows: float, targets: int = 1) -> float | None:
    """The learning rate below which the loss cannot diverge, or None where no such bound is known.

    `second_moments` is A'A / rows of the design A (its column of ones included) in the basis that is trained; `rows` is the
    number of rows or their total weight. The loss's Hessian is at most H = curvature * A'A / divisor, with the largest eigenvalue
    lambda. The full-batch update w -= rate * H (w - w*) contracts for rate < 2 / lambda, with heavy-ball momentum b for
    rate < 2 (1 + b) / lambda (Polyak, 1964): sharp for the squared losses, sufficient for huber. For mini-batches, whose H
    changes, pass moments no batch exceeds; their momentum is counted as the rate 1 / (1 - b) times larger that it amounts to.
    """
    loss = LOSSES[options.loss]
    if loss.curvature is None or options.name not in {"gradient_descent", "sgd"} or not bool(second_moments.isfinite().all()):
        return None
    top = loss.curvature * float(torch.linalg.eigvalsh(second_moments.double())[-1])
    top *= 1 / targets if loss.reduction == "mean" else rows
    momentum = 1 + options.momentum if options.batch_size is None else 1 - options.momentum
    return 2 * momentum / top if 0 < top < math.inf else None
