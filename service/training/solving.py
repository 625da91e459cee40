"""From exact moments (and, for gradient training, the rows) to coefficients and the `fit` of a version document.

Invariant: what a solver does not support, or the data cannot give, is None in the document, never an invented number.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from service.errors import Contradiction, Invalid
from service.regression import least_squares, penalized
from service.regression.double_double import DoubleDouble, exact, matmul, scale
from service.regression.gradient import Divergence, GradientFit, fit_gradient, prediction_gap
from service.regression.inference import summary
from service.regression.least_squares import Fit
from service.regression.limbs import Integers
from service.regression.moments import Moments
from service.regression.normal_equations import ExactEquations, equations
from service.regression.products import Array
from service.regression.schema import Schema
from service.training.options import TrainOptions
from service.training.solver import Exact, Gradient, Sparse

INTERCEPT = "intercept"
STATISTICS = ("r2", "adjusted_r2", "residual_std", "rss", "aic", "bic", "f")
PER_COEFFICIENT = ("std_error", "t", "p", "lower", "upper")
Progress = Callable[[int, int, float], None]


@dataclass(frozen=True)
class Design:
    """Design rows X [n, p] with targets Y [n, t] and weights [n]; `places` [n]: among the rows read, None where all are there.

    `features` [n, f]: what X was built of, categories by code; None where nobody asked for it.
    """

    X: Array
    Y: Array
    weights: Array | None
    places: Integers | None = None
    features: Array | None = None


@dataclass(frozen=True)
class Solved:
    """Coefficients [P, t] in the design basis, the intercept first where there is one; the `fit` document; and a history if asked for."""

    coefficients: Array
    document: dict[str, Any]
    history: list[dict[str, Any]] | None = None


def solve(
    schema: Schema,
    moments: Moments,
    options: TrainOptions,
    *,
    design: Design | None = None,
    progress: Progress | None = None,
    check: Callable[[], None] = lambda: None,
) -> Solved:
    """Solve as the options ask; gradient training calls `progress` after each epoch and `check` before each batch.

    Raises:
        Invalid: gradient training diverged; the text says which rate to try.
    """
    intercept = schema.frame.intercept
    closed = least_squares.solve(moments, intercept=intercept)
    solver = options.solver
    if isinstance(solver, Gradient):
        assert design is not None  # noqa: S101 - `train` keeps the rows for this solver
        return _by_gradient(schema, moments, closed, options=options, solver=solver, design=design, progress=progress, check=check)
    if isinstance(solver, Exact) and not solver.ridge:
        return Solved(closed.coefficients, _exact_document(schema, closed))
    if isinstance(solver, Sparse):
        fit = penalized.elastic_net(moments, l1=solver.l1, l2=solver.l2, intercept=intercept)
    else:
        fit = penalized.ridge(moments, solver.ridge, intercept=intercept)
    extra = {"effective_dof": numbers(fit.effective_dof), "gap": numbers(fit.gap), "advice": fit.advice()}
    return Solved(fit.coefficients, _document(schema, closed, exact(fit.coefficients), fit.rss) | extra | {"solver": solver.to_json()})


def _by_gradient(
    schema: Schema,
    moments: Moments,
    closed: Fit,
    *,
    options: TrainOptions,
    solver: Gradient,
    design: Design,
    progress: Progress | None,
    check: Callable[[], None],
) -> Solved:
    intercept = schema.frame.intercept
    targets = torch.from_numpy(np.ascontiguousarray(design.Y))
    fit = fit_gradient(
        torch.from_numpy(np.ascontiguousarray(design.X)),
        targets[:, 0] if len(schema.targets) == 1 else targets,
        solver.options,
        weights=None if design.weights is None else torch.from_numpy(design.weights),
        intercept=intercept,
        dtype=torch.float32 if options.dtype == "float32" else torch.float64,
        history=options.history,
        progress=progress,
        check=check,
    )
    if isinstance(fit, Divergence):
        raise Invalid({"solver.learning_rate": [fit.advice]}, "the training diverged and nothing was published")
    coefficients = _stacked(fit)
    document = _document(schema, closed, exact(coefficients), _rss(moments, coefficients, intercept=intercept))
    gap = prediction_gap(torch.from_numpy((coefficients - closed.coefficients).T.copy()), _second_moments(moments, intercept=intercept))
    document |= {
        "solver": solver.to_json(),
        "epochs": fit.epochs,
        "converged": fit.converged,
        "loss": fit.loss,
        "gap_to_exact": numbers(gap.numpy()),
    }
    return Solved(coefficients, document, [dict(entry) for entry in fit.history] if options.history else None)


def _stacked(fit: GradientFit) -> Array:
    """The parameters as coefficients [P, t] in float64."""
    rows = [fit.weight.double().numpy().T]
    if fit.bias is not None:
        rows.insert(0, fit.bias.double().numpy()[None, :])
    return np.vstack(rows)


def _rss(moments: Moments, coefficients: Array, *, intercept: bool) -> Array:
    """The residual sum of squares [t] of any coefficients, from the moments alone, rounded once."""
    system = equations(moments, intercept=intercept)
    b = scale(exact(coefficients), system.exponents[:, None] - system.target_exponents[None, :])
    with np.errstate(over="ignore"):  # `_document` looks
        return np.ldexp(ExactEquations(system).rss(b).hi, 2 * system.target_exponents)


def _second_moments(moments: Moments, *, intercept: bool) -> torch.Tensor:
    """A'A / n of the design A, its column of ones included where there is an intercept."""
    gram, exponents = moments.scaled()
    columns = slice(0 if intercept else 1, 1 + moments.features)
    scaled = np.ldexp(gram.hi, exponents[:, None] + exponents[None, :])[columns, columns]
    return torch.from_numpy(scaled / moments.weight())


