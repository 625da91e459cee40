"""Files that a request names in a bucket: those under the configured prefix, copied for the job and gone with it."""

from pathlib import Path
from typing import Any

import obstore
import pytest

from model_store import ModelStore
from model_store.bucket import WRITING, connect
from service.errors import Invalid, NotReady
from service.training.bucket_files import pattern
from service.training.files import NOT_UNDER, find_named
from service.training.jobs import Jobs
from service.training.runner import run_job
from service.training.sources import Limits
from tests.buckets import Endpoint
from tests.training.test_jobs import queue

CSV = "area,rent\n50,600\n60,700\n70,790\n90,990\n"


@pytest.fixture
def root(bucket: str) -> str:
    """A prefix with files under it, and one beside it."""
    whole = connect(bucket.rpartition("/")[0], WRITING)
    inside = bucket.rpartition("/")[2]
    for key in ("a.csv", "2031/b.csv", "2031/05/c.csv", "2031/note.txt", "odd name;é.csv"):
        obstore.put(whole, f"{inside}/{key}", CSV.encode())
    obstore.put(whole, "outside.csv", CSV.encode())
    return bucket


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("a.csv", ["00000-a.csv"]),
        ("2031/*.csv", ["00000-b.csv"]),
        ("**/*.csv", ["00000-c.csv", "00001-b.csv", "00002-a.csv", "00003-odd_name__.csv"]),
        ("2031/??/c.csv", ["00000-c.csv"]),
        ("odd name;é.csv", ["00000-odd_name__.csv"]),
    ],
)
def test_names_and_globs_are_looked_up_under_the_prefix(root: str, tmp_path: Path, source: str, found: list[str]) -> None:
    """What is meant is copied whole, in the order of the keys."""
    paths = find_named(source, (tmp_path / "none", root), copies=tmp_path / "copies")
    assert [path.name for path in paths] == found
    assert {path.read_text() for path in paths} == {CSV}


@pytest.mark.parametrize(
    "source", ["missing.csv", "*.parquet", "2031", "../outside.csv", "/a.csv", "s3://other/a.csv", "outside.csv", "2031/"]
)
def test_nothing_else_is_fetched(root: str, tmp_path: Path, source: str) -> None:
    """What is not under the prefix is refused in the same words, whether or not it is somewhere else."""
    with pytest.raises(Invalid) as caught:
        find_named(source, (root,), copies=tmp_path / "copies")
    assert caught.value.errors == {"source": [NOT_UNDER]}


def test_a_training_on_a_bucket_leaves_no_copy(root: str, tmp_path: Path) -> None:
    """The version is that of the same rows sent in the request; the copies are gone with the job, which may also fail."""
    store = ModelStore.open(tmp_path / "store")
    spool = tmp_path / "store" / "spool"
    jobs = Jobs(store, spool, limit=4)

    def trained(body: str) -> dict[str, Any]:
        job_id = queue(jobs, body.encode())
        run_job(jobs, store, Limits(100, 100), job_id, roots=(root,))
        return jobs.record(job_id)

    named = trained('{"source": "2031/**/*.csv", "target": "rent"}')
    area, rent = [50, 60, 70, 90] * 2, [600, 700, 790, 990] * 2
    sent = trained(f'{{"columns": {{"area": {area}, "rent": {rent}}}, "target": "rent"}}')
    assert named["result"]["fingerprint"] == sent["result"]["fingerprint"]
    assert trained('{"source": "2031/*", "target": "rent"}')["error"]["kind"] == "Invalid"
    assert not list(spool.glob("*.files"))


def test_a_bucket_that_cannot_be_read_is_told_without_its_secrets(endpoint: Endpoint, bucket: str, tmp_path: Path) -> None:
    """No address, key or text of the library reaches the client."""
    endpoint.stop()
    try:
        with pytest.raises(NotReady) as caught:
            find_named("a.csv", (bucket,), copies=tmp_path / "copies")
        assert str(endpoint.port) not in str(caught.value)
        assert "bucket of PLUMBLINE_DATA_ROOTS" in str(caught.value)
    finally:
        endpoint.start()


@pytest.mark.parametrize(
    ("glob", "key", "meant"),
    [
        ("*.csv", "a.csv", True),
        ("*.csv", "a/b.csv", False),
        ("**/*.csv", "a/b/c.csv", True),
        ("**/*.csv", "c.csv", True),
        ("a?.csv", "ab.csv", True),
        ("a?.csv", "a/.csv", False),
        ("a.csv", "aXcsv", False),
        ("x/**/y.csv", "x/y.csv", True),
        ("x/**/y.csv", "x/1/2/y.csv", True),
        ("[a].csv", "a.csv", False),
    ],
)
def test_globs_mean_what_they_mean_in_a_shell(glob: str, key: str, *, meant: bool) -> None:
    """`*` and `?` within a part, `**` across parts, everything else literally."""
    assert (pattern(glob).fullmatch(key) is not None) == meant
