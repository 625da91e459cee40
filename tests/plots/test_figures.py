"""Figures show the numbers there are: what is drawn is read back from the file and compared with an independent truth."""

import json
import subprocess
import sys
from collections import Counter
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.outliers_influence import OLSInfluence

from service.documents import dump
from service.errors import Contradiction, NotKept
from service.plots.kinds import DRAW, file_of
from service.plots.process import written
from service.plots.style import name, power_of_ten, short
from service.plots.subject import KINDS, Subject
from service.plots.surface import Quadratic
from tests.plots.conftest import HOSTILE, line, table
from tests.plots.gallery import Gallery, Panel, ids, mean_squared_error, texts
from tests.support import ROOT

PIXELS = 2e-3  # of the drawn span: labels of ticks have four digits
DRAWABLE = [
    *(("houses", kind) for kind in ("coefficients", "fit", "residuals", "qq", "leverage")),  # two targets
    *(("slope", kind) for kind in ("coefficients", "loss", "surface")),  # no intervals, no intercept
    ("curve", "fit"),
    ("lasso", "surface"),
    ("perfect", "surface"),
    *(("single", kind) for kind in ("coefficients", "fit", "residuals")),
]


def near(drawn: Any, truth: Any) -> Any:
    """Compare what was read from a picture, to its precision."""
    truth = np.asarray(truth)
    return drawn == pytest.approx(truth, abs=PIXELS * float(np.ptp(truth) or 1.0), rel=0)


def ordered(points: Any) -> Any:
    """Points in an order of their own."""
    return points[np.lexsort(points.T)]


@pytest.mark.parametrize(("model", "kind"), DRAWABLE)
def test_every_kind_is_drawn_with_its_text_alternative(gallery: Gallery, model: str, kind: str) -> None:
    """A figure is well-formed SVG with a title, a description and ids that stand once; and a PNG of a printable size."""
    svg, png = gallery.draw(model, kind), gallery.draw(model, kind, "png")

    assert Panel(svg).axes is not None
    assert b'role="img"' in svg[:600]
    assert svg.count(b"<desc>") == 1
    assert b"</title>" in svg
    assert b"<metadata>" not in svg
    assert [identity for identity, count in Counter(ids(svg)).items() if count > 1] == []
    assert png.startswith(b"\x89PNG\r\n")
    width, height = (int.from_bytes(png[place : place + 4], "big") for place in (16, 20))
    assert 900 <= width <= 1700
    assert 200 <= height <= 2600


def test_equal_versions_give_equal_bytes_in_any_process(gallery: Gallery) -> None:
    """A figure has the same bytes when it is drawn again, here or in the process that draws for the doors."""
    subject = gallery.subject("line", "fit")
    apart = subprocess.run(
        [sys.executable, "-m", "service.plots", "fit", "svg", "60"], input=written(subject), capture_output=True, cwd=ROOT, check=True
    )

    assert file_of(subject, "fit", "svg") == file_of(subject, "fit", "svg") == apart.stdout
    assert file_of(subject, "fit", "png") == file_of(subject, "fit", "png")


def test_the_kinds_are_those_that_are_offered() -> None:
    """What the doors and the command line offer is what can be drawn."""
    assert tuple(DRAW) == KINDS


def test_coefficients_are_drawn_where_they_are(gallery: Gallery) -> None:
    """Estimates and intervals lie where statsmodels has them."""
    x, y = line()
    fit = sm.OLS(y, sm.add_constant(x)).fit()
    panel = Panel(gallery.draw("line", "coefficients").replace(b">intercept<", b">0<").replace(b">x<", b">1<"))

    assert near(panel.markers("estimates"), np.column_stack([fit.params, [0, 1]]))
    assert near(panel.line("intervals")[:, 0], fit.conf_int()[0])


def test_many_coefficients_are_the_strongest(gallery: Gallery) -> None:
    """Of more terms than there is room for, those with the largest |t| are drawn, in that order, and the figure says so."""
    rng = np.random.default_rng(9)
    X = rng.normal(size=(200, 60))
    y = X @ np.where(np.arange(60) < 5, 3.0, 0.0) + rng.normal(size=200)
    gallery.train("wide", instances=X.tolist(), targets=y.tolist())
    fit = sm.OLS(y, sm.add_constant(X)).fit()
    strongest = np.argsort(-np.abs(fit.tvalues))[:40]

    shown = texts(gallery.draw("wide", "coefficients"))

    assert [text for text in shown if text.startswith("x") or text == "intercept"] == [
        "intercept" if place == 0 else f"x{place}" for place in strongest
    ]
    assert any("40 of 61 terms" in text for text in shown)


