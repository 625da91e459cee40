"""The cost as a function of the parameters, with the path that training walked on it.

The mean squared error is a quadratic of the parameters, known exactly from the moments: no rows are needed.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from numpy.typing import NDArray

from service.errors import Contradiction
from service.plots.style import ACCENT, CONTRAST, INK, MUTED, RULE, Drawing, legend, name, panels, plain_axes, short, tell, whole
from service.plots.subject import INTERCEPT, MOST_PANELS, Subject

Array = NDArray[np.float64]
MOST_TANGENTS = 12
MOST_STEPS = 2000
RINGS, MOST_RINGS = 6, 14  # from the minimum to the highest place of the path, or to the picture's edge; and in all
ARC = 145  # points of a ring
GRID = 241
MARGIN = 0.18
TIED = 0.98  # correlation of two parameters from which on the rings are too narrow for labels
NARROWEST = 0.4  # how much of a ring is seen in the direction in which the path is short, over the one in which it is long


@dataclass(frozen=True)
class Quadratic:
    """least + (b - minimum)' matrix (b - minimum) of parameters b [p] by their `names`: nothing cancels near the minimum [p]."""

    names: tuple[str, ...]
    matrix: Array
    minimum: Array
    least: float

    @classmethod
    def of(cls, cost: dict[str, Any]) -> "Quadratic":
        """The cost that a document tells."""
        matrix = np.array(cost["quadratic"]["matrix"], dtype=float)
        return cls(tuple(cost["parameters"]), matrix, np.array(cost["minimum"], dtype=float), float(cost["least"]))

    def at(self, b: Array) -> Array:
        """The mean squared error [k] at parameters b [k, p]."""
        apart = b - self.minimum
        cost: Array = self.least + np.einsum("ki,ij,kj->k", apart, self.matrix, apart)
        return cost

    def ring(self, rise: float) -> Array:
        """The closed curve [k, 2] on which the mean squared error of two parameters is the least one and `rise`: an ellipse."""
        turn = np.linspace(0.0, 2 * np.pi, ARC)
        circle = np.stack([np.cos(turn), np.sin(turn)])
        ellipse: Array = self.minimum + np.sqrt(rise) * np.linalg.solve(np.linalg.cholesky(self.matrix).T, circle).T
        return ellipse

    @property
    def tied(self) -> float:
        """How closely two parameters make up for each other: the correlation of their estimates, without its sign."""
        spread = np.linalg.inv(self.matrix)
        return float(abs(spread[0, 1]) / np.sqrt(spread[0, 0] * spread[1, 1]))

    def best_first(self) -> "Quadratic":
        """The cost of all parameters but the first, which is at its best for each of them."""
        first, across, rest = self.matrix[0, 0], self.matrix[0, 1:], self.matrix[1:, 1:]
        return Quadratic(self.names[1:], rest - np.outer(across, across) / first, self.minimum[1:], self.least)


def draw_surface(subject: Subject) -> Drawing:
    """The parabola of one parameter with tangents, or the contours over two; of three, the first is at its best for the two others.

    Raises:
        Contradiction: more parameters, or columns that are combinations of others.
    """
    if subject.fit["aliased"]:
        raise Contradiction("the cost has no single minimum: a column is a combination of others, leave it out and train again")
    costs = {target: Quadratic.of(cost) for target, cost in list(subject.need("costs").items())[:MOST_PANELS]}
    names = next(iter(costs.values())).names
    walked = bool(subject.document.get("history"))
    figure, axes = panels(len(costs), height=4.2 if len(names) == 1 else 4.8)
    told = [
        _draw(panel, cost, path_of(subject, names, place), fitted_by(subject, target), target if len(costs) > 1 else "")
        for place, (panel, (target, cost)) in enumerate(zip(axes, costs.items(), strict=True))
    ]
    notes = [f"{whole(len(subject.history()) - 1)} epochs, {name(subject.solver.replace('_', ' '))}"] if walked else []
    if len(names) == 3:
        notes.append(f"{name(names[0])} is at its best for each point")
    if len(names) == 2 and any(cost.tied > TIED for cost in costs.values()):
        centred = f"; with {name(names[1])} less its mean it would be wide" if names[0] == INTERCEPT else ""
        notes.append(f"a narrow valley, in which one parameter makes up for the other{centred}")
    legend(axes[0])
    title = f"Cost of {name(subject.label)}" + (" with the path of its training" if walked else "")
    tell(figure, title, notes)
    return Drawing(figure, title, " ".join(told))


