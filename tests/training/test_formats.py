"""The same rows in every file format, over HTTP and from the command line; and what a training in a terminal shows and leaves."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner, Result
from werkzeug.test import Client

from model_store.store import ModelStore
from service.cli import main
from service.errors import Invalid, Unreadable
from service.regression import strd
from service.training import tables
from service.training.document import version_document
from service.training.tables import TableSource
from tests.support import ROOT

RANDOM = np.random.default_rng(17)
COUNT = 300
FRAME = pl.DataFrame(
    {
        "x": RANDOM.normal(size=COUNT) * 1e3,
        "k": RANDOM.integers(-5, 5, size=COUNT),
        "town": RANDOM.choice(["köln", "bonn, old", 'the "hague"', "[/ulm]"], size=COUNT),
        "y": RANDOM.normal(size=COUNT),
    }
)
WRITERS: dict[str, Callable[[pl.DataFrame, Path], Any]] = {
    ".csv": lambda frame, path: frame.write_csv(path),
    ".parquet": lambda frame, path: frame.write_parquet(path),
    ".arrow": lambda frame, path: frame.write_ipc(path),
    ".arrows": lambda frame, path: frame.write_ipc_stream(path),
    ".ndjson": lambda frame, path: frame.write_ndjson(path),
}
MEDIA = {
    ".csv": "text/csv",
    ".parquet": "application/vnd.apache.parquet",
    ".arrow": "application/vnd.apache.arrow.stream",
    ".arrows": "application/vnd.apache.arrow.stream",
    ".ndjson": "application/x-ndjson",
}
SUFFIXES = pytest.mark.parametrize("suffix", WRITERS)


def body_of(frame: pl.DataFrame, suffix: str, folder: Path) -> bytes:
    path = folder / f"body{suffix}"
    WRITERS[suffix](frame, path)
    return path.read_bytes()


def command(tmp_path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, env={"PLUMBLINE_STORE": str(tmp_path / "cli"), "COLUMNS": "160"})


def stored(tmp_path: Path, version: int = 1) -> Any:
    store = ModelStore.open(tmp_path / "cli")
    return version_document(store, store.manifest("default", version))


@pytest.fixture
def truth(client: Client) -> Any:
    """The version that the rows make as JSON columns."""
    answer = client.post("/train", json={"model": "json", "columns": FRAME.to_dict(as_series=False), "target": "y"})
    assert answer.status_code == 201, answer.json
    return answer.json


@SUFFIXES
def test_every_format_over_http_is_one_training(suffix: str, truth: Any, client: Client, tmp_path: Path) -> None:
    """By its media type, each body gives the fingerprint, the schema, the fit and the state_dict of the same rows in JSON."""
    answer = client.post("/train?target=y", data=body_of(FRAME, suffix, tmp_path), content_type=MEDIA[suffix])
    document: Any = answer.json

    assert answer.status_code == 201, document
    assert document["fingerprint"] == truth["fingerprint"]
    assert (document["schema"], document["fit"], document["state_dict"]) == (truth["schema"], truth["fit"], truth["state_dict"])
    assert document["schema"]["frame"]["categories"] == {"town": ["[/ulm]", "bonn, old", "köln", 'the "hague"']}


@SUFFIXES
def test_many_files_and_globs_are_one_training(suffix: str, truth: Any, tmp_path: Path) -> None:
    """Shards named one by one or by a glob, in another order, give the same version from the command line."""
    shards = [FRAME[:120], FRAME[120:121], FRAME[121:]]
    for index, shard in enumerate(shards):
        WRITERS[suffix](shard, tmp_path / f"part-{index}{suffix}")
    names = [str(tmp_path / f"part-{index}{suffix}") for index in (2, 0, 1)]
    one_by_one = command(tmp_path, "train", *names, "--target", "y")
    globbed = command(tmp_path, "train", str(tmp_path / f"part-*{suffix}"), "--target", "y")
    documents = [stored(tmp_path, 1), stored(tmp_path, 2)]

    assert [(done.exit_code, done.stderr) for done in (one_by_one, globbed)] == [(0, "")] * 2
    for document in documents:
        assert document["fingerprint"] == truth["fingerprint"]
        assert (document["schema"], document["fit"], document["state_dict"]) == (truth["schema"], truth["fit"], truth["state_dict"])


def test_the_table_shows_categories_as_they_are(tmp_path: Path) -> None:
    """Brackets, quotes and umlauts of a category stand in the printed table, and none of them is taken for markup."""
    FRAME.write_csv(tmp_path / "rows.csv")
    done = command(tmp_path, "train", str(tmp_path / "rows.csv"), "--target", "y")

    assert done.exit_code == 0
    for name in ("town[bonn, old]", "town[köln]", 'town[the "hague"]'):
        assert f"│ {name} " in done.stdout
    swapped = FRAME.with_columns(pl.col("town").replace({"[/ulm]": "zz [/ulm] :smile:"}))
    swapped.write_csv(tmp_path / "rows.csv")
    done = command(tmp_path, "train", str(tmp_path / "rows.csv"), "--target", "y")
    assert done.exit_code == 0
    assert "│ town[zz [/ulm] :smile:] " in done.stdout


@pytest.mark.parametrize("suffix", WRITERS)
def test_files_with_other_columns_are_refused(suffix: str, tmp_path: Path) -> None:
    """A file that lacks a column, or has another in its place, ends with exit code 1 and no version."""
    WRITERS[suffix](FRAME, tmp_path / f"a{suffix}")
    for number, other in enumerate([FRAME.drop("k"), FRAME.rename({"k": "q"})]):
        WRITERS[suffix](other, tmp_path / f"b{suffix}")
        done = command(tmp_path, "train", str(tmp_path / f"[ab]{suffix}"), "--target", "y", "--model", f"m{number}")
        assert (done.exit_code, done.stdout) == (1, "")
        assert f"b{suffix}: has other columns than the first file" in done.stderr
    assert ModelStore.open(tmp_path / "cli").models() == []


def test_files_of_two_forms_are_refused(tmp_path: Path) -> None:
    """One training reads one form."""
    FRAME.write_csv(tmp_path / "a.csv")
    FRAME.write_parquet(tmp_path / "b.parquet")
    done = command(tmp_path, "train", str(tmp_path / "a.csv"), str(tmp_path / "b.parquet"), "--target", "y")

    assert done.exit_code == 1
    assert "b.parquet: is of another form than the first file" in done.stderr


@pytest.mark.parametrize("missing", ["error", "drop"])
@pytest.mark.parametrize("suffix", [".csv", ".ndjson"])
@pytest.mark.parametrize("row", [3, 1400])
def test_text_in_a_numeric_column_is_named_by_its_row(row: int, suffix: str, missing: str, client: Client, tmp_path: Path) -> None:
    """Early or long after the type of the column was taken, a word among numbers is 422 at its row and column, and never dropped."""
    values = RANDOM.normal(size=1500).tolist()
    lines = [{"x": value, "y": 2 * value} for value in values]
    lines[row]["x"] = "word"
    if suffix == ".csv":
        body = "x,y\n" + "".join(f"{line['x']},{line['y']}\n" for line in lines)
    else:
        body = "".join(json.dumps(line) + "\n" for line in lines)
    answer = client.post(f"/train?target=y&missing={missing}", data=body.encode(), content_type=MEDIA[suffix])
    problem: Any = answer.json

    assert answer.status_code in {400, 422}, problem
    assert "word" not in answer.text
    assert client.get("/models/default").status_code == 404
    if suffix == ".csv":
        assert list(problem["errors"]) == [f"row {row + 1}, column x"]


def test_numbers_among_texts_are_categories_where_declared(client: Client) -> None:
    """A CSV column of 1A, 2, 3B is refused with advice, and is categorical where the request says so, then and `like` it."""
    body = b"code,y\n1A,1\n2,5\n3B,4\n2,6\n1A,2\n"
    refused = client.post("/train?target=y", data=body, content_type="text/csv")
    declared = client.post("/train?target=y&categorical=code", data=body, content_type="text/csv")
    alike = client.post("/train?target=y&like=default", data=body, content_type="text/csv")

    odd = ["text and numbers stand in one column: declare it categorical"]
    assert (refused.status_code, (refused.json or {})["errors"]) == (422, {f"row {row}, column code": odd for row in (2, 4)})
    assert (declared.status_code, (declared.json or {})["schema"]["frame"]["categories"]) == (201, {"code": ["1A", "2", "3B"]})
    assert (alike.status_code, (alike.json or {})["fingerprint"]) == (201, (declared.json or {})["fingerprint"])


@SUFFIXES
def test_nulls_are_errors_or_dropped(suffix: str, client: Client, tmp_path: Path) -> None:
    """A null in a number, a category or the target is refused by default; dropped, the rest is the training of the complete rows."""
    holed = FRAME.with_row_index().with_columns(
        x=pl.when(pl.col("index") == 7).then(None).otherwise(pl.col("x")),
        town=pl.when(pl.col("index") == 90).then(None).otherwise(pl.col("town")),
        y=pl.when(pl.col("index").is_in([0, 299])).then(None).otherwise(pl.col("y")),
    )
    complete = holed.drop_nulls().drop("index")
    body = body_of(holed.drop("index"), suffix, tmp_path)
    refused = client.post("/train?target=y", data=body, content_type=MEDIA[suffix])
    dropped = client.post("/train?target=y&missing=drop", data=body, content_type=MEDIA[suffix])
    truth = client.post("/train?target=y&missing=drop", data=body_of(complete, suffix, tmp_path), content_type=MEDIA[suffix])
    found, expected = dropped.json or {}, truth.json or {}

    assert (refused.status_code, dropped.status_code, truth.status_code) == (422, 201, 201)
    assert set((refused.json or {})["errors"]) <= {"row 8, column x", "row 91, column town", "row 1, column y", "row 300, column y"}
    assert found["fit"]["n"] == 296
    assert (found["fingerprint"], found["fit"], found["schema"]) == (expected["fingerprint"], expected["fit"], expected["schema"])


@pytest.mark.parametrize("missing", ["error", "drop"])
@pytest.mark.parametrize("end", ["", "\n", "\n\n\n", "\r\n\r\n"])
def test_blank_lines_at_the_end_are_no_rows(end: str, missing: str, tmp_path: Path) -> None:
    """No newline, one, or several at the end of a CSV file, or of the first of two, give the same three rows each."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text(f"x,y\n1,2\n2,5\n4,{3 if name == 'a' else 9}{end}")
    done = command(tmp_path, "train", str(tmp_path / "a.csv"), "--target", "y", "--missing", missing)
    both = command(tmp_path, "train", str(tmp_path / "?.csv"), "--target", "y", "--missing", missing)

    assert (done.exit_code, done.stderr) == (0, "")
    assert stored(tmp_path, 1)["fit"]["n"] == 3
    assert (both.exit_code, both.stderr) == (0, "")
    assert stored(tmp_path, 2)["fit"]["n"] == 6


