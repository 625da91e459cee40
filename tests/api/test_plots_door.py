"""`GET …/plots/{kind}.{form}` and `…/report.html`: drawn apart, kept where they show no row, and conditional."""

from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from werkzeug.test import Client, TestResponse

from service.api import plots
from service.config import Config
from service.plots.pictures import Pictures
from service.plots.process import drawn_apart
from tests.api.conftest import MakeClient

PLOTS = "/models/line/versions/live/plots"


@pytest.fixture
def sampled(client: Client) -> Client:
    """The application with a version that kept its rows."""
    document: Any = {"model": "line", "instances": [[0], [1], [2], [4]], "targets": [1, 3, 5.5, 8], "sample": 10}
    assert client.post("/train", json=document).status_code == 201
    return client


def kept(config: Config) -> list[Path]:
    """The pictures on disk."""
    return [path for path in (config.directory / "plots").glob("*") if path.is_file()]


def test_figures_come_as_files(sampled: Client) -> None:
    """Each form has its media type, and headers by which no browser takes it for anything else."""
    svg, png = sampled.get(f"{PLOTS}/coefficients.svg"), sampled.get(f"{PLOTS}/fit.png")

    assert (svg.status_code, svg.mimetype, svg.data[:5]) == (200, "image/svg+xml", b"<?xml")
    assert (png.status_code, png.mimetype, png.data[:4]) == (200, "image/png", b"\x89PNG")
    for answer in (svg, png):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert answer.headers["Cache-Control"] == "private, no-cache"


def test_a_report_comes_as_a_page(sampled: Client) -> None:
    """The report is one HTML file."""
    answer = sampled.get("/models/line/versions/1/report.html")

    assert (answer.status_code, answer.content_type) == (200, "text/html; charset=utf-8")
    assert answer.text.count("<svg") == 6


def test_a_figure_is_drawn_once(sampled: Client, config: Config) -> None:
    """What shows no row is kept on disk and not drawn again, by any worker; a kept file that is damaged is."""
    with patch.object(plots, "drawn_apart", wraps=drawn_apart) as draw:
        first = sampled.get(f"{PLOTS}/coefficients.svg")
        again = sampled.get("/models/line/versions/1/plots/coefficients.svg")
        assert draw.call_count == 1
        (file,) = kept(config)
        file.write_bytes(file.read_bytes()[:-1])
        mended = sampled.get(f"{PLOTS}/coefficients.svg")
        assert draw.call_count == 2

    assert first.data == again.data == mended.data
    assert first.headers["ETag"] == again.headers["ETag"]


def test_figures_of_rows_are_not_kept(sampled: Client, config: Config) -> None:
    """What shows rows lies nowhere but in the memory of its version: when that is gone, nothing of them is left."""
    assert sampled.get(f"{PLOTS}/residuals.svg").status_code == 200

    assert kept(config) == []


@pytest.mark.parametrize("path", ["plots/coefficients.svg", "plots/residuals.png", "report.html"])
def test_who_has_it_is_told_so_without_drawing(sampled: Client, path: str) -> None:
    """The ETag is known before anything is drawn, changes with the version, and answers 304."""
    place = f"/models/line/versions/live/{path}"
    with patch.object(plots, "drawn_apart", return_value=b"drawn") as draw:
        tag = sampled.get(place).headers["ETag"]
        answer = sampled.get(place, headers={"If-None-Match": tag})
        assert draw.call_count == 1
        sampled.post("/models/line/learn", json={"instances": [[5]], "targets": [11]})
        newer = sampled.get(place, headers={"If-None-Match": tag})

    assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", tag)
    assert (newer.status_code, newer.data) == (200, b"drawn")
    assert newer.headers["ETag"] != tag


def refused(answer: TestResponse) -> tuple[int, str]:
    assert answer.json is not None
    return answer.status_code, answer.json["detail"]


