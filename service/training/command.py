"""`service train`: the training of the trainer process, run here."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from model_store.manifest import Manifest
from model_store.opening import Opened
from model_store.store import ModelStore
from service.allocator import keep_for_training
from service.config import Config
from service.training.bars import bars
from service.training.files import one_form
from service.training.framing import in_frame
from service.training.options import load_options
from service.training.sources import Limits, open_table
from service.training.tables import count_rows
from service.training.train import Progress, train
from service.training.upkeep import Keep, retire


def train_paths(paths: Sequence[Path], form: str | None, given: Mapping[str, Any], *, who: str) -> tuple[ModelStore, Manifest]:
    """Train on files, and publish in the configured store; returns the store and the manifest.

    The form (csv, parquet, arrow, ndjson) is by default that of their suffixes; `given` are options as of a request.
    """
    keep_for_training()
    config = Config.from_environ(os.environ)
    store = Opened.at(config.store, cache=config.cache).acting
    options = in_frame(store, load_options(given))
    form = form or one_form(paths)
    source = open_table(paths, form, options, Limits(config.max_rows, config.max_columns))
    with bars(count_rows(paths, form)) as bar:
        told = Progress(bar.rows, bar.epochs)
        manifest = train(store, source, options, progress=told, who=who, threads=os.cpu_count() or 1)
    retire(store, manifest.model, Keep.of(config))
    return store, manifest
