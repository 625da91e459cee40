"""The report of a version: one HTML file with everything in it, to read on a screen or on paper."""

import json
import shlex
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from service.errors import Contradiction
from service.plots.inline import inlined
from service.plots.style import encoded, name, our_style, short, whole
from service.plots.subject import Subject, per_target

NOTHING = "–"
MOST_TERMS = 8  # of a formula that is written out
LONGEST_NAME = 120
STATISTICS = {
    "r2": "R²", "adjusted_r2": "adjusted R²", "residual_std": "residual standard deviation", "rss": "residual sum of squares",
    "f": "F", "aic": "AIC", "bic": "BIC", "gap_to_exact": "gap to the exact fit (root mean square)",
}  # fmt: skip
OPERATIONS = {
    "train": "trained on rows", "learn": "learned more rows", "append": "learned more rows", "forget": "forgot rows",
    "remove": "forgot rows", "merge": "merged from other versions", "refit": "fitted anew from what was remembered",
    "select": "selected from what was remembered", "import": "imported from another store",
}  # fmt: skip


def report_file(subject: Subject) -> bytes:
    """The report; whatever it names is text in it, never markup."""
    figures, unseen = _figures(subject)
    document, fit = subject.document, subject.fit
    tables = [(_name(target), [_cells(row) for row in fit["coefficients"] if row["target"] == target]) for target in subject.targets]
    inferred = any(row["std_error"] is not None for row in fit["coefficients"])
    text = _template().render(
        label=_name(subject.label),
        model=document["model"],
        version=document["version"],
        description=document["description"],
        summary=_summary(subject),
        formulas=_formulas(subject),
        fitted=_fitted(subject),
        targets=[_name(target) for target in subject.targets],
        statistics=_statistics(subject),
        tables=[(target, rows if inferred else [row[:2] for row in rows]) for target, rows in tables],
        inferred=inferred,
        figures=figures,
        remarks=[f"{remark[:1].upper()}{remark[1:]}" for remark in (*fit.get("advice", ()), *_conditioned(subject), *unseen)],
        provenance=_provenance(document),
        repeat=_repeat(subject),
        gradient=subject.by_gradient,
        again=f"python -m service report {shlex.quote(subject.label)} -o report.html",
    )
    return text.encode()


@cache
def _template() -> Template:
    place = FileSystemLoader(Path(__file__).parent)
    return Environment(loader=place, autoescape=True, undefined=StrictUndefined, trim_blocks=False).get_template("report.html")


def _figures(subject: Subject) -> tuple[list[Markup], list[str]]:
    """Every figure that can be drawn, as markup; and why the others cannot."""
    from service.plots.kinds import DRAW  # noqa: PLC0415 - which lists the report among what it draws

    figures, unseen = [], list(subject.missing.values())
    with our_style():
        for kind, draw in DRAW.items():
            try:
                figures.append(Markup(inlined(encoded(draw(subject), "svg"), kind)))  # noqa: S704 - escaped where it was made
            except Contradiction as error:
                if str(error) not in unseen and (kind != "loss" or subject.by_gradient):
                    unseen.append(str(error))
    return figures, unseen


def _summary(subject: Subject) -> str:
    fit, document = subject.fit, subject.document
    rows = f"{whole(fit['n'])} row{'s' if fit['n'] != 1 else ''}"
    r2 = ", ".join(_number(value) for value in per_target(fit["r2"]))
    operation = OPERATIONS.get(document["operation"], document["operation"])
    return f"{rows} · R² {r2} · {operation} · {_time(document['created'])}"


def _formulas(subject: Subject) -> list[tuple[str, str]]:
    """Each target as a sum of terms, where that is short."""
    found = []
    for target in subject.targets:
        rows = [row for row in subject.fit["coefficients"] if row["target"] == target and row["estimate"] is not None]
        if len(rows) <= MOST_TERMS:
            parts = [short(row["estimate"]) + ("" if row["term"] == "intercept" else f" {_name(row['term'])}") for row in rows]
            found.append((_name(target), " + ".join(parts).replace("+ −", "− ") or "0"))
    return found


