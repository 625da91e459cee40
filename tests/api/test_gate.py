"""What every request passes: its id, its limits, its rights, its metrics and its log line, whatever answers it."""

import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prometheus_client import REGISTRY
from werkzeug.test import Client, EnvironBuilder, TestResponse, run_wsgi_app

from service.api.gate import Gate, Hot
from service.api.guard import Guard

MakeClient = Callable[..., Client]
TOKEN = "correct-horse-battery"
MARKER = "zebra-payload"
ONE = {"model": "line", "instances": [[10]]}


def counted(method: str, route: str, status: int) -> float:
    """How many such requests have been counted in this process."""
    return REGISTRY.get_sample_value("plumbline_requests_total", {"method": method, "route": route, "status": str(status)}) or 0


def raw(client: Client, environ: dict[str, Any]) -> TestResponse:
    """The answer to exactly this WSGI environment; the client itself would put it right first."""
    app: Any = client.application
    return TestResponse(*run_wsgi_app(app, environ, buffered=True), request=EnvironBuilder().get_request())


def chunked(client: Client, path: str, body: bytes, content_type: str = "application/json", encoding: str = "chunked") -> TestResponse:
    """A request without Content-Length, as Gunicorn hands it on."""
    builder = EnvironBuilder(path, method="POST", data=body, content_type=content_type)
    environ = builder.get_environ() | {"HTTP_TRANSFER_ENCODING": encoding, "wsgi.input_terminated": True}
    del environ["CONTENT_LENGTH"]
    return raw(client, environ)


@pytest.mark.parametrize("sent", ["abc", "A.b_c-1", "x" * 128])
def test_a_harmless_request_id_is_echoed(client: Client, sent: str) -> None:
    """The client's own id comes back on every kind of answer."""
    for path in ("/livez", "/nowhere", "/models/none"):
        assert client.get(path, headers={"X-Request-Id": sent}).headers.getlist("X-Request-Id") == [sent]
    assert client.post("/predict", json=ONE, headers={"X-Request-Id": sent}).headers.getlist("X-Request-Id") == [sent]


@pytest.mark.parametrize("sent", ["", "x" * 129, "a b", "a\tb", 'a"b', "ü", "a/b"])
def test_an_unsafe_request_id_is_replaced(client: Client, sent: str) -> None:
    """What could be abused in a log or a header is replaced by an id of our own, a new one each time."""
    first, second = (client.get("/livez", headers={"X-Request-Id": sent}).headers["X-Request-Id"] for _ in range(2))

    assert len({first, second, sent}) == 3
    assert all(len(made) == 32 and int(made, 16) for made in (first, second))


@pytest.mark.usefixtures("line")
def test_both_doors_give_the_same_answers(client: Client) -> None:
    """`/predict` answers the same bytes, status and type through the hot door and through Flask, right or wrong."""
    gate: Any = client.application
    cold = Client(Gate(Guard(write_tokens=[], read_tokens=[]), {}.get, gate._rest, max_body_bytes=10_000))
    bodies: list[bytes] = [
        b'{"model": "line", "instances": [[10], [0.1]]}',
        b'{"model": "line", "columns": {"x1": [1, 2, 3]}}',
        b'{"model": "line", "instances": [{"x1": 1}], "version": "1"}',
        b'{"model": "line", "instances": []}',
        b'{"model": "line", "instances": [[1, 2]]}',
        b'{"model": "none", "instances": [[1]]}',
        b'{"model": "line", "instances": [[1]], "other": 1}',
        b"not json",
        b"",
        b"[" * 2000,
    ]

    for body in bodies:
        for content_type in ("application/json", "text/plain", None):
            hot, flask = (c.post("/predict", data=body, content_type=content_type, headers={"X-Request-Id": "r"}) for c in (client, cold))
            assert (hot.status_code, hot.data, sorted(hot.headers)) == (flask.status_code, flask.data, sorted(flask.headers))


@pytest.mark.usefixtures("line")
def test_the_hot_door_needs_no_flask(config: Any, client: Client) -> None:
    """A prediction does not pass the framework, and any other method on its path does."""
    gate: Any = client.application

    def nobody(environ: Any, start_response: Any) -> list[bytes]:
        raise AssertionError("the framework was asked")

    hot = Client(Gate(Guard(write_tokens=[], read_tokens=[]), gate._find, nobody, max_body_bytes=1000))

    assert hot.post("/predict", json=ONE).status_code == 200
    assert hot.put("/predict", json=ONE).status_code == 500


