"""`service predict`: files of rows to files of predictions, on the store and by a running service, with the bits of `POST /predict`."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner, Result

from service.cli import main
from tests.support import ROOT, Service, ask

ROWS = pl.DataFrame({
    "area": [50.5, 60.0, 70.0, 90.0, 110.0, 120.0, 80.0],
    "town": ["Ulm", "Bonn", "Ulm", "Bonn", "Ulm", "Bonn", "Ulm"],
    "rent": [600.0, 700.0, 810.0, 990.0, 1250.0, 1330.0, 905.0],
})  # fmt: skip
READERS = {".csv": pl.read_csv, ".parquet": pl.read_parquet, ".arrow": pl.read_ipc, ".ndjson": pl.read_ndjson}
ALL = ["--interval", "0.9", "--mean-interval", "0.8", "--std-error", "--leverage", "--contributions"]


@pytest.fixture
def model(service: Service) -> str:
    """A model of the shared service, of one version."""
    trained = service.post("/train", {"model": "asked", "columns": ROWS.to_dict(as_series=False), "target": "rent"})
    assert trained.status == 201
    return f"asked@{trained.json['version']}"


def command(service: Service, *arguments: str, stdin: bytes = b"") -> Result:
    """What `python -m service` does with these arguments on the store of the service."""
    return CliRunner().invoke(main, arguments, input=stdin, env={"PLUMBLINE_STORE": str(service.store)})


def written(path: Path, frame: pl.DataFrame = ROWS) -> Path:
    """A frame as a file of the form that its suffix names."""
    writers = {".csv": frame.write_csv, ".parquet": frame.write_parquet, ".arrow": frame.write_ipc, ".ndjson": frame.write_ndjson}
    writers[path.suffix](path)
    return path


@pytest.mark.parametrize("place", ["store", "url"])
@pytest.mark.parametrize("suffix", READERS)
def test_every_form_goes_in_and_comes_out(service: Service, model: str, tmp_path: Path, suffix: str, place: str) -> None:
    """All that may be asked is there with the bits of the HTTP answer, in the form that the output's name says."""
    where = ["--url", service.url] if place == "url" else []
    target = tmp_path / f"out{suffix}"
    done = command(service, "predict", model, str(written(tmp_path / f"rows{suffix}")), *ALL, "-o", str(target), *where)
    query = f"model=asked&version={model[6:]}&interval=0.9&mean_interval=0.8&std_error=true&leverage=true&contributions=true"
    headers = {"Content-Type": "text/csv", "Accept": "application/vnd.apache.arrow.stream"}
    answer = ask(f"{service.url}/predict?{query}", method="POST", body=ROWS.write_csv().encode(), headers=headers)

    assert (done.exit_code, done.output) == (0, "")
    assert READERS[suffix](target).equals(pl.read_ipc_stream(io.BytesIO(answer.body)))
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"out{suffix}", f"rows{suffix}"]


def test_standard_input_and_output(service: Service, model: str) -> None:
    """Rows from a pipe are known by their first bytes, and predictions go to a pipe in the same form."""
    csv = command(service, "predict", "asked", "-", stdin=ROWS.write_csv().encode())
    buffer = io.BytesIO()
    ROWS.write_parquet(buffer)
    parquet = command(service, "predict", "asked@live", "-", stdin=buffer.getvalue())
    ndjson = command(service, "predict", "asked", "-", "--url", service.url, stdin=ROWS.write_ndjson().encode())
    expected = service.post("/predict", {"model": "asked", "columns": ROWS.to_dict(as_series=False)}).json["predictions"]

    assert pl.read_csv(csv.stdout_bytes)["predictions"].to_list() == expected
    assert pl.read_parquet(io.BytesIO(parquet.stdout_bytes))["predictions"].to_list() == expected
    assert pl.read_ndjson(ndjson.stdout_bytes)["predictions"].to_list() == expected


