"""How figures look, alike on every machine: fonts that matplotlib ships, few lines, two colours that everybody can tell apart."""

import io
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from matplotlib.typing import RcKeyType

ACCENT, CONTRAST = "#2563eb", "#d97706"
INK, MUTED, RULE, FAINT = "#1f2937", "#6b7280", "#9ca3af", "#e5e7eb"
DPI = 144
EDGE = 0.08  # inches left free at the left and at the right
LONGEST_NAME = 32
MOST_VECTORS = 2000  # points drawn as shapes; more become one image inside the file
SETTINGS: dict[RcKeyType, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.color": INK,
    "text.parse_math": False,  # a name with dollar signs is a name
    "axes.unicode_minus": True,
    "axes.edgecolor": RULE,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9.0,
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "lines.linewidth": 1.5,
    "svg.fonttype": "none",  # text stays text: it can be searched, read aloud and selected
    "svg.hashsalt": "plumbline",  # equal figures get equal bytes
    "path.simplify": False,
}
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Drawing:
    """A figure with its text alternative: a title, and a description of what is to be seen."""

    figure: Figure
    title: str
    description: str


@contextmanager
def our_style() -> Iterator[None]:
    """Draw and write inside; what the machine or its user have set for matplotlib does not matter."""
    with mpl.rc_context(), warnings.catch_warnings():
        # A name in a script that the font lacks is text in an SVG, and boxes in a PNG; neither is a fault.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)
        yield


def encoded(drawing: Drawing, form: str) -> bytes:
    """The file, `svg` or `png`, of a drawing; equal drawings give equal bytes."""
    _number_marks(drawing.figure)
    file = io.BytesIO()
    if form == "png":
        drawing.figure.savefig(file, format="png", metadata={"Software": None, "Title": drawing.title})
        return file.getvalue()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    drawing.figure.savefig(file, format="svg", metadata=nothing)
    told = f"<title>{escape(drawing.title)}</title>\n <desc>{escape(drawing.description)}</desc>"
    return re.sub(r"(<svg [^>]*)>", lambda found: f'{found[1]} role="img">\n {told}', file.getvalue().decode(), count=1).encode()


def _number_marks(figure: Figure) -> None:
    """Tell parts that are marked alike apart, so that an id stands once in a file."""
    seen: Counter[str] = Counter()
    for part in figure.findobj(lambda part: part.get_gid() is not None):
        mark = str(part.get_gid())
        seen[mark] += 1
        if seen[mark] > 1:
            part.set_gid(f"{mark}-{seen[mark]}")


def blank(width: float = 7.0, height: float = 4.4) -> Figure:
    """An empty figure of so many inches, whose parts find their places by themselves."""
    figure = Figure(figsize=(width, height), dpi=DPI)
    figure.set_layout_engine("constrained", rect=(EDGE / width, 0.0, 1.0 - 2 * EDGE / width, 1.0))
    return figure


def panels(count: int, *, height: float = 4.4) -> tuple[Figure, list[Axes]]:
    """A figure with so many axes: one alone, or two in a row."""
    columns = min(count, 2)
    rows = -(-count // columns)
    figure = blank(7.0 if columns == 1 else 9.0, height if rows == 1 else height * 0.8 * rows)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in axes[count:]:
        unused.set_axis_off()
    return figure, axes[:count]


def tell(figure: Figure, title: str, notes: Sequence[str] = ()) -> None:
    """Put the title above a figure and notes beneath it."""
    figure.suptitle(title, x=0.012, ha="left", fontsize=11.0, fontweight="bold")
    if notes:
        figure.supxlabel("  ·  ".join(notes), x=0.012, ha="left", fontsize=7.5, color=MUTED)


def legend(axes: Axes) -> None:
    """Name what is drawn, above the data."""
    if axes.get_legend_handles_labels()[1] not in ([], ["rows"]):  # dots alone are rows, whoever looks
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4, borderaxespad=0.2, borderpad=0.0, columnspacing=1.4)


def points(axes: Axes, x: Any, y: Any, *, colour: str = ACCENT, label: str | None = None) -> None:
    """Rows as dots, the lighter the more there are."""
    many = len(x)
    size, alpha = (16.0, 0.75) if many <= 300 else (9.0, 0.5) if many <= MOST_VECTORS else (5.0, 0.3)
    axes.scatter(x, y, s=size, color=colour, alpha=alpha, linewidths=0, label=label, rasterized=many > MOST_VECTORS, gid="rows")


def plain_axes(axes: Axes, x: str, y: str) -> None:
    """Label both axes and mark a few round numbers on them."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    for axis in (axes.xaxis, axes.yaxis):
        round_marks(axis)
    axes.grid(visible=True)


def round_marks(axis: Axis) -> None:
    """Mark a few round numbers."""
    axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))


def log_axis(axes: Axes) -> None:
    """Make the vertical axis logarithmic, its marks powers of ten."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(numticks=8))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: power_of_ten(value)))
    axes.yaxis.set_minor_formatter(NullFormatter())


def power_of_ten(value: float) -> str:
    """A power of ten as people write it."""
    exponent = round(float(f"{value:e}".partition("e")[2]))
    return f"{value:g}" if -3 <= exponent <= 3 else "10" + str(exponent).translate(SUPERSCRIPTS)


def short(value: float, digits: int = 4) -> str:
    """A number with as many digits as a reader of a figure can use."""
    text = f"{value:.{digits}g}"
    mantissa, e, exponent = text.partition("e")
    return (f"{mantissa}·10{str(int(exponent)).translate(SUPERSCRIPTS)}" if e else text).replace("-", "−")


def whole(count: int) -> str:
    """A count with its thousands apart."""
    return f"{count:,}"


def name(text: str, longest: int = LONGEST_NAME) -> str:
    """A name as it can be drawn: without characters that control, and shortened in the middle when it is long."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    if len(shown) <= longest:
        return shown
    keep = longest - 1
    return f"{shown[: keep - keep // 3]}…{shown[len(shown) - keep // 3 :]}"
