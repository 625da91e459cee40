"""`service selftest`: is this machine exact, and how many digits of NIST's certified regressions does the service get right?"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from service.regression import strd
from service.regression.moments import Moments
from service.regression.products import self_test, syrk
from service.rows import Rows
from service.training.framing import build_schema
from service.training.memory import Memory
from service.training.options import TrainOptions
from service.training.solving import solve
from service.training.sources import Chosen
from service.training.train import accumulate, design_of


@dataclass(frozen=True)
class HeldRows:
    """Rows in memory as a source."""

    chosen: Chosen
    rows: Rows

    def total(self) -> int:
        """How many there are."""
        return self.rows.count

    def batches(self) -> Iterator[Rows]:
        """All of them."""
        yield self.rows


def run(*, as_json: bool = False) -> int:
    """Print the report; returns the exit code: 1 when this machine is not exact."""
    reason = self_test(syrk)
    place = strd.directory()
    digits = list(nist_digits(strd.load(place))) if place is not None else None
    if as_json:
        rows = [dict(zip(("dataset", "coefficients", "std_errors"), row, strict=True)) for row in digits] if digits is not None else None
        click.echo(json.dumps({"exact": reason is None, "reason": reason, "digits": rows}))
        return 0 if reason is None else 1
    click.echo("exact matrix products: " + ("yes" if reason is None else f"NO. {reason}"))
    if digits is None:
        click.echo("NIST reference data: not found; NIST_STRD may name their directory")
    else:
        table = Table("NIST dataset", "coefficients", "standard errors", title="correct digits, at most 15")
        for name, coefficients, errors in digits:
            table.add_row(name, f"{coefficients:.1f}", f"{errors:.1f}")
        Console().print(table)
    return 0 if reason is None else 1


def nist_digits(datasets: list[strd.Dataset]) -> Iterator[tuple[str, float, float]]:
    """(name, digits of the coefficients, digits of the standard errors); polynomials as declared terms."""
    for data in datasets:
        polynomial = data.degree is not None and data.degree > 1
        X = data.X[:, :1] if polynomial else data.X
        features = tuple(f"x{i}" if X.shape[1] > 1 else "x" for i in range(1, X.shape[1] + 1))
        terms = tuple(f"x^{power}" for power in range(1, (data.degree or 1) + 1)) if polynomial else None
        options = TrainOptions(target=("y",), terms=terms, intercept=data.intercept)
        rows = Rows((*features, "y"), np.hstack([X, data.y]), len(X), lambda row, name: f"{name}[{row}]")
        source = HeldRows(Chosen(features, ("y",), None), rows)
        schema, batches = build_schema(source, options)
        memory = Memory(Moments(len(schema.columns), 1))
        accumulate(memory, (design_of(rows, schema, source.chosen) for rows in batches))
        table = solve(schema, memory.moments, options).document["coefficients"]
        yield data.name, _digits(table, "estimate", data.coefficients), _digits(table, "std_error", data.standard_errors)


def _digits(table: list[dict[str, float]], column: str, certified: list[Fraction]) -> float:
    return min(strd.lre(row[column], value) for row, value in zip(table, certified, strict=True))
