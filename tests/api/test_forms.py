"""Errors in the form of the protocol whose path was asked."""

import pytest
from werkzeug.test import Client

from service.api.forms import refusal
from service.errors import Invalid


@pytest.mark.parametrize("path", ["/v2/nowhere", "/v2/models/none/nowhere/infer"])
def test_unknown_paths_of_the_open_inference_protocol_answer_in_its_form(client: Client, path: str) -> None:
    """What Flask does not know under /v2 is `{"error": text}` in JSON, whatever the method."""
    for method in ("GET", "POST", "DELETE"):
        answer = client.open(path, method=method)
        assert (answer.status_code, answer.content_type) == (404, "application/json")
        assert answer.json is not None
        assert [type(value) for value in answer.json.values()] == [str]
        assert list(answer.json) == ["error"]


def test_one_line_names_every_part() -> None:
    """Where errors are a single text it holds what a problem document would hold by path; what is wrong is 400 there."""
    error = Invalid({"inputs.x[3]": ["must be a number"], "outputs": ["is a", "is b"]}, "no")

    assert refusal("/v2/models/m/infer", error).body == b'{"error":"no: inputs.x[3]: must be a number; outputs: is a, is b"}'
    assert refusal("/v2", error).status == 400
    assert [refusal(path, error).status for path in ("/predict", "/v2x", "/", "*", "")] == [422] * 5
