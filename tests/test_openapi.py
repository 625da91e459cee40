"""`/openapi.json` is the truth: every status it documents is produced, no other appears, and answers keep to their schemas."""

import os
import re
import resource
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from werkzeug.test import Client, TestResponse

from model_store.archive import pack
from model_store.store import ModelStore
from service.api import openapi
from service.app import create_app
from service.config import Config
from service.plots import process
from service.training.jobs import Jobs
from service.training.runner import run_job
from service.training.sources import Limits

TOKEN = "correct-horse-battery"
LINE: dict[str, Any] = {"model": "line", "instances": [[0], [1], [2]], "targets": [1, 3, 5]}
HUGE: dict[str, Any] = LINE | {"targets": [1e300, 3e300, 6e300]}
ONE: dict[str, Any] = {"model": "line", "instances": [[10]]}
Condition = Callable[["House"], None]


class House:
    """An application over a store with the model `line`, in whatever condition a row of the table needs."""

    def __init__(self, root: Path, like: "House | None" = None) -> None:
        self.root = root
        if like is not None:
            self.answer, self.job_id = like.answer, like.job_id
            shutil.copytree(like.root, root, ignore=shutil.ignore_patterns("bell"))
            return
        self.answer = self.client().post("/train", json=LINE)
        assert self.answer.status_code == 201
        (self.job_id,) = ModelStore.open(root).job_records.oldest()

    def client(self, *, trainer: bool = True, **given: str) -> Client:
        """The application with these settings."""
        config = Config.from_environ({"PLUMBLINE_STORE": str(self.root)} | {f"PLUMBLINE_{name}": text for name, text in given.items()})
        store = ModelStore.open(config.store)
        jobs = Jobs(store, config.spool, limit=config.max_queued_trainings)
        limits = Limits(config.max_rows, config.max_columns)
        return Client(create_app(config, ring=lambda job_id: run_job(jobs, store, limits, job_id) if trainer else None))

    def break_weights(self) -> None:
        """Damage the only version."""
        for blob in (self.root / "blobs" / "sha256").iterdir():
            blob.write_bytes(b"damaged")

    def break_storage(self, *folders: str) -> None:
        """Make folders of the store something that storage cannot read or write."""
        for folder in folders:
            (self.root / folder).rename(self.root / f"{folder}-before")
            (self.root / folder).write_bytes(b"")


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """No file can grow beyond `size` bytes: what a disk without space is to the store."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> House:
    return House(tmp_path_factory.mktemp("first") / "store")


@pytest.fixture
def house(tmp_path: Path, first: House) -> House:
    return House(tmp_path / "store", first)


def asks(
    method: str, path: str, request: dict[str, Any] | None = None, *, trainer: bool = True, **given: str
) -> Callable[[House], TestResponse]:
    """One request to a house with these settings."""

    def ask(house: House) -> TestResponse:
        return house.client(trainer=trainer, **given).open(path.replace("{job}", house.job_id), method=method, **(request or {}))

    return ask


def unavailable(
    method: str, path: str, request: dict[str, Any] | None = None, folders: tuple[str, ...] = ("models",)
) -> Callable[[House], TestResponse]:
    """One request after the storage failed."""

    def ask(house: House) -> TestResponse:
        client = house.client()
        house.break_storage(*folders)
        return client.open(path.replace("{job}", house.job_id), method=method, **(request or {}))

    return ask


def damaged(method: str, path: str, request: dict[str, Any] | None = None, **given: str) -> Callable[[House], TestResponse]:
    """One request when the only version cannot be loaded."""

    def ask(house: House) -> TestResponse:
        house.break_weights()
        return house.client(**given).open(path, method=method, **(request or {}))

    return ask


def stuck(house: House) -> TestResponse:
    """A prediction while the storage does not answer another one that needs the same model."""
    client, cold = house.client(PREDICT_SECONDS="0.2"), LINE | {"model": "cold", "targets": [1, 2, 4]}
    digest = client.post("/train", json=cold).json["state_dict"].removeprefix("sha256:")  # type: ignore[index]
    (blob,) = house.root.glob(f"blobs/sha256/**/{digest}")
    whole = blob.read_bytes()
    blob.unlink()
    os.mkfifo(blob)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(Client(client.application).post, "/predict", json=ONE | {"model": "cold"})
        with blob.open("wb") as pipe:  # waits for the reader
            answer = client.post("/predict", json=ONE | {"model": "cold"})
            pipe.write(whole)
        assert first.result().status_code == 200
    return answer


def drawn_too_slowly(path: str) -> Callable[[House], TestResponse]:
    """A picture that is not drawn in the time it has."""

    def ask(house: House) -> TestResponse:
        with patch.object(process, "SECONDS", 0.001):
            return house.client().get(path)

    return ask


def queue_full(path: str, request: dict[str, Any] | None = None) -> Callable[[House], TestResponse]:
    """One job more when one waits already and no more may."""

    def ask(house: House) -> TestResponse:
        client = house.client(trainer=False, MAX_QUEUED_TRAININGS="1")
        client.post("/train", json=LINE, headers={"Prefer": "respond-async"})
        return client.post(path, **(request or {"json": LINE}))

    return ask


def cancelled(*, running: bool) -> Callable[[House], TestResponse]:
    """The cancelling of a job that waits, or that a trainer has taken."""

    def ask(house: House) -> TestResponse:
        client = house.client(trainer=False)
        place = client.post("/train", json=LINE, headers={"Prefer": "respond-async"}).headers["Location"]
        if running:
            store = ModelStore.open(house.root)
            assert Jobs(store, house.root / "spool", limit=10).take(place.removeprefix("/jobs/")) is not None
        return client.delete(place)

    return ask


def cancelled_without_space(house: House) -> TestResponse:
    """The cancelling of a job that waits, when its record finds no space."""
    client = house.client(trainer=False)
    place = client.post("/train", json=LINE, headers={"Prefer": "respond-async"}).headers["Location"]
    with files_of_at_most(50):
        return client.delete(place)


def store_full(path: str) -> Callable[[House], TestResponse]:
    """A job whose body finds no space."""

    def ask(house: House) -> TestResponse:
        with files_of_at_most(50):
            return house.client().post(path, json=LINE)

    return ask


def living(verb: str, good: dict[str, Any], contradicting: dict[str, Any]) -> dict[int, Callable[[House], TestResponse]]:
    """Every status of an operation that makes a version of `line` from another one."""
    path = f"/models/line/{verb}"
    return {
        201: asks("POST", path, {"json": good}),
        202: asks("POST", path, {"json": good, "headers": {"Prefer": "respond-async"}}, trainer=False),
        **guarded("POST", path, {"json": good}),
        **bodies(path),
        404: asks("POST", f"/models/none/{verb}", {"json": good}),
        409: asks("POST", path, {"json": contradicting}),
        412: asks("POST", path, {"json": good, "headers": {"If-Match": '"7"'}}),
        429: queue_full(path),
        503: unavailable("POST", path, {"json": good}),
        507: store_full(path),
    }


def space_gone(method: str, path: str, request: dict[str, Any] | None = None) -> Callable[[House], TestResponse]:
    """One request when nothing more fits into the store, and `line` has a second version and the alias `next`."""

    def ask(house: House) -> TestResponse:
        client = prepared(house)
        with files_of_at_most(50):
            return client.open(path, method=method, **(request or {}))

    return ask


def prepared(house: House) -> Client:
    """The application when `line` has a second version, not live, that the alias `next` names, and a third that none names."""
    client = house.client()
    for _ in range(2):
        assert client.post("/train", json=LINE | {"promote": False}).status_code == 201
    ModelStore.open(house.root).move_alias("line", "next", 2)
    return client


def on_prepared(method: str, path: str, request: dict[str, Any] | None = None) -> Callable[[House], TestResponse]:
    """One request to a model with three versions."""
    return lambda house: prepared(house).open(path, method=method, **(request or {}))


def rolled_back(house: House) -> TestResponse:
    """A rollback after a second version went live."""
    client = house.client()
    client.post("/train", json=LINE)
    return client.post("/models/line/rollback", json={"reason": "worse"})


def rolled_back_without_space(house: House) -> TestResponse:
    """A rollback that finds no space for its record."""
    client = house.client()
    client.post("/train", json=LINE)
    with files_of_at_most(50):
        return client.post("/models/line/rollback")


def imports(model: str, *, full: bool = False, trainer: bool = True, **request: Any) -> Callable[[House], TestResponse]:
    """The import of `line`'s version into a model; `other` has another schema."""

    def ask(house: House) -> TestResponse:
        client = house.client(trainer=trainer)
        house.client().post("/train", json=LINE | {"model": "other", "features": ["z"]})
        archive = pack(ModelStore.open(house.root), "line", 1)
        with files_of_at_most(50) if full else nullcontext():
            return client.post(f"/models/{model}/import", data=archive, content_type="application/zip", **request)

    return ask


