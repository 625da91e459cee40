"""The Open Inference Protocol by its real clients, against the real server."""

import asyncio
import json
import socket
from contextlib import closing
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio

from tests.operations.test_http import head, read
from tests.support import Service

MODEL = "inference-rent"
INFER = f"/v2/models/{MODEL}/infer"
FEATURES = ("area", "rooms")
ROWS = np.random.default_rng(3).normal(size=(7, 2))
TRAINED = np.random.default_rng(4).normal(size=(30, 2))
PRICES = TRAINED @ [2.0, -3.0] + np.random.default_rng(5).normal(size=30)


@pytest.fixture(scope="module")
def rent(service: Service) -> Service:
    """The shared service with a model of two features."""
    document = {"model": MODEL, "features": FEATURES, "instances": TRAINED.tolist(), "targets": PRICES.tolist()}
    assert service.post("/train", document).status == 201
    return service


def native(service: Service, **asked: Any) -> dict[str, Any]:
    """What `/predict` says of the rows."""
    said: dict[str, Any] = service.post("/predict", {"model": MODEL, "instances": ROWS.tolist()} | asked).json
    return said


def inputs_of(module: Any, *, columns: bool = False, binary: bool = True) -> list[Any]:
    """The rows as the client's own inputs: one tensor, or one per feature."""
    arrays = {name: ROWS[:, [place]] for place, name in enumerate(FEATURES)} if columns else {"x": ROWS}
    inputs = []
    for name, array in arrays.items():
        made = module.InferInput(name, list(array.shape), "FP64")
        made.set_data_from_numpy(np.ascontiguousarray(array), binary_data=binary)
        inputs.append(made)
    return inputs


@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
@pytest.mark.parametrize("columns", ["one tensor", "a tensor per feature"])
def test_tritonclient_infers(rent: Service, compression: str | None, columns: str) -> None:
    """Triton's client in its default, binary both ways, and in JSON; compressed or not; bit for bit as `/predict`."""
    said = native(rent)["predictions"]
    with closing(triton.InferenceServerClient(rent.url.removeprefix("http://"))) as client:
        for binary_in in (True, False):
            for outputs in (None, [triton.InferRequestedOutput("predict", binary_data=False)], [triton.InferRequestedOutput("predict")]):
                result = client.infer(
                    MODEL,
                    inputs_of(triton, columns=columns != "one tensor", binary=binary_in),
                    outputs=outputs,
                    request_id="id-7",
                    request_compression_algorithm=compression,
                    response_compression_algorithm=compression,
                )
                assert result.as_numpy("predict").tolist() == said
                assert result.get_response()["id"] == "id-7"


def test_tritonclient_asks_for_certainty(rent: Service) -> None:
    """Levels travel as parameters and come back as outputs."""
    said = native(rent, interval=0.8, leverage=True)
    names = ("predict", "lower", "upper", "leverage", "extrapolating", "contributions", "baseline")
    with closing(triton.InferenceServerClient(rent.url.removeprefix("http://"))) as client:
        outputs = [triton.InferRequestedOutput(name) for name in names]
        result = client.infer(MODEL, inputs_of(triton), outputs=outputs, parameters={"interval": 0.8})

    assert result.as_numpy("lower").tolist() == said["lower"]
    assert result.as_numpy("extrapolating").tolist() == said["extrapolating"]
    parts = result.as_numpy("contributions").sum(axis=1) + result.as_numpy("baseline")
    assert parts == pytest.approx(result.as_numpy("predict"), rel=1e-12)


def test_tritonclient_looks_around(rent: Service) -> None:
    """Health, metadata, configuration, index and statistics as the client reads them, versions by number and alias."""
    with closing(triton.InferenceServerClient(rent.url.removeprefix("http://"))) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready(MODEL)
        assert client.is_model_ready(MODEL, "1")
        assert client.is_model_ready(MODEL, "live")
        assert not client.is_model_ready(MODEL, "99")
        assert client.get_server_metadata()["name"] == "plumbline"
        assert [tensor["name"] for tensor in client.get_model_metadata(MODEL)["inputs"]] == list(FEATURES)
        assert client.get_model_config(MODEL, "1")["input"][0]["data_type"] == "TYPE_FP64"
        assert MODEL in [model["name"] for model in client.get_model_repository_index()]
        before = client.get_inference_statistics(MODEL)["model_stats"][0]["inference_count"]
        client.infer(MODEL, inputs_of(triton), model_version="1")
        assert client.get_inference_statistics(MODEL)["model_stats"][0]["inference_count"] == before + len(ROWS)


