"""Aliases over HTTP: moved by compare-and-set, with a history of who moved them, when and why; and the audit line of every write."""

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from werkzeug.test import Client

from model_store.store import ModelStore
from service.logs import AUDIT
from tests.api.conftest import MakeClient

LINE: dict[str, Any] = {"model": "m", "instances": [[0], [1], [2]], "targets": [1, 3, 5]}
LIVE = "/models/m/aliases/live"


@pytest.fixture
def three(client: Client) -> Client:
    """The application with model `m` of three versions, the third live."""
    for slope in (2, 3, 4):
        assert client.post("/train", json=LINE | {"targets": [1, 1 + slope, 1 + 2 * slope]}).status_code == 201
    return client


def served(client: Client) -> str:
    """The version that predictions name."""
    version: str = client.post("/predict", json={"model": "m", "instances": [[1]]}).json["version"]
    return version


def test_a_moved_alias_is_what_is_served(three: Client) -> None:
    """PUT moves live at once, tells the move, and makes an alias that was not there."""
    moved = three.put(LIVE, json={"version": "1", "reason": "steady"})
    made = three.put("/models/m/aliases/next", json={"version": "2"})

    assert (moved.status_code, moved.headers["ETag"]) == (200, '"1"')
    assert {name: moved.json[name] for name in ("model", "alias", "version", "who", "reason")} == {
        "model": "m",
        "alias": "live",
        "version": "1",
        "who": "anonymous",
        "reason": "steady",
    }
    assert served(three) == "1"
    assert made.json["version"] == "2"
    assert three.get("/models/m").json["aliases"] == {"live": "1", "next": "2"}
    assert three.post("/predict", json={"model": "m", "alias": "next", "instances": [[1]]}).json["version"] == "2"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"version": "2", "expect": "1"}, {}),
        ({"version": "2"}, {"If-Match": '"1"'}),
        ({"version": "2", "expect": "1"}, {"If-Match": '"1"'}),
    ],
)
def test_an_unexpected_version_stays(three: Client, body: dict[str, Any], headers: dict[str, str]) -> None:
    """Where the alias names another version than expected, nothing moves and the answer says which it is; as expected, it moves."""
    refused = three.put(LIVE, json=body, headers=headers)
    assert refused.status_code == 412
    assert "names version 3, not 1" in refused.json["detail"]
    assert served(three) == "3"

    as_read = three.get(LIVE).headers["ETag"]
    assert three.put(LIVE, json={"version": "2", "expect": "3"}, headers={"If-Match": as_read}).status_code == 200
    assert served(three) == "2"


def test_an_alias_that_never_was_is_not_as_expected(three: Client) -> None:
    """`expect` on an alias that is not there is 412, and none is made."""
    assert three.put("/models/m/aliases/new", json={"version": "1", "expect": "1"}).status_code == 412
    assert three.get("/models/m/aliases/new").status_code == 404


@pytest.mark.parametrize(
    ("body", "headers", "path"),
    [
        ({"version": "live"}, {}, "version"),
        ({"version": 2}, {}, "version"),
        ({"version": "2", "expect": "0"}, {}, "expect"),
        ({"version": "2", "other": 1}, {}, "other"),
        ({}, {}, "version"),
        ({"version": "2"}, {"If-Match": "3"}, "If-Match"),
        ({"version": "2"}, {"If-Match": '"3", "2"'}, "If-Match"),
        ({"version": "2"}, {"If-Match": "*"}, "If-Match"),
        ({"version": "2", "expect": "2"}, {"If-Match": '"3"'}, "expect"),
    ],
)
def test_a_wrong_move_is_refused(three: Client, body: dict[str, Any], headers: dict[str, str], path: str) -> None:
    """What is not a version, or two preconditions that disagree, is named and nothing moves."""
    answer = three.put(LIVE, json=body, headers=headers)

    assert (answer.status_code, list(answer.json["errors"])) == (422, [path])
    assert served(three) == "3"


def test_digits_are_no_alias(three: Client) -> None:
    """An alias of digits alone would be taken for a version."""
    answer = three.put("/models/m/aliases/7", json={"version": "1"})

    assert answer.status_code == 422
    assert "digits alone refer to a version" in answer.json["detail"]


def test_of_two_promotions_one_wins(three: Client, make_client: MakeClient) -> None:
    """Of many at once that expect the same version, through several workers, exactly one moves the alias."""
    workers = [three, *(make_client() for _ in range(3))]

    def promote(number: int) -> int:
        return workers[number % 4].put(LIVE, json={"version": str(1 + number % 2), "expect": "3"}).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(promote, range(8)))

    assert statuses == [200] + [412] * 7
    assert len(three.get(LIVE).json["history"]) == 4


