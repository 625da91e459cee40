"""The language of terms: what it reads, what it refuses and where."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.regression.terms import MOST_POWER, Term, TermError, parse_term, quoted

NAMES = st.text(min_size=1).filter(lambda name: "\x00" not in name) | st.from_regex(r"[A-Za-z_][A-Za-z0-9_.]*", fullmatch=True)
TERMS = st.dictionaries(NAMES, st.integers(1, MOST_POWER), min_size=1, max_size=4).map(lambda powers: Term(tuple(powers.items())))


@given(TERMS)
def test_a_term_written_is_the_term_read(term: Term) -> None:
    """Whatever the names of its features, a term survives being written, in its order of factors too."""
    assert parse_term(str(term)).powers == term.powers


@given(TERMS, st.randoms())
def test_the_order_of_factors_does_not_matter(term: Term, random: object) -> None:
    """Terms that differ in the order of their factors, or in how powers are spelled out, are equal and hash alike."""
    spelled = [quoted(name) for name, power in term.powers for _ in range(power)]
    random.shuffle(spelled)  # type: ignore[attr-defined]  # hypothesis hands over a random.Random
    other = parse_term(" * ".join(spelled))
    assert other == term
    assert hash(other) == hash(term)


@given(st.text(max_size=12) | st.text(alphabet="ab*^`2 .", max_size=12))
def test_any_text_is_read_or_refused_with_a_position_in_it(text: str) -> None:
    """No text crashes the parser: it gives a term that reads back, or a TermError that points into the text."""
    try:
        term = parse_term(text)
    except TermError as error:
        assert 0 <= error.position <= len(text)  # noqa: PT017  # both outcomes are right, and each has its own promise
    else:
        assert parse_term(str(term)) == term


@pytest.mark.parametrize(
    ("text", "powers"),
    [
        ("area", {"area": 1}),
        ("area^2", {"area": 2}),
        (" area ^ 2 * rooms ", {"area": 2, "rooms": 1}),
        ("area*area^2", {"area": 3}),
        ("`floor area (m²)`^2*_x.1", {"floor area (m²)": 2, "_x.1": 1}),
        ("`a``b`", {"a`b": 1}),
        ("größe*площадь", {"größe": 1, "площадь": 1}),
    ],
)
def test_terms_mean_products_of_powers(text: str, powers: dict[str, int]) -> None:
    """The grammar, by example."""
    assert parse_term(text).powers == tuple(powers.items())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "term '', position 0: the name of a feature is expected here"),
        ("area*", "term 'area*', position 5: the name of a feature is expected here"),
        ("area**2", "term 'area**2', position 5: the name of a feature is expected here"),
        ("2*area", "term '2*area', position 0: the name of a feature is expected here"),
        ("area^", "term 'area^', position 5: a power from 1 to 30 is expected here"),
        ("area^x", "term 'area^x', position 5: a power from 1 to 30 is expected here"),
        ("area^0", "term 'area^0', position 5: a power is a whole number from 1 to 30"),
        ("area^9999999999", "term 'area^9999999999', position 5: a power is a whole number from 1 to 30"),
        ("area^20*area^20", "term 'area^20*area^20', position 8: area stands to the power 40: use at most 30"),
        ("area^2^2", "term 'area^2^2', position 6: write \"*\" or \"^\" before '^', or put an odd name in backticks"),
        ("floor area", "term 'floor area', position 6: write \"*\" or \"^\" before 'area', or put an odd name in backticks"),
        ("area^-1", "term 'area^-1', position 5: '-' cannot stand here: put an odd name in backticks"),
        ("log(area)", "term 'log(area)', position 3: '(' cannot stand here: put an odd name in backticks"),
        ("`area", "term '`area', position 0: '`' cannot stand here: put an odd name in backticks"),
        ("__import__('os')", "term \"__import__('os')\", position 10: '(' cannot stand here: put an odd name in backticks"),
    ],
)
def test_what_is_not_a_term_is_refused_where_it_goes_wrong(text: str, message: str) -> None:
    """Every refusal names the position and what to write."""
    with pytest.raises(TermError, match=f"^{re.escape(message)}$"):
        parse_term(text)
