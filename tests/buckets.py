"""A real HTTP S3 endpoint on a free port of 127.0.0.1, which can be stopped and started with what it holds."""

import itertools
import logging
import os
import threading
import urllib.request
from collections.abc import Iterable
from typing import Any

import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from tests.support import free_port

ENVIRON = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "not-a-secret", "AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true"}


class Endpoint:
    """The endpoint; its objects are in this process, so that they survive a stop."""

    def __init__(self) -> None:
        self.port = free_port()
        self._server: BaseWSGIServer | None = None
        self._thread = threading.Thread()
        self._app, self._creating = DomainDispatcherApplication(create_backend_app), threading.Lock()
        self._buckets = itertools.count(1)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line per request otherwise

    def start(self) -> None:
        """Listen."""
        assert self._server is None
        self._server = make_server("127.0.0.1", self.port, self._answer, threaded=True, request_handler=MotoRequestHandler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Refuse connections from now on; stopping twice is allowed."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = None

    @property
    def running(self) -> bool:
        """Whether it listens."""
        return self._server is not None

    def bucket(self) -> str:
        """The address of a prefix in a new bucket."""
        name = f"bucket-{os.getpid()}-{next(self._buckets)}"
        with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{self.port}/{name}", method="PUT"), timeout=10):
            return f"s3://{name}/some/prefix"

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """As moto does; but it looks whether a key is free and then takes it, between which another thread may do the same."""
        if environ.get("HTTP_IF_NONE_MATCH") != "*":
            return self._app(environ, start_response)
        with self._creating:
            return list(self._app(environ, start_response))

    def use(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Point this process, and those it starts, at the endpoint."""
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        for name, value in (ENVIRON | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}"}).items():
            monkeypatch.setenv(name, value)