def on_siblings(verb: str, request: dict[str, Any], *, model: str = "line") -> Callable[[House], TestResponse]:
    """One operation where there are further models: `twin` is `line` again, `wider` has other terms."""

    def ask(house: House) -> TestResponse:
        client = house.client()
        wider = {"model": "wider", "instances": [[0, 1], [1, 5], [2, 2], [4, 4], [7, 1]], "targets": [1, 3, 5, 2, 2]}
        for other in (LINE | {"model": "twin"}, wider | {"terms": ["x1", "x1^2", "x2", "x1*x2"]}):
            assert client.post("/train", json=other).status_code == 201
        return client.post(f"/models/{model}/{verb}", json=request)

    return ask


def on_sampled(method: str, path: str, request: dict[str, Any] | None = None) -> Callable[[House], TestResponse]:
    """One request about the first version of `wide` instead, which kept a sample, and has four parameters and two targets."""

    def ask(house: House) -> TestResponse:
        client = house.client()
        columns = {"a": [0, 1, 2, 4, 7], "b": ["u", "v", "u", "w", "w"], "c": [1, 3, 5, 2, 2], "d": [2, 0, 1, 4, 4], "w": [1, 2, 1, 1, 0.5]}
        wide = {"model": "wide", "target": ["c", "d"], "weights": "w", "sample": 3, "columns": columns}
        assert client.post("/train", json=wide).status_code == 201
        return client.open(path.replace("line", "wide"), method=method, **(request or {}))

    return ask