def test_rows_of_many_batches_stay_in_order(service: Service, model: str, tmp_path: Path) -> None:
    """A file of several batches gives the predictions of one request, here and from a service, and a wrong row is told by its number."""
    rng = np.random.default_rng(3)
    rows = pl.DataFrame({"area": rng.uniform(20, 200, 150_000), "town": rng.choice(["Ulm", "Bonn"], 150_000)})
    source = written(tmp_path / "many.csv", rows)
    outputs = []
    for where in ([], ["--url", service.url]):
        target = tmp_path / "out.parquet"
        assert command(service, "predict", model, str(source), "-o", str(target), *where).exit_code == 0
        outputs.append(pl.read_parquet(target))
    coefficients = {row["term"]: row["estimate"] for row in service.get("/models/asked/versions/live").json["fit"]["coefficients"]}
    ulm = np.array(rows["town"] == "Ulm")
    expected = coefficients["intercept"] + coefficients["area"] * rows["area"].to_numpy() + coefficients["town[Ulm]"] * ulm

    assert outputs[0].equals(outputs[1])
    np.testing.assert_allclose(outputs[0]["predictions"].to_numpy(), expected, rtol=1e-13)
    odd = rows.with_columns(town=pl.when(pl.int_range(pl.len()) == 100_000).then(pl.lit("Rome")).otherwise("town"))
    for where in ([], ["--url", service.url]):
        refused = command(service, "predict", model, str(written(source, odd)), "-o", str(tmp_path / "none.csv"), *where)
        assert (refused.exit_code, "row 100001, column town" in refused.stderr) == (1, True), refused.stderr
        assert not (tmp_path / "none.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["none", "FILE"], 1, "there is no model none"),
        (["none", "FILE", "--url", "URL"], 1, "there is no model none"),
        (["asked@99", "FILE"], 1, "has no version 99"),
        (["asked", "missing.csv"], 2, "missing.csv"),
        (["asked", "FILE", "-o", "out.xlsx"], 2, "must end in one of .csv"),
        (["asked", "FILE", "--interval", "95"], 2, "95"),
        (["asked", "FILE", "--url", "here"], 2, "must be the address of a service"),
        (["asked", "FILE", "-o", "no/such/folder.csv"], 1, "cannot be written"),
    ],
)
def test_what_is_wrong_is_told(
    service: Service, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, arguments: list[str], code: int, told: str
) -> None:
    """Exit code 1 for the request and the data, 2 for the command line, and one message."""
    monkeypatch.chdir(tmp_path)
    given = {"FILE": str(written(tmp_path / "rows.csv")), "URL": service.url}
    done = command(service, "predict", *(given.get(argument, argument) for argument in arguments))

    assert (done.exit_code, done.stdout) == (code, ""), done.output
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_columns_that_are_missing_are_named(service: Service, model: str, tmp_path: Path) -> None:
    """A file without a feature is refused before anything is written; zero rows give a header."""
    path = tmp_path / "rows.csv"
    path.write_text("area,rent\n50,600\n")
    refused = command(service, "predict", "asked", str(path))
    path.write_text("area,town\n")
    empty = command(service, "predict", "asked", str(path), "--interval", "0.5")

    assert (refused.exit_code, "column town: is missing" in refused.stderr) == (1, True)
    assert (empty.exit_code, empty.stdout) == (0, "predictions,lower,upper\n")


@pytest.mark.slow
def test_who_reads_may_stop(service: Service, model: str, tmp_path: Path) -> None:
    """`head` takes the first lines, and the command ends without a word about the rest."""
    path = written(tmp_path / "rows.csv", pl.concat([ROWS] * 50_000))
    code = f"{sys.executable} -m service predict asked {path} | head -n 2; exit ${{PIPESTATUS[0]}}"
    environ = {"PATH": "/usr/bin:/bin", "PLUMBLINE_STORE": str(service.store)}
    done = subprocess.run(["bash", "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr, done.stdout.splitlines()[0]) == (1, "", "predictions")


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(service: Service, model: str, tmp_path: Path) -> None:
    """Ten times the rows take not a quarter more memory: 300,000 and 3,000,000, from CSV to CSV."""
    peaks = []
    for rows in (300_000, 3_000_000):
        path = tmp_path / "rows.csv"
        pl.DataFrame({"area": np.linspace(20, 200, rows), "town": ["Ulm", "Bonn"] * (rows // 2)}).write_csv(path)
        code = f"""
import resource
from service.cli import main
main(["predict", "asked", {str(path)!r}, "-o", {str(tmp_path / "out.csv")!r}], standalone_mode=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
        environ: dict[str, Any] = {"PATH": "/usr/bin:/bin", "PLUMBLINE_STORE": str(service.store), "POLARS_MAX_THREADS": "2"}
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout))
        with (tmp_path / "out.csv").open() as lines:
            assert sum(1 for _ in lines) == rows + 1

    assert peaks[1] < 1.25 * peaks[0], peaks
