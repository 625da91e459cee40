"""A bucket on a real endpoint: one winner of every create, its errors in the store's words and in time, and age in the place of a lock."""

import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from model_store import ModelStore
from model_store.bucket import BucketObjects
from model_store.errors import AlreadyExists, InvalidName, NotFound, StoreError, StoreUnavailable
from tests.buckets import Endpoint
from tests.support import free_port

LONGEST_SECONDS = 8.0


@pytest.fixture
def objects(bucket: str) -> BucketObjects:
    return BucketObjects(bucket)


def every_call(objects: BucketObjects) -> list[Callable[[], object]]:
    """Each method that speaks to the bucket."""
    return [
        lambda: objects.create("models/m", b""),
        lambda: objects.replace("models/m", b""),
        lambda: objects.read("models/m"),
        lambda: objects.exists("models/m"),
        lambda: objects.age("models/m"),
        lambda: objects.expiring("models/m"),
        lambda: objects.names("models"),
        lambda: next(objects.each_object("models")),
        lambda: objects.delete("models/m"),
    ]


@contextmanager
def answering(monkeypatch: pytest.MonkeyPatch, status: Callable[[str, str], int]) -> Iterator[list[str]]:
    """An endpoint that answers each request with the status given for its method and path; the methods it saw."""
    seen: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            seen.append(self.command)
            self.send_response(status(self.command, self.path))
            self.send_header("Content-Length", "0")
            self.send_header("Last-Modified", "Sat, 21 Nov 2026 12:00:00 GMT")
            self.send_header("ETag", '"1"')
            self.end_headers()

        do_GET = do_PUT = do_HEAD = do_POST = answer  # noqa: N815 - the names that http.server looks for

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    try:
        yield seen
    finally:
        server.shutdown()
        server.server_close()


def test_create_puts_only_where_nothing_is(objects: BucketObjects) -> None:
    """The first object under a key stays; what is replaced is read as it was put last; what is deleted can be deleted again."""
    objects.create("a/b/c", b"first")
    with pytest.raises(AlreadyExists, match=r"^a/b/c exists already$"):
        objects.create("a/b/c", b"first")
    assert (objects.read("a/b/c"), objects.exists("a/b/c"), objects.exists("a/b")) == (b"first", True, False)
    objects.replace("a/b/c", b"second")
    objects.replace("a/d", bytes(3_000_000))
    assert (objects.read("a/b/c"), len(objects.read("a/d"))) == (b"second", 3_000_000)
    assert (objects.names("a"), objects.names("a/b"), objects.names("nothing"), objects.names("a/b/c")) == (["b", "d"], ["c"], [], [])
    assert [list(objects.each_object(prefix)) for prefix in ("a", "a/b", "nothing")] == [["d"], ["c"], []]
    assert -60 < objects.age("a/b/c") < 60
    assert objects.sweep(0) == 0
    for _ in range(2):
        objects.delete("a/b/c")
    for call in (objects.read, objects.age):
        with pytest.raises(NotFound, match=r"^nothing is stored under a/b/c: list what is there$"):
            call("a/b/c")
    for key in ("../a", "/a", "a//b", ""):
        with pytest.raises(InvalidName):
            objects.read(key)


def test_of_many_creates_exactly_one_wins(objects: BucketObjects, bucket: str) -> None:
    """Sixteen threads with two clients put under one key, again and again: one is told that it did, and its bytes are there."""
    clients = (objects, BucketObjects(bucket))

    def put(race: int, thread: int) -> bool:
        try:
            clients[thread % 2].create(f"race/{race}", str(thread).encode())
        except AlreadyExists:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        for race in range(10):
            won = [thread for thread, one in enumerate(pool.map(put, [race] * 16, range(16))) if one]
            assert len(won) == 1
            assert objects.read(f"race/{race}") == str(won[0]).encode()


@pytest.mark.slow
def test_names_go_on_over_pages(objects: BucketObjects) -> None:
    """More objects than one answer of the endpoint lists."""
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: objects.replace(f"many/{number:04d}", b""), range(1050)))

    assert objects.names("many") == [f"{number:04d}" for number in range(1050)]
    assert sorted(objects.each_object("many")) == objects.names("many")


def test_a_stopped_endpoint_is_unavailable_within_seconds(objects: BucketObjects, endpoint: Endpoint) -> None:
    """Every call fails soon, in the store's words, and works again when the endpoint does."""
    endpoint.stop()
    for call in every_call(objects):
        started = time.monotonic()
        with pytest.raises(StoreUnavailable, match=r"^the bucket failed at models(/m)? \(it does not answer\): check the network"):
            call()
        assert time.monotonic() - started < LONGEST_SECONDS
    endpoint.start()
    objects.create("models/m", b"")