def guarded(method: str, path: str, request: dict[str, Any] | None = None) -> dict[int, Callable[[House], TestResponse]]:
    """401 and 403 of an operation that needs a token."""
    tokens = {"WRITE_TOKEN": TOKEN, "READ_TOKEN": f"{TOKEN}-read"}
    wrong = (request or {}) | {"headers": {"Authorization": "Bearer wrong"}}
    return {401: asks(method, path, request, **tokens), 403: asks(method, path, wrong, **tokens)}


def bodies(path: str, method: str = "POST") -> dict[int, Callable[[House], TestResponse]]:
    """400, 413, 415 and 422 of an operation with a body."""
    return {
        400: asks(method, path, {"data": b"{", "content_type": "application/json"}),
        413: asks(method, path, {"data": b"{     }", "content_type": "application/json"}, MAX_BODY_BYTES="2"),
        415: asks(method, path, {"data": b"{}", "content_type": "text/plain"}),
        422: asks(method, path, {"json": ONE | {"instances": [["x"], [1]]}}),
    }


VERSION = "/models/line/versions/1"
ALIAS = "/models/line/aliases/live"
ROLLBACK = "/models/line/rollback"
IMPORT = "/models/line/import"
ZIP: dict[str, Any] = {"data": b"no archive", "content_type": "application/zip"}
TABLE: dict[tuple[str, str], dict[int, Callable[[House], TestResponse]]] = {
    ("post", "/train"): {
        201: asks("POST", "/train", {"json": LINE}),
        202: asks("POST", "/train", {"json": LINE, "headers": {"Prefer": "respond-async"}}, trainer=False),
        **guarded("POST", "/train", {"json": LINE}),
        **bodies("/train"),
        404: asks("POST", "/train", {"json": LINE | {"like": "none@1"}}),
        409: asks("POST", "/train", {"json": HUGE}),
        429: queue_full("/train"),
        503: unavailable("POST", "/train", {"json": LINE}, ("blobs",)),
        507: store_full("/train"),
    },
    ("post", "/models/{model}/learn"): living("learn", {"instances": [[3]], "targets": [8]}, {"instances": [[3]], "targets": [1e300]}),
    ("post", "/models/{model}/forget"): living("forget", {"instances": [[0]], "targets": [1]}, {"instances": [[3]], "targets": [8]}),
    ("post", "/models/{model}/merge"): {
        **living("merge", {"with": "twin"}, {"with": "wider"}),
        201: on_siblings("merge", {"with": ["twin@1"]}),
        409: on_siblings("merge", {"with": ["wider"]}),
    },
    ("post", "/models/{model}/refit"): {
        **living("refit", {"solver": {"name": "exact", "ridge": 2}}, {}),
        409: on_siblings("refit", {"terms": ["x1*x2"]}, model="wider"),
    },
    ("post", "/models/{model}/select"): {
        **living("select", {"subset": "aic"}, {"subset": "aic"}),
        200: on_siblings("select", {"ridge": "gcv"}, model="wider"),
        201: on_siblings("select", {"ridge": "gcv", "publish": True}, model="wider"),
        507: store_full("/models/line/select"),
    },
    ("post", "/predict"): {
        200: asks("POST", "/predict", {"json": ONE}),
        **guarded("POST", "/predict", {"json": ONE}),
        404: asks("POST", "/predict", {"json": ONE | {"model": "none"}}),
        406: asks("POST", "/predict", {"json": ONE, "headers": {"Accept": "image/png"}}),
        **bodies("/predict"),
        503: damaged("POST", "/predict", {"json": ONE}),
        504: stuck,
    },
    ("get", "/jobs"): {
        200: asks("GET", "/jobs"),
        **guarded("GET", "/jobs"),
        422: asks("GET", "/jobs?state=lost"),
        503: unavailable("GET", "/jobs", folders=("jobs",)),
    },
    ("delete", "/jobs/{job_id}"): {
        200: cancelled(running=False),
        202: cancelled(running=True),
        204: asks("DELETE", "/jobs/{job}"),
        **guarded("DELETE", "/jobs/{job}"),
        404: asks("DELETE", "/jobs/none"),
        422: asks("DELETE", "/jobs/no%20id"),
        503: unavailable("DELETE", "/jobs/{job}", folders=("jobs",)),
        507: cancelled_without_space,
    },
    ("get", "/jobs/{job_id}"): {
        200: asks("GET", "/jobs/{job}"),
        304: asks("GET", "/jobs/{job}", {"headers": {"If-None-Match": "*"}}),
        **guarded("GET", "/jobs/{job}"),
        404: asks("GET", "/jobs/none"),
        422: asks("GET", "/jobs/no%20id"),
        503: unavailable("GET", "/jobs/{job}", folders=("jobs",)),
    },
    ("get", "/models"): {
        200: asks("GET", "/models"),
        **guarded("GET", "/models"),
        422: asks("GET", "/models?limit=0"),
        503: unavailable("GET", "/models"),
    },
    ("get", "/models/{model}"): {
        200: asks("GET", "/models/line"),
        **guarded("GET", "/models/line"),
        404: asks("GET", "/models/none"),
        422: asks("GET", "/models/no%20name"),
        503: unavailable("GET", "/models/line"),
    },
    ("get", "/models/{model}/versions"): {
        200: asks("GET", "/models/line/versions"),
        **guarded("GET", "/models/line/versions"),
        404: asks("GET", "/models/none/versions"),
        422: asks("GET", "/models/line/versions?limit=x"),
        503: unavailable("GET", "/models/line/versions"),
    },
    ("get", "/models/{model}/versions/{version}"): {
        200: asks("GET", VERSION),
        **guarded("GET", VERSION),
        404: asks("GET", "/models/line/versions/2"),
        422: asks("GET", "/models/line/versions/no%20alias"),
        503: unavailable("GET", VERSION),
        304: asks("GET", VERSION, {"headers": {"If-None-Match": "*"}}),
    },
    ("delete", "/models/{model}"): {
        204: asks("DELETE", "/models/line"),
        **guarded("DELETE", "/models/line"),
        404: asks("DELETE", "/models/none"),
        422: asks("DELETE", "/models/no%20name"),
        503: unavailable("DELETE", "/models/line"),
        507: space_gone("DELETE", "/models/line"),
    },
    ("delete", "/models/{model}/versions/{version}"): {
        204: on_prepared("DELETE", "/models/line/versions/3"),
        **guarded("DELETE", VERSION),
        404: asks("DELETE", "/models/line/versions/2"),
        409: asks("DELETE", VERSION),
        422: asks("DELETE", "/models/line/versions/no%20alias"),
        503: unavailable("DELETE", VERSION),
    },
    ("get", "/models/{model}/versions/{version}/state_dict"): {
        200: asks("GET", f"{VERSION}/state_dict"),
        **guarded("GET", f"{VERSION}/state_dict"),
        304: asks("GET", f"{VERSION}/state_dict?format=json", {"headers": {"If-None-Match": "*"}}),
        404: asks("GET", "/models/line/versions/2/state_dict"),
        422: asks("GET", f"{VERSION}/state_dict?format=pickle"),
        503: unavailable("GET", f"{VERSION}/state_dict"),
    },
    ("get", "/models/{model}/versions/{version}/sample"): {
        200: on_sampled("GET", f"{VERSION}/sample"),
        304: on_sampled("GET", f"{VERSION}/sample", {"headers": {"If-None-Match": "*"}}),
        **guarded("GET", f"{VERSION}/sample"),
        404: asks("GET", f"{VERSION}/sample"),
        422: asks("GET", "/models/line/versions/no%20alias/sample"),
        503: unavailable("GET", f"{VERSION}/sample"),
    },
    ("get", "/models/{model}/versions/{version}/cost"): {
        200: asks("GET", f"{VERSION}/cost"),
        304: asks("GET", f"{VERSION}/cost", {"headers": {"If-None-Match": "*"}}),
        **guarded("GET", f"{VERSION}/cost"),
        404: asks("GET", "/models/line/versions/2/cost"),
        409: on_sampled("GET", f"{VERSION}/cost?target=c"),
        422: asks("GET", f"{VERSION}/cost?target=z"),
        503: unavailable("GET", f"{VERSION}/cost"),
    },
    ("post", "/models/{model}/import"): {
        201: imports("line"),
        202: imports("line", headers={"Prefer": "respond-async"}, trainer=False),
        **guarded("POST", IMPORT, ZIP),
        400: asks("POST", IMPORT, ZIP | {"environ_overrides": {"CONTENT_LENGTH": "x"}}),
        409: imports("other"),
        413: asks("POST", IMPORT, ZIP, MAX_BODY_BYTES="2"),
        415: asks("POST", IMPORT, {"json": {}}),
        422: asks("POST", IMPORT, ZIP),
        429: queue_full(IMPORT, ZIP),
        503: unavailable("POST", IMPORT, ZIP, ("jobs",)),
        507: imports("line", full=True),
    },
    ("get", "/models/{model}/versions/{version}/plots/{kind}.{form}"): {
        200: asks("GET", f"{VERSION}/plots/coefficients.svg"),
        **guarded("GET", f"{VERSION}/plots/coefficients.svg"),
        304: asks("GET", f"{VERSION}/plots/coefficients.svg", {"headers": {"If-None-Match": "*"}}),
        404: asks("GET", f"{VERSION}/plots/fit.png"),
        409: asks("GET", f"{VERSION}/plots/loss.png"),
        422: asks("GET", "/models/line/versions/no%20alias/plots/loss.svg"),
        503: unavailable("GET", f"{VERSION}/plots/coefficients.svg"),
        504: drawn_too_slowly(f"{VERSION}/plots/coefficients.svg"),
    },
    ("get", "/models/{model}/versions/{version}/report.html"): {
        200: asks("GET", f"{VERSION}/report.html"),
        **guarded("GET", f"{VERSION}/report.html"),
        304: asks("GET", f"{VERSION}/report.html", {"headers": {"If-None-Match": "*"}}),
        404: asks("GET", "/models/line/versions/2/report.html"),
        422: asks("GET", "/models/line/versions/no%20alias/report.html"),
        503: unavailable("GET", f"{VERSION}/report.html"),
        504: drawn_too_slowly(f"{VERSION}/report.html"),
    },
    ("get", "/models/{model}/diff"): {
        200: on_prepared("GET", "/models/line/diff?from=1&to=next"),
        **guarded("GET", "/models/line/diff?from=1&to=1"),
        404: asks("GET", "/models/line/diff?from=1&to=2"),
        422: asks("GET", "/models/line/diff?from=1"),
        503: unavailable("GET", "/models/line/diff?from=1&to=1"),
    },
    ("get", "/models/{model}/aliases"): {
        200: on_prepared("GET", "/models/line/aliases"),
        **guarded("GET", "/models/line/aliases"),
        404: asks("GET", "/models/none/aliases"),
        422: asks("GET", "/models/line/aliases?after=none"),
        503: unavailable("GET", "/models/line/aliases"),
    },
    ("get", "/models/{model}/aliases/{alias}"): {
        200: on_prepared("GET", "/models/line/aliases/next"),
        **guarded("GET", ALIAS),
        404: asks("GET", "/models/line/aliases/none"),
        422: asks("GET", "/models/line/aliases/17"),
        503: unavailable("GET", ALIAS),
    },
    ("put", "/models/{model}/aliases/{alias}"): {
        200: on_prepared("PUT", ALIAS, {"json": {"version": "2", "expect": "1"}}),
        **guarded("PUT", ALIAS, {"json": {"version": "1"}}),
        404: asks("PUT", ALIAS, {"json": {"version": "2"}}),
        412: asks("PUT", ALIAS, {"json": {"version": "1"}, "headers": {"If-Match": '"2"'}}),
        **bodies(ALIAS, "PUT"),
        503: unavailable("PUT", ALIAS, {"json": {"version": "1"}}),
        507: space_gone("PUT", ALIAS, {"json": {"version": "2"}}),
    },
    ("delete", "/models/{model}/aliases/{alias}"): {
        204: on_prepared("DELETE", "/models/line/aliases/next"),
        **guarded("DELETE", "/models/line/aliases/next"),
        404: asks("DELETE", "/models/line/aliases/next"),
        409: asks("DELETE", ALIAS),
        422: asks("DELETE", "/models/line/aliases/17"),
        503: unavailable("DELETE", "/models/line/aliases/next"),
        507: space_gone("DELETE", "/models/line/aliases/next"),
    },
    ("post", "/models/{model}/rollback"): {
        200: rolled_back,
        **guarded("POST", ROLLBACK),
        404: asks("POST", "/models/none/rollback"),
        409: asks("POST", ROLLBACK),
        **bodies(ROLLBACK),
        503: unavailable("POST", ROLLBACK),
        507: rolled_back_without_space,
    },
    ("get", "/livez"): {200: asks("GET", "/livez")},
    ("get", "/readyz"): {200: asks("GET", "/readyz"), 503: damaged("GET", "/readyz")},
    ("get", "/metrics"): {200: asks("GET", "/metrics")},
}