def _exact_document(schema: Schema, fit: Fit) -> dict[str, Any]:
    """The document of an exact fit, with all its inference."""
    document = _document(schema, fit, fit.estimates, fit.rss)
    statistics = summary(fit)
    to_raw = schema.raw_map()
    raw = statistics if to_raw is None else summary(least_squares.in_basis(fit, to_raw))
    for index, row in enumerate(document["coefficients"]):
        target, column = divmod(index, len(fit.coefficients))
        row |= {name: number(getattr(raw, name)[column, target]) for name in PER_COEFFICIENT}
        if column in fit.aliased:
            row["estimate"] = None
    names = _names(schema)
    return (
        document
        | {name: numbers(getattr(statistics, name)) for name in STATISTICS if name != "rss"}
        | {
            "solver": "exact",
            "advice": least_squares.advice(fit, names),
        }
    )


def _document(schema: Schema, closed: Fit, estimates: DoubleDouble, rss: Array) -> dict[str, Any]:
    """What every solver can say; what only some can is None until they do.

    Raises:
        Contradiction: a sum of squares leaves float64.
    """
    to_raw = schema.raw_map()
    raw = estimates if to_raw is None else matmul(to_raw, estimates)
    values = raw.hi + raw.lo
    names = _names(schema)
    if not (np.isfinite(rss).all() and np.isfinite(closed.tss).all()):
        raise Contradiction("the data are too large for float64: scale the columns and train again")
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = np.where(closed.tss > 0, 1.0 - rss / closed.tss, np.nan)
    return {
        "n": closed.n,
        "dof": closed.dof,
        **dict.fromkeys(STATISTICS),
        "r2": numbers(r2),
        "rss": numbers(rss),
        "condition": number(closed.condition),
        "digits": closed.digits,
        "aliased": [names[column] for column in closed.aliased],
        "coefficients": [
            {"target": target, "term": term, "estimate": number(values[row, column]), **dict.fromkeys(PER_COEFFICIENT)}
            for column, target in enumerate(schema.targets)
            for row, term in enumerate(names)
        ],
    }


def _names(schema: Schema) -> list[str]:
    return [*((INTERCEPT,) if schema.frame.intercept else ()), *schema.column_names]


def number(value: Any) -> float | None:
    """A number of a document: None where there is none."""
    return float(value) if np.isfinite(value) else None


def numbers(values: Array) -> Any:
    """One number for one target, a list for several."""
    numbers = [number(value) for value in values]
    return numbers[0] if len(numbers) == 1 else numbers
