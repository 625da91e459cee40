"""The container's health check: exit code 0 when `/readyz` answers 200, else 1. It needs nothing but the standard library."""

import http.client
import os
import sys


def ready(address: str, *, timeout: float = 4) -> bool:
    """Whether the service that listens on `address` (HOST:PORT) says that it is ready."""
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection({"0.0.0.0": "127.0.0.1", "[::]": "::1"}.get(host, host), int(port), timeout=timeout)  # noqa: S104 - compared, not bound
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    bound = os.environ.get("PLUMBLINE_BIND", "127.0.0.1:8080")
    port = os.environ.get("AIP_HTTP_PORT") or bound.rpartition(":")[2]  # Vertex AI's own comes first, as in the service
    sys.exit(not ready(f"{bound.rpartition(':')[0]}:{port}"))
