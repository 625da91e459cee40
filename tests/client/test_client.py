"""The Python client against a running service: every way to give rows and to take answers, and what it does when things break."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from service.client import Job, Plumbline, Problem
from service.client.connection import TRIES
from tests.client.conftest import Breaking
from tests.support import ROOT, Service, free_port

COLUMNS: dict[str, list[Any]] = {
    "area": [50.0, 60.0, 70.0, 90.0, 110.0, 120.0, 80.5],
    "rooms": [2, 2, 3, 3, 5, 4, 3],
    "town": ["Ulm", "Bonn", "Ulm", "Bonn", "Ulm", "Bonn", "Ulm"],
    "rent": [600.1, 700.0, 800.0, 990.0, 1250.0, 1330.0, 905.0],
}
ROWS = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)]


@pytest.fixture
def plumbline(service: Service) -> Plumbline:
    """The client under test."""
    return Plumbline(service.url)


def written(path: Path, frame: pl.DataFrame) -> Path:
    """A frame as a file of the form that its suffix names."""
    writers = {".csv": frame.write_csv, ".parquet": frame.write_parquet, ".arrow": frame.write_ipc, ".ndjson": frame.write_ndjson}
    writers[path.suffix](path)
    return path


FORMS: dict[str, Callable[[Path], Any]] = {
    "columns": lambda _: COLUMNS,
    "arrays": lambda _: {name: np.array(column) for name, column in COLUMNS.items()},
    "rows": lambda _: ROWS,
    "polars": lambda _: pl.DataFrame(COLUMNS),
    "pandas": lambda _: pd.DataFrame(COLUMNS, index=list("abcdefg")),
    "categories": lambda _: pd.DataFrame(COLUMNS).astype({"town": "category", "rooms": "Int64"}),
    "pyarrow": lambda _: pa.table(COLUMNS),
    "csv": lambda directory: written(directory / "rows.csv", pl.DataFrame(COLUMNS)),
    "text path": lambda directory: str(written(directory / "rows.csv", pl.DataFrame(COLUMNS))),
    "parquet": lambda directory: written(directory / "rows.parquet", pl.DataFrame(COLUMNS)),
    "arrow": lambda directory: written(directory / "rows.arrow", pl.DataFrame(COLUMNS)),
    "ndjson": lambda directory: written(directory / "rows.ndjson", pl.DataFrame(COLUMNS)),
}


@pytest.mark.parametrize("form", FORMS)
def test_rows_of_every_form_train_the_same_model(plumbline: Plumbline, service: Service, form: str, tmp_path: Path) -> None:
    """The fingerprint is that of the same rows sent as plain JSON, and predictions of the rows in that form have the same bits."""
    options = {"model": "forms", "target": "rent"}
    expected = service.post("/train", {"columns": COLUMNS} | options).json
    rows = FORMS[form](tmp_path)
    version = plumbline.train(rows, target="rent", model="forms", description="in some form", labels={"form": form.partition(" ")[0]})
    asked = service.post("/predict", {"model": "forms", "columns": COLUMNS}).json["predictions"]
    predicted: Any = plumbline.predict("forms", rows)

    assert (version.fingerprint, version.n, version.model) == (expected["fingerprint"], 7, "forms")
    assert version.document["fit"]["coefficients"] == expected["fit"]["coefficients"]
    assert (version.description, version.labels["form"]) == ("in some form", form.partition(" ")[0])
    assert [row.estimate for row in version.coefficients] == [row["estimate"] for row in expected["fit"]["coefficients"]]
    if isinstance(rows, pl.DataFrame | pd.DataFrame | pa.Table):
        assert type(predicted) is type(rows)
        values = predicted["predictions"].to_pylist() if isinstance(rows, pa.Table) else predicted["predictions"].to_list()
    else:
        values = predicted.predictions
    assert values == asked


def test_an_open_file_is_sent_as_it_is(plumbline: Plumbline, tmp_path: Path) -> None:
    """A file is read from where it stands, also one that is open already; one without a name that tells its form is refused."""
    path = written(tmp_path / "rows.parquet", pl.DataFrame(COLUMNS))
    with path.open("rb") as file:
        assert plumbline.train(file, target="rent", model="opened").n == 7
    with pytest.raises(ValueError, match=r"must end in one of \.csv"):
        plumbline.train(BytesIO(path.read_bytes()), target="rent", model="opened")


def test_arrays_have_targets_beside_them(plumbline: Plumbline) -> None:
    """numpy's own least squares agrees, also of rows with a missing value that are to be dropped."""
    rng = np.random.default_rng(6)
    X = rng.normal(size=(40, 3))
    y = X @ [1.0, -2.0, 0.5] + 3 + rng.normal(size=40)
    expected = np.linalg.lstsq(np.column_stack([np.ones(39), X[:39]]), y[:39], rcond=None)[0]
    X[39, 1] = np.nan
    version = plumbline.train(X, y, model="arrays", missing="drop", solver={"name": "exact"})

    assert version.n == 39
    assert [row.estimate for row in version.coefficients] == pytest.approx(expected, rel=1e-12)
    assert plumbline.predict("arrays", X[:2]).predictions == pytest.approx(np.column_stack([np.ones(2), X[:2]]) @ expected, rel=1e-12)


