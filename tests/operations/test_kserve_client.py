"""KServe's own client, against the real server."""

import json
import subprocess
from typing import Any

import pytest

from tests.operations.foreign import KSERVE, foreign_python
from tests.operations.test_inference_clients import MODEL, ROWS, native, rent
from tests.support import Service

__all__ = ["rent"]  # a fixture
PROGRAM = """\
import asyncio, json, sys
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

url, model, rows = sys.argv[1], sys.argv[2], np.array(json.loads(sys.argv[3]))

async def main():
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    said = {"state": [await client.is_server_live(url), await client.is_server_ready(url), await client.is_model_ready(url, model)]}
    for form, binary in (("json", False), ("binary", True)):
        tensor = InferInput("x", list(rows.shape), "FP64")
        tensor.set_data_from_numpy(rows, binary_data=binary)
        answer = await client.infer(url, InferRequest(model_name=model, infer_inputs=[tensor]), model_name=model)
        said[form] = [answer.model_name, answer.outputs[0].as_numpy().tolist()]
    try:
        await client.infer(url, InferRequest(model_name="none", infer_inputs=[tensor]), model_name="none")
    except Exception as error:
        said["error"] = str(error)
    print(json.dumps(said))

asyncio.run(main())
"""


@pytest.mark.slow
def test_kserve_client(rent: Service) -> None:
    """`InferenceRESTClient` finds everything ready, predicts in JSON and in binary bit for bit as `/predict`, and shows our errors."""
    python = foreign_python(KSERVE)
    done = subprocess.run([python, "-c", PROGRAM, rent.url, MODEL, json.dumps(ROWS.tolist())], capture_output=True, timeout=100, check=True)
    said: dict[str, Any] = json.loads(done.stdout)

    predictions = native(rent)["predictions"]
    assert said["state"] == [True, True, True]
    assert said["json"] == said["binary"] == [MODEL, predictions]
    assert "there is no model none" in said["error"]


PROGRAM_V1 = """\
import asyncio, json, sys
from kserve import InferenceRESTClient, RESTConfig

async def main(url):
    client = InferenceRESTClient(RESTConfig(protocol="v1"))
    print(json.dumps({
        "state": [await client.is_server_live(url), await client.is_model_ready(url, "kserved")],
        "infer": await client.infer(url, {"instances": [[10.0], [20.0]]}, model_name="kserved"),
        "explain": await client.explain(url, "kserved", {"instances": [[10.0]]}),
    }))
    for wrong in (client.infer(url, {"instances": [["x"]]}, model_name="kserved"), client.is_model_ready(url, "none")):
        try:
            await wrong
        except Exception as error:
            print(json.dumps(str(error)))

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.slow
def test_kserve_client_by_its_first_protocol(service: Service) -> None:
    """With v1, its default, the client finds the model ready, predicts, explains, and shows the texts of our errors."""
    trained = service.post("/train", {"model": "kserved", "instances": [[0], [1], [2], [4]], "targets": [1, 3, 5, 9]})
    python = foreign_python(KSERVE)
    done = subprocess.run([python, "-c", PROGRAM_V1, service.url], capture_output=True, text=True, timeout=100, check=False)

    assert (trained.status, done.returncode) == (201, 0), done.stderr
    found, invalid, absent = map(json.loads, done.stdout.splitlines())
    assert found["state"] == [True, True]
    assert found["infer"]["predictions"] == pytest.approx([21, 41])
    (explanation,) = found["explain"]["explanations"]
    assert explanation["baseline"] + explanation["contributions"]["x1"] == pytest.approx(found["explain"]["predictions"][0])
    assert "instances[0].x1: must be a number" in invalid
    assert "there is no model none" in absent