def _draw(axes: Axes, cost: Quadratic, path: Array, fitted: Array | None, target: str) -> str:
    """Draw the cost of one target; what is to be seen."""
    try:
        np.linalg.cholesky(cost.matrix)
    except np.linalg.LinAlgError as error:
        raise Contradiction("the cost is too narrow to be drawn: shift the columns nearer to zero and train again") from error
    if len(cost.names) == 3:
        cost, path, fitted = cost.best_first(), path[:, 1:], fitted if fitted is None else fitted[1:]
    seen = (_parabola if len(cost.names) == 1 else _contours)(axes, cost, path, fitted)
    if target:
        axes.set_ylabel(f"{axes.get_ylabel()} ({name(target)})")
    return seen


def path_of(subject: Subject, names: tuple[str, ...], place: int) -> Array:
    """The parameters [epochs + 1, p] of the target at a place, in the order of `names`; of a version without a history, none [0, p]."""
    history, own = subject.document.get("history") or [], len(subject.targets) > 1
    rows = []
    for entry in history:
        weight, bias = (entry["weight"][place], entry["bias"] and entry["bias"][place]) if own else (entry["weight"], entry["bias"])
        rows.append([bias, *weight] if names[0] == INTERCEPT else weight)
    return np.array(rows, dtype=float).reshape(len(rows), len(names))


def fitted_by(subject: Subject, target: str) -> Array | None:
    """The coefficients [p] of a target, where a solver found others than those of the least cost."""
    if subject.fit["solver"] == "exact":
        return None
    return np.array([row["estimate"] for row in subject.fit["coefficients"] if row["target"] == target], dtype=float)


def _parabola(axes: Axes, cost: Quadratic, path: Array, fitted: Array | None) -> str:
    low, high = _window(cost, path)[0]
    x = np.linspace(low, high, GRID)
    axes.plot(x, cost.at(x[:, None]), color=MUTED, linewidth=1.4, label="mean squared error", gid="parabola")
    for b in path[_steps(len(path), MOST_TANGENTS)]:
        slope = 2 * float(cost.matrix[0, 0] * (b[0] - cost.minimum[0]))
        reach = 0.09 * (high - low)
        ends = np.array([b[0] - reach, b[0] + reach])
        axes.plot(ends, float(cost.at(b[None])[0]) + slope * (ends - b[0]), color=CONTRAST, linewidth=1.1, gid="tangent")
    if len(path):
        axes.plot([], [], color=CONTRAST, linewidth=1.1, label="tangent at a step")
        steps = path[_steps(len(path), MOST_STEPS)]
        axes.plot(steps[:, 0], cost.at(steps), "o", color=ACCENT, markersize=4.5, label="epochs", gid="path")
    elif fitted is not None:
        axes.plot(fitted, cost.at(fitted[None]), "o", color=ACCENT, markersize=6, label="this version", gid="fitted")
    axes.plot(cost.minimum, [cost.least], "x", color=INK, markersize=7, markeredgewidth=1.6, label="exact fit")
    plain_axes(axes, _axis(cost.names[0]), "mean squared error")
    return f"A parabola over {name(cost.names[0])} with its least value {short(cost.least)} at {short(cost.minimum[0])}" + _walked(path)


