"""`/jobs` and idempotent requests over HTTP."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from model_store.store import ModelStore

MakeClient = Callable[..., Client]
LINE: dict[str, Any] = {"model": "line", "instances": [[0], [1], [2]], "targets": [1, 3, 5]}
LATER = {"Prefer": "respond-async"}


def keyed(client: Client, key: str, document: Any = LINE, **headers: str) -> TestResponse:
    """POST /train under an idempotency key."""
    return client.post("/train", json=document, headers={"Idempotency-Key": key} | headers)


def test_polling_costs_nothing_until_there_is_news(make_client: MakeClient) -> None:
    """A strong ETag names the state: 304 while it lasts, 200 with another one when it has changed; Retry-After while it is pending."""
    waiting = make_client(trainer=False)
    accepted = waiting.post("/train", json=LINE, headers=LATER)
    place = accepted.headers["Location"]
    first = waiting.get(place)
    same = waiting.get(place, headers={"If-None-Match": first.headers["ETag"]})
    other = waiting.get(place, headers={"If-None-Match": '"other"'})
    waiting.delete(place)
    news = waiting.get(place, headers={"If-None-Match": first.headers["ETag"]})

    assert (accepted.headers["Retry-After"], first.headers["Retry-After"]) == ("1", "1")
    assert first.headers["ETag"].startswith('"')
    assert (same.status_code, same.data, same.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert other.status_code == 200
    assert (news.status_code, news.json and news.json["state"], "Retry-After" in news.headers) == (200, "cancelled", False)


def test_jobs_are_listed_newest_first_page_by_page(client: Client, make_client: MakeClient) -> None:
    """Every job once, without its result; `state` picks, and both agree with the records themselves."""
    made = [client.post("/train", json=LINE if number % 3 else LINE | {"targets": ["x"] * 3}) for number in range(7)]
    waiting = make_client(trainer=False).post("/train", json=LINE, headers=LATER)
    pages: list[Any] = [client.get("/jobs?limit=3").json]
    while pages[-1]["after"]:
        pages.append(client.get(f"/jobs?limit=3&after={pages[-1]['after']}").json)
    listed = [job for page in pages for job in page["jobs"]]

    assert [answer.status_code for answer in made] == [422, 201, 201, 422, 201, 201, 422]
    assert waiting.json is not None
    assert [len(page["jobs"]) for page in pages] == [3, 3, 2]
    assert listed[0] == waiting.json
    assert [job["state"] for job in listed[1:]] == ["failed", "succeeded", "succeeded"] * 2 + ["failed"]
    for job in listed:
        record: Any = client.get(f"/jobs/{job['id']}").json
        assert job == {name: value for name, value in record.items() if name != "result"}
    failed: Any = client.get("/jobs?state=failed&limit=2").json
    assert {job["error"]["status"] for job in failed["jobs"]} == {422}
    assert [job["id"] for job in failed["jobs"]] == [job["id"] for job in listed if job["state"] == "failed"][:2]
    rest: Any = client.get(f"/jobs?state=failed&limit=2&after={failed['after']}").json
    assert (len(rest["jobs"]), rest["after"]) == (1, None)


def test_a_retry_is_answered_by_the_first_outcome(client: Client, store: ModelStore) -> None:
    """The same key and request give the same version, or the same refusal, and nothing is done twice; without a key it is."""
    answers = [keyed(client, "k1") for _ in range(3)]
    wrong = [keyed(client, "k2", LINE | {"targets": [1]}) for _ in range(2)]

    assert [(answer.status_code, answer.json) for answer in answers] == [(201, answers[0].json)] * 3
    assert [(answer.status_code, answer.json) for answer in wrong] == [(422, wrong[0].json)] * 2
    assert (store.versions("line"), len(list(store.job_records.oldest()))) == ([1], 2)
    key = store.alias("line", "live").idempotency_key
    assert key is not None
    assert "k1" not in key  # a name of the key and whose it is


def test_a_key_belongs_to_one_request_and_one_identity(make_client: MakeClient, store: ModelStore) -> None:
    """Another body, option, form or operation under the key is 422; another token's same key is another key."""
    tokens = ["first-token-of-two", "other-token-of-two"]
    client = make_client(WRITE_TOKEN=",".join(tokens))
    one, other = ({"Authorization": f"Bearer {token}"} for token in tokens)
    first = keyed(client, "k", **one)
    changed = keyed(client, "k", LINE | {"description": "x"}, **one)
    form = client.post("/train?target=y", data="x,y\n1,2\n", content_type="text/csv", headers={"Idempotency-Key": "k"} | one)
    second = keyed(client, "k", **other)

    assert (first.status_code, first.json and first.json["version"]) == (201, "1")
    for answer in (changed, form):
        assert answer.status_code == 422
        assert answer.json is not None
        assert "a key of its own" in answer.json["errors"]["Idempotency-Key"][0]
    assert (second.status_code, second.json and second.json["version"]) == (201, "2")
    assert len(list(store.job_records.oldest())) == 2


