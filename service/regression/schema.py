"""What a row must look like: named features, the design columns made of them, the targets, and whether there is an intercept.

Order never matters where names are given: a schema fixes one order, and everything else is brought into it.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Schema:
    """Features, terms, targets and frame of one model version."""

    features: tuple[str, ...]
    targets: tuple[str, ...]
    intercept: bool = True

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the design columns, the intercept aside."""
        return self.features

    def to_dict(self) -> dict[str, Any]:
        """The `schema` member of a version document."""
        return {
            "features": list(self.features),
            "terms": list(self.terms),
            "targets": list(self.targets),
            "frame": {"intercept": self.intercept},
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Schema":
        """Read what `to_dict` wrote."""
        return cls(tuple(data["features"]), tuple(data["targets"]), data["frame"]["intercept"])
