"""Models, versions and what operators ask, over HTTP."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from model_store.store import ModelStore
from service.api.models import page_of

MakeClient = Callable[..., Client]
LINE: dict[str, Any] = {"instances": [[0], [1], [2]], "targets": [1, 3, 5]}


def train(client: Client, model: str, **more: Any) -> None:
    """Publish a version of y = 2 x + 1."""
    assert client.post("/train", json=LINE | {"model": model} | more).status_code == 201


def test_models_are_listed_in_pages(client: Client) -> None:
    """Each page begins after the one before, and the last one says so."""
    for name in ("c", "a", "b"):
        train(client, name)
    train(client, "a")
    train(client, "b", promote=False)
    first: Any = client.get("/models?limit=2").json
    second: Any = client.get(f"/models?limit=2&after={first['after']}").json

    assert first == {
        "models": [{"model": "a", "aliases": {"live": "2"}, "latest": "2"}, {"model": "b", "aliases": {"live": "1"}, "latest": "2"}],
        "after": "b",
    }
    assert second == {"models": [{"model": "c", "aliases": {"live": "1"}, "latest": "1"}], "after": None}
    assert client.get("/models").json == {"models": first["models"] + second["models"], "after": None}


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "limit=", "other=1"])
def test_wrong_paging_is_refused(client: Client, query: str) -> None:
    """A parameter that is unknown or out of bounds is named."""
    answer = client.get(f"/models?{query}")

    assert answer.status_code == 422
    assert answer.json is not None
    assert list(answer.json["errors"]) == [query.partition("=")[0]]


def test_pages_of_names() -> None:
    """A page ends where the names do."""
    assert page_of([], {"after": None, "limit": 3}) == ([], None)
    assert page_of(["a", "b", "c"], {"after": None, "limit": 3}) == (["a", "b", "c"], None)
    assert page_of(["a", "b", "c"], {"after": "a", "limit": 1}) == (["b"], "b")
    assert page_of(["a", "b", "c"], {"after": "c", "limit": 1}) == ([], None)


def test_a_model_tells_what_is_served(client: Client, store: ModelStore) -> None:
    """Metadata hold the aliases, the version that this worker serves, its schema and its device."""
    train(client, "m")
    train(client, "m", promote=False)
    store.move_alias("m", "next", 2)

    assert client.get("/models/m").json == {
        "model": "m",
        "aliases": {"live": "1", "next": "2"},
        "latest": "2",
        "serving": "1",
        "device": "cpu",
        "schema": {
            "features": [{"name": "x1", "type": "numeric"}],
            "terms": ["x1"],
            "targets": ["y"],
            "frame": {
                "intercept": True,
                "missing": "error",
                "unseen": "error",
                "polynomials": {},
                "categories": {},
                "resolution": [-256, -256, -256],
            },
        },
    }
    assert client.get("/models/m").json["schema"] == client.get("/models/m/versions/live").json["schema"]


def test_a_model_without_a_live_version_is_listed(client: Client) -> None:
    """A model of which nothing was promoted is there and serves nothing."""
    train(client, "m", promote=False)
    document: Any = client.get("/models/m").json

    assert (document["serving"], document["schema"], document["latest"], document["aliases"]) == (None, None, "1", {})


@pytest.mark.usefixtures("line")
def test_versions_are_found_by_number_and_by_alias(client: Client, line: TestResponse) -> None:
    """A version's document is the one that training answered, by its number and by every alias."""
    assert client.get("/models/line/versions").json == {"model": "line", "versions": ["1"], "after": None}
    assert client.get("/models/line/versions/1").json == client.get("/models/line/versions/live").json == line.json
    for path, status in (("/models/line/versions/2", 404), ("/models/line/versions/none", 404), ("/models/none/versions/1", 404)):
        assert client.get(path).status_code == status


def test_a_deleted_model_is_404_everywhere(client: Client, store: ModelStore, line: TestResponse) -> None:
    """What was served a moment ago is gone at every door."""
    body = {"model": "line", "instances": [[1]]}
    assert client.post("/predict", json=body).status_code == 200
    store.delete_model("line")

    assert client.post("/predict", json=body).status_code == 404
    assert [client.get(f"/models/line{rest}").status_code for rest in ("", "/versions", "/versions/1")] == [404] * 3
    assert client.get("/models").json == {"models": [], "after": None}


def test_a_damaged_model_hides_no_other(client: Client, config: Any) -> None:
    """A model whose alias cannot be read is listed with what is known of it and what is wrong, and the others as ever."""
    train(client, "broken")
    train(client, "whole")
    (config.store / "models/broken/aliases/live/1.json").write_bytes(b"damaged")
    answer = client.get("/models")
    broken, whole = answer.json["models"]

    assert answer.status_code == 200
    assert (broken["model"], broken["aliases"], broken["latest"]) == ("broken", {}, "1")
    assert "models/broken/aliases/live/1.json is damaged" in broken["damaged"]
    assert whole == {"model": "whole", "aliases": {"live": "1"}, "latest": "1"}


def test_what_serves_is_told_beside_the_damage(client: Client, config: Any) -> None:
    """A worker that has the version in memory serves on and says so, and says what is damaged."""
    train(client, "m")
    train(client, "m", promote=False)
    client.put("/models/m/aliases/next", json={"version": "2"})
    client.post("/predict", json={"model": "m", "instances": [[1]]})
    (config.store / "models/m/aliases/next/1.json").write_bytes(b"damaged")
    document = client.get("/models/m").json

    assert (document["serving"], document["aliases"], document["latest"]) == ("1", {}, "2")
    assert "models/m/aliases/next/1.json is damaged" in document["damaged"]
    assert document["schema"]["features"] == [{"name": "x1", "type": "numeric"}]


