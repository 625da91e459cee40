"""The loss of gradient training, epoch by epoch."""

import numpy as np
from numpy.typing import NDArray

from service.plots.style import ACCENT, CONTRAST, Drawing, legend, log_axis, name, panels, plain_axes, short, tell, whole
from service.plots.subject import Subject, per_target

DECADES = 2.0  # from which on the loss is drawn on a logarithmic axis
FAR = 1e3  # where the exact fit's loss is so many times smaller than any other, its line would leave the curve no room
FLOOR = 1e-13  # what is left of a difference of two losses below this share of them is rounding
FLOOR_32 = 1e-6  # of a training in float32


def draw_loss(subject: Subject) -> Drawing:
    """The loss, and where it is known how far it lies above that of the exact fit."""
    history = subject.history()
    epochs = np.array([entry["epoch"] for entry in history])
    loss = np.array([entry["loss"] for entry in history], dtype=float)
    kind = subject.fit["solver"]["loss"]
    least = least_loss(subject, float(loss[-1])) if kind == "mse" else None
    near = None if least is None or (_wide(loss) and FAR * least < loss.min()) else least
    figure, axes = panels(1 if near is None or len(loss) < 2 else 2, height=3.8)
    marker = "o" if len(loss) <= 30 else ""
    axes[0].plot(epochs, loss, color=ACCENT, marker=marker, markersize=3.5, label="loss", gid="loss")
    if near is not None:
        axes[0].axhline(near, color=CONTRAST, linewidth=1.2, linestyle=(0, (4, 3)), label="loss of the exact fit", gid="least")
    plain_axes(axes[0], "epoch", f"loss ({kind})")
    if _wide(loss):
        log_axis(axes[0])
    if near is not None and len(axes) > 1:
        above = loss - near
        shown = above > np.abs(loss) * (FLOOR_32 if (loss == loss.astype(np.float32)).all() else FLOOR)
        axes[1].plot(epochs[shown], above[shown], color=ACCENT, marker=marker, markersize=3.5)
        plain_axes(axes[1], "epoch", "loss above that of the exact fit")
        if _wide(above[shown]):
            log_axis(axes[1])
    legend(axes[0])
    title = f"Loss of {name(subject.label)}, {name(subject.solver.replace('_', ' '))}"
    off = [f"loss of the exact fit: {short(least)}"] if least is not None and near is None else []
    tell(figure, title, _notes(subject, len(history)) + off)
    ends = f"The loss ({kind}) falls from {short(loss[0])} to {short(loss[-1])} in {whole(len(loss) - 1)} epochs"
    exact = f"; that of the exact fit is {short(least)}" if least is not None else ""
    return Drawing(figure, title, f"{ends}{exact}.")


def least_loss(subject: Subject, final: float) -> float | None:
    """The mean squared error of the exact fit: the final one less the mean square of the gap between the predictions."""
    gaps = per_target(subject.fit.get("gap_to_exact"))
    if any(gap is None for gap in gaps):
        return None
    return max(0.0, final - float(np.mean(np.square(gaps))))


def _wide(values: NDArray[np.float64]) -> bool:
    """Whether values are positive and span decades."""
    return bool(len(values)) and bool(values.min() > 0 and np.log10(values.max() / values.min()) > DECADES)


def _notes(subject: Subject, entries: int) -> list[str]:
    solver = subject.fit["solver"]
    notes = [f"{whole(entries - 1)} epochs"]
    if solver["learning_rate"] is not None:
        notes.append(f"learning rate {short(solver['learning_rate'])}")
    if solver.get("batch_size"):
        notes.append(f"batches of {whole(solver['batch_size'])} rows")
    if subject.fit.get("converged"):
        notes.append("ended by its tolerance")
    return notes
