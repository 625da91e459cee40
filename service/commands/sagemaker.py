"""The image as an algorithm of SageMaker's: `train` and `serve` without arguments, over the directory that SageMaker mounts.

Training leaves the version as one archive where SageMaker keeps models, and serving takes it in from there: so what SageMaker carries
from one to the other is what `service export` writes.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from model_store.errors import NotFound, StoreError
from model_store.names import LIVE
from model_store.opening import Opened
from model_store.store import ModelStore
from service.commands.telling import explained, one_blas_thread
from service.config import Config
from service.errors import Invalid, PlumblineError, Unreadable
from service.training.document import version_document

ARCHIVES = "*.zip"
HYPERPARAMETERS = Path("input", "config", "hyperparameters.json")
CHANNELS = Path("input", "config", "inputdataconfig.json")
RESOURCES = Path("input", "config", "resourceconfig.json")
DATA = Path("input", "data")
MODEL = Path("model")
FAILURE = Path("output", "failure")
TRAINING_CHANNELS = ("train", "training")
FOREIGN = ("sagemaker_", "_")  # hyperparameters that SageMaker's SDK and its tuner add for themselves
MOST_FAILURE = 1024  # characters that SageMaker shows
WHO = "SageMaker"
log = logging.getLogger("plumbline.sagemaker")


def is_training_job(root: Path) -> bool:
    """Whether SageMaker has mounted a training job."""
    return (root / HYPERPARAMETERS).is_file()


def run_training_job(root: Path) -> int:
    """Train as the mounted job says, and return the exit code: 0, or 1 with the reason where SageMaker looks for it."""
    one_blas_thread()
    try:
        _train(root)
    except (PlumblineError, StoreError) as error:
        return _failed(root, explained(error))
    except Exception:
        log.exception("the training failed unexpectedly")
        return _failed(root, "the training failed unexpectedly; the log of the job says why")
    return 0


def take_in_model(config: Config) -> None:
    """Publish the archive that SageMaker has mounted, if any, as the model that `/invocations` asks; once, however often it starts.

    Raises:
        Invalid: there are several.
        BadArchive, StoreError: it is damaged, or cannot be published.
    """
    found = sorted((config.sagemaker_root / MODEL).glob(ARCHIVES))
    if not found:
        return
    if len(found) > 1:
        raise Invalid({path.name: ["is one of several archives: an endpoint serves one model"] for path in found})
    from model_store.archive import unpack  # noqa: PLC0415

    data = found[0].read_bytes()
    store = Opened.at(config.store, cache=config.cache).acting
    if _is_live(store, config.default_model, unpack(data).manifest.blobs["state_dict"]):
        return
    from service.training.importing import import_version  # noqa: PLC0415 - torch takes a second to import

    import_version(store, data, model=config.default_model, promote=True, new_schema=True, who=WHO)


def _is_live(store: ModelStore, model: str, state_dict: str) -> bool:
    try:
        version = store.alias(model, LIVE).version
        return version is not None and store.manifest(model, version).blobs["state_dict"] == state_dict
    except NotFound:
        return False


def _train(root: Path) -> None:
    from model_store.archive import pack  # noqa: PLC0415
    from service.training.command import train_paths  # noqa: PLC0415 - torch takes a second to import
    from service.training.options import options_from_query  # noqa: PLC0415
    from service.training.showing import show  # noqa: PLC0415

    hosts = _read(root / RESOURCES).get("hosts", [])
    if len(hosts) > 1:
        raise Invalid({"hosts": [f"are {len(hosts)}: train on one instance, which reads all rows"]})
    options = options_from_query(_hyperparameters(_read(root / HYPERPARAMETERS)))
    paths, form = _rows(root)
    store, manifest = train_paths(paths, form, options, who=WHO)
    show(version_document(store, manifest))
    try:
        (root / MODEL).mkdir(parents=True, exist_ok=True)
        (root / MODEL / f"{manifest.model}.zip").write_bytes(pack(store, manifest.model, manifest.version))
    except OSError as error:
        raise Invalid({str(root / MODEL): [f"cannot be written ({error.strerror})"]}) from error


def _rows(root: Path) -> tuple[list[Path], str | None]:
    """The files of the training channel, and their form where the channel's ContentType says it."""
    from service.training.tables import MEDIA  # noqa: PLC0415 - polars takes a while to import

    channels = _read(root / CHANNELS)
    names = [name for name in channels if name in TRAINING_CHANNELS] or list(channels)
    if len(names) != 1:
        raise Invalid({"channels": [f"must be one called {' or '.join(TRAINING_CHANNELS)}, or one alone"]})
    if channels[names[0]].get("TrainingInputMode", "File") == "Pipe":
        raise Invalid({names[0]: ["comes as a pipe: choose the input mode File or FastFile"]})
    folder = root / DATA / names[0]
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    if not paths:
        raise Invalid({names[0]: ["has no files"]})
    media_type = channels[names[0]].get("ContentType", "").partition(";")[0].strip().lower()
    if media_type and media_type not in MEDIA:
        raise Invalid({names[0]: [f"has a ContentType that is not read here: use one of {', '.join(MEDIA)}"]})
    return paths, MEDIA.get(media_type)


def _hyperparameters(given: Mapping[str, Any]) -> dict[str, list[str]]:
    """The job's options as those of a query: all are strings, some of them JSON as SageMaker's SDK makes it of strings and lists."""
    options = {}
    for name, value in given.items():
        if name.startswith(FOREIGN):
            continue
        if not isinstance(value, str):
            raise Invalid({name: ["must be a string, as all hyperparameters are"]})
        options[name] = _strings(value)
    return options


def _strings(value: str) -> list[str]:
    if value.startswith(('"', "[")):
        try:
            parsed = json.loads(value)
        except ValueError:
            return [value]
        if isinstance(parsed, str):
            return [parsed]
        if isinstance(parsed, list) and parsed and all(isinstance(item, str) for item in parsed):
            return parsed
    return [value]


def _read(path: Path) -> dict[str, Any]:
    """A JSON object that SageMaker wrote; empty where there is no file."""
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Unreadable(f"{path.name} cannot be read as JSON") from error
    if not isinstance(document, dict):
        raise Unreadable(f"{path.name} must be a JSON object")
    return document


def _failed(root: Path, reason: str) -> int:
    """Tell why a job failed, here and where SageMaker shows it."""
    click.echo(f"Error: {reason}", err=True)
    try:
        (root / FAILURE).parent.mkdir(parents=True, exist_ok=True)
        (root / FAILURE).write_text(reason[:MOST_FAILURE])
    except OSError:
        log.warning("the reason of the failure cannot be written where SageMaker looks for it")
    return 1
