"""Processor time of selecting without rows: ridge by GCV and by ten folds, best subsets, inflation factors, and the fit they start from.

    OMP_NUM_THREADS=1 python -m benchmarks.selection

Milliseconds, median of seven, after one run that does not count; from moments of 20,000 rows whose correlated features count by a third.
Whether the search of subsets was exhaustive stands beside its time.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np

from service.regression import least_squares
from service.regression.collinearity import inflation
from service.regression.moments import Moments
from service.regression.ridge_path import by_folds, by_gcv
from service.regression.row_digests import fold_of
from service.regression.subsets import best_subsets

FOLDS = 10


def learned(X: np.ndarray, Y: np.ndarray) -> Moments:
    moments = Moments(X.shape[1], Y.shape[1])
    moments.add(X, Y)
    return moments


def milliseconds(task: Callable[[], object]) -> float:
    times = []
    for _ in range(8):
        started = time.process_time()
        task()
        times.append(1e3 * (time.process_time() - started))
    return statistics.median(times[1:])


def main() -> None:
    rng = np.random.default_rng(0)
    print(f"{'features':>8}{'solve':>8}{'vif':>8}{'gcv':>8}{'folds':>8}{'aic':>8}{'bic':>8}  exhaustive")
    for p in (10, 20, 30, 50, 100):
        X = rng.normal(size=(20_000, p)) + rng.normal(size=(20_000, 1))
        Y = X[:, : p // 3] @ rng.normal(size=(p // 3, 1)) * 0.05 + rng.normal(size=(20_000, 1))
        moments, fold = learned(X, Y), fold_of(X, Y, folds=FOLDS)
        folds = [learned(X[fold == k], Y[fold == k]) for k in range(FOLDS)]
        groups = [[j] for j in range(p)]
        times = [
            milliseconds(lambda moments=moments: least_squares.solve(moments)),
            milliseconds(lambda moments=moments, groups=groups: inflation(moments, groups)),
            milliseconds(lambda moments=moments: by_gcv(moments)),
            milliseconds(lambda moments=moments, folds=folds: by_folds(moments, folds)),
            milliseconds(lambda moments=moments, groups=groups: best_subsets(moments, groups, criterion="aic")),
            milliseconds(lambda moments=moments, groups=groups: best_subsets(moments, groups, criterion="bic")),
        ]
        sure = best_subsets(moments, groups, criterion="aic").exhaustive
        print(f"{p:8}" + "".join(f"{one:8.1f}" for one in times) + f"  {'yes' if sure else 'no'}")


if __name__ == "__main__":
    main()