def test_a_body_over_the_limit_is_refused(make_client: MakeClient) -> None:
    """One byte too many is 413 naming the setting, announced or chunked, at the hot door and at Flask's; the limit itself passes."""
    client = make_client(MAX_BODY_BYTES="100")
    for path in ("/predict", "/train"):
        for size, status in ((100, 400), (101, 413)):
            body = b"{" + b" " * (size - 1)
            answers = [client.post(path, data=body, content_type="application/json"), chunked(client, path, body)]
            assert [answer.status_code for answer in answers] == [status, status]
            assert all(("PLUMBLINE_MAX_BODY_BYTES" in answer.text) == (status == 413) for answer in answers)


@pytest.mark.parametrize("encoding", ["chunked", "Chunked", "CHUNKED"])
@pytest.mark.usefixtures("line")
def test_a_chunked_body_is_read(client: Client, encoding: str) -> None:
    """A body without a length is read like any other, at both kinds of door."""
    predicted = chunked(client, "/predict", json.dumps(ONE).encode(), encoding=encoding)
    trained = chunked(client, "/train?model=csv&target=y", b"a,y\n1,2\n2,4\n3,7\n", "text/csv", encoding)

    assert (predicted.status_code, predicted.json) == (200, {"model": "line", "version": "1", "predictions": [pytest.approx(21)]})
    assert trained.status_code == 201


def test_a_body_that_ends_early_is_refused(client: Client) -> None:
    """Fewer bytes than announced are no body."""
    environ = EnvironBuilder("/predict", method="POST", data=b"{}", content_type="application/json").get_environ() | {"CONTENT_LENGTH": "3"}
    answer = raw(client, environ)

    assert (answer.status_code, answer.json and answer.json["detail"]) == (400, "the body ended before its Content-Length")


@pytest.mark.parametrize("path", ["/predict", "/train"])
def test_a_body_that_breaks_off_is_refused(client: Client, path: str) -> None:
    """A connection that ends in the middle of a chunked body is no shorter body, at either kind of door."""

    class Broken(io.BytesIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            raise ConnectionResetError

    environ = EnvironBuilder(path, method="POST", content_type="application/json").get_environ()
    environ |= {"wsgi.input": Broken(), "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    environ.pop("CONTENT_LENGTH", None)
    answer = raw(client, environ)

    assert answer.status_code == 400
    assert answer.json is not None
    assert "ended before its last chunk" in answer.json["detail"]


@pytest.mark.parametrize("length", ["-1", "x", "1.5", "1 1"])
@pytest.mark.parametrize("path", ["/predict", "/train", "/livez"])
def test_a_length_that_is_no_number_is_refused(client: Client, path: str, length: str) -> None:
    """Content-Length is a whole number."""
    environ = EnvironBuilder(path, method="POST").get_environ() | {"CONTENT_LENGTH": length}

    assert raw(client, environ).status_code == 400


def test_a_post_without_a_body_has_none(client: Client) -> None:
    """Neither a length nor chunks mean an empty body, which is no JSON."""
    environ = EnvironBuilder("/predict", method="POST").get_environ()
    environ.pop("CONTENT_LENGTH", None)

    assert raw(client, environ).status_code == 400


@pytest.mark.parametrize(
    ("encoding", "status"), [("zstd", 415), ("br", 415), ("gzip, identity", 415), ("", 415), ("identity", 200), ("Identity", 200)]
)
@pytest.mark.usefixtures("line")
def test_other_compressions_are_not_read(client: Client, encoding: str, status: int) -> None:
    """A body compressed otherwise than by gzip or deflate is refused before any of it is read."""
    assert client.post("/predict", json=ONE, headers={"Content-Encoding": encoding}).status_code == status
    if status == 415:
        assert client.post("/train", json={}, headers={"Content-Encoding": encoding}).status_code == 415


@pytest.mark.parametrize("path", ["/livez", "/models", "/models/none", "/nowhere", "/openapi.json", "/metrics", "/predict"])
def test_head_answers_like_get_without_a_body(client: Client, path: str) -> None:
    """HEAD has the status and the headers of GET and no body."""
    get, head = client.get(path), client.head(path)

    assert (head.status_code, head.data) == (get.status_code, b"")
    assert head.headers["Content-Type"] == get.headers["Content-Type"]


def test_head_of_a_refusal_has_no_body() -> None:
    """An answer of the gate itself keeps to that too."""
    client = Client(Gate(Guard(write_tokens=[], read_tokens=[]), {}.get, lambda *_: [], max_body_bytes=1))
    answer = client.head("/models", headers={"Host": "evil.org"})

    assert (answer.status_code, answer.data) == (403, b"")
    assert int(answer.headers["Content-Length"]) > 0


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/nowhere", 404, None),
        ("GET", "/models/", 404, None),
        ("POST", "/predict/", 404, None),
        ("GET", "/predict", 405, {"POST", "OPTIONS"}),
        ("DELETE", "/predict", 405, {"POST", "OPTIONS"}),
        ("POST", "/models", 405, {"GET", "HEAD", "OPTIONS"}),
        ("BREW", "/train", 405, {"POST", "OPTIONS"}),
        ("GET", "/docs/../../config.py", 404, None),
        ("GET", "/docs/absent.js", 404, None),
    ],
)
def test_unknown_paths_and_methods_are_problem_documents(
    client: Client, method: str, path: str, status: int, allow: set[str] | None
) -> None:
    """404 and 405 come as problem documents like every other error, 405 with the methods that are allowed."""
    answer = client.open(path, method=method)
    problem = json.loads(answer.data)

    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    assert (set(problem), problem["status"]) == ({"title", "status", "detail"}, status)
    assert (set(answer.headers["Allow"].split(", ")) if "Allow" in answer.headers else None) == allow