def _contours(axes: Axes, cost: Quadratic, path: Array, fitted: Array | None) -> str:
    (left, right), (bottom, top) = _window(cost, path)
    corners = np.array([(x, y) for x in (left, right) for y in (bottom, top)])
    inside = np.min(np.square([(right - left) / 2, (top - bottom) / 2]) / np.diag(np.linalg.inv(cost.matrix)))
    step = np.sqrt(float(cost.at(path).max() - cost.least if len(path) else inside) or inside) / RINGS
    count = min(MOST_RINGS, int(np.sqrt(cost.at(corners).max() - cost.least) / step) + 1) if len(path) else RINGS
    colours = colormaps["Blues"](np.linspace(0.32, 0.0, count))
    for ring in range(count, 0, -1):
        edge = cost.ring((ring * step) ** 2)
        axes.fill(edge[:, 0], edge[:, 1], facecolor=colours[ring - 1], edgecolor=RULE, linewidth=0.6, gid="ring")
    for ring in range(2, count + 1, 2) if cost.tied <= TIED else ():
        edge = cost.ring((ring * step) ** 2)
        place = edge[edge[:, 1].argmax()]
        if left < place[0] < right and place[1] < top - 0.04 * (top - bottom):
            axes.text(place[0], place[1], short(cost.least + (ring * step) ** 2), fontsize=7, color=MUTED, ha="center", va="bottom")
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    if len(path):
        steps = path[_steps(len(path), MOST_STEPS)]
        marker = "o" if len(steps) <= 200 else ""
        axes.plot(steps[:, 0], steps[:, 1], "-", color=ACCENT, marker=marker, markersize=3.5, linewidth=1.2, label="epochs", gid="path")
        axes.plot(*steps[0], "o", color=ACCENT, markerfacecolor="white", markersize=7, label="start")
    elif fitted is not None:
        axes.plot(*fitted, "o", color=ACCENT, markersize=6, label="this version", gid="fitted")
    axes.plot(*cost.minimum, "x", color=CONTRAST, markersize=8, markeredgewidth=2, label="exact fit")
    plain_axes(axes, _axis(cost.names[0]), _axis(cost.names[1]))
    axes.grid(visible=False)
    where = " and ".join(f"{name(n)} {short(value)}" for n, value in zip(cost.names, cost.minimum, strict=True))
    return f"Contours of the mean squared error over {name(cost.names[0])} and {name(cost.names[1])}, least at {where}" + _walked(path)


def _axis(parameter: str) -> str:
    """What is written at the axis of a parameter."""
    return parameter if parameter == INTERCEPT else f"coefficient of {name(parameter)}"


def _window(cost: Quadratic, path: Array) -> list[tuple[float, float]]:
    """For each parameter, the range to show: around the minimum, the path and the other side of its highest place; or the minimum alone."""
    reach = np.sqrt(np.diag(np.linalg.inv(cost.matrix)))  # how far a ring goes in each parameter
    if len(path) and (path != cost.minimum).any():
        across = 2 * cost.minimum - path[np.argmax(cost.at(path))]
        places = np.vstack([path, cost.minimum, across])
        low, high = places.min(axis=0), places.max(axis=0)
    else:
        rise = cost.least or float(cost.minimum @ cost.matrix @ cost.minimum) or 1.0
        low, high = cost.minimum - np.sqrt(rise) * reach, cost.minimum + np.sqrt(rise) * reach
    half = (0.5 + MARGIN) * np.maximum(high - low, NARROWEST * np.max((high - low) / reach) * reach)
    middle = (low + high) / 2
    return list(zip((middle - half).tolist(), (middle + half).tolist(), strict=True))


def _steps(count: int, most: int) -> NDArray[np.intp]:
    """At most so many places among `count`, the first and the last among them: those of a geometric row, since steps get shorter."""
    if count <= most:
        return np.arange(count)
    return np.unique(np.concatenate([[0], np.geomspace(1, count - 1, most - 1).round().astype(np.intp)]))


def _walked(path: Array) -> str:
    if not len(path):
        return "."
    first, last = (", ".join(short(value) for value in path[place]) for place in (0, -1))
    return f"; training walked from ({first}) to ({last}) in {whole(len(path) - 1)} epochs."