def test_points_and_line_of_a_fit_are_the_data_and_the_fit(gallery: Gallery) -> None:
    """The rows lie where the data are, the line and its bands where statsmodels has them."""
    x, y = line()
    svg = gallery.draw("line", "fit")
    panel = Panel(svg)
    fit = sm.OLS(y, sm.add_constant(x)).fit()
    drawn = panel.line("line")

    assert near(ordered(panel.markers("rows")), ordered(np.column_stack([x, y])))
    assert near(drawn[:, 1], fit.params[0] + fit.params[1] * drawn[:, 0])
    curve = gallery.subject("line", "fit").need("curve")
    told = fit.get_prediction(sm.add_constant(np.array(curve["x"]))).summary_frame()
    for ours, theirs in (("lower", "obs_ci_lower"), ("upper", "obs_ci_upper"), ("mean_lower", "mean_ci_lower")):
        assert curve["targets"]["y"][ours] == pytest.approx(told[theirs], rel=1e-9)
    assert [text for text in texts(svg) if text.startswith("95 %")] == ["95 %: a new row", "95 %: the mean"]


def test_a_curve_is_drawn_as_numpy_has_it(gallery: Gallery) -> None:
    """The line of a polynomial goes through the values of numpy's fit."""
    x, y = line()
    drawn = Panel(gallery.draw("curve", "fit")).line("line")

    assert near(drawn[:, 1], np.polyval(np.polyfit(x, y, 3), drawn[:, 0]))


def test_diagnostics_are_those_of_statsmodels(gallery: Gallery) -> None:
    """Residuals, standardized residuals against normal quantiles, leverages: where statsmodels and scipy have them."""
    x, y = line()
    fit = sm.OLS(y, sm.add_constant(x)).fit()
    influence = OLSInfluence(fit)
    standardized = influence.resid_studentized_internal

    assert near(ordered(Panel(gallery.draw("line", "residuals")).markers("rows")), ordered(np.column_stack([fit.fittedvalues, fit.resid])))
    normal = stats.norm.ppf((np.arange(1, 51) - 0.5) / 50)
    assert near(ordered(Panel(gallery.draw("line", "qq")).markers("rows")), np.column_stack([normal, np.sort(standardized)]))
    leverage = Panel(gallery.draw("line", "leverage"))
    drawn = ordered(np.vstack([leverage.markers(gid) for gid in ("rows", "rows-2") if leverage.has(gid)]))
    assert near(drawn, ordered(np.column_stack([influence.hat_matrix_diag, standardized])))
    h, r = leverage.line("cook")[1:].T  # the first corner lies at a leverage of almost zero, out of sight
    inside = (h > 0.02) & (r < 10)
    assert r[inside] ** 2 * h[inside] / (2 * (1 - h[inside])) == pytest.approx(0.5, rel=0.02)


def test_the_path_on_the_cost_is_the_history(gallery: Gallery) -> None:
    """The path goes through the parameters of every epoch, and on a ring the mean squared error over the rows is the same everywhere."""
    x, y = line()
    history = gallery.subject("descent", "loss").history()
    panel = Panel(gallery.draw("descent", "surface"))

    assert near(panel.line("path"), [(entry["bias"], entry["weight"][0]) for entry in history])
    around = panel.line("ring")
    errors = [mean_squared_error(x, y, b) for b in around]
    assert errors == pytest.approx(np.full(len(errors), errors[0]), rel=0.02)
    cost = Quadratic.of(gallery.subject("descent", "surface").need("costs")["y"])
    spots = np.random.default_rng(1).normal(size=(5, 2))
    assert cost.at(spots) == pytest.approx([mean_squared_error(x, y, b) for b in spots], rel=1e-12)


def test_a_cost_is_drawn_in_any_units(gallery: Gallery) -> None:
    """A column of large numbers, far from zero, is no combination of others; its ring is as true as any."""
    x, y = line()
    seconds = 1.7e9 + 1e7 * x
    gallery.train("units", columns={"x": seconds.tolist(), "y": y.tolist()}, target="y")

    cost = Quadratic.of(gallery.subject("units", "surface").need("costs")["y"])

    # the correlation of an intercept and a slope is the mean of the column over the root of its mean square
    assert cost.tied == pytest.approx(np.mean(seconds) / np.sqrt(np.mean(np.square(seconds))), rel=1e-6)
    assert "a narrow valley" in " ".join(texts(gallery.draw("units", "surface")))
    assert cost.at(cost.ring(2.0)) == pytest.approx(np.full(145, cost.least + 2.0), rel=1e-6)


def test_tangents_touch_the_parabola(gallery: Gallery) -> None:
    """With one parameter, the steps lie on the parabola of the mean squared error and tangents have its slope there."""
    x, y = line()
    history = gallery.subject("slope", "loss").history()
    panel = Panel(gallery.draw("slope", "surface"))
    steps = [(b := entry["weight"][0], float(np.mean((y - b * x) ** 2))) for entry in history]

    assert near(panel.markers("path"), steps)
    parabola = panel.line("parabola")
    assert near(parabola[:, 1], [np.mean((y - b * x) ** 2) for b in parabola[:, 0]])
    (left, low), (right, high) = panel.line("tangent")
    assert (high - low) / (right - left) == pytest.approx(-2 * np.mean(x * y), rel=0.01)  # at the start, where the slope is zero


