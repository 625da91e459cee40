"""The basis a gradient run trains in: the raw design columns, or those columns standardized.

Parameters cross this border twice, in with an explicit start and out with every result: outside they are always raw.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from service.regression.optimizers import Start


@dataclass(frozen=True)
class Basis:
    """z = (x - centre) / scale by column, [p] each; None is the raw basis, whose numbers pass unchanged."""

    centre: Tensor
    scale: Tensor
    standardize: bool

    @classmethod
    def of(cls, X: Tensor, *, intercept: bool, standardize: bool) -> "Basis":
        """The basis of X [n, p]: mean 0 and standard deviation 1, or root mean square 1 where there is no intercept to take a shift.

        A constant column is shifted but not scaled.
        """
        centre, scale = X.new_zeros(X.shape[1]), X.new_ones(X.shape[1])
        if not standardize:
            return cls(centre, scale, standardize=False)
        if intercept:
            centre = X.mean(0)
        away = X - centre
        top = away.abs().amax(0)
        # by its ends, since the rounding of a mean can give a constant column a spread
        still = (X.amax(0) == X.amin(0)) if intercept else (top == 0)
        top = torch.where(still, scale, top)
        spread = top * (away / top).square().mean(0).sqrt()  # divided first: squares must neither overflow nor vanish
        return cls(centre, torch.where(still, scale, spread), standardize=True)

    def design(self, X: Tensor) -> Tensor:
        """X [n, p] in this basis."""
        return (X - self.centre) / self.scale if self.standardize else X

    def raw(self, model: nn.Linear) -> tuple[Tensor, Tensor | None]:
        """The parameters of `model` in the raw basis, float64: weight [m, p], bias [m] or None."""
        weight = model.weight.detach().double() / self.scale
        return weight, None if model.bias is None else model.bias.detach().double() - weight @ self.centre

    def load(self, model: nn.Linear, start: Start) -> None:
        """Give `model` the raw parameters of `start`. Raises ValueError where they do not fit it."""
        weight, bias = (torch.as_tensor(part, dtype=torch.float64) for part in (start.weight, start.bias))
        shape = list(model.weight.shape)
        if list(weight.shape) not in ([shape, shape[1:]] if shape[0] == 1 else [shape]):
            raise ValueError(f"init.weight has shape {list(weight.shape)}: pass one number per design column and target, {shape}")
        if bias.ndim > 1 or bias.numel() not in {1, shape[0]}:
            raise ValueError(f"init.bias has shape {list(bias.shape)}: pass one number per target, [{shape[0]}]")
        if not (weight.isfinite().all() and bias.isfinite().all()):
            raise ValueError("init has values that are not finite: pass finite numbers")
        if bias.any() and len(list(model.parameters())) == 1:
            raise ValueError("init.bias is given but there is no intercept: leave it out")
        weight = weight.reshape(shape)
        with torch.no_grad():
            model.weight.copy_(weight * self.scale)
            if model.bias is not None:
                model.bias.copy_(bias + weight @ self.centre)
