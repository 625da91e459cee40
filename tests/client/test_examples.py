"""The example in the client's docstring is run; those of the documentation are run with it."""

import doctest

from service.client import Plumbline
from tests.support import Service


def test_the_example_gives_what_it_shows(service: Service) -> None:
    """Each statement gives the output shown beneath it."""
    text = (Plumbline.__doc__ or "").replace("http://127.0.0.1:8080", service.url)
    example = doctest.DocTestParser().get_doctest(text, {}, "example", None, None)
    told: list[str] = []
    outcome = doctest.DocTestRunner(verbose=False).run(example, out=told.append)

    assert outcome.attempted == 4
    assert outcome.failed == 0, "".join(told)
