"""`service learn`, `forget`, `merge`, `refit` and `select`: the operations of the trainer process, run here."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import marshmallow as ma

from model_store.opening import Opened
from model_store.store import ModelStore
from service.config import Config
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
from service.training.options import TrainOptions
from service.training.refitting import refit
from service.training.selecting import select
from service.training.sources import Limits, Source, open_table
from service.training.upkeep import Keep, retire
from service.validation import validated

WHO = "command line"
Document = dict[str, Any]


def learn_files(paths: Sequence[Path], model: str, given: Mapping[str, Any]) -> Document:
    """Learn the rows of files; returns the version document."""
    store, config, asked = _opened(given, LearnOptionsSchema())
    manifest = learn(store, model, _files(paths, config), asked, who=WHO, threads=os.cpu_count() or 1)
    return _kept(store, config, version_document(store, manifest))


def forget_files(paths: Sequence[Path], model: str, given: Mapping[str, Any]) -> Document:
    """Forget the rows of files; returns the version document, with what else holds them."""
    store, config, asked = _opened(given, ForgetOptionsSchema())
    return _kept(store, config, forget(store, model, _files(paths, config), asked, who=WHO))


def merge_models(model: str, given: Mapping[str, Any]) -> Document:
    """Merge models; returns the version document."""
    store, config, asked = _opened(given, MergeOptionsSchema())
    return _kept(store, config, version_document(store, merge(store, model, asked, who=WHO)))


def refit_model(model: str, given: Mapping[str, Any]) -> Document:
    """Refit a model; returns the version document."""
    store, config, asked = _opened(given, RefitOptionsSchema())
    return _kept(store, config, version_document(store, refit(store, model, asked, who=WHO)))


def select_model(model: str, given: Mapping[str, Any]) -> Document:
    """Select terms or a penalty; returns what was found, as a version document where it was published."""
    store, config, asked = _opened(given, SelectOptionsSchema())
    answer = select(store, model, asked, who=WHO)
    return _kept(store, config, answer) if "version" in answer else answer


def _opened(given: Mapping[str, Any], schema: ma.Schema) -> tuple[ModelStore, Config, LivingOptions]:
    """The configured store, the settings and the options."""
    asked: LivingOptions = validated(schema, given)
    config = Config.from_environ(os.environ)
    return Opened.at(config.store, cache=config.cache).acting, config, asked


def _files(paths: Sequence[Path], config: Config) -> Callable[[TrainOptions], Source]:
    """The rows of files, once it is known which columns are meant."""
    form = one_form(paths)
    return lambda options: open_table(paths, form, options, Limits(config.max_rows, config.max_columns))


def _kept(store: ModelStore, config: Config, document: Document) -> Document:
    """Keep the store within its bounds after a version was published."""
    retire(store, document["model"], Keep.of(config))
    return document