def tensors(base: str, place: str) -> dict[tuple[str, str], dict[int, Callable[[House], TestResponse]]]:
    """Every status of the Open Inference Protocol below a model or a version; `base` is documented, `place` is there."""
    wrong, none = place.replace("line", "no%20name"), place.replace("line", "none")
    table: dict[tuple[str, str], dict[int, Callable[[House], TestResponse]]] = {}
    for below in ("", "/ready", "/config", "/stats"):
        table["get", base + below] = {
            200: asks("GET", place + below),
            400: asks("GET", wrong + below),
            **guarded("GET", place + below),
            404: asks("GET", none + below),
            503: damaged("GET", place + below),
        }
    infer = f"{place}/infer"
    table["post", f"{base}/infer"] = {
        200: asks("POST", infer, {"json": TENSOR}),
        **guarded("POST", infer, {"json": TENSOR}),
        404: asks("POST", f"{none}/infer", {"json": TENSOR}),
        **without_422(bodies(infer)),
        503: damaged("POST", infer, {"json": TENSOR}),
    }
    return table


def without_422(rows: dict[int, Callable[[House], TestResponse]]) -> dict[int, Callable[[House], TestResponse]]:
    """The rows of a protocol in which what is readable and wrong is 400 too."""
    return {status: row for status, row in rows.items() if status != 422}


