"""`service learn`, `forget`, `merge`, `refit` and `select`: the operations of the trainer process, run here and shown in a terminal."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import marshmallow as ma

from model_store.opening import Opened
from model_store.store import ModelStore
from service.config import Config
from service.training.command import find_files
from service.training.document import version_document
from service.training.files import one_form
from service.training.forgetting import forget
from service.training.learning import learn
from service.training.living_options import (
    ForgetOptionsSchema,
    LearnOptionsSchema,
    LivingOptions,
    MergeOptionsSchema,
    RefitOptionsSchema,
    SelectOptionsSchema,
)
from service.training.merging import merge
from service.training.options import TrainOptions, options_from_query
from service.training.refitting import refit
from service.training.selecting import select
from service.training.showing import show, show_table
from service.training.sources import Limits, Source, open_table
from service.training.upkeep import Keep, retire
from service.validation import validated

WHO = "command line"
TEXTS = ("labels", "terms", "solver")  # options that are written as in a query


def learn_files(patterns: Sequence[str], given: Mapping[str, Any]) -> None:
    """Learn the rows of files, and print the version."""
    store, config, model, asked = _opened(given, LearnOptionsSchema())
    threads = os.cpu_count() or 1
    manifest = learn(store, model, _files(patterns, config), asked, who=WHO, threads=threads)
    _end(store, config, version_document(store, manifest))


def forget_files(patterns: Sequence[str], given: Mapping[str, Any]) -> None:
    """Forget the rows of files, and print the version and what else holds them."""
    store, config, model, asked = _opened(given, ForgetOptionsSchema())
    document = forget(store, model, _files(patterns, config), asked, who=WHO)
    _end(store, config, document)


def merge_models(others: Sequence[str], given: Mapping[str, Any]) -> None:
    """Merge models, and print the version."""
    store, config, model, asked = _opened({**given, "with": list(others)}, MergeOptionsSchema())
    _end(store, config, version_document(store, merge(store, model, asked, who=WHO)))


def refit_model(given: Mapping[str, Any]) -> None:
    """Refit a model, and print the version."""
    store, config, model, asked = _opened(given, RefitOptionsSchema())
    _end(store, config, version_document(store, refit(store, model, asked, who=WHO)))


def select_model(given: Mapping[str, Any]) -> None:
    """Select terms or a penalty, and print the tables, and the version if there is one."""
    store, config, model, asked = _opened(given, SelectOptionsSchema())
    answer = select(store, model, asked, who=WHO)
    chosen = answer["selection"]
    if "subset" in chosen:
        rows = [[", ".join(row["terms"]), row["coefficients"], row["value"]] for row in chosen["subset"]["candidates"]]
        show_table(["terms", "coefficients", chosen["subset"]["criterion"]], rows)
    if "ridge" in chosen:
        rows = [[row["penalty"], row["effective_dof"]] for row in chosen["ridge"]["path"]]
        show_table(["penalty", "effective dof"], [*rows, [chosen["ridge"]["penalty"], "chosen"]])
    show_table(["column", "vif"], [[row["column"], row["vif"]] for row in chosen["inflation"]["columns"]])
    if "version" in answer:
        _end(store, config, answer)


def _opened(given: Mapping[str, Any], schema: ma.Schema) -> tuple[ModelStore, Config, str, LivingOptions]:
    """The configured store, the settings, the model and the options."""
    written = {name: [value] if isinstance(value, str) else list(value) for name, value in given.items() if name in TEXTS and value}
    options = {name: value for name, value in given.items() if name not in (*TEXTS, "model") and value is not None}
    asked: LivingOptions = validated(schema, options | options_from_query(written))
    config = Config.from_environ(os.environ)
    return Opened.at(config.store, cache=config.cache).acting, config, given["model"], asked


def _files(patterns: Sequence[str], config: Config) -> Callable[[TrainOptions], Source]:
    """The rows of files, once it is known which columns are meant."""
    paths = find_files(patterns)
    form = one_form(paths)
    return lambda options: open_table(paths, form, options, Limits(config.max_rows, config.max_columns))


def _end(store: ModelStore, config: Config, document: dict[str, Any]) -> None:
    """Keep the store within its bounds, and print the version."""
    retire(store, document["model"], Keep.of(config))
    show(document)