def _fitted(subject: Subject) -> list[tuple[str, str]]:
    schema, fit = subject.document["schema"], subject.fit
    frame = schema["frame"]
    categories = frame["categories"]
    features = [_name(feature["name"]) + _categories(categories.get(feature["name"])) for feature in schema["features"]]
    solver = fit["solver"]
    given = solver.items() if isinstance(solver, dict) else ()
    options = ", ".join(f"{key.replace('_', ' ')} {_value(value)}" for key, value in given if key != "name" and value is not None)
    rows = [
        ("targets" if len(subject.targets) > 1 else "target", ", ".join(map(_name, subject.targets))),
        ("features", ", ".join(features)),
        ("terms", ", ".join(map(_name, schema["terms"])) or "none"),
        ("intercept", "yes" if frame["intercept"] else "no"),
        ("solver", subject.solver.replace("_", " ") + (f": {options}" if options else "")),
        ("rows", whole(fit["n"])),
        ("missing values", "rows with them were left out" if frame["missing"] == "drop" else "refused"),
    ]
    if categories:
        rows.append(("new categories", "taken for the reference" if frame["unseen"] == "reference" else "refused"))
    return rows


def _categories(known: list[str] | None) -> str:
    """What is to be known of a feature's categories."""
    return f" ({len(known)} categories, of which {_name(known[0])} is the reference)" if known else ""


def _statistics(subject: Subject) -> list[tuple[str, list[str]]]:
    fit, count = subject.fit, len(subject.targets)
    rows = [("rows", [whole(fit["n"])] * count), ("degrees of freedom left", [whole(fit["dof"])] * count)]
    for key, text in STATISTICS.items():
        values = per_target(fit.get(key))
        if any(value is not None for value in values):
            rows.append((text, [_number(value) for value in values]))
    return rows


def _cells(row: dict[str, Any]) -> list[str]:
    if row["estimate"] is None:
        return [_name(row["term"]), "left out", *[NOTHING] * 5]
    estimate, std_error, t, lower, upper = (_number(row[key]) for key in ("estimate", "std_error", "t", "lower", "upper"))
    return [_name(row["term"]), estimate, std_error, t, _p(row["p"]), lower, upper]


def _conditioned(subject: Subject) -> list[str]:
    """What the condition of the design says; of gradient training it is said of the fit that it comes near to."""
    fit = subject.fit
    if fit["condition"] is None:
        return []
    estimates = "estimates of the exact fit" if subject.by_gradient else "estimates"
    digits = f"about {fit['digits']:.0f} digits of the {estimates} are certain"
    return [f"The condition number of the scaled design is {_number(fit['condition'])}; {digits}."]


def _provenance(document: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [
        ("model", document["model"]),
        ("version", document["version"]),
        ("made", f"{_time(document['created'])}: {OPERATIONS.get(document['operation'], document['operation'])}"),
        ("made from", f"version {document['parent']}" if document["parent"] else "rows alone"),
        ("fingerprint of the sums", document["fingerprint"] or NOTHING),
        ("weights", document["state_dict"]),
        *(("label", f"{key} = {value}") for key, value in document["labels"].items()),
    ]
    libraries = document.get("libraries", {})
    return [*rows, ("made with", ", ".join(f"{key} {value}" for key, value in libraries.items()))] if libraries else rows


def _repeat(subject: Subject) -> str:
    """The command that fits rows in the frame of this version."""
    solver = subject.fit["solver"]
    parts = ["python -m service train rows.csv", f"--like {shlex.quote(subject.label)}"]
    parts += [f"--target {shlex.quote(target)}" for target in subject.targets]
    if solver != "exact":
        parts.append(f"--solver {shlex.quote(json.dumps(solver, ensure_ascii=False) if isinstance(solver, dict) else solver)}")
    return " \\\n  ".join(_printable(part) for part in [*parts, "--model again --no-promote"])


def _value(value: Any) -> str:
    """The value of an option."""
    return ("no", "yes")[value] if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _number(value: Any) -> str:
    return NOTHING if value is None else short(value, 6)


def _p(value: float | None) -> str:
    return NOTHING if value is None else "< 0.0001" if value < 1e-4 else f"{value:.4f}"


def _name(text: str) -> str:
    return name(text, LONGEST_NAME)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def _time(created: str) -> str:
    return f"{created[:10]} {created[11:16]} UTC"
