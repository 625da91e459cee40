"""How sure a prediction is, and what it is made of: intervals, errors, leverages and contributions of design rows."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from model_store.errors import Forgotten
from service.errors import Invalid, TooLarge
from service.regression.columns import Array
from service.serving.registry import Loaded

if TYPE_CHECKING:
    from service.regression.least_squares import Fit
    from service.serving.predictor import Asked

MOST_PARTS = 1 << 24  # numbers of the contributions of one request: 128 MiB


def check_certain(loaded: Loaded, asked: "Asked") -> None:
    """Refuse what cannot be said of this version, whatever the rows are.

    Raises:
        Invalid: names each option, and says why.
        CorruptObject, StoreUnavailable: the version's memory cannot be read.
    """
    about_errors = _about_errors(asked)
    inferred = [*about_errors, *(["leverage"] if asked.leverage else [])]
    if inferred and not loaded.learned.has_errors:
        why = f"version {loaded.version} was trained with {_described(loaded)}, of which this is not known: refit it with the solver exact"
        raise Invalid({name: [why] for name in inferred})
    try:
        fit = loaded.learned.fit()
    except Forgotten as error:
        raise Invalid({name: [str(error)] for name in [*inferred, *(["contributions"] if asked.contributions else [])]}) from error
    if about_errors and not fit.dof:
        why = f"the {fit.n} rows of version {loaded.version} leave none to estimate errors from: learn more rows"
        raise Invalid({name: [why] for name in about_errors})


def check_parts(loaded: Loaded, rows: int, asked: "Asked") -> None:
    """Refuse contributions that are too many numbers for one answer."""
    parts = rows * len(loaded.schema.columns) * len(loaded.schema.targets)
    if asked.contributions and parts > MOST_PARTS:
        raise TooLarge(f"the contributions would be {parts} numbers, and {MOST_PARTS} is the most of one answer: send fewer rows at a time")


def certainty(loaded: Loaded, x: Array, y: Array, asked: "Asked") -> dict[str, Any]:
    """The members of a `Prediction` that are asked for, of design rows x [n, p] and predictions y [n, t]; check first."""
    from service.regression import inference  # noqa: PLC0415 - scipy takes 0.2 s to import

    fit = loaded.learned.fit()
    found: dict[str, Any] = {}
    with np.errstate(over="ignore", invalid="ignore"):  # the caller refuses what is not finite
        if asked.leverage or _about_errors(asked):
            h = inference.leverage(fit, x)
            if asked.leverage:
                found |= {"leverage": h, "extrapolating": inference.extrapolating(fit, x)}
            if asked.std_error:
                found["std_error"] = inference.intervals(fit, x, y, leverages=h).std_error
            if asked.interval is not None:
                new = inference.intervals(fit, x, y, level=asked.interval, leverages=h)
                found |= {"lower": new.lower, "upper": new.upper}
            if asked.mean_interval is not None:
                mean = inference.intervals(fit, x, y, level=asked.mean_interval, leverages=h)
                found |= {"mean_lower": mean.mean_lower, "mean_upper": mean.mean_upper}
        if asked.contributions:
            baseline, parts = inference.contributions(replace(fit, coefficients=_coefficients(loaded, fit)), x)
            found |= {"columns": loaded.schema.column_names, "baseline": baseline, "contributions": parts}
    return found


def _about_errors(asked: "Asked") -> list[str]:
    """The options asked for that need the residuals."""
    return [name for name in ("interval", "mean_interval", "std_error") if getattr(asked, name)]


def _coefficients(loaded: Loaded, fit: "Fit") -> Array:
    """The coefficients that serve [P, t], the intercept first where there is one; a penalty's or gradient's are not the fit's."""
    linear = loaded.module.linear
    rows = [linear.weight.cpu().double().numpy().T]
    if fit.intercept:
        rows.insert(0, linear.bias.cpu().double().numpy()[None, :])
    return np.vstack(rows)


def _described(loaded: Loaded) -> str:
    solver = loaded.learned.solver
    return "a ridge penalty" if solver == "exact" else solver or "an unknown solver"
