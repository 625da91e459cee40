"""`POST /train` and its jobs over HTTP."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from werkzeug.test import Client, TestResponse

from model_store.store import ModelStore
from service.api.submitting import DEFAULT_WAIT, LONGEST_WAIT, preferred_wait

MakeClient = Callable[..., Client]
LINE: dict[str, Any] = {"model": "line", "instances": [[0], [1], [2]], "targets": [1, 3, 5]}


def test_a_training_is_published_and_located(client: Client, line: TestResponse) -> None:
    """201 with the version document, which stands where `Location` says and is served at once."""
    assert (line.status_code, line.headers["Location"]) == (201, "/models/line/versions/1")
    assert client.get(line.headers["Location"]).json == line.json
    answer = client.post("/predict", json={"model": "line", "instances": [[10]]})
    assert answer.json is not None
    np.testing.assert_allclose(answer.json["predictions"], [21], rtol=1e-12)


def test_every_form_trains_the_same_model(client: Client) -> None:
    """Positional, named, columnar and CSV data of the same numbers give the same coefficients, bit for bit."""
    rows = [[1.5, -2, 3], [2, 5, 7.25], [3, 1, 0.5], [8, 0, 1]]
    names = ["a", "b", "y"]
    answers = [
        client.post("/train", json={"instances": [row[:2] for row in rows], "targets": [row[2] for row in rows], "features": ["a", "b"]}),
        client.post("/train", json={"instances": [dict(zip(names, row, strict=True)) for row in rows], "target": "y"}),
        client.post("/train", json={"columns": dict(zip(names, zip(*rows, strict=True), strict=True)), "target": ["y"]}),
        client.post(
            "/train?target=y", data="a,b,y\n" + "".join(f"{a},{b},{y}\n" for a, b, y in rows), content_type="text/csv; charset=utf-8"
        ),
        client.post(
            "/train?target=y&features=a,b&intercept=true",
            data="y,b,a\n" + "".join(f"{y},{b},{a}\n" for a, b, y in rows),
            content_type="text/csv",
        ),
    ]
    documents: list[Any] = [answer.json for answer in answers]

    assert [answer.status_code for answer in answers] == [201] * 5
    assert [document["fit"] for document in documents] == [documents[0]["fit"]] * 5
    assert [document["schema"] for document in documents] == [documents[0]["schema"]] * 5
    assert len({document["state_dict"] for document in documents}) == 1
    assert [document["version"] for document in documents] == ["1", "2", "3", "4", "5"]


def test_options_of_a_csv_body_stand_in_the_query(client: Client) -> None:
    """Model, description, labels, promotion and intercept are read from the query."""
    client.post("/train", json=LINE | {"model": "m"})
    answer = client.post(
        "/train?model=m&target=y&intercept=false&new_schema=true&promote=false&description=a%20note&labels=team=risk",
        data="a,y\n1,2\n2,4.5\n",
        content_type="text/csv",
    )
    document: Any = answer.json

    assert (document["version"], document["aliases"], document["description"], document["labels"]) == ("2", [], "a note", {"team": "risk"})
    assert document["schema"]["frame"]["intercept"] is False


def test_an_asynchronous_training_is_found_by_its_job(make_client: MakeClient) -> None:
    """`respond-async` is 202 at once with the place of the job, which tells when and how it ended."""
    client = make_client()
    answer = client.post("/train", json=LINE, headers={"Prefer": "respond-async", "X-Request-Id": "r-7"})
    # In this process the ring runs the job before the answer is made, so the record is finished: the answer is the version.
    assert answer.status_code == 201

    waiting = make_client(trainer=False)
    answer = waiting.post("/train", json=LINE, headers={"Prefer": "respond-async", "X-Request-Id": "r-7"})
    record: Any = answer.json
    assert (answer.status_code, answer.headers["Location"]) == (202, f"/jobs/{record['id']}")
    assert (record["state"], record["request_id"], set(record)) == ("queued", "r-7", {"id", "state", "operation", "created", "request_id"})
    assert waiting.get(answer.headers["Location"]).json == record


def test_a_wait_that_is_over_is_202(make_client: MakeClient) -> None:
    """When nobody finishes the job within `wait`, the client is told where to look."""
    answer = make_client(trainer=False).post("/train", json=LINE, headers={"Prefer": "wait=0"})

    assert answer.status_code == 202


def test_a_job_tells_success_and_failure(client: Client, store: ModelStore) -> None:
    """The record of a finished job holds the version document, or the error with its paths."""
    client.post("/train", json=LINE)
    client.post("/train", json=LINE | {"targets": [1, 2]})
    records: list[Any] = [client.get(f"/jobs/{job_id}").json for job_id in store.job_records.oldest()]
    by_state = {record["state"]: record for record in records}

    assert set(by_state) == {"succeeded", "failed"}
    assert by_state["succeeded"]["result"] == client.get("/models/line/versions/1").json
    assert by_state["failed"]["error"] == {
        "kind": "Invalid",
        "status": 422,
        "detail": "some fields of the request are not valid",
        "errors": {"targets": ["has 2 rows where instances has 3"]},
    }


def test_a_failed_training_has_the_status_of_its_error(client: Client) -> None:
    """An error in the trainer reaches the client as if it had happened in the request."""

    def train(**request: Any) -> tuple[int, Any]:
        answer = client.post("/train", **request)
        assert answer.content_type == "application/problem+json"
        return answer.status_code, answer.json

    status, problem = train(json=LINE | {"targets": ["x"] * 3})
    assert (status, problem) == (
        422,
        {
            "title": "Unprocessable Entity",
            "status": 422,
            "detail": "some fields of the request are not valid",
            "errors": {f"targets[{i}]": ["must be a number"] for i in range(3)},
        },
    )
    assert train(data=b"{", content_type="application/json")[0] == 400
    assert train(data=b"{}", content_type="text/plain")[0] == 415
    assert train(json=LINE | {"instances": [[1] * 4097], "targets": [1]})[0] == 413


def test_a_failure_of_ours_is_500_and_tells_nothing(make_client: MakeClient, store: ModelStore, config: Any) -> None:
    """A job that ended for a reason of ours, or with its process, is a failure of the service."""
    from service.training.jobs import Jobs  # noqa: PLC0415 - beside the one test that makes a job fail by hand

    waiting = make_client(trainer=False)
    jobs = Jobs(store, config.spool, limit=10)
    job_id = waiting.post("/train", json=LINE, headers={"Prefer": "wait=0"}).headers["Location"].removeprefix("/jobs/")
    jobs.take(job_id)
    jobs.fail(job_id, RuntimeError("zebra-payload"))

    from service.api.answers import problem_of_job  # noqa: PLC0415

    answer = problem_of_job(jobs.record(job_id)["error"])
    assert (answer.status, b"zebra" in answer.body, b"in the log" in answer.body) == (500, False, True)


def test_a_full_queue_is_429(make_client: MakeClient) -> None:
    """One training more than may wait is refused with a time to come back, and leaves nothing behind."""
    client = make_client(trainer=False, MAX_QUEUED_TRAININGS="2")
    answers = [client.post("/train", json=LINE, headers={"Prefer": "respond-async"}) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert answers[2].headers["Retry-After"] == "1"


def test_the_last_free_thread_of_a_worker_never_waits(make_client: MakeClient) -> None:
    """With two threads one request may wait for the trainer; the next is told to look later, so predictions go on."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    client = make_client(trainer=False, THREADS="2")
    with ThreadPoolExecutor(2) as both:
        first, second = both.map(lambda _: client.post("/train", json=LINE, headers={"Prefer": "wait=2"}), range(2))

    assert {first.status_code, second.status_code} == {202}