def test_options_tells_the_methods(client: Client) -> None:
    """OPTIONS is answered without a body."""
    answer = client.options("/predict")

    assert (answer.status_code, answer.data, set(answer.headers["Allow"].split(", "))) == (200, b"", {"POST", "OPTIONS"})


@pytest.mark.usefixtures("line")
def test_requests_are_counted_by_route(client: Client) -> None:
    """Each request is counted once, under its route and never under what a client can invent."""
    asked: list[tuple[str, str, str, int]] = [
        ("GET", "/models/line", "/models/<model>", 200),
        ("GET", "/models/none", "/models/<model>", 404),
        ("GET", f"/{MARKER}", "unknown", 404),
        ("POST", "/predict", "/predict", 400),
        ("GET", "/predict", "unknown", 405),
        ("OPTIONS", "/train", "/train", 200),
        ("HEAD", "/livez", "/livez", 200),
    ]
    before = [counted(method, route, status) for method, _, route, status in asked]
    other = counted("other", "unknown", 405)
    for method, path, *_ in asked:
        client.open(path, method=method)
    client.open("/train", method="BREW")

    assert [counted(method, route, status) for method, _, route, status in asked] == [number + 1 for number in before]
    assert counted("other", "unknown", 405) == other + 1
    assert MARKER not in client.get("/metrics").text
    assert REGISTRY.get_sample_value("plumbline_request_seconds_count", {"route": "/predict"}) >= 1  # type: ignore[operator]


def test_tokens_guard_the_doors(make_client: MakeClient) -> None:
    """Writing without a token is 401 with a challenge, with a wrong one 403, with a right one done; reading as configured."""
    make_client()  # makes the store
    client = make_client(WRITE_TOKEN=f"{TOKEN},{TOKEN}-second", READ_TOKEN=f"{TOKEN}-read")
    body = {"instances": [[1], [2]], "targets": [1, 2]}

    def train(token: str | None) -> TestResponse:
        return client.post("/train", json=body, headers={"Authorization": f"Bearer {token}"} if token else {})

    missing = train(None)
    assert (missing.status_code, missing.headers["WWW-Authenticate"]) == (401, 'Bearer realm="plumbline"')
    assert [train(token).status_code for token in ("wrong", f"{TOKEN}-read", TOKEN, f"{TOKEN}-second")] == [403, 403, 201, 201]
    assert client.get("/models").status_code == client.post("/predict", json={"instances": [[1]]}).status_code == 401
    for token, status in (("wrong", 403), (f"{TOKEN}-read", 200), (TOKEN, 200)):
        headers = {"Authorization": f"Bearer {token}"}
        assert client.get("/models", headers=headers).status_code == status
        assert client.post("/predict", json={"instances": [[1]]}, headers=headers).status_code == status
    assert [client.get(path, buffered=True).status_code for path in ("/livez", "/readyz", "/metrics", "/openapi.json", "/docs")] == [
        200
    ] * 5