TENSOR: dict[str, Any] = {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP64", "data": [10]}]}
INDEX = "/v2/repository/index"
TABLE |= {
    **{("get", path): {200: asks("GET", path), **guarded("GET", path)} for path in ("/v2", "/v2/", "/v2/models/stats")},
    ("get", "/v2/health/live"): {200: asks("GET", "/v2/health/live")},
    ("get", "/v2/health/ready"): {200: asks("GET", "/v2/health/ready"), 503: damaged("GET", "/v2/health/ready")},
    ("post", INDEX): {
        200: asks("POST", INDEX),
        **guarded("POST", INDEX),
        **without_422(bodies(INDEX)),
        415: asks("POST", INDEX, {"headers": {"Content-Encoding": "br"}}),
        503: unavailable("POST", INDEX),
    },
    **tensors("/v2/models/{model}", "/v2/models/line"),
    **tensors("/v2/models/{model}/versions/{version}", "/v2/models/line/versions/1"),
}


def rows_of(base: str, place: str) -> dict[tuple[str, str], dict[int, Callable[[House], TestResponse]]]:
    """Every status of TensorFlow Serving's and KServe's addresses of a model; `base` is documented, `place` is there."""
    wrong, none = place.replace("line", "no%20name"), place.replace("line", "none")
    table: dict[tuple[str, str], dict[int, Callable[[House], TestResponse]]] = {}
    for below in ("", "/metadata"):
        table["get", base + below] = {
            200: asks("GET", place + below),
            400: asks("GET", wrong + below),
            **guarded("GET", place + below),
            404: asks("GET", none + below),
            503: damaged("GET", place + below),
        }
    for verb, request in VERBS.items():
        path = f"{place}:{verb}"
        table["post", f"{base}:{verb}"] = {
            200: asks("POST", path, {"json": request}),
            **guarded("POST", path, {"json": request}),
            404: asks("POST", f"{none}:{verb}", {"json": request}),
            **without_422(bodies(path)),
            415: asks("POST", path, {"json": request, "headers": {"Content-Encoding": "br"}}),
            503: damaged("POST", path, {"json": request}),
        }
    return table


VERBS: dict[str, dict[str, Any]] = {"predict": {"instances": [[10]]}, "explain": {"instances": [10]}, "regress": {"examples": [{"x1": 1}]}}
DEFAULT = {"DEFAULT_MODEL": "line"}
INVOKED: dict[str, Any] = {"json": [[10]]}
TABLE |= {
    ("get", "/v1/models"): {200: asks("GET", "/v1/models"), **guarded("GET", "/v1/models"), 503: unavailable("GET", "/v1/models")},
    **rows_of("/v1/models/{model}", "/v1/models/line"),
    **rows_of("/v1/models/{model}/versions/{version}", "/v1/models/line/versions/1"),
    **rows_of("/v1/models/{model}/labels/{label}", "/v1/models/line/labels/live"),
    ("post", "/invocations"): {
        200: asks("POST", "/invocations", INVOKED, **DEFAULT),
        **guarded("POST", "/invocations", INVOKED),
        404: asks("POST", "/invocations", INVOKED),
        406: asks("POST", "/invocations", INVOKED | {"headers": {"Accept": "image/png"}}, **DEFAULT),
        **without_422(bodies("/invocations")),
        503: damaged("POST", "/invocations", INVOKED, **DEFAULT),
    },
    **{("get", path): {200: asks("GET", path, **DEFAULT), 503: asks("GET", path)} for path in ("/ping", "/health")},
    ("get", "/version"): {200: asks("GET", "/version")},
}
ROWS = [(method, path, status) for (method, path), statuses in TABLE.items() for status in statuses]


def documented() -> dict[tuple[str, str], dict[int, Any]]:
    """Every operation of the description with its answers by status."""
    return {
        (method, path): {int(status): answer for status, answer in operation["responses"].items()}
        for path, operations in openapi.description()["paths"].items()
        for method, operation in operations.items()
    }


def test_the_table_and_the_description_agree() -> None:
    """Each documented status has its row here, and each row is documented."""
    assert {operation: set(rows) for operation, rows in TABLE.items()} == {
        operation: set(answers) for operation, answers in documented().items()
    }


def test_every_route_is_documented(config: Config) -> None:
    """What Flask routes and the description lists are the same operations; the page and its assets aside."""
    gate: Any = create_app(config)
    routed = {
        (method.lower(), re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in gate._rest.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }

    pages = {("get", path) for path in ("/", "/web/{file}", "/docs", "/docs/{asset}", "/openapi.json")}
    assert routed - set(documented()) == pages
    assert set(documented()) <= routed


@pytest.mark.parametrize(("method", "path", "status"), ROWS)
def test_each_documented_status_is_produced(house: House, method: str, path: str, status: int) -> None:
    """The request of each row gives exactly that status, in the media type and with the members that are documented."""
    answer = TABLE[method, path][status](house)
    content = documented()[method, path][status].get("content", {})

    assert answer.status_code == status, answer.text
    assert answer.mimetype in content or (not content and not answer.data)
    if answer.mimetype == "application/problem+json":
        assert answer.json is not None
        assert {"title", "status", "detail"} <= set(answer.json) <= {"title", "status", "detail", "errors"}
        assert answer.json["status"] == status
    if path.startswith(("/v1", "/v2")) and status >= 400:
        assert answer.content_type == "application/json"
        assert answer.json is not None
        assert type(answer.json["error"]) is str
    if status in (429, 503):
        assert answer.headers["Retry-After"] == "1"


def test_a_store_that_fills_while_it_publishes_is_507(house: House) -> None:
    """Where the request found space and the version does not, the training ends as a full store, and the model is as it was."""
    client = house.client()
    wide = {"model": "line", "new_schema": True, "instances": [[1] * 300, [2] * 300], "targets": [1, 2]}
    with files_of_at_most(2300):
        answer = client.post("/train", json=wide)

    assert answer.status_code == 507, answer.text
    assert client.get("/models/line/versions").json == {"model": "line", "versions": ["1"], "after": None}


def test_the_description_is_served(client: Client) -> None:
    """What `/openapi.json` answers is the description."""
    assert client.get("/openapi.json").json == openapi.description()


for media_type in (
    "application/zip",
    "text/csv",
    "application/x-ndjson",
    "application/vnd.apache.parquet",
    "application/vnd.apache.arrow.stream",
):
    schemathesis.serializer.alias(media_type, "text/plain")  # any text at all, which is mostly not of the form

CHECKS = [status_code_conformance, content_type_conformance, response_headers_conformance, response_schema_conformance]
DOCUMENT = openapi.description()


# Pytest names the operation in the id of a test that has a parameter, and in no other's: without one all would share their id.
@pytest.fixture(scope="module", params=["1000"], ids=["1000 rows"])
def many(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Client:
    """The application that generated requests go to."""
    return House(tmp_path_factory.mktemp("generated") / "store").client(MAX_QUEUED_TRAININGS="100000", MAX_ROWS=request.param)


schema = schemathesis.openapi.from_dict(DOCUMENT)


@schema.parametrize()
@settings(max_examples=30, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))
def test_generated_requests_get_documented_answers(case: Any, many: Client) -> None:
    """Whatever the description lets a client send, the answer has a documented status, media type and schema."""
    gate = many.application
    response = case.call(app=gate, base_url="http://localhost")

    assert response.status_code < 500 or response.status_code == 503
    case.validate_response(response, checks=CHECKS)
