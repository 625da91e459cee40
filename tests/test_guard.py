"""The guard: reading is open unless tokens say otherwise, writing is never open to others, and this machine means this machine."""

import pytest

from service.api.guard import Guard
from service.errors import Forbidden, Unauthorized

WRITE, SECOND, READ = "write-token-000001", "write-token-000002", "read-token-0000001"


def passes(
    guard: Guard,
    method: str = "POST",
    path: str = "/train",
    *,
    token: str | None = None,
    host: str = "example.org:8080",
    origin: str | None = None,
) -> str:
    """Who the guard takes the sender for, or the name of the error it raises."""
    authorization = None if token is None else f"Bearer {token}"
    try:
        return guard.check(method, path, authorization=authorization, host=host, origin=origin)
    except (Unauthorized, Forbidden) as error:
        return type(error).__name__ if token is None or token not in str(error) else "an error that tells the token"


def test_writing_needs_one_of_the_write_tokens() -> None:
    """No token is Unauthorized, a wrong one Forbidden, each of several right ones passes and is told apart without being shown."""
    guard = Guard(write_tokens=[WRITE, SECOND], read_tokens=[READ])

    assert passes(guard) == "Unauthorized"
    assert [passes(guard, token=token) for token in ("x", READ, WRITE[:-1], WRITE + "x", "ümlaut")] == ["Forbidden"] * 5
    first, second = passes(guard, token=WRITE), passes(guard, token=SECOND)
    assert first.startswith("token ")
    assert second.startswith("token ")
    assert first != second
    assert WRITE not in first


def test_reading_is_open_without_a_read_token() -> None:
    """With only write tokens, reading and predicting need none."""
    guard = Guard(write_tokens=[WRITE], read_tokens=[])

    assert passes(guard, "GET", "/models") == passes(guard, "POST", "/predict") == passes(guard, "HEAD", "/models") == "anonymous"
    assert passes(guard, "GET", "/models", token="whatever") == "anonymous"


def test_reading_needs_a_token_where_one_is_configured() -> None:
    """With a read token, reading and predicting need it or a write token; what operators ask stays open."""
    guard = Guard(write_tokens=[WRITE], read_tokens=[READ])

    for method, path in (("GET", "/models"), ("POST", "/predict"), ("GET", "/jobs/1"), ("OPTIONS", "/models")):
        assert passes(guard, method, path) == "Unauthorized"
        assert passes(guard, method, path, token="wrong") == "Forbidden"
        assert passes(guard, method, path, token=READ).startswith("token ")
        assert passes(guard, method, path, token=WRITE).startswith("token ")
    for path in ("/", "/livez", "/readyz", "/metrics", "/openapi.json", "/docs", "/docs/docs.js", "/web/app.js"):
        assert passes(guard, "GET", path) == "anonymous"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "POST", "TRACE", "BREW"])
@pytest.mark.parametrize("path", ["/anything", "/predict/", "/models", "/Predict", "//predict"])
def test_what_is_not_known_to_read_writes(method: str, path: str) -> None:
    """A route nobody thought of is closed, not open."""
    assert passes(Guard(write_tokens=[WRITE], read_tokens=[]), method, path) == "Unauthorized"


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ", f"Basic {WRITE}", WRITE, "bearer"])
def test_what_is_not_a_bearer_token_is_none(authorization: str) -> None:
    """Another scheme, or none, counts as no token."""
    with pytest.raises(Unauthorized):
        Guard(write_tokens=[WRITE], read_tokens=[]).check("POST", "/train", authorization=authorization, host="h", origin=None)


def test_the_scheme_may_be_written_in_any_case() -> None:
    """`bearer` is as good as `Bearer`."""
    guard = Guard(write_tokens=[WRITE], read_tokens=[])

    assert guard.check("POST", "/train", authorization=f"bEaReR {WRITE}", host="h", origin=None).startswith("token ")


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "LOCALHOST:1", "127.0.0.1:8080", "127.9.9.9", "[::1]:8080", "[::1]"])
def test_without_a_token_this_machine_may_ask(host: str) -> None:
    """On loopback without tokens, requests to loopback names pass, from a page of the same origin too."""
    guard = Guard(write_tokens=[], read_tokens=[])

    assert passes(guard, host=host) == passes(guard, host=host, origin=f"http://{host}") == "anonymous"


@pytest.mark.parametrize(
    "host", ["", "example.org", "10.0.0.1:8080", "127.example.org:8080", "localhost.example.org", "[", "[::1", "user@evil.org", "0.0.0.0"]
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/train"), ("GET", "/models"), ("POST", "/predict"), ("GET", "/livez")])
def test_without_a_token_a_foreign_host_is_refused(host: str, method: str, path: str) -> None:
    """A name that a web page could have made for itself is refused, for reading too."""
    assert passes(Guard(write_tokens=[], read_tokens=[]), method, path, host=host) == "Forbidden"


@pytest.mark.parametrize(
    "origin", ["http://evil.org", "null", "", "http://localhost:9", "http://[::1", "http://evil.org:8080", "localhost:8080"]
)
def test_without_a_token_a_foreign_page_is_refused(origin: str) -> None:
    """A web page of another origin, another port among them, may not use the service through a browser."""
    assert passes(Guard(write_tokens=[], read_tokens=[]), host="localhost:8080", origin=origin) == "Forbidden"


def test_with_tokens_the_host_is_free() -> None:
    """Where tokens guard the writes, any name may lead here."""
    guard = Guard(write_tokens=[WRITE], read_tokens=[])

    assert passes(guard, "GET", "/models", host="models.example.org", origin="http://evil.org") == "anonymous"


def test_a_platforms_addresses_are_read_by_post_alone() -> None:
    """Where a platform asks for predictions and for health is open, but no other method becomes a read by that."""
    guard = Guard(write_tokens=[WRITE], read_tokens=[READ], reading_posts=["/models/line"], open_paths=["/well"])

    assert (passes(guard, "POST", "/models/line", token=READ)).startswith("token ")
    assert passes(guard, "GET", "/well") == "anonymous"
    assert passes(guard, "DELETE", "/models/line", token=READ) == passes(guard, "PUT", "/predict", token=READ) == "Forbidden"
    assert passes(guard, "POST", "/v1/models/line:predict", token=READ).startswith("token ")
    assert passes(guard, "DELETE", "/v1/models/line", token=READ) == "Forbidden"