def test_the_history_tells_who_when_and_why(make_client: MakeClient, three: Client) -> None:
    """Newest first, in pages that together are the log; a token is told apart without being shown."""
    token = "a-token-for-writing"
    client = make_client(WRITE_TOKEN=token)
    bearer = {"Authorization": f"Bearer {token}"}
    client.put(LIVE, json={"version": "1", "reason": "back to the start"}, headers=bearer)
    whole = client.get(LIVE).json
    pages, after = [], ""
    while after is not None:
        page = client.get(f"{LIVE}?limit=3{f'&after={after}' if after else ''}").json
        pages.append(page["history"])
        after = page["after"]

    assert (whole["version"], whole["reason"]) == ("1", "back to the start")
    assert [move["version"] for move in whole["history"]] == ["1", "3", "2", "1"]
    assert [move["reason"] for move in whole["history"]] == ["back to the start", "train", "train", "train"]
    assert whole["history"][0]["who"].startswith("token ")
    assert token not in str(whole)
    assert [move["time"] for move in whole["history"]] == sorted((move["time"] for move in whole["history"]), reverse=True)
    assert [len(page) for page in pages] == [3, 1]
    assert [move for page in pages for move in page] == whole["history"]


def test_aliases_are_listed_in_pages(three: Client) -> None:
    """Each alias with its last move, sorted by name."""
    for name in ("b", "a"):
        three.put(f"/models/m/aliases/{name}", json={"version": "1"})
    first = three.get("/models/m/aliases?limit=2").json
    second = three.get(f"/models/m/aliases?limit=2&after={first['after']}").json

    assert [(move["alias"], move["version"]) for move in first["aliases"] + second["aliases"]] == [("a", "1"), ("b", "1"), ("live", "3")]
    assert second["after"] is None


def test_a_deleted_alias_is_gone_and_its_log_goes_on(three: Client, store: ModelStore) -> None:
    """It is 404 at every door, its version can be deleted, and made again it remembers that it was deleted; live cannot be."""
    path = "/models/m/aliases/next"
    three.put(path, json={"version": "1"})
    assert three.post("/predict", json={"model": "m", "alias": "next", "instances": [[1]]}).status_code == 200
    assert three.delete("/models/m/versions/1").status_code == 409
    assert three.delete(path).status_code == 204

    assert [answer.status_code for answer in (three.get(path), three.delete(path))] == [404, 404]
    assert three.post("/predict", json={"model": "m", "alias": "next", "instances": [[1]]}).status_code == 404
    assert three.get("/models/m").json["aliases"] == {"live": "3"}
    assert three.delete("/models/m/versions/1").status_code == 204
    three.put(path, json={"version": "2"})
    assert [move["version"] for move in three.get(path).json["history"]] == ["2", None, "1"]

    refused = three.delete(LIVE)
    assert refused.status_code == 409
    assert "move it to another version" in refused.json["detail"]
    assert store.resolve("m", "live") == 3


def test_a_rollback_serves_what_was_served_before(three: Client) -> None:
    """Back by one, with the reason kept; again, and the first is undone; deleted versions are skipped; at the start it is 409."""
    first = three.post("/models/m/rollback", json={"reason": "too steep"})
    assert (first.json["version"], first.json["reason"], served(three)) == ("2", "too steep", "2")
    second = three.post("/models/m/rollback")
    assert (second.json["version"], second.json["reason"], served(three)) == ("3", "rollback", "3")
    three.delete("/models/m/versions/2")
    assert three.post("/models/m/rollback").json["version"] == "1"

    three.post("/train", json=LINE | {"model": "new"})
    refused = three.post("/models/new/rollback")
    assert refused.status_code == 409
    assert "no earlier version" in refused.json["detail"]


def test_every_write_leaves_an_audit_line(make_client: MakeClient, caplog: pytest.LogCaptureFixture) -> None:
    """Who, what, which model and version, and how it ended; neither reading nor a token or a reason is in it."""
    token = "a-token-for-writing"
    bearer = {"Authorization": f"Bearer {token}"}
    client = make_client(WRITE_TOKEN=token)
    with caplog.at_level(logging.INFO, AUDIT):
        client.post("/train", json=LINE, headers=bearer)
        client.put("/models/m/aliases/next", json={"version": "1", "reason": "secret plan"}, headers=bearer)
        client.post("/models/m/rollback", headers=bearer)
        client.delete("/models/m/versions/1", headers=bearer)
        client.delete("/models/n%0Ano", headers=bearer)
        client.delete("/models/m", headers=bearer)
        client.delete("/models/m")
        client.get("/models", headers=bearer)
        client.post("/predict", json={"model": "m", "instances": [[1]]}, headers=bearer)
    (published,) = [record for record in caplog.records if record.name == AUDIT and record.message == "published"]
    lines = [record for record in caplog.records if record.name == AUDIT and record.message == "write"]
    told = [
        (line.method, line.route, line.status, *(getattr(line, name, None) for name in ("model", "version", "alias"))) for line in lines
    ]

    assert told == [
        ("POST", "/train", 201, "m", "1", None),
        ("PUT", "/models/<model>/aliases/<alias>", 200, "m", "1", "next"),
        ("POST", "/models/<model>/rollback", 409, "m", None, None),
        ("DELETE", "/models/<model>/versions/<version>", 409, "m", "1", None),
        ("DELETE", "/models/<model>", 422, None, None, None),
        ("DELETE", "/models/<model>", 204, "m", None, None),
    ]
    assert (published.who, published.request_id) == (lines[0].who, lines[0].request_id)
    assert (published.operation, published.model, published.version) == ("train", "m", "1")
    assert {line.who[:6] for line in lines} == {"token "}
    assert len({line.request_id for line in lines}) == len(lines)
    assert token not in str([vars(line) for line in lines])
    assert "secret" not in str([vars(line) for line in lines])