@pytest.mark.parametrize("key", ["", " ", "two words", "k" * 256, "k\u00e9y", "k\tk"])
def test_a_key_is_visible_ascii(client: Client, key: str) -> None:
    """Anything else is 422, before the body is taken."""
    answer = client.post("/train", json=LINE, environ_overrides={"HTTP_IDEMPOTENCY_KEY": key})

    assert (answer.status_code, list((answer.json or {}).get("errors", {}))) == (422, ["Idempotency-Key"])


def test_a_retry_finds_the_job_that_still_waits_even_when_the_queue_is_full(make_client: MakeClient) -> None:
    """The same job is named; a new request is 429 meanwhile; after a cancel the retry is a new job."""
    client = make_client(trainer=False, MAX_QUEUED_TRAININGS="1")
    first, retry, new = keyed(client, "k", **LATER), keyed(client, "k", **LATER), keyed(client, "new", **LATER)
    cancelled = client.delete(first.headers["Location"])
    again = keyed(client, "k", **LATER)

    assert [answer.status_code for answer in (first, retry, new, again)] == [202, 202, 429, 202]
    assert retry.headers["Location"] == first.headers["Location"]
    assert (cancelled.status_code, cancelled.json and cancelled.json["state"]) == (200, "cancelled")
    assert again.headers["Location"] != first.headers["Location"]


def test_a_waiting_request_whose_job_is_cancelled_is_409(make_client: MakeClient, store: ModelStore) -> None:
    """Who waits for a job that somebody else cancels is told, and that nothing was published."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    client = make_client(trainer=False)
    with ThreadPoolExecutor(1) as other:
        waits = other.submit(client.post, "/train", json=LINE)
        while not any(store.job_records.oldest()):
            pass
        make_client(trainer=False).delete(f"/jobs/{next(store.job_records.oldest())}")
        answer = waits.result()

    assert (answer.status_code, answer.json and answer.json["detail"]) == (409, "the job was cancelled; nothing was published")


def test_a_training_names_its_source(make_client: MakeClient, tmp_path: Path) -> None:
    """Files under a root train the same model as their rows in the request; limits hold, and other addresses are refused."""
    root = tmp_path / "data"
    root.mkdir()
    rows = [f"{x},{2 * x + 1}" for x in range(10)]
    (root / "one.csv").write_text("\n".join(["x,y", *rows[:5], ""]))
    (root / "two.csv").write_text("\n".join(["x,y", *rows[5:], ""]))
    client = make_client(DATA_ROOTS=str(root))
    named: Any = client.post("/train", json={"source": "*.csv", "target": "y"}).json
    sent: Any = client.post("/train?target=y", data="\n".join(["x,y", *rows]), content_type="text/csv").json
    refused = client.post("/train", json={"source": "../one.csv", "target": "y"})
    both = client.post("/train", json={"source": "one.csv", "target": "y", "columns": {}})
    few = make_client(DATA_ROOTS=str(root), MAX_ROWS="9").post("/train", json={"source": "*.csv", "target": "y"})
    unset = make_client().post("/train", json={"source": "one.csv", "target": "y"})

    assert (named["fingerprint"], named["fit"]) == (sent["fingerprint"], sent["fit"])
    assert (refused.status_code, list((refused.json or {})["errors"])) == (422, ["source"])
    assert (both.status_code, list((both.json or {})["errors"])) == (422, ["columns"])
    assert few.status_code == 413
    assert (unset.status_code, "PLUMBLINE_DATA_ROOTS" in unset.text) == (422, True)
    assert (root / "one.csv").exists()
