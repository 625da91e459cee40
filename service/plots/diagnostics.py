"""What the rows that were kept say about a fit: one panel for each target."""

from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from service.errors import Contradiction
from service.plots import style
from service.plots.style import ACCENT, CONTRAST, MUTED, RULE, Drawing, name, panels, plain_axes, points, short, whole
from service.plots.subject import MOST_PANELS, Subject

Array = NDArray[np.float64]
COOK = (0.5, 1.0)
MANY = 100  # rows from which on the means of tenths are drawn
TENTHS = 10


def draw_fit(subject: Subject) -> Drawing:
    """Of one numeric feature the rows, the line and its intervals; of several what was observed against what is fitted."""
    sample = subject.need("sample")
    if subject.curve is None:
        return _each(subject, "Observed and fitted values", lambda axes, target: _observed(subject, axes, target))
    (feature,) = sample["columns"]

    def draw(axes: Axes, target: str) -> str:
        curve = subject.curve or {}
        line, x = curve["targets"][target], np.array(curve["x"])
        if "lower" in line:
            axes.fill_between(x, line["lower"], line["upper"], color=ACCENT, alpha=0.10, linewidth=0, label="95 %: a new row")
            axes.fill_between(x, line["mean_lower"], line["mean_upper"], color=ACCENT, alpha=0.25, linewidth=0, label="95 %: the mean")
        points(axes, sample["columns"][feature], sample["targets"][target], colour=CONTRAST, label="rows")
        axes.plot(x, line["fitted"], color=ACCENT, label="fit", gid="line")
        plain_axes(axes, name(feature), name(target))
        return f"{name(target)} from {short(line['fitted'][0])} at {short(x[0])} to {short(line['fitted'][-1])} at {short(x[-1])}"

    return _each(subject, "Fit", draw)


def draw_residuals(subject: Subject) -> Drawing:
    """What is left of each row against what is fitted."""
    sample = subject.need("sample")

    def draw(axes: Axes, target: str) -> str:
        fitted, residual = np.array(sample["fitted"][target]), np.array(sample["residual"][target])
        axes.axhline(0.0, color=RULE, linewidth=0.8, zorder=0)
        points(axes, fitted, residual)
        if len(fitted) >= MANY and np.ptp(fitted) > 0:
            parts = np.array_split(np.argsort(fitted, kind="stable"), TENTHS)
            means = [residual[part].mean() for part in parts]
            axes.plot([fitted[part].mean() for part in parts], means, color=CONTRAST, label="mean of each tenth", gid="means")
        plain_axes(axes, f"fitted {name(target)}", f"residual of {name(target)}")
        return f"{name(target)}: residuals from {short(residual.min())} to {short(residual.max())}"

    return _each(subject, "Residuals", draw)


def draw_qq(subject: Subject) -> Drawing:
    """The ordered residuals against what normal ones would be."""
    sample = subject.need("sample")
    standardized = sample["standardized"]

    def draw(axes: Axes, target: str) -> str:
        known = standardized is not None
        values = _known((standardized or sample["residual"])[target])
        _require_errors(subject, len(values))
        ordered = np.sort(values)
        normal = normal_scores(len(ordered))
        slope, offset = (1.0, 0.0) if known else _through_quartiles(ordered)
        ends = np.array([normal[0], normal[-1]])
        axes.plot(ends, offset + slope * ends, color=CONTRAST, linewidth=1.2, label="normal residuals")
        points(axes, normal, ordered)
        plain_axes(axes, "normal quantile", f"{'standardized ' if known else ''}residual of {name(target)}")
        return f"{name(target)}: residuals from {short(ordered[0])} to {short(ordered[-1])} where normal ones reach {short(normal[-1])}"

    return _each(subject, "Normal Q-Q plot of the residuals", draw)


def draw_leverage(subject: Subject) -> Drawing:
    """Standardized residuals against leverage, with curves of equal Cook's distance.

    Raises:
        Contradiction: they are not known of the version's solver, or the fit leaves none.
    """
    sample = subject.need("sample")
    standardized, leverage = sample["standardized"], sample["leverage"]
    if leverage is None or standardized is None:
        raise Contradiction(
            f"version {subject.label} has no leverages: they are not known of the solver {subject.solver}, refit it with the solver exact"
        )
    parameters = subject.fit["n"] - subject.fit["dof"]

    def draw(axes: Axes, target: str) -> str:
        h, r = np.array(leverage, dtype=float), np.array(standardized[target], dtype=float)
        shown = np.isfinite(h) & np.isfinite(r)
        h, r = h[shown], r[shown]
        _require_errors(subject, len(h))
        distance = cook(h, r, parameters)
        axes.axhline(0.0, color=RULE, linewidth=0.8, zorder=0)
        far = distance >= COOK[0]
        points(axes, h[~far], r[~far], label="rows")
        if far.any():
            points(axes, h[far], r[far], colour=CONTRAST, label=f"Cook's distance from {COOK[0]} on")
        _cook_curves(axes, h, r, parameters)
        plain_axes(axes, "leverage", f"standardized residual of {name(target)}")
        return f"{name(target)}: the largest leverage is {short(h.max())}, the largest Cook's distance {short(distance.max())}"

    return _each(subject, "Leverage", draw)


