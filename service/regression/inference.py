"""What a fit says about its certainty: t, p, confidence intervals, R², F and information criteria.

A number that does not exist (no degrees of freedom, an aliased column, a perfect fit) is None, never an invented value.
Formulas: Seber & Lee, Linear Regression Analysis (2003), chapters 3 to 5. Information criteria count the p coefficients
only: AIC = n (ln(2 pi RSS / n) + 1) + 2 p, and BIC with p ln n.
"""

import math
from typing import Any

from scipy import stats

from service.regression.least_squares import Fit

LEVEL = 0.95


def summary(fit: Fit, *, target: int) -> dict[str, float | None]:
    """Statistics of the whole fit for one target."""
    n, dof, rss, tss = fit.n, fit.dof, float(fit.rss[target]), float(fit.tss[target])
    explained_dof = fit.rank - fit.intercept
    r2 = 1 - rss / tss if tss > 0 else None
    variance = rss / dof if dof > 0 else None
    log_term = n * (math.log(2 * math.pi * rss / n) + 1) if rss > 0 else None
    return {
        "r2": r2,
        "adjusted_r2": 1 - (1 - r2) * (n - fit.intercept) / dof if r2 is not None and dof > 0 else None,
        "residual_std": math.sqrt(variance) if variance is not None else None,
        "rss": rss,
        "aic": log_term + 2 * fit.rank if log_term is not None else None,
        "bic": log_term + math.log(n) * fit.rank if log_term is not None else None,
        "f": (tss - rss) / explained_dof / variance if variance and explained_dof > 0 else None,
    }


def coefficient_table(fit: Fit, *, target: int) -> list[dict[str, Any]]:
    """Estimate, standard error, t, p and 95 % confidence interval of every design column for one target."""
    quantile = float(stats.t.ppf((1 + LEVEL) / 2, fit.dof)) if fit.dof > 0 else None
    rows: list[dict[str, Any]] = []
    for column in range(len(fit.coefficients)):
        if column in fit.aliased:
            rows.append(dict.fromkeys(("estimate", "std_error", "t", "p", "lower", "upper")))
            continue
        estimate, error = float(fit.coefficients[column, target]), float(fit.standard_errors[column, target])
        row: dict[str, Any] = {"estimate": estimate, "std_error": None, "t": None, "p": None, "lower": None, "upper": None}
        if quantile is not None:
            row |= {"std_error": error, "lower": estimate - quantile * error, "upper": estimate + quantile * error}
            if error > 0:
                t = estimate / error
                row |= {"t": t, "p": float(2 * stats.t.sf(abs(t), fit.dof))}
        rows.append(row)
    return rows
