"""Coefficients with their intervals: one panel for each target, one line for each term."""

from typing import Any

from matplotlib.axes import Axes

from service.plots.style import ACCENT, INK, MUTED, RULE, Drawing, blank, name, round_marks, short, tell
from service.plots.subject import INTERCEPT, MOST_PANELS, Subject

MOST_TERMS = 40
STRETCH = 4.0  # an intercept that makes the axis so many times as wide is told, not drawn
Row = dict[str, Any]


def draw_coefficients(subject: Subject) -> Drawing:
    """The coefficient table as a forest plot."""
    tables = {target: [row for row in subject.fit["coefficients"] if row["target"] == target] for target in subject.targets[:MOST_PANELS]}
    terms = [row["term"] for row in next(iter(tables.values()))]
    notes = []
    if len(terms) > MOST_TERMS:
        terms = _strongest(tables)
        notes.append(f"{MOST_TERMS} of {len(next(iter(tables.values())))} terms, the largest |t| first")
    if len(tables) < len(subject.targets):
        notes.append(f"{len(tables)} of {len(subject.targets)} targets")
    inferred = any(row["lower"] is not None for rows in tables.values() for row in rows)
    notes += _about_intervals(subject, inferred=inferred)
    columns = min(len(tables), 2)
    lines = -(-len(tables) // columns)
    figure = blank(7.0 if columns == 1 else 11.0, lines * (1.0 + 0.24 * len(terms)) + 0.7)
    axes = list(figure.subplots(lines, columns, squeeze=False).flat)
    for unused in axes[len(tables) :]:
        unused.set_axis_off()
    for panel, (target, rows) in zip(axes, tables.items(), strict=False):
        by_term = {row["term"]: row for row in rows}
        notes += _forest(panel, target, [by_term[term] for term in terms])
    title = f"Coefficients of {name(subject.label)}" + (" with 95 % intervals" if inferred else "")
    tell(figure, title, list(dict.fromkeys(notes)))
    return Drawing(figure, title, _described(tables, terms))


def _strongest(tables: dict[str, list[Row]]) -> list[str]:
    """The terms whose t (without one, whose estimate) is the largest in any target."""
    size: dict[str, float] = {}
    for rows in tables.values():
        for row in rows:
            value = row["t"] if row["t"] is not None else row["estimate"]
            size[row["term"]] = max(size.get(row["term"], 0.0), abs(value or 0.0))
    return sorted(size, key=lambda term: -size[term])[:MOST_TERMS]


def _about_intervals(subject: Subject, *, inferred: bool) -> list[str]:
    if inferred:
        return []
    if subject.solver != "exact" or isinstance(subject.fit["solver"], dict):
        return [f"no intervals: with the solver {subject.solver} they are not known"]
    return ["no intervals: the rows leave none to estimate errors from, or fit perfectly"]


def _forest(axes: Axes, target: str, rows: list[Row]) -> list[str]:
    """Draw one target's rows, the first on top; what is to be noted."""
    notes = []
    drawn = [row for row in rows if row["estimate"] is not None]
    others = [row for row in drawn if row["term"] != INTERCEPT]
    if len(others) < len(drawn) and others and _span(drawn) > STRETCH * _span(others):
        drawn = others
        notes.append("the intercept lies off the axis")
    places = {row["term"]: place for place, row in enumerate(rows)}
    known = [row for row in drawn if row["lower"] is not None]
    lines = [places[row["term"]] for row in known]
    axes.hlines(lines, [row["lower"] for row in known], [row["upper"] for row in known], color=ACCENT, linewidth=1.6, gid="intervals")
    for rows_alike, fill in ((list(filter(_is_sure, drawn)), ACCENT), ([row for row in drawn if not _is_sure(row)], "white")):
        at = [places[row["term"]] for row in rows_alike]
        axes.plot([row["estimate"] for row in rows_alike], at, "o", color=ACCENT, markerfacecolor=fill, markersize=5, gid="estimates")
    if not all(map(_is_sure, drawn)):
        notes.append("hollow: the interval includes zero")
    axes.axvline(0.0, color=RULE, linewidth=0.8, zorder=0)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks(range(len(rows)), [name(row["term"]) for row in rows])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    round_marks(axes.xaxis)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(f"change of {name(target)} for one more of the term")
    axes.grid(visible=True, axis="both")
    numbers = axes.twinx()
    numbers.set_ylim(axes.get_ylim())
    numbers.set_yticks(range(len(rows)), [_numbers(row) for row in rows])
    numbers.tick_params(axis="y", length=0, labelcolor=MUTED)
    numbers.spines[["left", "right"]].set_visible(False)
    return notes


def _is_sure(row: Row) -> bool:
    """Whether the interval, where there is one, lies on one side of zero."""
    return bool(row["lower"] is None or row["lower"] > 0 or row["upper"] < 0)


def _span(rows: list[Row]) -> float:
    """How wide an axis must be for zero and these rows."""
    ends: list[float] = [0.0, *(row[end] for row in rows for end in ("estimate", "lower", "upper") if row[end] is not None)]
    return max(ends) - min(ends)


def _numbers(row: Row) -> str:
    if row["estimate"] is None:
        return "left out: a combination of others"
    interval = f"  [{short(row['lower'])}, {short(row['upper'])}]" if row["lower"] is not None else ""
    return short(row["estimate"]) + interval


def _described(tables: dict[str, list[Row]], terms: list[str]) -> str:
    parts = []
    for target, rows in tables.items():
        by_term = {row["term"]: row for row in rows}
        listed = "; ".join(f"{name(term)} {_numbers(by_term[term])}" for term in terms)
        parts.append(f"{name(target)}: {listed}")
    return ". ".join(parts) + "."
