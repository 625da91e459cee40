"""What the service answers, as values; `document` is the whole JSON object where a value shows the main part of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

Number = float | None


class _Answer:
    """A value whose fields are members of a JSON object of the service, by their names."""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """The value that a JSON object shows; members without a field are left to `document`."""
        known = {name.name for name in fields(cls)}  # type: ignore[arg-type]  # every subclass is a dataclass
        given = {name: value for name, value in document.items() if name in known}
        return cls(**given, **({"document": document} if "document" in known else {}))


@dataclass(frozen=True)
class Coefficient(_Answer):
    """One line of the coefficient table; None where a number does not exist. `lower` and `upper` bound it with 95 %."""

    target: str
    term: str
    estimate: Number
    std_error: Number
    t: Number
    p: Number
    lower: Number
    upper: Number


@dataclass(frozen=True)
class Version(_Answer):
    """A published version of a model; of several targets `r2` and `residual_std` are lists in the order of the targets."""

    model: str
    version: str
    aliases: list[str]
    created: str
    operation: str
    parent: str | None
    description: str
    labels: dict[str, str]
    fingerprint: str | None
    document: Mapping[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        """MODEL@VERSION, as every method takes it."""
        return f"{self.model}@{self.version}"

    @property
    def n(self) -> int:
        """How many rows it was fitted to."""
        return int(self.document["fit"]["n"])

    @property
    def r2(self) -> Any:
        """The coefficient of determination."""
        return self.document["fit"]["r2"]

    @property
    def residual_std(self) -> Any:
        """The residual standard deviation."""
        return self.document["fit"]["residual_std"]

    @property
    def advice(self) -> list[str]:
        """What a reader of the fit must know, and what to do about it."""
        return list(self.document["fit"].get("advice", ()))

    @property
    def coefficients(self) -> list[Coefficient]:
        """The coefficient table."""
        return [Coefficient.of(row) for row in self.document["fit"]["coefficients"]]


@dataclass(frozen=True)
class Prediction(_Answer):
    """Predictions, a number per row (a list per row for several targets), and what was asked for beside them, else None.

    `lower` and `upper` bound a new observation, `mean_lower` and `mean_upper` the mean, with the level that was asked for. `baseline` and
    the `contributions`, a list of rows for each design column, add up to the predictions.
    """

    model: str
    version: str
    predictions: list[Any]
    lower: list[Any] | None = None
    upper: list[Any] | None = None
    mean_lower: list[Any] | None = None
    mean_upper: list[Any] | None = None
    std_error: list[Any] | None = None
    leverage: list[float] | None = None
    extrapolating: list[bool] | None = None
    baseline: Any = None
    contributions: dict[str, list[Any]] | None = None


@dataclass(frozen=True)
class Selection(_Answer):
    """What `select` chose; `version` is what it published, if it was to."""

    model: str
    selection: dict[str, Any]
    version: Version | None
    document: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """The choice, with a version where the document is that of one."""
        version = Version.of(document) if "version" in document else None
        return cls(document["model"], document["selection"], version, document)


@dataclass(frozen=True)
class Model(_Answer):
    """A model, the versions that its aliases name, and the latest of all; `damaged` says what of it cannot be read."""

    model: str
    aliases: dict[str, str]
    latest: str | None
    damaged: str | None = None


@dataclass(frozen=True)
class Move(_Answer):
    """Which version an alias names, and since when, by whom and why."""

    model: str
    alias: str
    version: str | None
    time: str
    who: str
    reason: str


@dataclass(frozen=True)
class Difference(_Answer):
    """Two versions side by side: statistics as `{"from", "to"}`, coefficients with their change, also in standard errors."""

    model: str
    n: dict[str, Any]
    r2: dict[str, Any]
    residual_std: dict[str, Any]
    coefficients: list[dict[str, Any]]
    document: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Job(_Answer):
    """A training or another operation that makes a version; `state` is queued, running, succeeded, failed or cancelled.

    `progress` is there while it runs for longer than a second: rows, rows_total, seconds_left, and epoch, epochs, loss, losses of
    gradient training. `error` says why it failed.
    """

    id: str
    state: str
    operation: str
    created: str
    document: Mapping[str, Any] = field(repr=False)
    progress: dict[str, Any] | None = None
    error: dict[str, Any] | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in ("succeeded", "failed", "cancelled")