@pytest.mark.parametrize("missing", ["error", "drop"])
@pytest.mark.parametrize("quoted", ['"3,4', '3,"4', '3,4"x"', '"3"x,4', '3,"4\n'])
def test_an_unclosed_quote_never_loses_rows(quoted: str, missing: str, client: Client) -> None:
    """A stray quote is an error, or a cell; the rows after it are never swallowed by it in silence."""
    body = f"x,y\n1,2\n{quoted}\n5,6\n7,9\n8,1\n"
    answer = client.post(f"/train?target=y&missing={missing}", data=body.encode(), content_type="text/csv")

    assert answer.status_code in {400, 422}, (answer.json or {}).get("fit")


@pytest.mark.parametrize("missing", ["error", "drop"])
@pytest.mark.parametrize("line", ["3", "3,4,5", ",,"])
def test_lines_of_another_width_are_errors(line: str, missing: str, client: Client) -> None:
    """Too many fields are an error; too few are one too, unless rows with missing values are dropped, for they are read as missing."""
    answer = client.post(f"/train?target=y&missing={missing}", data=f"x,y\n1,2\n{line}\n5,6\n7,9\n".encode(), content_type="text/csv")

    if (line, missing) == ("3", "drop"):
        assert (answer.json or {})["fit"]["n"] == 3
    else:
        assert answer.status_code in {400, 422}, (answer.json or {}).get("fit")


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".ndjson"])
def test_whole_numbers_that_float64_does_not_hold_are_refused(suffix: str, client: Client, tmp_path: Path) -> None:
    """2^53 + 1 is no float64 number: 422, as in JSON, rather than another number."""
    frame = pl.DataFrame({"x": [1, 2, 2**53 + 1], "y": [1.0, 2.0, 4.0]})
    answer = client.post("/train?target=y", data=body_of(frame, suffix, tmp_path), content_type=MEDIA[suffix])

    assert answer.status_code == 422, answer.json


