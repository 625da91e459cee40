"""Time of exact training against scikit-learn's LinearRegression on the same arrays, in one interleaved run.

    OMP_NUM_THREADS=1 python benchmarks/exact_core.py

Medians over the repeats, in milliseconds, with BLAS at one thread; "2 threads" shards the rows over two Python threads. `ratio` is the
median of moments and solve to scikit-learn in the same repeat, `speed-up` that of one thread to two; a busy machine moves the times, and
the ratios less. scikit-learn's first fits take longer than its later ones, by a fifth with 1,000 columns: `best` is the least time of
the one to the least of the other. `machine` is the speed-up of the plain float64 product X'X, which is all that the processors give:
two of them may share a core.
"""

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

if os.environ.get("OMP_NUM_THREADS") != "1":
    sys.exit("Set OMP_NUM_THREADS=1: the table compares single threads.")

import numpy as np
from sklearn.linear_model import LinearRegression

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from service.allocator import keep_for_training
from service.regression import least_squares
from service.regression.moments import Moments

SHAPES = {"1e6 x 10": (1_000_000, 10, 25), "2e5 x 100": (200_000, 100, 7), "2e4 x 1000": (20_000, 1000, 7)}  # rows, columns, repeats


def moments(X: np.ndarray, y: np.ndarray, threads: int) -> Moments:
    learned = Moments(X.shape[1], 1)
    learned.add(X, y[:, None], threads=threads)
    return learned


def data(kind: str, n: int, p: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = {
        "normal": lambda: rng.normal(size=(n, p)),
        "2 decimals": lambda: np.round(rng.normal(size=(n, p)), 2),
        "float32": lambda: rng.normal(size=(n, p)).astype(np.float32).astype(np.float64),
        "integers": lambda: rng.integers(-100, 100, size=(n, p)).astype(np.float64),
        "log-normal": lambda: np.exp(3 * rng.normal(size=(n, p))),
    }[kind]()
    return X, X @ rng.normal(size=p) + rng.normal(size=n)


def plain(X: np.ndarray, threads: int) -> None:
    """X'X in float64, a part of the rows in each thread."""
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda part: part.T @ part, np.array_split(X, threads)))


def measure(X: np.ndarray, y: np.ndarray, repeats: int) -> dict[str, np.ndarray]:
    whole = moments(X, y, 1)
    tasks: dict[str, Callable[[], object]] = {
        "scikit-learn": lambda: LinearRegression().fit(X, y),
        "moments": lambda: moments(X, y, 1),
        "2 threads": lambda: moments(X, y, 2),
        "solve": lambda: least_squares.solve(whole),
        "plain": lambda: plain(X, 1),
        "plain, 2 threads": lambda: plain(X, 2),
    }
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(repeats):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: np.array(taken) for name, taken in times.items()}


def main() -> None:
    keep_for_training()
    columns = ("scikit-learn", "moments", "2 threads", "solve")
    print(
        f"{'shape':12}{'data':12}" + "".join(f"{name:>14}" for name in columns) + f"{'ratio':>8}{'best':>8}{'speed-up':>10}{'machine':>9}"
    )
    for shape, (n, p, repeats) in SHAPES.items():
        for kind in ("normal", "2 decimals", "float32", "integers", "log-normal") if p == 100 else ("normal",):
            times = measure(*data(kind, n, p), repeats)
            ours, theirs = times["moments"] + times["solve"], times["scikit-learn"]
            cells = "".join(f"{np.median(times[name]):14.0f}" for name in columns)
            ratio, best = np.median(ours / theirs), ours.min() / theirs.min()
            speed_up, machine = np.median(times["moments"] / times["2 threads"]), np.median(times["plain"] / times["plain, 2 threads"])
            print(f"{shape:12}{kind:12}{cells}{ratio:8.2f}{best:8.2f}{speed_up:10.2f}{machine:9.2f}", flush=True)


if __name__ == "__main__":
    main()
