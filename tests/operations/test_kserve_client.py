"""KServe's own client, against the real server."""

import json
import subprocess
from typing import Any

import pytest

from tests.operations.foreign import foreign_python
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
    python = foreign_python("kserve==0.21.0")
    done = subprocess.run([python, "-c", PROGRAM, rent.url, MODEL, json.dumps(ROWS.tolist())], capture_output=True, timeout=100, check=True)
    said: dict[str, Any] = json.loads(done.stdout)

    predictions = native(rent)["predictions"]
    assert said["state"] == [True, True, True]
    assert said["json"] == said["binary"] == [MODEL, predictions]
    assert "there is no model none" in said["error"]