def test_tritonclient_reads_our_errors(rent: Service) -> None:
    """What is wrong reaches the user of the client as the server said it."""
    rows = ROWS.copy()
    rows[4, 1] = np.nan
    wrong = triton.InferInput("x", list(rows.shape), "FP64")
    wrong.set_data_from_numpy(rows)
    with closing(triton.InferenceServerClient(rent.url.removeprefix("http://"))) as client:
        with pytest.raises(triton.InferenceServerException, match=r"inputs\[0\]\[4\]\.rooms: is missing"):
            client.infer(MODEL, [wrong])
        with pytest.raises(triton.InferenceServerException, match="no version 99"):
            client.infer(MODEL, inputs_of(triton), model_version="99")
        with pytest.raises(triton.InferenceServerException, match="must be one of predict"):
            client.infer(MODEL, inputs_of(triton), outputs=[triton.InferRequestedOutput("price")])
        with pytest.raises(triton.InferenceServerException, match="not found"):
            client.load_model(MODEL)


@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
def test_tritonclient_aio(rent: Service, compression: str | None) -> None:
    """The asynchronous client, whose metadata and errors must not come compressed, many requests at once."""

    async def ask() -> list[Any]:
        async with triton_aio.InferenceServerClient(rent.url.removeprefix("http://")) as client:
            assert await client.is_server_ready()
            assert (await client.get_model_metadata(MODEL))["name"] == MODEL
            with pytest.raises(triton.InferenceServerException, match="has no version 99"):
                await client.infer(MODEL, inputs_of(triton_aio), model_version="99")
            requests = [client.infer(MODEL, inputs_of(triton_aio), request_compression_algorithm=compression) for _ in range(20)]
            return [result.as_numpy("predict").tolist() for result in await asyncio.gather(*requests)]

    assert asyncio.run(ask()) == [native(rent)["predictions"]] * 20


@pytest.fixture
def connection(rent: Service) -> Any:
    """A plain connection to the service."""
    with closing(socket.create_connection(("127.0.0.1", int(rent.url.rpartition(":")[2])), 20)) as connection:
        yield connection


def raw_request() -> tuple[bytes, bytes]:
    """The JSON and the raw tensor of a request."""
    tensor = {"name": "x", "shape": list(ROWS.shape), "datatype": "FP64", "parameters": {"binary_data_size": ROWS.nbytes}}
    return json.dumps({"inputs": [tensor]}).encode(), ROWS.tobytes()


def test_17_a_body_that_ends_in_a_tensor_is_refused(rent: Service, connection: socket.socket) -> None:
    """A client that vanishes in the middle of a tensor gets 400, and the workers are as they were."""
    workers = rent.worker_pids()
    document, raw = raw_request()
    length = str(len(document) + len(raw))
    connection.sendall(head(INFER, Content_Length=length, Inference_Header_Content_Length=str(len(document))) + document + raw[:-9])
    connection.shutdown(socket.SHUT_WR)
    with connection.makefile("rb") as stream:
        status, headers, body = read(stream)

    assert (status, headers["content-type"]) == (400, "application/json")
    assert json.loads(body) == {"error": "the body ended before its Content-Length"}
    assert rent.worker_pids() == workers


def test_19_chunks_and_100_continue(rent: Service, connection: socket.socket) -> None:
    """A raw tensor in chunks, cut anywhere, and behind 100 Continue, is the same tensor; a chunk that breaks off is 400."""
    said = native(rent)["predictions"]
    document, raw = raw_request()
    body = document + raw
    parts = [body[:3], body[3 : len(document) + 5], body[len(document) + 5 :]]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    length = {"Inference_Header_Content_Length": str(len(document))}
    with connection.makefile("rb") as stream:
        connection.sendall(head(INFER, Transfer_Encoding="chunked", **length) + chunks + b"0\r\n\r\n")
        assert json.loads(read(stream)[2])["outputs"][0]["data"] == said
        connection.sendall(head(INFER, Content_Length=str(len(body)), Expect="100-continue", **length))
        assert stream.readline() == b"HTTP/1.1 100 Continue\r\n"
        assert stream.readline() == b"\r\n"
        connection.sendall(body)
        assert json.loads(read(stream)[2])["outputs"][0]["data"] == said
        connection.sendall(head(INFER, Transfer_Encoding="chunked", **length) + chunks)
        connection.shutdown(socket.SHUT_WR)
        status, _, answer = read(stream)
    assert (status, list(json.loads(answer))) == (400, ["error"])
