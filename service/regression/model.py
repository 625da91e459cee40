"""The one `nn.Linear` of a version: built from a fit, saved as safetensors, loaded in eval mode on a device.

A loaded model never trains: it is in eval mode and its parameters need no gradient, so that no product keeps a graph.
"""

import os
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load, save
from torch import nn
from torch.nn.functional import linear

Matrix = npt.NDArray[np.float64]

# MKL's products depend on where in memory a matrix happens to lie, unless it is told not to before its first one.
os.environ.setdefault("MKL_CBWR", "AUTO")


class LinearRegression(nn.Module):
    """`nn.Linear` over design columns: [n, p] -> [n, t]."""

    def __init__(self, columns: int, targets: int, *, intercept: bool, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        self.linear = nn.Linear(columns, targets, bias=intercept, dtype=dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Predict: x [n, p] -> [n, t]."""
        predicted: torch.Tensor = self.linear(x)
        return predicted

    @classmethod
    def from_coefficients(cls, weight: Matrix, bias: Matrix | None, *, dtype: torch.dtype = torch.float64) -> "LinearRegression":
        """A model with these parameters: weight [t, p], bias [t] or None without an intercept."""
        model = cls(weight.shape[1], weight.shape[0], intercept=bias is not None, dtype=dtype)
        with torch.no_grad():
            model.linear.weight.copy_(torch.from_numpy(np.array(weight)))
            if bias is not None:
                model.linear.bias.copy_(torch.from_numpy(np.array(bias)))
        return model.eval().requires_grad_(requires_grad=False)

    @classmethod
    def from_bytes(cls, data: bytes, *, device: torch.device) -> "LinearRegression":
        """Load a `state_dict` written by `to_bytes` onto `device`, ready to predict."""
        state = load(data)
        weight = state["linear.weight"]
        model = cls(weight.shape[1], weight.shape[0], intercept="linear.bias" in state, dtype=weight.dtype)
        model.load_state_dict(state)
        return model.to(device).eval().requires_grad_(requires_grad=False)

    def to_bytes(self) -> bytes:
        """The `state_dict` in the safetensors format."""
        return save({name: tensor.contiguous() for name, tensor in self.state_dict().items()})

    def predict(self, x: Matrix) -> Matrix:
        """Predict on the model's own device: x [n, p] -> [n, t], both on the CPU."""
        weight, bias = self._affine
        # No parameter requires a gradient, so there is no graph to switch off; and each call into torch lets the other threads of
        # a worker in, so those that would change nothing are not made.
        rows = torch.from_numpy(x)
        if weight.dtype != torch.float64 or weight.is_cuda:
            predicted: Matrix = linear(rows.to(weight.device, weight.dtype), weight, bias).cpu().double().numpy()
        else:
            predicted = linear(rows, weight, bias).numpy()
        return predicted

    @cached_property
    def _affine(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The parameters of the `nn.Linear`, which every look at a module searches for anew."""
        return self.linear.weight, self.linear.bias


def choose_device(wanted: str) -> torch.device:
    """The device that `wanted` (auto, cpu, cuda or cuda:N) means on this machine; the CPU where CUDA is absent.

    Touches CUDA, so it may only be called after the fork of the process that will predict.
    """
    if wanted == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda" if wanted == "auto" else wanted)
    return device if (device.index or 0) < torch.cuda.device_count() else torch.device("cpu")
