"""What figures and reports are drawn from, as JSON can carry it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from service.errors import Contradiction

INTERCEPT = "intercept"
OF_ROWS = ("fit", "residuals", "qq", "leverage")  # kinds that show rows
KINDS = ("coefficients", "loss", "surface", *OF_ROWS)
FORMS = ("svg", "png")
REPORT = "report"
MOST_PANELS = 6  # targets that one figure shows


@dataclass(frozen=True)
class Subject:
    """A version: its `document`; what the rows kept of its training say (`sample`); its mean squared error as a function of the
    parameters, by target (`costs`); and for one numeric feature its line with intervals on a grid of that feature (`curve`).

    The members are those of `GET /models/{m}/versions/{v}`, `…/sample`, whose columns are there where a curve is, and `…/cost`; a
    curve has `x` and by target `fitted`, and where they are known `mean_lower`, `mean_upper`, `lower` and `upper`. What is not there
    is None, and `missing` may tell why.
    """

    document: dict[str, Any]
    sample: dict[str, Any] | None = None
    costs: dict[str, Any] | None = None
    curve: dict[str, Any] | None = None
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """MODEL@VERSION."""
        return f"{self.document['model']}@{self.document['version']}"

    @property
    def fit(self) -> dict[str, Any]:
        """The document's `fit`."""
        fit: dict[str, Any] = self.document["fit"]
        return fit

    @property
    def targets(self) -> list[str]:
        """The names of the targets."""
        targets: list[str] = self.document["schema"]["targets"]
        return targets

    @cached_property
    def solver(self) -> str:
        """The name of the solver."""
        solver = self.fit["solver"]
        return str(solver["name"] if isinstance(solver, dict) else solver)

    @property
    def by_gradient(self) -> bool:
        """Whether the solver is one that goes in epochs."""
        return isinstance(self.fit["solver"], dict) and "epochs" in self.fit["solver"]

    def history(self) -> list[dict[str, Any]]:
        """The epochs of a training.

        Raises:
            Contradiction: it has none.
        """
        history: list[dict[str, Any]] | None = self.document.get("history")
        if history:
            return history
        again = 'train again with "history": true' if self.by_gradient else 'train with a gradient solver and "history": true'
        raise Contradiction(f"version {self.label} has no history of its training: {again}")

    def need(self, member: str) -> dict[str, Any]:
        """`sample`, `costs` or `curve`, where it is there.

        Raises:
            Contradiction: it is not; the text says why and what to do.
        """
        value: dict[str, Any] | None = getattr(self, member)
        if value is None:
            raise Contradiction(self.missing.get(member) or f"version {self.label} has no {member}")
        return value


def per_target(value: Any) -> Sequence[Any]:
    """A statistic of each target: documents give a single one without a list."""
    return value if isinstance(value, list) else [value]
