"""The NIST reference datasets for linear regression: where they lie, what they certify, and how many digits an estimate got right.

Invariant: certified values stay decimal strings read as rationals, so a score is never blurred by float64.
"""

import csv
import json
import math
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from service.regression.products import Array

_BESIDE_THE_REPOSITORY = Path(__file__).resolve().parents[2].parent / "shared" / "nist"


@dataclass(frozen=True)
class Dataset:
    """``X`` [n, p] as given or as float64 powers of x, ``y`` [n, 1], and the certified values (30 digits where there are so many)."""

    name: str
    X: Array
    y: Array
    degree: int | None
    intercept: bool
    coefficients: list[Fraction]
    standard_errors: list[Fraction]
    residual_sd: Fraction
    r_squared: Fraction
    f_statistic: Fraction | None  # None: infinite


def directory() -> Path | None:
    """Where the data lie: what NIST_STRD says, or beside the repository; None where neither has them."""
    place = Path(os.environ.get("NIST_STRD", _BESIDE_THE_REPOSITORY))
    return place if (place / "certified.json").is_file() else None


def load(place: Path) -> list[Dataset]:
    """All eleven datasets, in the order of the certificate."""
    certified = json.loads((place / "certified.json").read_text())["datasets"]
    return [_dataset(name, record, place) for name, record in certified.items()]


def lre(estimate: float, certified: Fraction) -> float:
    """The log relative error, at most 15: how many digits are right; of the absolute value where 0 is certified."""
    error = abs(Fraction(float(estimate)) - certified)
    if certified:
        error /= abs(certified)
    return 15.0 if not error else min(15.0, -math.log10(error))


def _dataset(name: str, record: dict[str, Any], place: Path) -> Dataset:
    with (place / record["file"]).open() as file:
        rows = list(csv.DictReader(file))
    table = {key: np.array([float(row[key]) for row in rows]) for key in rows[0]}
    y = table.pop("y")[:, None]
    degree: int | None = record["degree"]
    X = np.column_stack(list(table.values())) if degree is None else np.column_stack([table["x"] ** k for k in range(1, degree + 1)])

    def certified(key: str) -> Any:
        return record.get(f"{key}_30digits", record[key])

    return Dataset(
        name=name,
        X=X,
        y=y,
        degree=degree,
        intercept=record["intercept"],
        coefficients=[Fraction(value) for value in certified("coefficients")],
        standard_errors=[Fraction(value) for value in certified("standard_errors")],
        residual_sd=Fraction(certified("residual_sd")),
        r_squared=Fraction(certified("r_squared")),
        f_statistic=None if record["f_statistic"] == "Infinity" else Fraction(record["f_statistic"]),
    )
