"""What has broken or emptied other servers: each is refused at every door, quickly, and the next request is answered."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from model_store.store import ModelStore
from service.app import create_app
from service.config import Config
from service.training.jobs import Jobs
from service.training.runner import run_job
from service.training.sources import Limits

DOORS = ("/predict", "/v2/models/line/infer", "/v1/models/line:predict", "/invocations")
JSON = {"content_type": "application/json"}
REFUSED = {400, 404, 405, 413, 422}
MEGABYTES = 1 << 20


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """The settings that all tests here share, so that each also shows that the ones before did no harm."""
    return Config.from_environ({"PLUMBLINE_STORE": str(tmp_path_factory.mktemp("hostile") / "store"), "PLUMBLINE_DEFAULT_MODEL": "line"})


@pytest.fixture(scope="module")
def served(config: Config) -> Client:
    """A service whose model `line` is 2 x + 1."""
    store = ModelStore.open(config.directory)
    jobs = Jobs(store, config.spool, limit=config.max_queued_trainings)
    limits = Limits(config.max_rows, config.max_columns)
    client = Client(create_app(config, ring=lambda job_id: run_job(jobs, store, limits, job_id)))
    assert client.post("/train", json={"model": "line", "instances": [[0], [1], [2]], "targets": [1, 3, 5]}).status_code == 201
    return client


def still_answers(client: Client) -> bool:
    """Whether a prediction is right."""
    answer = client.post("/predict", json={"model": "line", "instances": [[10]]})
    return answer.status_code == 200 and answer.get_json()["predictions"] == pytest.approx([21])


def refused(answer: TestResponse, *sent: str) -> bool:
    """Whether an answer is a refusal in JSON that repeats nothing of what was sent."""
    text = answer.get_data(as_text=True)
    return answer.status_code in REFUSED and "json" in answer.content_type and json.loads(text) and not any(part in text for part in sent)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("member", ["instances", "inputs", "parameters", "columns", "id"])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_nesting_without_end(served: Client, door: str, member: str, opening: str, closing: str) -> None:
    """A hundred thousand brackets neither exhaust the stack nor are read."""
    depth = 100_000
    body = f'{{"{member}": {opening * depth}1{closing * depth}}}'

    assert refused(served.post(door, data=body, **JSON), "[[[", '{"a"')
    assert still_answers(served)


@pytest.mark.parametrize(
    "shape", [[2**62, 2**62], [2**31, 2**33], [2**63, 1], [10**30, 1], [-1, 1], [-1, -1], [0, 2**60], [1.5, 1], ["1", 1], [True, 1]]
)
@pytest.mark.parametrize("binary", [False, True])
def test_shapes_whose_product_overflows(served: Client, shape: list[Any], *, binary: bool) -> None:
    """A shape is compared with what came and never multiplied into memory."""
    tensor: dict[str, Any] = {"name": "x", "shape": shape, "datatype": "FP64"}
    body = json.dumps({"inputs": [tensor | ({"parameters": {"binary_data_size": 8}} if binary else {"data": [1.0]})]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(body))} if binary else {}
    tracemalloc.start()
    answer = served.post("/v2/models/line/infer", data=body + bytes(8 * binary), headers=headers, **JSON)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert refused(answer)
    assert peak < MEGABYTES
    assert still_answers(served)


@pytest.mark.parametrize(
    "name", ["..", ".", "%2e%2e", "..%2f..%2fetc", "%2e%2e%2f%2e%2e", "a%00b", "a%0ab", "-", "a" * 300, "%ff", "line%20"]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v2/models/{}/infer"),
        ("GET", "/v2/models/{}"),
        ("GET", "/v2/models/line/versions/{}"),
        ("POST", "/v1/models/{}:predict"),
        ("POST", "/v1/models/line/labels/{}:predict"),
        ("GET", "/models/{}"),
        ("GET", "/models/line/versions/{}"),
        ("GET", "/models/line/versions/{}/state_dict"),
        ("PUT", "/models/{}/aliases/stable"),
        ("PUT", "/models/line/aliases/{}"),
        ("DELETE", "/models/{}"),
        ("GET", "/jobs/{}"),
        ("DELETE", "/jobs/{}"),
        ("GET", "/web/{}"),
    ],
)
def test_names_that_lead_elsewhere(served: Client, config: Config, method: str, path: str, name: str) -> None:
    """No name reaches a file that is not its model's: it is refused, and nothing appears, changes or goes."""
    before = files(config.directory)
    body = {"version": "1", "instances": [[1]], "inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP64", "data": [1.0]}]}
    answer = served.open(path.format(name), method=method, **({} if method in ("GET", "DELETE") else {"json": body}))

    assert answer.status_code in REFUSED | {308}
    assert "Traceback" not in answer.get_data(as_text=True)
    assert files(config.directory) == before
    assert still_answers(served)


def files(directory: Path) -> dict[str, bytes]:
    """All files of a store with what they hold, but for those of the spool."""
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file() and "spool" not in path.parts}


@pytest.mark.parametrize("name", ["..", "../line", "line/../line", "a\nb", "a\0b", "", "a" * 300, "ｌine"])
@pytest.mark.parametrize("member", ["model", "version", "alias"])
def test_names_in_bodies_that_lead_elsewhere(served: Client, member: str, name: str) -> None:
    """The same in the body of a prediction."""
    answer = served.post("/predict", json={"model": "line", "instances": [[1]]} | {member: name})

    assert answer.status_code in REFUSED
    assert still_answers(served)


@pytest.mark.parametrize("door", DOORS)
def test_members_that_stand_twice(served: Client, door: str) -> None:
    """Which of two values another reader would take is nobody's guess."""
    body = b'{"instances": [[1]], "inputs": [], "instances": [[2]]}'

    assert refused(served.post(door, data=body, **JSON))


@pytest.mark.parametrize("door", ["/predict?model=line", "/invocations", "/train?target=y"])
def test_a_header_line_of_a_million_columns(served: Client, door: str) -> None:
    """Columns are counted before anything is made of them."""
    names = ",".join(f"c{i}" for i in range(1_000_000))
    values = ",".join(["1"] * 1_000_000)

    assert refused(served.post(door, data=f"{names}\n{values}\n".encode(), content_type="text/csv"), "c999999", "c1234,")
    assert still_answers(served)


@pytest.mark.parametrize(
    "more",
    [
        {"solver": {"name": "gradient", "epochs": 10**12}},
        {"solver": {"name": "gradient", "epochs": 10**400}},
        {"solver": {"name": "gradient", "batch_size": -1}},
        {"solver": {"name": "gradient", "learning_rate": 1e400}},
        {"folds": 10**9},
        {"sample": 10**9},
        {"labels": {f"k{i}": "v" for i in range(10_000)}},
        {"description": "d" * 10**6},
        {"terms": ["x1^1000000000"]},
        {"terms": ["*".join(["x1"] * 10_000)]},
        {"features": ["x"] * 100_000},
        {"targets": [[1] * 1000] * 3, "solver": {"name": "lasso", "penalty": -1}},
    ],
)
def test_options_that_would_allocate_or_run_without_end(served: Client, more: dict[str, Any]) -> None:
    """What a body may ask for is bounded, and told at its field."""
    answer = served.post("/train", json={"model": "greedy", "instances": [[0], [1], [2]], "targets": [1, 3, 5]} | more)

    assert answer.status_code in (400, 413, 422)
    assert still_answers(served)