def test_what_cannot_be_drawn_is_refused_with_advice(client: Client, line: TestResponse) -> None:
    """No sample: 404; no history, a perfect fit: 409; no such kind or form: 404 with those there are."""
    status, detail = refused(client.get(f"{PLOTS}/fit.svg"))
    assert (status, '"sample": 1000' in detail) == (404, True)
    status, detail = refused(client.get(f"{PLOTS}/loss.svg"))
    assert (status, '"history": true' in detail) == (409, True)
    for wrong in ("pie.svg", "fit.pdf"):
        status, detail = refused(client.get(f"{PLOTS}/{wrong}"))
        assert (status, "coefficients, loss, surface, fit, residuals, qq, leverage" in detail) == (404, True)


def test_what_is_found_only_while_drawing_is_refused_too(client: Client) -> None:
    """The process that draws hands back what it cannot draw."""
    document: Any = {"model": "line", "instances": [[1, 2], [2, 4], [3, 6]], "targets": [1, 2, 4]}
    client.post("/train", json=document)

    status, detail = refused(client.get(f"{PLOTS}/surface.svg"))

    assert (status, "a combination of others" in detail) == (409, True)


def test_more_at_once_than_threads_allow_is_refused(sampled: Client, make_client: MakeClient) -> None:
    """While as many requests wait as a worker lets wait, another one that has to be drawn is 503; a kept one is not."""
    sampled.get(f"{PLOTS}/coefficients.svg")
    answers = []

    def draw(*args: Any, **options: Any) -> bytes:
        answers.append(sampled.get(f"{PLOTS}/residuals.svg"))
        answers.append(sampled.get(f"{PLOTS}/coefficients.svg"))
        return b"drawn"

    with patch.object(plots, "drawn_apart", draw):
        assert sampled.get(f"{PLOTS}/fit.svg").status_code == 200

    assert [answer.status_code for answer in answers] == [503, 200]
    assert answers[0].headers["Retry-After"] == "1"


def test_a_failed_drawing_tells_nothing(sampled: Client, caplog: pytest.LogCaptureFixture) -> None:
    """When the process that draws fails, the answer is 500 without a word of its output, which is in the log."""
    with patch("service.plots.process.sys.executable", "/bin/false"):
        status, detail = refused(sampled.get(f"{PLOTS}/fit.svg"))

    assert (status, "log" in detail) == (500, True)
    assert "drawing fit ended with 1" in caplog.text


def test_the_read_token_guards_figures(sampled: Client, make_client: MakeClient) -> None:
    """Where reading needs a token, so do pictures and reports."""
    guarded = make_client(READ_TOKEN="correct-horse-battery", WRITE_TOKEN="correct-horse-staples")
    for path in (f"{PLOTS}/fit.svg", "/models/line/versions/1/report.html"):
        assert guarded.get(path).status_code == 401
    with patch.object(plots, "drawn_apart", return_value=b"drawn"):
        assert guarded.get(f"{PLOTS}/fit.svg", headers={"Authorization": "Bearer correct-horse-battery"}).data == b"drawn"


def test_the_process_that_draws_knows_no_secret(sampled: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the service, and with that no token, is in its environment."""
    monkeypatch.setenv("PLUMBLINE_WRITE_TOKEN", "correct-horse-battery")
    with patch("service.plots.process.subprocess.run", side_effect=InterruptedError) as run:
        sampled.get(f"{PLOTS}/fit.svg")

    assert {name for name in run.call_args.kwargs["env"] if name.startswith(("PLUMBLINE", "AWS"))} == set()
    assert "correct-horse-battery" not in str(run.call_args)


def test_kept_pictures_stay_within_their_space(tmp_path: Path) -> None:
    """The oldest leave when there are too many bytes; where nothing can be written, nothing is kept and nothing fails."""
    pictures = Pictures(tmp_path / "plots", most_bytes=400)
    for number in range(6):
        pictures.put(f"key{number}", bytes(100))

    assert [number for number in range(6) if pictures.get(f"key{number}") is not None] == [3, 4, 5]
    (tmp_path / "file").write_bytes(b"")
    nowhere = Pictures(tmp_path / "file", most_bytes=400)
    nowhere.put("key", b"data")
    assert nowhere.get("key") is None