def cook(leverage: Array, standardized: Array, parameters: int) -> Array:
    """Cook's distance [k] of rows with standardized residuals r and leverages h: r² h / (p (1 - h)); infinite for a leverage of 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = standardized**2 * leverage / (parameters * (1.0 - leverage))
    return np.where(leverage < 1, distance, np.inf)


def normal_scores(count: int) -> Array:
    """The quantiles [count] that normal values would be near when ordered, by the plotting positions of R's `ppoints`."""
    offset = 0.375 if count <= 10 else 0.5
    quantile = NormalDist().inv_cdf
    return np.array([quantile((place - offset) / (count + 1 - 2 * offset)) for place in range(1, count + 1)])


def _observed(subject: Subject, axes: Axes, target: str) -> str:
    sample = subject.need("sample")
    fitted, observed = np.array(sample["fitted"][target]), np.array(sample["targets"][target])
    ends = [min(fitted.min(), observed.min()), max(fitted.max(), observed.max())]
    axes.plot(ends, ends, color=RULE, linewidth=1.0, label="as fitted")
    points(axes, fitted, observed)
    plain_axes(axes, f"fitted {name(target)}", f"observed {name(target)}")
    return f"{name(target)}: observed from {short(observed.min())} to {short(observed.max())}"


def _cook_curves(axes: Axes, h: Array, r: Array, parameters: int) -> None:
    """Draw where Cook's distance is 0.5 and 1, as far as the rows reach."""
    right, tall = 1.05 * float(h.max()), 1.15 * float(np.abs(r).max()) or 1.0
    x = np.linspace(1e-4 * right, min(right, 1 - 1e-9), 200)
    for distance in COOK:
        y = np.sqrt(distance * parameters * (1.0 - x) / x)
        for side in (1.0, -1.0):
            axes.plot(x, side * y, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), gid="cook")
        if y[-1] < tall:
            axes.annotate(f"{distance:g}", (x[-1], y[-1]), xytext=(3, 0), textcoords="offset points", fontsize=7, color=MUTED, va="center")
    if y[-1] < tall or np.sqrt(COOK[0] / COOK[-1]) * y[-1] < tall:
        axes.plot([], [], color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), label="Cook's distance 0.5 and 1")
    axes.set_xlim(0.0, right)
    axes.set_ylim(-tall, tall)


def _each(subject: Subject, what: str, draw: Callable[[Axes, str], str]) -> Drawing:
    """One panel for each target; `draw` draws it and says what is to be seen."""
    sample = subject.need("sample")
    _require_rows(sample["count"])
    targets = subject.targets[:MOST_PANELS]
    figure, axes = panels(len(targets))
    told = [draw(panel, target) for panel, target in zip(axes, targets, strict=True)]
    notes = [f"{whole(sample['count'])} of {whole(sample['n'])} rows"]
    if len(targets) < len(subject.targets):
        notes.append(f"{len(targets)} of {len(subject.targets)} targets")
    if sample.get("weights"):
        notes.append("rows are weighted")
    style.legend(axes[0])
    title = f"{what} of {name(subject.label)}"
    style.tell(figure, title, notes)
    return Drawing(figure, title, f"{notes[0]}. {'. '.join(told)}.")


def _require_rows(count: int) -> None:
    if not count:
        raise Contradiction("no kept row is left to draw: learn rows again, or train with a larger sample")


def _require_errors(subject: Subject, count: int) -> None:
    if not count:
        raise Contradiction(
            f"version {subject.label} has no errors to compare residuals with: its fit is perfect, or needs all its rows; learn more rows"
        )


def _known(values: list[float | None]) -> Array:
    """The values that are there."""
    return np.array([value for value in values if value is not None], dtype=float)


def _through_quartiles(ordered: Array) -> tuple[float, float]:
    """Slope and offset of the line through the quartiles of ordered values and of normal ones, as R draws it."""
    low, high = np.quantile(ordered, [0.25, 0.75])
    reach = NormalDist().inv_cdf(0.75)
    return float(high - low) / (2 * reach), float(high + low) / 2
