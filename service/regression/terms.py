"""The language of model terms: products of features and their powers, read by a parser and never evaluated.

    term   = factor { "*" factor }
    factor = name [ "^" power ]            power: a whole number from 1 to 30
    name   = letters, digits, "_" and "." beginning with a letter or "_", or anything between backticks (a backtick is doubled)

Invariant: ``parse_term(str(term)) == term``. Two terms that differ only in the order of their factors are equal.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

MOST_POWER = 30

_BARE = re.compile(r"[^\W\d][\w.]*")
_TOKEN = re.compile(rf"(?P<bare>{_BARE.pattern})|`(?P<quoted>(?:[^`]|``)+)`|(?P<number>\d+)|(?P<sign>[*^])")
_SPACE = re.compile(r"\s*")


class TermError(ValueError):
    """A term that cannot be read or used: `term`, the `position` of the fault in it (from 0), and what to write instead."""

    def __init__(self, term: str, position: int, message: str) -> None:
        super().__init__(f"term {term!r}, position {position}: {message}")
        self.term, self.position = term, position


@dataclass(frozen=True)
class Term:
    """A product of features raised to powers of at least 1, in the order first written."""

    powers: tuple[tuple[str, int], ...]

    @cached_property
    def key(self) -> frozenset[tuple[str, int]]:
        """What the term means, whatever the order of its factors."""
        return frozenset(self.powers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Term) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        return "*".join(quoted(name) + (f"^{power}" if power > 1 else "") for name, power in self.powers)


def quoted(name: str) -> str:
    """`name` as it is written in a term: bare where it can be."""
    return name if _BARE.fullmatch(name) else "`" + name.replace("`", "``") + "`"


def parse_term(text: str, types: Mapping[str, str | None] | None = None) -> Term:
    """Read one term; the powers of a feature that stands several times are added.

    Given `types`, the type of each feature by name (None where not known yet), the names must be among them and a categorical
    feature stands once. Raises TermError.
    """
    tokens = _Tokens(text)
    powers: dict[str, int] = {}
    while True:
        name, position = tokens.name(), tokens.start
        power = tokens.power() if tokens.accept("^") else 1
        powers[name] = powers.get(name, 0) + power
        if types is not None and name not in types:
            raise TermError(text, position, f"no feature is called {name!r}: use one of {', '.join(map(quoted, types))}")
        if types is not None and types[name] == "categorical" and powers[name] > 1:
            raise TermError(text, position, f"{quoted(name)} is categorical and has no powers: write it once")
        if powers[name] > MOST_POWER:
            raise TermError(text, position, f"{quoted(name)} stands to the power {powers[name]}: use at most {MOST_POWER}")
        if not tokens.accept("*"):
            break
    if tokens.kind is not None:
        raise TermError(text, tokens.next, f'write "*" or "^" before {text[tokens.next : tokens.end]!r}, or put an odd name in backticks')
    return Term(tuple(powers.items()))


def check_term(term: Term, types: Mapping[str, str | None]) -> None:
    """Raises the TermError of `parse_term` for a term that does not fit the features' types."""
    if any(name not in types or not 1 <= power <= (1 if types[name] == "categorical" else MOST_POWER) for name, power in term.powers):
        parse_term(str(term), types)


class _Tokens:
    """A reader of `text` that looks one token ahead; `start` is where the token taken last began, `next` where the coming one does."""

    def __init__(self, text: str) -> None:
        self.text, self.end = text, 0
        self._advance()

    def _advance(self) -> None:
        space = _SPACE.match(self.text, self.end)
        self.next = space.end() if space else self.end
        token = _TOKEN.match(self.text, self.next)
        if token is None and self.next < len(self.text):
            raise TermError(self.text, self.next, f"{self.text[self.next]!r} cannot stand here: put an odd name in backticks")
        self.kind = token.lastgroup if token else None
        self.value = token[token.lastgroup] if token and token.lastgroup else ""
        self.end = token.end() if token else self.next

    def _take(self, kind: str, wanted: str) -> str:
        if self.kind != kind:
            raise TermError(self.text, self.next, f"{wanted} is expected here")
        value, self.start = self.value, self.next
        self._advance()
        return value

    def accept(self, sign: str) -> bool:
        """Whether the next token is `sign`, which is then passed."""
        found = self.kind == "sign" and self.value == sign
        if found:
            self._advance()
        return found

    def name(self) -> str:
        return self._take("bare", "") if self.kind == "bare" else self._take("quoted", "the name of a feature").replace("``", "`")

    def power(self) -> int:
        digits = self._take("number", f"a power from 1 to {MOST_POWER}")
        power = int(digits) if len(digits) < 4 else MOST_POWER + 1
        if not 1 <= power <= MOST_POWER:
            raise TermError(self.text, self.start, f"a power is a whole number from 1 to {MOST_POWER}")
        return power
