"""Every setting of the service in one frozen object, read once from the environment.

A setting is a field of `Config`; its variable is `PLUMBLINE_` and the field's name, or one that a platform sets. Nothing else reads
the environment.
"""

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from service.errors import BadSetting
from service.validation import NAME

RELEASE = "0.1.0"
PREFIX = "PLUMBLINE_"
KIB = 1024
MIB = 1024 * KIB


def _address(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not (colon and host and port.isdecimal() and int(port) < 65536):
        raise ValueError("must be HOST:PORT, for example 127.0.0.1:8080")
    return value


def _directory(value: str) -> Path:
    if "://" in value:
        raise ValueError("must be a local directory")
    return Path(value).absolute()


def _roots(value: str) -> tuple[Path | str, ...]:
    return tuple(_place(part.strip()) for part in value.split(",") if part.strip())


def _place(value: str) -> Path | str:
    if "://" not in value:
        return _directory(value)
    if not re.fullmatch(r"(s3|gs|az)://[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*/?", value):
        raise ValueError("must be a local directory, or s3://, gs:// or az:// with the name of a bucket and, if you like, a prefix")
    return value.rstrip("/")


def _level(value: str) -> str:
    if value.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ValueError("must be debug, info, warning or error")
    return value.upper()


def _device(value: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", value):
        raise ValueError("must be auto, cpu, cuda or cuda:N")
    return value


def _tokens(value: str) -> tuple[str, ...]:
    tokens = tuple(token for token in (part.strip() for part in value.split(",")) if token)
    if any(len(token) < 16 or not token.isascii() or not token.isprintable() or " " in token for token in tokens):
        raise ValueError("each token must have at least 16 printable ASCII characters and no blanks")
    return tokens


def _whole(lowest: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not value.isdecimal() or int(value) < lowest:
            raise ValueError(f"must be a whole number, at least {lowest}")
        return int(value)

    return parse


def _seconds(value: str) -> float:
    if not re.fullmatch(r"\d+(\.\d+)?", value) or not 0 < float(value) <= 86400:
        raise ValueError("must be a number of seconds above 0 and at most 86400")
    return float(value)


def _route(value: str) -> str:
    if value and not re.fullmatch(r"(/[A-Za-z0-9._~:@-]+)+/?", value):
        raise ValueError("must be the path of an address, such as /predict")
    return value


def _port(value: str) -> int | None:
    if value and not (value.isdecimal() and 0 < int(value) < 65536):
        raise ValueError("must be the number of a port")
    return int(value) if value else None


def _model(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError("must be the name of a model")
    return value


def _setting(parse: Callable[[str], Any], default: str, meaning: str, *, secret: bool = False, called: str = "") -> Any:
    return field(metadata={"parse": parse, "default": default, "meaning": meaning, "secret": secret, "called": called})


@dataclass(frozen=True)
class Config:
    """All settings; `from_environ` is the way to make one, `explain` shows where each value came from."""

    bind: str = _setting(_address, "127.0.0.1:8080", "address to listen on")
    metrics_port: int | None = _setting(_port, "", "port of its own for /metrics, which then is not on the address that clients use")
    store: Path | str = _setting(_place, "var/plumbline", "model store: a directory, or s3://, gs:// or az:// with bucket and prefix")
    cache: Path = _setting(_directory, "var/cache", "directory of a replica's own files when the store is a bucket")
    workers: int = _setting(_whole(1), str(os.cpu_count() or 1), "web worker processes")
    threads: int = _setting(_whole(2), "2", "threads per web worker; one is always left free for predictions")
    trainers: int = _setting(_whole(1), "1", "trainer processes")
    device: str = _setting(_device, "auto", "where predictions run: auto, cpu, cuda or cuda:N; the CPU when CUDA is absent")
    write_token: tuple[str, ...] = _setting(_tokens, "", "bearer tokens that may change models, separated by commas", secret=True)
    read_token: tuple[str, ...] = _setting(_tokens, "", "bearer tokens that may read and predict; reading is open when empty", secret=True)
    token: tuple[str, ...] = _setting(_tokens, "", "bearer token that the command line sends with --url", secret=True)
    refresh_seconds: float = _setting(_seconds, "2", "longest time until a version published elsewhere is served")
    max_body_bytes: int = _setting(_whole(1), str(256 * MIB), "largest request body")
    max_rows: int = _setting(_whole(1), "10000000", "most rows in one request")
    max_columns: int = _setting(_whole(1), "4096", "most feature and target columns in one request")
    max_concurrent_predictions: int = _setting(
        _whole(1), "32", "large predictions that each worker computes or lets wait before new ones get 503"
    )
    predict_seconds: float = _setting(_seconds, "30", "longest time of a prediction, waiting included, before its answer is 504")
    head_seconds: float = _setting(_seconds, "10", "longest time a client may take to send the head of a request")
    body_seconds: float = _setting(_seconds, "300", "longest time a client may take to send a body, and to take an answer")
    max_queued_trainings: int = _setting(_whole(1), "16", "trainings that may wait or run before new ones get 429")
    keep_versions: int = _setting(_whole(1), "1000", "versions of a model that are kept; older ones are deleted unless an alias names them")
    keep_memories: int = _setting(_whole(1), "5", "latest versions that remember their rows' moments, beside those that an alias names")
    keep_jobs_hours: int = _setting(_whole(1), "24", "hours that the record of a finished job is kept, and with it its idempotency key")
    data_roots: tuple[Path | str, ...] = _setting(
        _roots, "", "directories or addresses in buckets, separated by commas, whose files a training may name as its source"
    )
    loaded_versions: int = _setting(_whole(1), "128", "versions each worker keeps in memory; the least recently used leaves first")
    default_model: str = _setting(_model, "default", "model that is asked at /invocations and at Vertex AI's route, which name none")
    sagemaker_root: Path = _setting(_directory, "/opt/ml", "directory that SageMaker mounts: its inputs, the model it keeps, its outputs")
    vertex_port: int | None = _setting(
        _port, "", "set by Vertex AI: port to listen on, in place of PLUMBLINE_BIND's", called="AIP_HTTP_PORT"
    )
    vertex_health: str = _setting(_route, "", "set by Vertex AI: where it asks for health", called="AIP_HEALTH_ROUTE")
    vertex_predict: str = _setting(_route, "", "set by Vertex AI: where it asks for predictions", called="AIP_PREDICT_ROUTE")
    graceful_seconds: int = _setting(_whole(1), "30", "time given to requests in flight when the service stops")
    log_level: str = _setting(_level, "info", "debug, info, warning or error")

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Config":
        """Read all settings.

        Raises:
            BadSetting: a variable has an unusable value, its `_FILE` cannot be read, or a `PLUMBLINE_` variable is unknown.
        """
        settings = fields(cls)
        known = {variable(setting) for setting in settings}
        known |= {name + "_FILE" for name, setting in ((variable(s), s) for s in settings) if setting.metadata["secret"]}
        unknown = sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
        if unknown:
            raise BadSetting(f"{unknown[0]} is not a setting; `python -m service config` lists them all")
        return cls(**{setting.name: _read(setting, environ)[0] for setting in settings})

    @property
    def host(self) -> str:
        """The host part of `bind`."""
        return self.bind.rpartition(":")[0]

    @property
    def port(self) -> int:
        """The port to listen on."""
        return self.vertex_port or int(self.bind.rpartition(":")[2])

    @property
    def address(self) -> str:
        """Where to listen, as HOST:PORT."""
        return f"{self.host}:{self.port}"

    @property
    def directory(self) -> Path:
        """Where this replica keeps what is its own: in the store if that is a directory, so that one volume holds all; else the cache."""
        return self.store if isinstance(self.store, Path) else self.cache

    @property
    def spool(self) -> Path:
        """Where request bodies wait for the trainer; they survive a restart as their directory does."""
        return self.directory / "spool"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine alone: `localhost` or a loopback address, never another name that merely looks like one."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def variable(setting: Field[Any]) -> str:
    """The environment variable of a field of `Config`: `PLUMBLINE_` and its name, or what a platform calls it."""
    called: str = setting.metadata["called"]
    return called or PREFIX + setting.name.upper()


def _read(setting: Field[Any], environ: Mapping[str, str]) -> tuple[Any, str]:
    """The value of one setting and where it came from."""
    name = variable(setting)
    text, source = setting.metadata["default"], "default"
    if setting.metadata["secret"] and environ.get(name + "_FILE"):
        source = name + "_FILE"
        try:
            text = Path(environ[source]).read_text("utf-8").strip().replace("\n", ",")
        except (OSError, UnicodeDecodeError) as error:
            raise BadSetting(f"{source} names a file that cannot be read: {type(error).__name__}") from error
    elif environ.get(name):
        text, source = environ[name], name
    try:
        return setting.metadata["parse"](text), source
    except ValueError as error:
        raise BadSetting(f"{name} {error}") from error


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else "" if value is None else str(value)


def explain(environ: Mapping[str, str]) -> list[tuple[str, str, str, str]]:
    """(variable, value, source, meaning) of every setting; a secret's value is only counted, never shown."""
    rows = []
    for setting in fields(Config):
        value, source = _read(setting, environ)
        shown = f"{len(value)} token(s)" if setting.metadata["secret"] else _text(value)
        rows.append((variable(setting), shown, source, setting.metadata["meaning"]))
    return rows
