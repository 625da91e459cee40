"""The report of a version: complete, self-contained, and harmless whatever names it holds."""

from collections import Counter
from html.parser import HTMLParser

import pytest
import statsmodels.api as sm

from service.plots.style import short
from tests.plots.conftest import HOSTILE, HOSTILE_TARGET, line
from tests.plots.gallery import Gallery


class Reader(HTMLParser):
    """The elements with their attributes, and the text outside style sheets, of a page."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.text += data


@pytest.fixture(scope="module")
def line_report(gallery: Gallery) -> Reader:
    return Reader(gallery.draw("line", "report", "html"))


def test_a_report_tells_the_fit(line_report: Reader) -> None:
    """Coefficients with errors and intervals and the statistics of the fit are statsmodels' own."""
    x, y = line()
    fit = sm.OLS(y, sm.add_constant(x)).fit()

    for value in (*fit.params, *fit.bse, *fit.tvalues, *fit.conf_int().ravel(), fit.rsquared, fit.rsquared_adj, fit.ssr, fit.fvalue):
        assert short(value, 6) in line_report.text
    for word in ("50 rows", "y = 0.", "degrees of freedom left", "fingerprint of the sums", "sha256:", "made with", "numpy"):
        assert word in line_report.text


def test_a_report_shows_every_figure_there_is(gallery: Gallery, line_report: Reader) -> None:
    """Every figure that can be drawn stands in it, with ids of its own; what cannot is told with what to do."""
    identities = [identity for _, attributes in line_report.elements if (identity := attributes.get("id"))]
    told = Reader(gallery.draw("bare", "report", "html"))

    assert sum(tag == "svg" for tag, _ in line_report.elements) == 6  # all but the loss, which an exact fit has not
    assert [identity for identity, count in Counter(identities).items() if count > 1] == []
    assert sum(tag == "svg" for tag, _ in told.elements) == 2
    assert '"sample": 1000' in told.text
    assert "history" not in told.text


def test_a_report_needs_nothing_else(gallery: Gallery, line_report: Reader) -> None:
    """No script, no link and no address of anything outside: what is referred to lies in the file."""
    for reader in (line_report, Reader(gallery.draw("hostile", "report", "html"))):
        assert {"script", "link", "iframe", "object", "base", "a"} & {tag for tag, _ in reader.elements} == set()
        for _, attributes in reader.elements:
            for name in ("src", "href", "xlink:href"):
                assert (attributes.get(name) or "#").startswith(("#", "data:image/png"))


def test_hostile_names_are_text(gallery: Gallery) -> None:
    """Names, description and labels stand in a report as they are, as text: no element and no attribute comes of them."""
    page = gallery.draw("hostile", "report", "html")
    reader = Reader(page)

    assert {"b", "i", "img", "script"} & {tag for tag, _ in reader.elements} == set()
    assert [name for _, attributes in reader.elements for name in attributes if name.startswith("on")] == []
    assert sum(tag == "style" for tag, _ in reader.elements) == 1 + 5  # one of the page, and one of each figure
    for text in (
        HOSTILE[0],
        HOSTILE[1],
        '$x^2$ & "quoted" \ufffd',
        HOSTILE[3],
        HOSTILE_TARGET,
        "<b>bold</b>",
        "</style><script>x</script>",
    ):
        assert text in reader.text
    assert "\u0007" not in page.decode()


@pytest.mark.parametrize("model", ["descent", "houses", "aliased", "single", "perfect", "lasso"])
def test_every_sort_of_version_has_a_report(gallery: Gallery, model: str) -> None:
    """With several targets, without intervals, with columns left out, of one row or a perfect fit: a report is written."""
    text = Reader(gallery.draw(model, "report", "html")).text

    assert f"python -m service report {model}@1 -o report.html" in text
    assert "nan" not in text.split()
    assert "None" not in text


def test_digits_are_told_of_the_fit_that_has_them(gallery: Gallery, line_report: Reader) -> None:
    """The moments determine so many digits of the exact estimates; those that gradient descent has come to are another matter."""
    assert "digits of the estimates are certain" in line_report.text
    assert "digits of the estimates of the exact fit are certain" in Reader(gallery.draw("descent", "report", "html")).text