def test_deleting_a_model_deletes_it_everywhere(client: Client, make_client: MakeClient) -> None:
    """After DELETE no door of any worker knows the model, others stay, and its numbers are never used again."""
    other = make_client()
    train(client, "m")
    train(client, "n")
    assert other.post("/predict", json={"model": "m", "instances": [[1]]}).status_code == 200
    answer = client.delete("/models/m")

    assert (answer.status_code, answer.data) == (204, b"")
    assert other.post("/predict", json={"model": "m", "instances": [[1]]}).status_code == 404
    assert [entry["model"] for entry in other.get("/models").json["models"]] == ["n"]
    assert client.delete("/models/m").status_code == 404
    assert client.post("/train", json=LINE | {"model": "m"}).json["version"] == "2"


# -- operations --------------------------------------------------------------------------------------------------------


def test_an_empty_store_is_ready(client: Client) -> None:
    """Alive and ready without a model: the first training makes one."""
    assert (client.get("/livez").json, client.get("/livez").status_code) == ({"status": "alive"}, 200)
    assert (client.get("/readyz").json, client.get("/readyz").status_code) == ({"status": "ready"}, 200)


def test_a_store_with_nothing_promoted_is_ready(make_client: MakeClient, client: Client) -> None:
    """There is nothing to serve yet, which is no reason to stay away."""
    train(client, "m", promote=False)

    assert make_client().get("/readyz").status_code == 200


def damage(store: ModelStore, config: Any, version: int) -> Callable[[], None]:
    """Damage the weights of a version of `line`; what is returned mends them."""
    digest = store.manifest("line", version).blobs["state_dict"]
    path: Path = config.store / "blobs" / "sha256" / digest.removeprefix("sha256:")
    whole = path.read_bytes()
    path.write_bytes(b"damaged")

    def mend() -> None:
        path.write_bytes(whole)

    return mend


def test_an_older_version_serves_and_readiness_says_why(client: Client, store: ModelStore, config: Any, line: TestResponse) -> None:
    """A newer version that cannot be loaded leaves the service ready, with the reason told."""
    client.post("/predict", json={"model": "line", "instances": [[1]]})
    train(client, "line", targets=[0, 5, 9])
    damage(store, config, 2)
    predicted: Any = client.post("/predict", json={"model": "line", "instances": [[1]]}).json
    ready = client.get("/readyz")

    assert predicted["version"] == "1"
    assert (ready.status_code, ready.json and ready.json["status"]) == (200, "ready")
    assert ready.json is not None
    assert "does not match its digest" in ready.json["reasons"]["line@live"]


def test_no_loadable_version_is_not_ready_until_it_is_mended(
    make_client: MakeClient, store: ModelStore, config: Any, line: TestResponse
) -> None:
    """With every version damaged the service is not ready, and ready again by itself once one can be loaded."""
    mend = damage(store, config, 1)
    client = make_client()
    answer = client.get("/readyz")

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.json == {"status": "not ready", "reasons": {"models": "none has a live version that can be loaded"}}
    served: Any = client.get("/models/line").json
    assert (served["serving"], served["schema"]) == (None, None)
    mend()
    assert client.get("/readyz").status_code == 200


def test_damage_hides_neither_metrics_nor_readiness(make_client: MakeClient, client: Client, config: Any, line: TestResponse) -> None:
    """A damaged alias record, or a storage that fails, is told by readiness and leaves the scrape whole."""
    record = config.store / "models/line/aliases/live/1.json"
    record.write_bytes(b"damaged")
    fresh = make_client()
    answers = fresh.get("/metrics"), fresh.get("/readyz")
    assert [answer.status_code for answer in answers] == [200, 503]
    assert "plumbline_requests_total" in answers[0].text

    (config.store / "models").rename(config.store / "before")
    (config.store / "models").write_bytes(b"")
    answers = fresh.get("/metrics"), fresh.get("/readyz")
    assert [answer.status_code for answer in answers] == [200, 503]
    assert answers[1].json is not None
    assert "the store failed at models" in answers[1].json["reasons"]["store"]


def test_a_store_that_cannot_be_written_is_not_ready(client: Client, config: Any) -> None:
    """A store that is gone from under the service is told."""
    config.store.rename(config.store.with_name("elsewhere"))
    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["reasons"] == {"store": "cannot be written; check its directory's owner, mode and free space"}


def test_metrics_tell_the_live_version(client: Client, line: TestResponse) -> None:
    """The live version of every model and its device, as they are at the scrape."""
    sample = 'plumbline_model_info{device="cpu",model="line",version="%d"} 1.0'
    first = client.get("/metrics")
    train(client, "line")
    train(client, "quiet", promote=False)
    second = client.get("/metrics").text

    assert first.content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert sample % 1 in first.text
    assert sample % 1 not in second
    assert sample % 2 in second
    assert "quiet" not in second


def test_the_documentation_works_without_a_network(client: Client) -> None:
    """What `/docs` needs comes from here."""
    with client.get("/docs", buffered=True) as page:
        text = page.text
    sources = [part.split('"')[0] for part in text.split('src="')[1:]] + [part.split('"')[0] for part in text.split('href="')[1:]]

    assert sources
    for source in sources:
        assert client.get(source if source.startswith("/") else f"/{source}", buffered=True).status_code == 200


def test_a_page_behind_an_unknown_name_is_refused(client: Client) -> None:
    """A cursor that names nothing is an error, never the first page again."""
    answer = client.get("/models?after=nothing")

    assert (answer.status_code, list(answer.json["errors"])) == (422, ["after"])
