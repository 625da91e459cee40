"""Settings: each is read, bounded and explained; a wrong one is told before anything starts, and a secret is never shown."""

import dataclasses
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from service.cli import main
from service.config import RELEASE, Config, explain, is_loopback, variable
from service.errors import BadSetting
from service.tokens import ensure_write_token
from tests.support import ROOT

TOKEN, OTHER = "correct-horse-battery", "staple-paper-scissors"


def test_the_defaults_are_those_documented() -> None:
    """Without any variable every setting has its documented default."""
    assert dataclasses.asdict(Config.from_environ({})) == {
        "bind": "127.0.0.1:8080",
        "metrics_port": None,
        "store": Path("var/plumbline").absolute(),
        "cache": Path("var/cache").absolute(),
        "workers": os.cpu_count() or 1,
        "threads": 2,
        "trainers": 1,
        "device": "auto",
        "write_token": (),
        "read_token": (),
        "token": (),
        "refresh_seconds": 2.0,
        "max_body_bytes": 256 * 1024 * 1024,
        "max_rows": 10_000_000,
        "max_columns": 4096,
        "max_concurrent_predictions": 32,
        "predict_seconds": 30.0,
        "head_seconds": 10.0,
        "body_seconds": 300.0,
        "max_queued_trainings": 16,
        "keep_versions": 1000,
        "keep_memories": 5,
        "keep_jobs_hours": 24,
        "data_roots": (),
        "loaded_versions": 128,
        "default_model": "default",
        "sagemaker_root": Path("/opt/ml"),
        "vertex_port": None,
        "vertex_health": "",
        "vertex_predict": "",
        "graceful_seconds": 30,
        "log_level": "INFO",
    }


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("BIND", "0.0.0.0:80", "0.0.0.0:80"),
        ("BIND", "[::1]:65535", "[::1]:65535"),
        ("STORE", "/data", Path("/data")),
        ("STORE", "s3://bucket/some/prefix/", "s3://bucket/some/prefix"),
        ("STORE", "gs://bucket", "gs://bucket"),
        ("STORE", "az://container/prefix", "az://container/prefix"),
        ("CACHE", "/mirror", Path("/mirror")),
        ("WORKERS", "7", 7),
        ("THREADS", "4", 4),
        ("TRAINERS", "2", 2),
        ("DEVICE", "cuda:3", "cuda:3"),
        ("DEVICE", "cpu", "cpu"),
        ("WRITE_TOKEN", TOKEN, (TOKEN,)),
        ("READ_TOKEN", f" {TOKEN} ,{OTHER},", (TOKEN, OTHER)),
        ("REFRESH_SECONDS", "0.25", 0.25),
        ("REFRESH_SECONDS", "86400", 86400.0),
        ("MAX_BODY_BYTES", "1", 1),
        ("MAX_ROWS", "12", 12),
        ("MAX_COLUMNS", "13", 13),
        ("MAX_QUEUED_TRAININGS", "14", 14),
        ("LOADED_VERSIONS", "15", 15),
        ("GRACEFUL_SECONDS", "16", 16),
        ("LOG_LEVEL", "Warning", "WARNING"),
        ("LOG_LEVEL", "", "INFO"),
    ],
)
def test_a_setting_is_read(name: str, text: str, value: Any) -> None:
    """Each variable sets its own field, and an empty one means the default."""
    config = Config.from_environ({f"PLUMBLINE_{name}": text, "PATH": "/bin"})

    assert config == dataclasses.replace(Config.from_environ({}), **{name.lower(): value})


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        *((("BIND"), text, "must be HOST:PORT") for text in ("8080", "localhost", ":8080", "localhost:", "localhost:x", "a:65536", "a:-1")),
        *(
            ("STORE", text, "must be a local directory, or s3://")
            for text in (
                "s3://",
                "s3:///prefix",
                "s3://key:secret@bucket",
                "s3://bucket/../other",
                "s3://bucket?region=x",
                "http://bucket",
                "file:///x",
            )
        ),
        ("CACHE", "s3://bucket", "must be a local directory"),
        *(
            (name, "0", "must be a whole number, at least 1")
            for name in ("WORKERS", "TRAINERS", "MAX_BODY_BYTES", "MAX_ROWS", "MAX_COLUMNS")
        ),
        *((name, "-1", "at least 1") for name in ("MAX_QUEUED_TRAININGS", "LOADED_VERSIONS", "GRACEFUL_SECONDS")),
        ("THREADS", "1", "must be a whole number, at least 2"),
        ("WORKERS", "2.0", "must be a whole number"),
        *(("DEVICE", text, "must be auto, cpu, cuda or cuda:N") for text in ("gpu", "CPU", "cuda:", "cuda:x")),
        *(("REFRESH_SECONDS", text, "number of seconds") for text in ("0", "-1", "86401", "nan", "inf", "1e3", "soon")),
        ("LOG_LEVEL", "chatty", "must be debug, info, warning or error"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(name: str, text: str, rule: str) -> None:
    """A value that cannot be used is refused with the name of its variable and the rule it breaks."""
    with pytest.raises(BadSetting, match=f"^PLUMBLINE_{name} .*{rule}"):
        Config.from_environ({f"PLUMBLINE_{name}": text})


@pytest.mark.parametrize("token", ["too-short", "with a blank in it", "ümlaut-ümlaut-ümlaut", "tab\tin-the-middle-of-it"])
def test_a_weak_token_is_refused_and_not_repeated(token: str) -> None:
    """A token that is short or not plain is refused, and the text does not give it away."""
    with pytest.raises(BadSetting, match="PLUMBLINE_WRITE_TOKEN each token must have at least 16") as caught:
        Config.from_environ({"PLUMBLINE_WRITE_TOKEN": token})

    assert token not in str(caught.value)


@pytest.mark.parametrize("name", ["PLUMBLINE_WORKER", "PLUMBLINE_", "PLUMBLINE_STORE_FILE", "PLUMBLINE_bind"])
def test_an_unknown_setting_is_refused(name: str) -> None:
    """A misspelt variable is an error, not a silent default; only secrets may stand in files."""
    with pytest.raises(BadSetting, match=f"{name} is not a setting"):
        Config.from_environ({name: "3"})


def test_tokens_may_stand_in_a_file(tmp_path: Path) -> None:
    """Tokens are read from the file that `_FILE` names, one per line or separated by commas; the file wins over the variable."""
    path = tmp_path / "tokens"
    path.write_text(f"{TOKEN}\n{OTHER}\n")
    config = Config.from_environ({"PLUMBLINE_READ_TOKEN_FILE": str(path), "PLUMBLINE_READ_TOKEN": "x" * 16})

    assert config.read_token == (TOKEN, OTHER)


def test_an_unreadable_token_file_is_refused(tmp_path: Path) -> None:
    """A file that is not there or not text is told by its variable."""
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe" * 20)

    for path, why in ((tmp_path / "absent", "FileNotFoundError"), (binary, "UnicodeDecodeError")):
        with pytest.raises(BadSetting, match=f"PLUMBLINE_WRITE_TOKEN_FILE names a file that cannot be read: {why}"):
            Config.from_environ({"PLUMBLINE_WRITE_TOKEN_FILE": str(path)})


def test_a_config_is_frozen() -> None:
    """Nothing changes a setting after the start."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config.from_environ({}).workers = 9  # type: ignore[misc]


def test_the_parts_of_an_address() -> None:
    """Host and port come from `bind`, and the spool lies in the store, so that it survives with it."""
    config = Config.from_environ({"PLUMBLINE_BIND": "[::1]:81", "PLUMBLINE_STORE": "/data"})

    assert (config.host, config.port, config.loopback, config.spool) == ("[::1]", 81, True, Path("/data/spool"))


def test_a_replica_of_a_bucket_keeps_its_own_files_in_its_cache(tmp_path: Path) -> None:
    """Where the store is a bucket, the spool and the write token lie in the cache; in it goes nothing that is the replica's own."""
    config = reachable(tmp_path, PLUMBLINE_STORE="s3://bucket/prefix", PLUMBLINE_CACHE=str(tmp_path / "cache"))

    assert (config.store, config.spool) == ("s3://bucket/prefix", tmp_path / "cache/spool")
    assert ensure_write_token(config) == tmp_path / "cache/write-token"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.255.3.4", "::1", "[::1]"])
def test_this_machine_is_loopback(host: str) -> None:
    """Only this machine reaches these."""
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "[::]", "10.0.0.1", "127.example.org", "localhost.example.org", "localhosts", "127.1", "[", "é"]
)
def test_a_name_that_looks_like_this_machine_is_not(host: str) -> None:
    """A name anybody may point anywhere is not this machine, however it begins."""
    assert not is_loopback(host)


