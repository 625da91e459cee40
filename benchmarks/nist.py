"""Digits of the NIST reference problems: this service beside numpy, scikit-learn, statsmodels and QR in R's manner.

    python benchmarks/nist.py

Smallest log relative error of a dataset's coefficients / standard errors, at most 15. The columns are float64 powers of x, as a user
would supply them; "R-style QR" is Householder QR with standard errors from R, as lm does it.
"""

import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import scipy.linalg
import statsmodels.api as sm
from sklearn.linear_model import LinearRegression

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from service.regression import inference, least_squares, strd
from service.regression.moments import Moments

Estimate = tuple[np.ndarray, np.ndarray | None]


def plumbline(dataset: strd.Dataset) -> Estimate:
    moments = Moments(dataset.X.shape[1], 1)
    moments.add(dataset.X, dataset.y)
    fit = least_squares.solve(moments, intercept=dataset.intercept)
    return fit.coefficients[:, 0], inference.summary(fit).std_error[:, 0]


def design(dataset: strd.Dataset) -> np.ndarray:
    return np.column_stack([np.ones(len(dataset.y)), dataset.X]) if dataset.intercept else dataset.X


def numpy_lstsq(dataset: strd.Dataset) -> Estimate:
    return np.linalg.lstsq(design(dataset), dataset.y[:, 0], rcond=None)[0], None


def scikit_learn(dataset: strd.Dataset) -> Estimate:
    model = LinearRegression(fit_intercept=dataset.intercept).fit(dataset.X, dataset.y[:, 0])
    return np.append([model.intercept_] if dataset.intercept else [], model.coef_), None


def statsmodels_pinv(dataset: strd.Dataset) -> Estimate:
    result = sm.OLS(dataset.y[:, 0], design(dataset)).fit()
    return result.params, result.bse


def statsmodels_qr(dataset: strd.Dataset) -> Estimate:
    result = sm.OLS(dataset.y[:, 0], design(dataset)).fit(method="qr")
    return result.params, result.bse


def r_style_qr(dataset: strd.Dataset) -> Estimate:
    A, y = design(dataset), dataset.y[:, 0]
    Q, R = np.linalg.qr(A)
    b = scipy.linalg.solve_triangular(R, Q.T @ y)
    residuals = y - Q @ (Q.T @ y)
    scale = np.sqrt(residuals @ residuals / (len(y) - A.shape[1]))
    return b, scale * np.linalg.norm(np.linalg.inv(R), axis=1)


METHODS: dict[str, Callable[[strd.Dataset], Estimate]] = {
    "Plumbline": plumbline,
    "numpy lstsq": numpy_lstsq,
    "scikit-learn": scikit_learn,
    "statsmodels": statsmodels_pinv,
    "statsmodels qr": statsmodels_qr,
    "R-style QR": r_style_qr,
}


def score(estimates: np.ndarray | None, certified: Sequence[object]) -> str:
    if estimates is None:
        return "-"
    if not np.isfinite(estimates).all():  # statsmodels has no standard errors of Filip by default
        return "0.0"
    worst = min(strd.lre(float(e), c) for e, c in zip(estimates, certified, strict=True))  # type: ignore[arg-type]
    return f"{max(0.0, worst):.1f}"


def main() -> None:
    place = strd.directory()
    if place is None:
        sys.exit("The NIST data are not here: set NIST_STRD to the folder with certified.json.")
    warnings.simplefilter("ignore")  # what others say of a design they find singular; their digits are in the table
    print(f"{'':10}" + "".join(f"{name:>16}" for name in METHODS))
    for dataset in strd.load(place):
        cells = []
        for method in METHODS.values():
            coefficients, errors = method(dataset)
            cells.append(f"{score(coefficients, dataset.coefficients)}/{score(errors, dataset.standard_errors)}")
        print(f"{dataset.name:10}" + "".join(f"{cell:>16}" for cell in cells))


if __name__ == "__main__":
    main()
