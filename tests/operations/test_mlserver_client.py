"""MLServer's own clients, against the real server."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.operations.foreign import MLSERVER, foreign_python
from tests.operations.test_inference_clients import FEATURES, INFER, MODEL, ROWS, native, rent
from tests.support import Service

__all__ = ["rent"]  # a fixture
CODECS = """\
import json, sys, urllib.request
import numpy as np
import pandas as pd
from mlserver.codecs import NumpyCodec, NumpyRequestCodec, PandasCodec
from mlserver.types import InferenceResponse

url, names, rows = sys.argv[1], json.loads(sys.argv[2]), np.array(json.loads(sys.argv[3]))

def predictions(asked):
    body = asked.model_dump_json(exclude_none=True).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": "application/json"})) as answer:
        return NumpyCodec.decode_output(InferenceResponse.model_validate_json(answer.read()).outputs[0]).ravel().tolist()

frame = pd.DataFrame(rows, columns=names)
print(json.dumps([predictions(NumpyRequestCodec.encode_request(rows)), predictions(PandasCodec.encode_request(frame))]))
"""


@pytest.mark.slow
def test_mlserver_codecs(rent: Service) -> None:
    """What MLServer's codecs make of an array and of a frame is answered bit for bit as `/predict`, in a form that they read."""
    command = [foreign_python(MLSERVER), "-c", CODECS, rent.url + INFER, json.dumps(FEATURES), json.dumps(ROWS.tolist())]
    done = subprocess.run(command, capture_output=True, timeout=100, check=True)

    predictions = native(rent)["predictions"]
    assert json.loads(done.stdout) == [predictions, predictions]


@pytest.mark.slow
@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("together", [1, 3])
def test_mlserver_infer(rent: Service, tmp_path: Path, together: int, *, binary: bool) -> None:
    """`mlserver infer` sends lines of requests, by themselves or a few in one, and finds each one's answer."""
    asked, answered = tmp_path / "asked.jsonl", tmp_path / "answered.jsonl"
    lines: list[dict[str, Any]] = [
        {"id": f"row {place}", "inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP64", "data": row}]}
        for place, row in enumerate(ROWS.tolist())
    ]
    asked.write_text("".join(json.dumps(line) + "\n" for line in lines))
    command = [foreign_python(MLSERVER).with_name("mlserver"), "infer", "--url", rent.url.removeprefix("http://")]
    command += ["--model-name", MODEL, "--input-data-path", asked, "--output-data-path", answered, "--batch-size", str(together)]
    subprocess.run([*command, *(["--binary-data"] if binary else [])], capture_output=True, timeout=100, check=True)

    answers = {answer["id"]: answer["outputs"][0]["data"] for answer in map(json.loads, answered.read_text().splitlines())}
    assert answers == {line["id"]: [prediction] for line, prediction in zip(lines, native(rent)["predictions"], strict=True)}