def test_frames_say_all_that_is_asked(plumbline: Plumbline, service: Service) -> None:
    """Each member of a prediction is a column, with the bits of the JSON answer; pandas keeps its index, and any rows go into a frame."""
    plumbline.train(COLUMNS, target="rent", model="sure")
    asked = service.post("/predict", {"model": "sure", "columns": COLUMNS, "interval": 0.9, "leverage": True}).json
    frame = pd.DataFrame(COLUMNS, index=pd.Index(range(10, 17), name="flat"))
    came = plumbline.predict("sure", frame, interval=0.9, leverage=True)
    polars = plumbline.predict("sure@1", ROWS, into=pl.DataFrame, interval=0.9, leverage=True)
    plain = plumbline.predict("sure@live", COLUMNS, interval=0.9, leverage=True)

    assert came.index.equals(frame.index)
    for name in ("predictions", "lower", "upper", "leverage", "extrapolating"):
        assert list(came[name]) == polars[name].to_list() == getattr(plain, name) == asked[name]
    assert (plain.version, plain.std_error, came.columns.tolist()) == ("1", None, polars.columns)
    with pytest.raises(TypeError, match="frames are made of"):
        plumbline.predict("sure", ROWS, into=dict)  # type: ignore[type-var]


def test_pandas_needs_no_other_library(service: Service) -> None:
    """Where neither polars nor pyarrow is installed, pandas frames go and come all the same; nothing else than urllib3 is needed."""
    code = f"""
import importlib.util, sys
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name in ("polars", "pyarrow") else real(name, *more)
sys.modules["pyarrow"] = None
from service.client import Plumbline
loaded = {{"torch", "flask", "marshmallow", "numpy", "pandas", "polars", "click", "rich"}} & set(sys.modules)
import pandas
rows = pandas.DataFrame({COLUMNS!r}, index=list("abcdefg"))
plumbline = Plumbline({service.url!r})
version = plumbline.train(rows, target="rent", model="bare")
came = plumbline.predict("bare", rows, std_error=True)
print(loaded or "nothing", version.fingerprint, *came.index, *came["predictions"], "polars" in sys.modules, type(came).__name__)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded, fingerprint, *rest = done.stdout.split()
    expected = service.post("/train", {"columns": COLUMNS, "target": "rent", "model": "bare-json"}).json
    predicted = service.post("/predict", {"columns": COLUMNS, "model": "bare"}).json["predictions"]

    assert (loaded, fingerprint) == ("nothing", expected["fingerprint"])
    assert rest == [*"abcdefg", *map(repr, predicted), "False", "DataFrame"]


def test_models_live(plumbline: Plumbline) -> None:
    """Learned, forgotten, merged and refitted, each is a version, equal to one trained on what is left."""
    first, second = ({name: column[part] for name, column in COLUMNS.items()} for part in (slice(0, 5), slice(5, 7)))
    trained = plumbline.train(first, target="rent", model="living", features=["area", "rooms"])
    whole = plumbline.train(COLUMNS, target="rent", model="whole", like=trained.name)
    learned = plumbline.learn("living", pl.DataFrame(second), labels={"by": "hand"}, expect="1")
    forgotten = plumbline.forget("living", pd.DataFrame(second), description="asked for")
    plumbline.train(second, target="rent", model="rest", like="living@1")
    merged = plumbline.merge("living", ["rest"])
    refitted = plumbline.refit("living", terms=["area"], solver={"name": "exact", "ridge": 2})
    looked = plumbline.select("living", subset="bic", base=merged.version)
    chosen = plumbline.select("living", subset="bic", base=merged.version, publish=True)

    assert (learned.fingerprint, merged.fingerprint) == (whole.fingerprint, whole.fingerprint)
    assert (learned.parent, learned.labels, forgotten.fingerprint) == ("1", {"by": "hand"}, trained.fingerprint)
    assert forgotten.document["forgotten"]["rows"] == 2
    assert refitted.document["schema"]["terms"] == ["area"]
    assert (looked.version, looked.selection["subset"]["criterion"]) == (None, "bic")
    assert chosen.version is not None
    assert (chosen.version.operation, plumbline.versions("living")[0]) == ("select", chosen.version.version)


def test_versions_are_looked_at_and_moved(plumbline: Plumbline, service: Service) -> None:
    """Lists, documents, comparisons, moves with their history, and deletions, as the HTTP API has them."""
    for rent in (COLUMNS["rent"], [2 * value for value in COLUMNS["rent"]]):
        plumbline.train({"area": COLUMNS["area"], "rent": rent}, target="rent", model="moved")
    moved = plumbline.promote("moved@1", expect="2", reason="steady")
    with pytest.raises(Problem) as stale:
        plumbline.promote("moved@2", expect="2")
    plumbline.promote("moved@2", alias="kept")
    back = plumbline.rollback("moved", reason="no")
    difference = plumbline.diff("moved", "1", "live")

    assert (moved.version, moved.reason, stale.value.status) == ("1", "steady", 412)
    assert (back.version, [move.reason for move in plumbline.history("moved")]) == ("2", ["no", "steady", "train", "train"])
    assert difference.document == service.get("/models/moved/diff?from=1&to=live").json
    assert {model.model: model.aliases for model in plumbline.models()}["moved"] == {"live": "2", "kept": "2"}
    assert plumbline.version("moved").document == service.get("/models/moved/versions/live").json
    plumbline.delete("moved", alias="kept")
    plumbline.delete("moved", version="1")
    assert (plumbline.versions("moved"), plumbline.version("moved").aliases) == (["2"], ["live"])
    plumbline.delete("moved")
    assert "moved" not in [model.model for model in plumbline.models()]


def test_an_error_says_what_is_wrong_where(plumbline: Plumbline) -> None:
    """Status, detail and the errors by path are those of the problem document; a name never leads to another path."""
    with pytest.raises(Problem) as wrong:
        plumbline.train({"area": [1, "wide"], "rent": [2, 3]}, target="rent", model="wrong")
    with pytest.raises(Problem) as none:
        plumbline.predict("none", [[1]])
    with pytest.raises(Problem) as outside:
        plumbline.version("../jobs")
    with pytest.raises(ValueError, match="missing value is None"):
        plumbline.train({"a": [float("nan")], "y": [1.0]}, target="y", model="wrong")

    assert wrong.value.status == 422
    assert "columns.area[1]" in wrong.value.errors
    assert str(wrong.value).startswith(f"{wrong.value.detail}\n  columns.area[1]: ")
    assert (none.value.status, "there is no model none" in str(none.value)) == (404, True)
    assert none.value.request_id
    assert (outside.value.status, list(outside.value.errors)) == (None, ["../jobs"])


def test_a_long_training_tells_its_progress(plumbline: Plumbline) -> None:
    """Whoever asks sees the job until it ends, with rows and epochs; the result is the version, and a failure is the problem it is."""
    seen: list[Job] = []
    solver = {"name": "sgd", "learning_rate": 1e-4, "epochs": 1500, "init": "zeros"}
    rows = np.random.default_rng(1).normal(size=(200, 2))
    version = plumbline.train(rows, rows[:, 0], model="slow", solver=solver, progress=seen.append)
    with pytest.raises(Problem) as failed:
        plumbline.train([[1], ["x"]], [1, 2], model="slow", progress=seen.append)

    assert version.document["fit"]["epochs"] == 1500
    assert [job.state for job in seen if job.operation == "train"][-1] == "failed"
    assert "succeeded" in [job.state for job in seen]
    assert (failed.value.status, list(failed.value.errors)) == (422, ["instances[1].x1"])
    done = next(job for job in seen if job.state == "succeeded")
    assert plumbline.job(done.id).document["result"]["version"] == version.version
    plumbline.cancel(done.id)
    with pytest.raises(Problem, match="no such job"):
        plumbline.wait(done.id)


def test_a_training_whose_connection_breaks_happens_once(plumbline: Plumbline, breaking: Callable[[int], Breaking]) -> None:
    """The answer is lost three times after the service has done its work; the client asks again and finds the same version."""
    way = breaking(3)
    version = Plumbline(way.url).train(COLUMNS, target="rent", model="cut")

    assert (way.broken, version.version, plumbline.versions("cut")) == (3, "1", ["1"])


def test_what_must_not_happen_twice_is_not_sent_twice(plumbline: Plumbline, breaking: Callable[[int], Breaking]) -> None:
    """A rollback whose answer is lost is told as such, since a second one would undo the first."""
    for _ in range(2):
        plumbline.train(COLUMNS, target="rent", model="back")
    way = breaking(1)
    with pytest.raises(Problem, match="cannot be asked") as lost:
        Plumbline(way.url).rollback("back")

    assert (lost.value.status, way.broken) == (None, 1)
    assert [move.reason for move in plumbline.history("back")] == ["rollback", "train", "train"]


def test_nobody_there_is_told_within_seconds() -> None:
    """Where nothing listens, a bounded number of tries ends with the address and a question; a wrong address is told at once."""
    started = time.monotonic()
    with pytest.raises(Problem, match=r"http://127\.0\.0\.1:\d+ cannot be asked .* is the service running there") as nobody:
        Plumbline(f"http://127.0.0.1:{free_port()}").models()

    assert nobody.value.status is None
    assert time.monotonic() - started < 0.2 * 2**TRIES
    for url in ("127.0.0.1:8080", "ftp://127.0.0.1", "http://user:secret@127.0.0.1"):
        with pytest.raises(ValueError, match="url must be that of a service"):
            Plumbline(url)


def test_a_full_queue_is_waited_for(start_service: Callable[..., Service]) -> None:
    """429 is tried again after the time that the service names; tokens open the door, and a wrong one is a problem at once."""
    token = "a-token-of-some-length"
    service = start_service(MAX_QUEUED_TRAININGS="1", WRITE_TOKEN=token, WORKERS="1")
    plumbline = Plumbline(service.url, token=token)
    slow = {"model": "busy", "instances": [[n] for n in range(400)], "targets": list(range(400))}
    slow["solver"] = {"name": "sgd", "learning_rate": 1e-9, "epochs": 1_000_000, "init": "zeros"}
    headers = {"Authorization": f"Bearer {token}", "Prefer": "respond-async"}
    first = service.post("/train", slow, headers=headers)
    refused = service.post("/train", slow, headers=headers)
    threading.Timer(1.5, plumbline.cancel, [first.json["id"]]).start()
    version = plumbline.train(COLUMNS, target="rent", model="after")

    assert (first.status, refused.status, version.n) == (202, 429, 7)
    with pytest.raises(Problem) as wrong:
        Plumbline(service.url, token="another-token-of-some-length").train(COLUMNS, target="rent")
    assert (wrong.value.status, token in str(wrong.value)) == (403, False)