@pytest.mark.parametrize("suffix", WRITERS)
def test_damaged_files_are_unreadable(suffix: str, client: Client) -> None:
    """Bytes of no form are 400 in our own words; nothing is published."""
    answer = client.post("/train?target=y", data=b"\x00\xff PAR1 nonsense", content_type=MEDIA[suffix])

    assert answer.status_code == 400
    assert client.get("/models/default").status_code == 404


def environ(tmp_path: Path) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PLUMBLINE_")}
    return plain | {"PLUMBLINE_STORE": str(tmp_path / "cli"), "COLUMNS": "160"}


def started(tmp_path: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "service", *arguments],
        cwd=ROOT,
        env=environ(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_parquet_files_whose_types_differ_are_refused(tmp_path: Path) -> None:
    """Read one by one they would be converted in silence; the one that differs is named, before any row is read."""
    for name, x in (("a", [1.0, 2.0]), ("b", ["1", "2"])):
        pl.DataFrame({"x": x, "y": [1.0, 3.0]}).write_parquet(tmp_path / f"{name}.parquet")

    with pytest.raises(Invalid) as refused:
        TableSource([tmp_path / "a.parquet", tmp_path / "b.parquet"], "parquet", numeric_missing=False)
    assert refused.value.errors == {"b.parquet": ["has other types of columns than the first file"]}


@pytest.mark.parametrize("group", [0, 70, 139])
def test_a_parquet_file_that_breaks_in_the_middle_is_no_shorter_file(group: int, tmp_path: Path) -> None:
    """A page whose header lies about its size: polars' thread breaks there, and what came before must not be taken for all."""
    path, broken = tmp_path / "whole.parquet", tmp_path / "broken.parquet"
    frame = pl.DataFrame({"x": RANDOM.normal(size=140_000), "y": RANDOM.normal(size=140_000)})
    frame.write_parquet(path, row_group_size=1000, statistics=False, compression="uncompressed")
    data = bytearray(path.read_bytes())
    pages = [match.start() for match in re.finditer(re.escape(bytes(data[4:16])), data)]
    assert len(pages) == 280
    data[pages[2 * group] + 7] = 0
    broken.write_bytes(data)

    assert sum(rows.count for rows in TableSource([path], "parquet", numeric_missing=False).batches(["x", "y"])) == 140_000
    with pytest.raises(Unreadable, match="the data cannot be read as parquet"):
        list(TableSource([broken], "parquet", numeric_missing=False).batches(["x", "y"]))
    refused = command(tmp_path, "train", str(broken), "--target", "y")
    assert refused.exit_code != 0
    assert "the data cannot be read as parquet" in refused.output
    assert not ModelStore.open(tmp_path / "cli").models()


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    """SIGINT during a long training ends it with exit code 1, and the store has no model, as if it had never begun."""
    FRAME.write_csv(tmp_path / "rows.csv")
    solver = json.dumps({"name": "sgd", "learning_rate": 1e-9, "epochs": 1_000_000})
    with started(tmp_path, "train", str(tmp_path / "rows.csv"), "--target", "y", "--features", "x,k", "--solver", solver) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "cli").exists() and time.monotonic() < deadline:  # the store is opened just before the training
            assert process.poll() is None
            time.sleep(0.05)
        time.sleep(1)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        printed, errors = process.communicate(timeout=30)

    assert (process.returncode, printed) == (1, "")
    assert "Traceback" not in errors
    assert ModelStore.open(tmp_path / "cli").models() == []