def test_config_is_explained_and_secrets_are_only_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m service config` shows every setting, its value, its source and its meaning; of a secret only how many there are."""
    path = tmp_path / "tokens"
    path.write_text(OTHER)
    monkeypatch.setenv("PLUMBLINE_WRITE_TOKEN", f"{TOKEN},{TOKEN}2")
    monkeypatch.setenv("PLUMBLINE_READ_TOKEN_FILE", str(path))
    monkeypatch.setenv("PLUMBLINE_MAX_ROWS", "77")

    done = CliRunner().invoke(main, ["config"])
    lines = {line.split()[0]: line for line in done.output.splitlines()}

    assert done.exit_code == 0
    assert list(lines) == [variable(field) for field in dataclasses.fields(Config)]
    assert lines["PLUMBLINE_WRITE_TOKEN"].split()[1:4] == ["2", "token(s)", "PLUMBLINE_WRITE_TOKEN"]
    assert lines["PLUMBLINE_READ_TOKEN"].split()[1:4] == ["1", "token(s)", "PLUMBLINE_READ_TOKEN_FILE"]
    assert lines["PLUMBLINE_MAX_ROWS"].split()[1:3] == ["77", "PLUMBLINE_MAX_ROWS"]
    assert lines["PLUMBLINE_BIND"].split()[1:3] == ["127.0.0.1:8080", "default"]
    assert TOKEN not in done.output
    assert OTHER not in done.output
    assert all(meaning for *_, meaning in explain(os.environ))


@pytest.mark.parametrize("command", ["config", "serve"])
def test_a_wrong_setting_ends_a_command_plainly(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command with a wrong setting says so in one line and exits with 1."""
    monkeypatch.setenv("PLUMBLINE_WORKERS", "many")

    done = CliRunner().invoke(main, [command])

    assert (done.exit_code, done.output) == (1, "Error: PLUMBLINE_WORKERS must be a whole number, at least 1\n")


def test_an_empty_store_setting_is_shown_as_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The output keeps one line per setting whatever is set."""
    monkeypatch.setenv("PLUMBLINE_STORE", "/data")

    assert re.search(r"^PLUMBLINE_STORE +/data ", CliRunner().invoke(main, ["config"]).output, re.MULTILINE)


def reachable(tmp_path: Path, **settings: str) -> Config:
    return Config.from_environ({"PLUMBLINE_BIND": "0.0.0.0:8080", "PLUMBLINE_STORE": str(tmp_path / "store")} | settings)


def test_a_reachable_service_gets_a_write_token(tmp_path: Path) -> None:
    """Bound beyond loopback without a token, one is made in a file only its owner may read, and kept for the next start."""
    config = reachable(tmp_path)
    path = ensure_write_token(config)

    assert path == config.directory / "write-token"
    assert path.stat().st_mode & 0o777 == 0o600
    token = path.read_text()
    assert len(Config.from_environ({"PLUMBLINE_WRITE_TOKEN_FILE": str(path)}).write_token[0]) >= 40
    assert ensure_write_token(config) == path
    assert path.read_text() == token


def test_no_token_is_made_where_none_is_needed(tmp_path: Path) -> None:
    """A service on loopback, or one with a token of its own, gets no file."""
    assert ensure_write_token(reachable(tmp_path, PLUMBLINE_BIND="127.0.0.1:1")) is None
    assert ensure_write_token(reachable(tmp_path, PLUMBLINE_WRITE_TOKEN=TOKEN)) is None
    assert not (tmp_path / "store").exists()


def test_vertex_ai_sets_variables_of_its_own() -> None:
    """Its port takes the place of that of PLUMBLINE_BIND, its routes are paths, and its other variables are none of ours."""
    base = "/v1/endpoints/17/deployedModels/4"
    environ = {"AIP_HTTP_PORT": "8099", "AIP_HEALTH_ROUTE": base, "AIP_PREDICT_ROUTE": f"{base}:predict", "AIP_MODE": "PREDICTION"}
    config = Config.from_environ(environ | {"PLUMBLINE_BIND": "0.0.0.0:8080"})

    assert (config.address, config.port, config.loopback) == ("0.0.0.0:8099", 8099, False)
    assert (config.vertex_health, config.vertex_predict) == (base, f"{base}:predict")
    assert Config.from_environ({"AIP_HTTP_PORT": ""}).address == "127.0.0.1:8080"
    assert ("AIP_HTTP_PORT", "8099", "AIP_HTTP_PORT") in [row[:3] for row in explain(environ)]


@pytest.mark.parametrize(
    "environ",
    [
        {"AIP_HTTP_PORT": "0"}, {"AIP_HTTP_PORT": "http"}, {"AIP_HEALTH_ROUTE": "health"}, {"AIP_PREDICT_ROUTE": "/a b"},
        {"AIP_PREDICT_ROUTE": "/<path:x>"}, {"PLUMBLINE_DEFAULT_MODEL": "../x"},
    ],
)  # fmt: skip
def test_a_platforms_variable_that_cannot_be_used_is_named(environ: dict[str, str]) -> None:
    """As with every setting, the error names the variable."""
    (name,) = environ
    with pytest.raises(BadSetting, match=name):
        Config.from_environ(environ)


def test_the_release_is_the_projects() -> None:
    """What the service says it is, is what `pyproject.toml` says."""
    assert tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"] == RELEASE