def test_a_foreign_page_is_refused_on_loopback(client: Client) -> None:
    """Without tokens a foreign Host or Origin is 403 at every door, and counted by its reason."""

    def rejected(reason: str) -> float:
        return REGISTRY.get_sample_value("plumbline_rejected_requests_total", {"reason": reason}) or 0

    before = rejected("host"), rejected("origin")
    for path in ("/predict", "/train"):
        assert client.post(path, json={}, headers={"Host": "127.evil.org"}).status_code == 403
        assert client.post(path, json={}, headers={"Origin": "http://evil.org"}).status_code == 403

    assert (rejected("host"), rejected("origin")) == (before[0] + 2, before[1] + 2)


def _wrong_places() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Requests that are wrong, each with a marked payload where it is wrong."""
    for body in (
        MARKER,
        f'{{"model": "{MARKER}',
        f'["{MARKER}"]',
        f'{{"model": "{MARKER}/x", "instances": [[1]]}}',
        f'{{"model": ["{MARKER}"], "instances": [[1]]}}',
        f'{{"model": "line", "version": "{MARKER}", "instances": [[1]]}}',
        f'{{"model": "line", "alias": "{MARKER} x", "instances": [[1]]}}',
        f'{{"model": "line", "other": "{MARKER}", "instances": [[1]]}}',
        f'{{"model": "line", "instances": "{MARKER}"}}',
        f'{{"model": "line", "instances": ["{MARKER}"]}}',
        f'{{"model": "line", "instances": [["{MARKER}"]]}}',
        f'{{"model": "line", "instances": [{{"x1": "{MARKER}"}}]}}',
        f'{{"model": "line", "columns": {{"x1": ["{MARKER}"]}}}}',
        f'{{"model": "line", "columns": "{MARKER}"}}',
    ):
        yield "POST", "/predict", {"data": body, "content_type": "application/json"}
    for body in (
        MARKER,
        f'{{"instances": [["{MARKER}"], [1]], "targets": [1, 2]}}',
        f'{{"columns": {{"a": ["{MARKER}", "b"], "y": [1, 2]}}, "target": "y", "terms": ["a^2"]}}',
        f'{{"instances": [[1]], "targets": [1], "weights": ["{MARKER}"]}}',
        f'{{"instances": [[1]], "targets": [1], "like": "line@{MARKER} x"}}',
        f'{{"instances": [[1]], "targets": [1], "solver": {{"name": "sgd", "loss": "{MARKER}"}}}}',
        f'{{"instances": [[1]], "targets": [1], "solver": {{"name": "sgd", "init": "{MARKER}"}}}}',
        f'{{"instances": [[1]], "targets": ["{MARKER}"]}}',
        f'{{"instances": [[1]], "targets": [1], "description": ["{MARKER}"]}}',
        f'{{"instances": [[1]], "targets": [1], "labels": {{"a": ["{MARKER}"]}}}}',
        f'{{"instances": [[1]], "targets": [1], "intercept": "{MARKER}"}}',
        f'{{"instances": [[1]], "targets": [1], "solver": "{MARKER}"}}',
        f'{{"instances": [[1]], "targets": [1], "model": "{MARKER}/"}}',
    ):
        yield "POST", "/train", {"data": body, "content_type": "application/json"}
    yield "POST", "/train?target=y", {"data": f"a,y\n1,{MARKER}\n", "content_type": "text/csv"}
    yield "POST", "/train?target=y", {"data": f"a,y\n1,2,{MARKER}\n", "content_type": "text/csv"}
    yield "POST", f"/train?target=y&model={MARKER}%20x", {"data": "a,y\n1,2\n", "content_type": "text/csv"}
    yield "POST", "/train", {"data": MARKER, "content_type": f"text/{MARKER}"}
    yield "POST", "/predict", {"data": MARKER, "content_type": f"text/{MARKER}"}
    yield "GET", f"/models/{MARKER}%20x", {}
    yield "GET", f"/models/line/versions/{MARKER}%20", {}
    yield "GET", f"/jobs/{MARKER}", {}
    yield "GET", f"/{MARKER}", {}
    yield "GET", f"/models?limit={MARKER}", {}
    yield "GET", "/models", {"headers": {"Host": MARKER}}
    yield "GET", "/models", {"headers": {"Origin": f"http://{MARKER}"}}
    yield "POST", "/train", {"headers": {"Content-Encoding": MARKER}}
    yield "POST", "/train", {"headers": {"Prefer": MARKER, "Authorization": f"Bearer {MARKER}"}}


@pytest.mark.parametrize(("method", "path", "request_of"), list(_wrong_places()))
@pytest.mark.usefixtures("line")
def test_no_error_repeats_the_payload(  # noqa: PLR0917 - fixtures and the cases
    client: Client,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    method: str,
    path: str,
    request_of: dict[str, Any],
) -> None:
    """Neither the answer to a wrong request, nor a log line, nor a metric holds any of what was sent."""
    with caplog.at_level(logging.DEBUG):
        answer = client.open(path, method=method, **request_of)

    assert 400 <= answer.status_code < 500
    assert answer.content_type == "application/problem+json"
    assert MARKER not in answer.text + str(answer.headers)
    assert [record for record in caplog.records if MARKER in str(vars(record))] == []
    assert MARKER not in capfd.readouterr().err
    assert MARKER not in client.get("/metrics").text


@pytest.mark.usefixtures("line")
def test_the_log_line_of_a_request(client: Client, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    """One line per request: its id, method, route, status and milliseconds, and nothing that was sent."""
    with caplog.at_level(logging.INFO, logger="plumbline.request"):
        client.post(
            "/predict", json={"model": "line", "instances": [[77123]]}, headers={"X-Request-Id": "r-1", "Authorization": f"Bearer {TOKEN}"}
        )

    (text,) = [line for line in capfd.readouterr().err.splitlines() if '"plumbline.request"' in line]
    line = json.loads(text)
    assert line.pop("ms") > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "level": "info",
        "logger": "plumbline.request",
        "message": "request",
        "request_id": "r-1",
        "method": "POST",
        "route": "/predict",
        "status": 200,
    }


def test_requests_are_not_logged_above_info(client: Client, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    """The log level silences the lines of requests too."""
    with caplog.at_level(logging.WARNING, logger="plumbline.request"):
        client.get("/livez")

    assert "plumbline.request" not in capfd.readouterr().err


def test_an_unforeseen_error_tells_only_its_id(caplog: pytest.LogCaptureFixture) -> None:
    """A fault of ours is 500 with the id under which the log has the rest, from behind the gate and from a hot door."""

    def broken(*_: Any) -> Any:
        raise RuntimeError(MARKER)

    client = Client(Gate(Guard(write_tokens=[], read_tokens=[]), {"/predict": Hot("/predict", broken)}.get, broken, max_body_bytes=10))
    for answer in (client.get("/x", headers={"X-Request-Id": "r"}), client.post("/predict", headers={"X-Request-Id": "r"})):
        assert (answer.status_code, answer.headers["X-Request-Id"]) == (500, "r")
        assert MARKER not in answer.text
    assert [record.exc_info is not None for record in caplog.records if record.name == "plumbline.api"] == [True, True]


def test_the_gate_is_not_stopping_until_told(client: Client) -> None:
    """By default a worker is not about to stop; the server that runs it says when it is."""
    gate: Any = client.application

    assert gate.stopping() is False
    gate.stopping = lambda: True
    answer = client.get("/readyz")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.json == {"status": "not ready", "reasons": {"worker": "is stopping"}}


def test_the_answer_is_wsgi(client: Client) -> None:
    """The application keeps to WSGI: a status line, headers of text, and an iterable of bytes."""
    app: Any = client.application
    body, status, headers = run_wsgi_app(app, EnvironBuilder("/livez").get_environ())

    assert (b"".join(body), status) == (b'{"status":"alive"}', "200 OK")
    assert headers["Content-Type"] == "application/json"
