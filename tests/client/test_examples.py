"""The examples of the client in the README and in its docstrings are run."""

import doctest
import re

import pytest

from service.client import plumbline
from tests.support import ROOT, Service

README = "\n".join(re.findall(r"^```pycon\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("text", [README, plumbline.Plumbline.__doc__ or ""], ids=["README", "docstring"])
def test_examples_give_what_they_show(service: Service, text: str) -> None:
    """Each statement gives the output shown beneath it."""
    here = text.replace("http://127.0.0.1:8080", service.url)
    example = doctest.DocTestParser().get_doctest(here, {}, "example", None, None)
    told: list[str] = []
    outcome = doctest.DocTestRunner(verbose=False).run(example, out=told.append)

    assert outcome.attempted >= 3
    assert outcome.failed == 0, "".join(told)