def test_a_worker_that_stops_waits_for_nothing(make_client: MakeClient) -> None:
    """A request that waits is answered 202 when its worker is told to stop."""
    client = make_client(trainer=False)
    gate: Any = client.application
    gate.stopping = lambda: True

    assert client.post("/train", json=LINE, headers={"Prefer": "wait=60"}).status_code == 202


def test_an_unknown_job_is_404(client: Client) -> None:
    """A job nobody made, or a name no job can have, is told apart from a queued one."""
    assert client.get("/jobs/00000000000000000000000000000000").status_code == 404
    assert client.get("/jobs/a b").status_code == 422


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("", DEFAULT_WAIT),
        ("respond-async", 0.0),
        ("Respond-Async", 0.0),
        ("wait=5", 5.0),
        ("respond-async, wait=5", 5.0),
        ("respond-async; wait=5", 5.0),
        ("wait=0", 0.0),
        ("wait=999", LONGEST_WAIT),
        ("wait=9999999", DEFAULT_WAIT),
        ("wait=-1", DEFAULT_WAIT),
        ("wait=soon", DEFAULT_WAIT),
        ("return=minimal, wait=3", 3.0),
        ("handling=strict", DEFAULT_WAIT),
    ],
)
def test_the_prefer_header(prefer: str, seconds: float) -> None:
    """`respond-async` does not wait, `wait=N` waits at most N seconds and never for ever, anything else is ignored."""
    assert preferred_wait(prefer) == seconds