def test_three_parameters_are_drawn_over_two(gallery: Gallery) -> None:
    """With three, the first is at its best: on a ring, the mean squared error over all intercepts is least and the same."""
    rows = table()
    X, y = np.column_stack([rows["area"], rows["rooms"]]), np.array(rows["rent"])
    around = Panel(gallery.draw("plane", "surface")).line("ring")
    least = [np.var(y - X @ b) for b in around]

    assert least == pytest.approx(np.full(len(least), least[0]), rel=0.02)


def test_the_loss_is_drawn_epoch_by_epoch(gallery: Gallery) -> None:
    """The loss of every epoch, and numpy's least one as a line."""
    x, y = line()
    history = gallery.subject("descent", "loss").history()
    svg = gallery.draw("descent", "loss")

    assert near(Panel(svg).line("loss"), [(entry["epoch"], entry["loss"]) for entry in history])
    least = mean_squared_error(x, y, np.polyfit(x, y, 1)[::-1])
    assert near(Panel(svg).line("least")[:, 1], [least, least])


def test_an_exact_loss_of_nothing_is_told_and_not_drawn(gallery: Gallery) -> None:
    """Where the exact fit is perfect, the line of its loss would squeeze the curve: a note says it instead."""
    x = np.arange(11.0)
    solver = {"name": "sgd", "learning_rate": 0.001, "epochs": 100, "seed": 7}
    gallery.train("noiseless", instances=x[:, None].tolist(), targets=(2 * x + 1).tolist(), solver=solver, history=True)
    svg = gallery.draw("noiseless", "loss")

    assert not [mark for mark in ids(svg) if mark.startswith("least")]
    assert "loss of the exact fit: " in " ".join(texts(svg))


@pytest.mark.parametrize(
    ("model", "kind", "kept", "why"),
    [
        ("bare", "loss", Contradiction, 'train with a gradient solver and "history": true'),
        ("bare", "fit", NotKept, '"sample": 1000'),
        ("houses", "surface", Contradiction, "4 parameters"),
        ("aliased", "surface", Contradiction, "a combination of others"),
        ("perfect", "qq", Contradiction, "its fit is perfect"),
        ("single", "leverage", Contradiction, "learn more rows"),
        ("descent", "leverage", Contradiction, "not known of the solver gradient_descent"),
    ],
)
def test_what_cannot_be_drawn_says_why(gallery: Gallery, model: str, kind: str, kept: type[Exception], why: str) -> None:
    """Nothing is invented: where there is nothing to draw, the error says what to do."""
    with pytest.raises(kept, match=why):
        gallery.draw(model, kind)


def test_hostile_names_are_text(gallery: Gallery) -> None:
    """Names with markup, mathematics, control characters or great length stand in a figure as text, shortened, and as nothing else."""
    for kind in ("coefficients", "fit", "residuals"):
        svg = gallery.draw("hostile", kind)
        assert b"<script" not in svg
        assert b"<img" not in svg
        assert "\u0007" not in svg.decode()
    shown = " ".join(texts(gallery.draw("hostile", "coefficients")))
    assert "<script>alert(1)</script>" in shown
    assert "$x^2$" in shown
    assert HOSTILE[3] in shown
    assert "long" * 6 not in shown


def test_a_sample_without_rows_is_told(gallery: Gallery) -> None:
    """When every row of the sample was forgotten, the figure says so."""
    gallery.train("forgetful", instances=[[1], [2], [3], [4]], targets=[1, 2, 4, 3], sample=1)
    (row,) = gallery.client.get("/models/forgetful/versions/1/sample").json["columns"]["x1"]
    target = {1: 1, 2: 2, 3: 4, 4: 3}[row]
    answer = gallery.client.post("/models/forgetful/forget", json={"instances": [[row]], "targets": [target]})
    assert answer.status_code == 201, answer.text

    with pytest.raises(Contradiction, match="no kept row is left"):
        gallery.draw("forgetful", "residuals")


def test_a_subject_survives_its_way_to_another_process(gallery: Gallery) -> None:
    """What is read from JSON is what was written."""
    subject = gallery.subject("houses", "report")

    assert Subject(**json.loads(written(subject))) == Subject(**json.loads(dump(vars(subject))))


@pytest.mark.parametrize(
    ("text", "shown"),
    [("area", "area"), ("a\nb\x00", "a\ufffdb\ufffd"), ("x" * 40, "x" * 21 + "…" + "x" * 10)],
)
def test_names_are_made_fit_to_draw(text: str, shown: str) -> None:
    """Control characters are replaced, long names shortened in the middle."""
    assert name(text) == shown


def test_numbers_are_short() -> None:
    """Numbers of a figure have the digits that a reader can use, and powers of ten as people write them."""
    assert [short(value) for value in (0.0, -1.5, 1234567.0, 1e-9, 123.456)] == ["0", "−1.5", "1.235·10⁶", "1·10⁻⁹", "123.5"]
    assert [power_of_ten(value) for value in (0.001, 1.0, 1e-12, 1e5)] == ["0.001", "1", "10⁻¹²", "10⁵"]
