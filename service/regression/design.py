"""Design columns: what each term makes of the features, and the exact map from their coefficients to those of the raw columns.

Invariant: a column depends on the values of its own row alone, elementwise and in a fixed order of operations, so a row has the
same design bits in any batch.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product as combinations

import numpy as np

from service.regression.columns import Array, Codes
from service.regression.double_double import DoubleDouble, zeros
from service.regression.polynomial import PolynomialBasis, expansion, polynomials, product
from service.regression.terms import Term, quoted
from service.regression.values import Values

Powers = frozenset[tuple[str, int]]


@dataclass(frozen=True)
class DesignColumn:
    """One column: the product of numeric features to their powers, in the rows that have all of the `levels` (feature, category)."""

    name: str
    powers: Powers
    levels: frozenset[tuple[str, str]]


def expand(term: Term, categories: Mapping[str, Sequence[str]]) -> Iterable[DesignColumn]:
    """The columns of a term: one for each combination of categories other than the reference, the first of its feature."""
    numeric = frozenset((name, power) for name, power in term.powers if name not in categories)
    levels = {name: categories[name][1:] for name, _ in term.powers if name in categories}
    for chosen in combinations(*levels.values()):
        level = dict(zip(levels, chosen, strict=True))
        parts = [f"{quoted(name)}[{level[name]}]" if name in level else str(Term(((name, power),))) for name, power in term.powers]
        yield DesignColumn("*".join(parts), numeric, frozenset(level.items()))


def highest_powers(terms: Iterable[Term]) -> dict[str, int]:
    """The highest power of each feature that stands to a power above 1."""
    highest: dict[str, int] = {}
    for term in terms:
        for name, power in term.powers:
            if power > 1:
                highest[name] = max(power, highest.get(name, 0))
    return highest


def has_lower_powers(feature: str, terms: Sequence[Term], *, intercept: bool) -> bool:
    """Whether each term has all lower powers of `feature` beside it, so that polynomials may replace powers in one span."""
    known: set[Powers] = {term.key for term in terms} | ({frozenset()} if intercept else set())
    return all(
        (term.key - {(feature, power)}) | ({(feature, lower)} if lower else set()) in known
        for term in terms
        for name, power in term.powers
        if name == feature
        for lower in range(power)
    )


def build(terms: Sequence[Term], values: Values, *, categories: Mapping[str, Sequence[str]], bases: Mapping[str, PolynomialBasis]) -> Array:
    """The design [n, columns] of complete `values` whose category codes are places in `categories`."""
    highest = highest_powers(terms)
    chains = {name: polynomials(values.numbers[name], basis, degree=highest.get(name, 1)) for name, basis in bases.items()}
    blocks = []
    for term in terms:
        factors = [
            chains[name][power - 1] if name in chains else values.numbers[name] for name, power in term.powers if name not in categories
        ]
        column = product(factors) if factors else np.ones(values.count)
        levels = [name for name, _ in term.powers if name in categories]
        blocks.append(_spread(column, [values.codes[name] for name in levels], [len(categories[name]) - 1 for name in levels]))
    return np.concatenate(blocks, axis=1) if blocks else np.empty((values.count, 0))


def _spread(column: Array, codes: Sequence[Codes], widths: Sequence[int]) -> Array:
    """`column` [n] as [n, product of widths]: each value in the column of its row's categories, none where one is the reference."""
    if not codes:
        return column[:, None]
    block = np.zeros((len(column), int(np.prod(widths))))
    rows = np.flatnonzero(np.logical_and.reduce([code > 0 for code in codes]))
    if rows.size:
        block[rows, np.ravel_multi_index([code[rows] - 1 for code in codes], widths)] = column[rows]
    return block


def raw_map(columns: Sequence[DesignColumn], bases: Mapping[str, PolynomialBasis], *, intercept: bool) -> DoubleDouble:
    """The matrix M [P, P] with raw coefficients = M @ design coefficients, the intercept first where there is one.

    Its entries are exact rationals, rounded once.
    """
    nothing: tuple[Powers, frozenset[tuple[str, str]]] = (frozenset(), frozenset())
    keys = ([nothing] if intercept else []) + [(column.powers, column.levels) for column in columns]
    place = {key: index for index, key in enumerate(keys)}
    matrix = zeros(len(keys), len(keys))
    for j, (factors, levels) in enumerate(keys):
        for raw, coefficient in _expanded(factors, bases):
            i = place[raw, levels]
            matrix.hi[i, j] = float(coefficient)
            matrix.lo[i, j] = float(coefficient - Fraction(matrix.hi[i, j]))
    return matrix


def _expanded(factors: Powers, bases: Mapping[str, PolynomialBasis]) -> Iterable[tuple[Powers, Fraction]]:
    """A product of polynomials as a sum of coefficients times products of powers of x."""
    terms: list[tuple[Powers, Fraction]] = [(frozenset(), Fraction(1))]
    for name, power in factors:
        choices = expansion(power, bases[name]) if name in bases else [Fraction(0)] * power + [Fraction(1)]
        terms = [(done | ({(name, j)} if j else set()), c * choice) for done, c in terms for j, choice in enumerate(choices) if choice]
    return terms