@pytest.mark.slow
def test_a_silent_endpoint_is_unavailable_within_seconds(endpoint: Endpoint, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that takes connections and answers nothing holds nobody up for longer."""
    with socket.create_server(("127.0.0.1", free_port()), backlog=64) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        calls = every_call(BucketObjects(bucket))

        def seconds(call: Callable[[], object]) -> float:
            started = time.monotonic()
            with pytest.raises(StoreUnavailable):
                call()
            return time.monotonic() - started

        with ThreadPoolExecutor(len(calls)) as pool:
            assert max(pool.map(seconds, calls)) < LONGEST_SECONDS


def test_a_bucket_that_is_not_there_is_no_empty_store(endpoint: Endpoint) -> None:
    """Whoever lists or writes is told; nothing seems published."""
    objects = BucketObjects("s3://no-such-bucket/prefix")
    for call in (
        lambda: objects.names("models"),
        lambda: next(objects.each_object("models")),
        lambda: objects.create("a", b""),
        lambda: objects.replace("a", b""),
    ):
        with pytest.raises(StoreUnavailable, match=r"^the bucket of the store does not exist: create it, or mend PLUMBLINE_STORE$"):
            call()
    with pytest.raises(StoreUnavailable):
        ModelStore(objects).publish("m", blobs={"state_dict": b"x"}, document={})


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_are_told_and_not_repeated(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """The text names the key and what to do; neither credentials nor the endpoint are in it."""
    with answering(monkeypatch, lambda _method, _path: status):
        objects = BucketObjects("s3://bucket/prefix")
        for call in every_call(objects)[:4]:
            with pytest.raises(StoreUnavailable, match=r"does not allow these credentials to use models/m: give them the right") as caught:
                call()
            assert all(secret not in str(caught.value) for secret in ("tester", "not-a-secret", "127.0.0.1"))
            assert caught.value.__cause__ is None


def test_a_conflict_with_nothing_there_is_tried_again(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3's 409 to a create says that a rival was busy, not that the key is taken: the put is repeated until it is."""
    answers = iter([409, 409, 200])

    with answering(monkeypatch, lambda method, _path: next(answers) if method == "PUT" else 404) as seen:
        BucketObjects("s3://bucket/prefix").create("a", b"")
    assert [method for method in seen if method == "PUT"] == ["PUT"] * 3

    with (
        answering(monkeypatch, lambda method, _path: 409 if method == "PUT" else 404),
        pytest.raises(StoreUnavailable, match=r"^the bucket is busy at a: try again$"),
    ):
        BucketObjects("s3://bucket/prefix").create("a", b"")


def test_a_create_sent_twice_knows_its_first(objects: BucketObjects, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the answer to a put was lost and the put was sent again, the object found there is one's own."""
    put = BucketObjects._put

    def twice(self: BucketObjects, key: str, data: bytes, **options: object) -> None:
        put(self, key, data, **options)
        put(self, key, data, **options)

    monkeypatch.setattr(BucketObjects, "_put", twice)
    objects.create("a", b"mine")
    with pytest.raises(AlreadyExists):
        objects.create("a", b"mine")


@pytest.mark.slow
def test_what_is_used_again_is_written_again(bucket: str) -> None:
    """A blob that is published anew after a while is young again, and nothing young is collected; a lone old one is."""
    patient, hasty = BucketObjects(bucket, settled_seconds=3600), BucketObjects(bucket, settled_seconds=4)
    store = ModelStore(hasty)
    first = store.publish("m", blobs={"state_dict": b"same"}, document={}, promote=False)
    key = "blobs/sha256/" + first.blobs["state_dict"].removeprefix("sha256:")
    store.delete_version("m", 1)
    assert ModelStore(patient).collect(0).blobs == 0, "younger than an hour"
    time.sleep(2.1)
    assert (hasty.expiring(key), patient.expiring(key)) == (True, False)
    store.publish("m", blobs={"state_dict": b"same"}, document={}, promote=False)
    assert hasty.age(key) < 2
    store.delete_version("m", 2)
    assert store.collect(0).blobs == 0
    time.sleep(max(0.0, 5.2 - hasty.age(key)))  # the bucket's times are whole seconds
    assert store.collect(0).blobs == 1
    assert not hasty.exists(key)


def test_an_address_that_nobody_can_use_is_told(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Azure needs an account; the text says where to look."""
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(StoreError, match=r"^the bucket of the store cannot be used: check its address and the variables of its provider$"):
        BucketObjects("az://container/prefix")
