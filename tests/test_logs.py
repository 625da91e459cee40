"""A log line is one JSON object with known names."""

import json
import logging
import subprocess
import sys

from service.logs import JsonFormatter
from tests.support import ROOT


def line_of(message: str, *args: object, level: int = logging.INFO, exc_info: object = None, **extra: object) -> dict[str, object]:
    """What the formatter writes for one record, read back."""
    record = logging.getLogger("test").makeRecord("plumbline.test", level, __file__, 1, message, args, exc_info, extra=extra)  # type: ignore[arg-type]
    record.created = 1_700_000_000.4567
    text = JsonFormatter().format(record)
    assert "\n" not in text
    read: dict[str, object] = json.loads(text)
    return read


def test_a_record_is_one_line_of_json() -> None:
    """Time in UTC to the millisecond, level, logger, message and whatever came with it."""
    assert line_of("hello %s\nworld", "there", level=logging.WARNING, status=200, ms=1.5, odd={1}) == {
        "time": "2023-11-14T22:13:20.456Z",
        "level": "warning",
        "logger": "plumbline.test",
        "message": "hello there\nworld",
        "status": 200,
        "ms": 1.5,
        "odd": "{1}",
    }


def test_an_exception_stays_in_its_line() -> None:
    """A traceback is a field of the record, not lines of its own."""
    line = line_of("failed", exc_info=(ValueError, ValueError("no good"), None))

    assert str(line["exception"]).endswith("ValueError: no good")


def test_the_settings_configure_logging() -> None:
    """The dictionary is one that the standard library takes: the level holds, and each line is written once, to standard error."""
    code = """
import logging.config
from service import logs
logging.config.dictConfig(logs.settings("WARNING"))
for name in ("plumbline.request", "gunicorn.error", "other"):
    logging.getLogger(name).info("quiet")
    logging.getLogger(name).warning("loud")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout == ""
    assert [(line["logger"], line["message"]) for line in map(json.loads, done.stderr.splitlines())] == [
        ("plumbline.request", "loud"),
        ("gunicorn.error", "loud"),
        ("other", "loud"),
    ]
