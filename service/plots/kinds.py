"""The kinds of figures, what each is drawn from, and the drawing of one as a file."""

from collections.abc import Callable

from service.plots.coefficients import draw_coefficients
from service.plots.diagnostics import draw_fit, draw_leverage, draw_qq, draw_residuals
from service.plots.loss import draw_loss
from service.plots.page import report_file
from service.plots.style import Drawing, encoded, our_style
from service.plots.subject import REPORT, Subject
from service.plots.surface import draw_surface

DRAW: dict[str, Callable[[Subject], Drawing]] = {
    "coefficients": draw_coefficients,
    "loss": draw_loss,
    "surface": draw_surface,
    "fit": draw_fit,
    "residuals": draw_residuals,
    "qq": draw_qq,
    "leverage": draw_leverage,
}


def file_of(subject: Subject, kind: str, form: str) -> bytes:
    """The figure of a kind as `svg` or `png`, or the report as `html`.

    Raises:
        Contradiction: it cannot be drawn of this version; the text says why and what to do.
    """
    if kind == REPORT:
        return report_file(subject)
    with our_style():
        return encoded(DRAW[kind](subject), form)