def test_progress_is_quiet_without_a_terminal(tmp_path: Path) -> None:
    """In a pipe, standard error stays empty and standard output holds the table alone, without colours."""
    FRAME.write_csv(tmp_path / "rows.csv")
    with started(tmp_path, "train", str(tmp_path / "rows.csv"), "--target", "y") as process:
        printed, errors = process.communicate(timeout=60)

    assert (process.returncode, errors) == (0, "")
    assert printed.startswith(f"default version 1: n = {COUNT}, R² = 0.")
    assert "\x1b" not in printed


@pytest.mark.skipif(strd.directory() is None, reason="the NIST data are not here: set NIST_STRD")
def test_selftest_prints_the_digits_of_nist(tmp_path: Path) -> None:
    """`service selftest` exits with 0, says that products are exact, and shows at least 13 digits for each of the eleven datasets."""
    done = command(tmp_path, "selftest")
    digits = {name: (float(b), float(se)) for name, b, se in re.findall(r"│ (\w+) +│ ([\d.]+) +│ ([\d.]+) +│", done.stdout)}

    assert done.exit_code == 0
    assert done.stdout.startswith("exact matrix products: yes\n")
    assert len(digits) == 11
    assert min(min(pair) for name, pair in digits.items() if name not in {"wampler1", "wampler2"}) >= 13
    assert min(digits["wampler1"]) >= 10
    assert min(digits["wampler2"]) >= 10


