"""Training from files beside reading alone: time as a ratio, and memory at one and four times the rows.

Each figure comes from a process of its own: `read` runs the loop over `TableSource.batches` and drops the rows, `train` is the whole
training with its publishing, and `import` only imports what both need; its peak memory is taken off theirs. Medians of interleaved
repeats.

python -m benchmarks.streaming [--rows 1000000 4000000] [--columns 11] [--repeats 5]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from model_store.store import ModelStore
from service.allocator import keep_for_training
from service.training.options import TrainOptions
from service.training.sources import Limits, open_table
from service.training.tables import SUFFIXES, TableSource
from service.training.train import train

CHUNK = 250_000
TARGET = "y"


def write(path: Path, *, rows: int, columns: int) -> None:
    """A file of `rows` rows: a target and `columns` - 1 features of normal numbers, written in pieces."""
    with path.open("wb") as file:
        if path.suffix == ".csv":
            for first, frame in enumerate(_frames(rows, columns)):
                frame.write_csv(file, include_header=not first)
        else:
            pl.concat(_frames(rows, columns)).write_parquet(file, row_group_size=CHUNK)


def _frames(rows: int, columns: int) -> Iterator[pl.DataFrame]:
    random = np.random.default_rng(0)
    for start in range(0, rows, CHUNK):
        X = random.normal(size=(min(CHUNK, rows - start), columns - 1))
        y = X.sum(axis=1) + random.normal(size=len(X))
        yield pl.DataFrame({f"x{i}": X[:, i] for i in range(columns - 1)} | {TARGET: y})


def measure(task: str, path: Path) -> tuple[float, float]:
    """Seconds of a task and the peak memory in MB of the process that ran it."""
    command = [sys.executable, "-m", "benchmarks.streaming", "--task", task, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=900)
    seconds, megabytes = json.loads(done.stdout)
    return seconds, megabytes


def run(task: str, path: Path) -> None:
    """One task in this process: print its seconds and the peak memory of the process."""
    keep_for_training()
    started = time.perf_counter()
    form = SUFFIXES[path.suffix]
    if task == "read":
        table = TableSource([path], form, numeric_missing=False)
        for _ in table.batches(table.names):
            pass
    elif task == "train":
        options = TrainOptions(target=(TARGET,))
        with tempfile.TemporaryDirectory() as folder:
            source = open_table([path], form, options, Limits(sys.maxsize, sys.maxsize))
            train(ModelStore.open(folder), source, options)
    seconds = time.perf_counter() - started
    print(json.dumps([seconds, _peak()]))


def _peak() -> float:
    """The peak memory of this process in MB; `ru_maxrss` would carry over that of the process that started it."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main() -> None:
    """Make the files, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 4_000_000])
    parser.add_argument("--columns", type=int, default=11)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--task", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.task:
        run(asked.task[0], Path(asked.task[1]))
        return
    print(f"load average {os.getloadavg()[0]:.2f}; memory is the peak less that of the imports")
    print(f"{'file':>8} {'rows':>10} {'read s':>8} {'train s':>8} {'ratio':>6} {'read MB':>8} {'train MB':>9}")
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".csv", ".parquet"):
            for rows in asked.rows:
                path = Path(folder) / f"rows{suffix}"
                write(path, rows=rows, columns=asked.columns)
                measured = np.array([[measure(task, path) for task in ("import", "read", "train")] for _ in range(asked.repeats)])
                (_, base), (read, read_mb), (whole, whole_mb) = np.median(measured, axis=0).tolist()
                memory = f"{read_mb - base:8.0f} {whole_mb - base:9.0f}"
                print(f"{suffix[1:]:>8} {rows:10} {read:8.2f} {whole:8.2f} {whole / read:6.2f} {memory}", flush=True)
                path.unlink()


if __name__ == "__main__":
    main()
