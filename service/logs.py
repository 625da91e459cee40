"""Structured logs: one JSON object per line on standard error, with the same names everywhere.

Nothing a client sends is logged but the path's route, the status and the request id; tokens never are.
"""

import logging
import os
import sys
import time
from functools import lru_cache
from typing import Any

import orjson
from gunicorn.glogging import Logger

AUDIT = "plumbline.audit"
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """A log record as one line of JSON: time, level, logger, message, and whatever `extra` brought."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, Any] = {
            "time": _time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def request_line(**fields: Any) -> None:
    """Log one request. Written without the logging module, which costs as much as the prediction that is logged."""
    line = {"time": _time(time.time()), "level": "info", "logger": "plumbline.request", "message": "request", **fields}
    os.write(sys.stderr.fileno(), orjson.dumps(line) + b"\n")


def _time(seconds: float) -> str:
    return f"{_second(int(seconds))}.{int(seconds % 1 * 1000):03d}Z"


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


class ServerLogger(Logger):  # type: ignore[misc]  # gunicorn has no type hints
    """Gunicorn's logger without its access log, which would be put together for every request and go nowhere: the gate logs requests."""

    access_log_enabled = False


def settings(level: str) -> dict[str, Any]:
    """The `logging.config` dictionary for the service, Gunicorn's own loggers included."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonFormatter}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": sys.stderr}},
        "root": {"level": level, "handlers": ["stderr"]},
        "loggers": {name: {"level": level, "handlers": ["stderr"], "propagate": False} for name in ("plumbline", "gunicorn.error")}
        | {AUDIT: {"level": "INFO"}},  # who changed what is never left out
    }