def test_categories_in_a_csv_file_are_its_text(client: Client) -> None:
    """A declared category of digits keeps its leading zeros, which a number would lose."""
    body = b"zip,rent\n01067,5\n10115,7\n01067,6\n10115,9\n"
    trained = client.post("/train?model=zip&target=rent&categorical=zip", data=body, headers={"Content-Type": "text/csv"})

    assert trained.status_code == 201, trained.text
    assert trained.json["schema"]["frame"]["categories"] == {"zip": ["01067", "10115"]}


def test_lines_longer_than_what_is_read_at_once_come_whole(tmp_path: Path) -> None:
    """A CSV file is read by the megabyte, and a line may be longer than that."""
    lines = [f'{i},"{"z" * size}",{2 * i + 1}\n' for i, size in enumerate((10, 1_700_000, 3_100_000, 5))]
    (tmp_path / "long.csv").write_text("a,b,y\n" + "".join(lines))
    source = TableSource([tmp_path / "long.csv"], "csv", numeric_missing=False)
    rows = list(source.batches(["a", "b", "y"], categorical=["b"]))

    assert [value for part in rows for value in part.numbers(["y"])[:, 0]] == [1, 3, 5, 7]
    assert [len(str(text)) for part in rows for text in part.pick(["b"])["b"]] == [10, 1_700_000, 3_100_000, 5]


@SUFFIXES
def test_batches_of_many_columns_have_fewer_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    """What is held of a file at a time is bounded by its numbers, not by its rows alone; all rows come, in their order."""
    monkeypatch.setattr(tables, "BATCH_NUMBERS", 1000)
    frame = pl.DataFrame({str(column): np.arange(1234.0) + column for column in range(10)})
    path = tmp_path / f"rows{suffix}"
    WRITERS[suffix](frame, path)
    source = TableSource([path], tables.SUFFIXES[suffix], numeric_missing=False)

    batches = [rows.numbers(source.names) for rows in source.batches(source.names)]

    assert max(map(len, batches)) <= 100
    np.testing.assert_array_equal(np.vstack(batches), frame.to_numpy())
