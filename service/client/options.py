"""What may be asked of each operation, as the HTTP API calls it; what is left out is as the service has it by default."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

Names = str | Sequence[str]
Solver = str | Mapping[str, Any]


class MakingOptions(TypedDict, total=False):
    """Options of every operation that makes a version."""

    promote: bool
    description: str
    labels: Mapping[str, str]
    solver: Solver


class TrainOptions(MakingOptions, total=False):
    """Options of a training beside its data."""

    model: str
    target: Names
    features: Names
    terms: Names
    categorical: Names
    intercept: bool
    weights: str | Sequence[float]
    missing: Literal["error", "drop"]
    unseen: Literal["error", "reference"]
    like: str
    new_schema: bool
    ledger: Literal["auto", "on", "off"]
    folds: int
    sample: int
    history: bool
    dtype: Literal["float64", "float32"]


class LivingOptions(MakingOptions, total=False):
    """Options of every operation that makes a version from another one."""

    base: str
    expect: str


class LearnOptions(LivingOptions, total=False):
    """Options of learning beside the data."""

    target: Names
    weights: str | Sequence[float]


class ForgetOptions(LearnOptions, total=False):
    """Options of forgetting beside the rows."""

    unchecked: bool
    purge: bool


class RefitOptions(LivingOptions, total=False):
    """Options of a refit."""

    terms: Names


class SelectOptions(LivingOptions, total=False):
    """Options of a selection."""

    ridge: Literal["gcv", "folds"]
    subset: Literal["aic", "bic", "cp"]
    publish: bool


class PredictOptions(TypedDict, total=False):
    """What may be asked beside predictions: intervals by their level, and what goes with each row."""

    interval: float
    mean_interval: float
    std_error: bool
    leverage: bool
    contributions: bool
