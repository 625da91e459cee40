"""The versions this worker has in memory, kept up with the store without restarts.

A version serves only after it is fully loaded, verified and warmed; until then, and when it fails, the one before goes on.
Asking whether there is news costs one `stat`: the next record of an alias either exists or does not.
"""

import json
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import torch

from model_store.errors import InvalidName, NotFound, StoreError
from model_store.store import ModelStore
from service import metrics
from service.errors import MustWait, NotReady, TimeLimit
from service.priority import behind_main_loop
from service.regression.model import LinearRegression
from service.regression.schema import Schema
from service.serving.learned import Learned

LIVE = "live"
FRESH_SECONDS = 0.002  # less than passes from the commit of a version to the answer that tells of it
log = logging.getLogger("plumbline.registry")


@dataclass(frozen=True)
class Loaded:
    """One version, ready to predict."""

    model: str
    version: str
    schema: Schema
    module: LinearRegression
    learned: Learned


@dataclass
class _Pointer:
    """Where an alias stands as of `looked`: at record `seq`, and the version that serves (maybe an older one)."""

    seq: int
    version: int
    looked: float
    failure: str | None = None
    retry: float = float("inf")


class Registry:
    """Loaded versions by model and alias; the least recently used leaves when there are more than `capacity`.

    `may_wait` tells whether whoever asks may wait for storage, and `most_wait_seconds` how long for what another loads.
    """

    def __init__(
        self,
        store: ModelStore,
        device: torch.device,
        *,
        capacity: int,
        retry_seconds: float,
        most_wait_seconds: float = 30.0,
        may_wait: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self.device = store, device
        self._most_wait_seconds, self._may_wait = most_wait_seconds, may_wait
        self._capacity, self._retry_seconds, self._clock = capacity, retry_seconds, clock
        self._pointers: dict[tuple[str, str], _Pointer] = {}
        self._loaded: OrderedDict[tuple[str, int], Loaded] = OrderedDict()
        self._schemas: WeakValueDictionary[str, Schema] = WeakValueDictionary()  # of the loaded versions
        self._lock = threading.Lock()  # guards the two dictionaries, for moments only
        self._loading = threading.Lock()  # one load at a time; others serve what they have meanwhile

    def get(self, model: str, *, version: str | None = None, alias: str = LIVE) -> Loaded:
        """The version asked for by number, or the one an alias names now.

        Raises:
            NotFound: no such model, version or alias.
            NotReady: the version exists and cannot be loaded.
            TimeLimit: another load takes longer than may be waited for it.
            MustWait: it has to be loaded, and whoever asks may not wait.
        """
        if version is not None:
            return self._kept(model, self._store.resolve(model, version))
        pointer, now = self._pointers.get((model, alias)), self._clock()
        if pointer is None or self._store.newer(model, alias, pointer.seq) or now > pointer.retry:
            pointer = self._follow(model, alias, pointer, now)
        else:
            pointer.looked = now
        return self._kept(model, pointer.version)

    def warm(self) -> None:
        """Load the live version of as many models as are kept; what cannot be loaded is reported, not raised."""
        for model in self._store.models()[: self._capacity]:
            try:
                self.get(model)
            except (NotFound, NotReady):
                log.warning("a model has no version that can be served", extra={"model": model})

    def failures(self) -> dict[str, str]:
        """By model and alias, what keeps its newest version from serving."""
        return {f"{model}@{alias}": p.failure for (model, alias), p in list(self._pointers.items()) if p.failure}

    def live_versions(self) -> Iterator[tuple[str, int]]:
        """(model, version) of every model whose live version has been asked for in this worker."""
        for (model, alias), pointer in list(self._pointers.items()):
            if alias == LIVE:
                yield model, pointer.version

    def _follow(self, model: str, alias: str, pointer: _Pointer | None, now: float) -> _Pointer:
        """Move to the newest version of an alias that can be loaded.

        Where what is in memory was the newest a moment ago, whoever may not wait is served by it once more, while a thread moves.
        """
        if pointer is not None and self._loading.locked():
            return pointer  # another thread is at it; what is in memory serves meanwhile
        if not self._may_wait():
            if pointer is None or now > pointer.looked + FRESH_SECONDS:
                raise MustWait
            if self._loading.acquire(blocking=False):
                try:
                    threading.Thread(target=self._move_aside, args=(model, alias, pointer), name="loader", daemon=True).start()
                except RuntimeError:  # no more threads just now: a later request tries again
                    self._loading.release()
            return pointer
        if not self._loading.acquire(blocking=pointer is None, timeout=self._most_wait_seconds if pointer is None else -1):
            if pointer is not None:
                return pointer
            raise TimeLimit(
                f"another model was still being loaded after {self._most_wait_seconds:g} seconds, see PLUMBLINE_PREDICT_SECONDS"
            )
        return self._move(model, alias, pointer)

    def _move_aside(self, model: str, alias: str, pointer: _Pointer) -> None:
        """Move in a thread of its own; that the alias is gone is told to whoever asks next."""
        behind_main_loop()
        with suppress(NotFound):
            self._move(model, alias, pointer)

    def _move(self, model: str, alias: str, pointer: _Pointer | None) -> _Pointer:
        """Move to where an alias stands now, and let the next load begin."""
        try:
            moved = self._pointers[model, alias] = self._moved(model, alias, pointer)
        except NotFound:
            self._pointers.pop((model, alias), None)
            raise
        else:
            return moved
        finally:
            self._loading.release()

    def _moved(self, model: str, alias: str, pointer: _Pointer | None) -> _Pointer:
        """Where an alias stands now; when its record or version cannot be read, what is in memory serves on."""
        try:
            newest = self._store.alias(model, alias, hint=pointer.seq if pointer else 0)
            seq = newest.seq
            version, failure = self._newest_loadable(model, alias, newest.version or 0)  # 0 is never a version
        except (NotFound, InvalidName):
            raise
        except StoreError as error:
            version, failure, seq = None, str(error), (pointer.seq if pointer else 0) + 1
        if version is None and pointer is not None:
            version = pointer.version
        if version is None:
            raise NotReady(f"model {model} has no version that can be loaded: {failure}")
        now = self._clock()
        return _Pointer(seq, version, now, failure, now + self._retry_seconds if failure else float("inf"))

    def _newest_loadable(self, model: str, alias: str, version: int) -> tuple[int | None, str | None]:
        """The version an alias names, or the latest it named before that loads; and why the newest does not, if so."""
        failure = None
        for candidate in self._candidates(model, alias, version):
            try:
                self._kept(model, candidate)
            except (StoreError, NotReady) as error:
                failure = failure or str(error)
            else:
                return candidate, failure
        return None, failure

    def _candidates(self, model: str, alias: str, version: int) -> Iterator[int]:
        """The version an alias names, then those it named before, latest first; history is only read when it is needed."""
        yield version
        earlier = (record.version for record in reversed(self._store.alias_history(model, alias)))
        yield from dict.fromkeys(v for v in earlier if v is not None and v != version)

    def _kept(self, model: str, version: int) -> Loaded:
        """A version from memory, or loaded into it."""
        key = model, version
        with self._lock:
            loaded = self._loaded.get(key)
            if loaded is not None:
                self._loaded.move_to_end(key)
                return loaded
        if not self._may_wait():
            raise MustWait
        loaded = self._load(model, version)
        with self._lock:
            self._loaded[key] = loaded
            while len(self._loaded) > self._capacity:
                self._loaded.popitem(last=False)
        return loaded

    def _load(self, model: str, version: int) -> Loaded:
        """Read, verify and warm a version."""
        started = time.perf_counter()
        try:
            manifest = self._store.manifest(model, version)
            module = LinearRegression.from_bytes(self._store.blob(manifest.blobs["state_dict"]), device=self.device)
            schema = self._schema(manifest.document["schema"])
            _warm(module, schema)
            learned = Learned(self._store, manifest, intercept=schema.frame.intercept, may_wait=self._may_wait)
            loaded = Loaded(model, str(version), schema, module, learned)
        except NotFound:
            raise
        except Exception as error:  # a version made elsewhere may fail in any way, and the one before must go on
            metrics.LOADS.labels("failed").inc()
            log.exception("a version cannot be loaded", extra={"model": model, "version": version})
            why = str(error) if isinstance(error, StoreError) else f"version {version} of model {model} cannot be used: see the log"
            raise NotReady(why) from error
        metrics.LOADS.labels("loaded").inc()
        metrics.LOAD_SECONDS.observe(time.perf_counter() - started)
        log.info("loaded", extra={"model": model, "version": version, "device": str(self.device)})
        return loaded

    def _schema(self, document: Mapping[str, Any]) -> Schema:
        """The schema of a version: most have that of another, often the one before, and reading it anew is a quarter of a load."""
        text = json.dumps(document)
        schema = self._schemas.get(text)
        if schema is None:
            schema = self._schemas[text] = Schema.from_dict(document)
        return schema


def _warm(module: LinearRegression, schema: Schema) -> None:
    """A first prediction. Raises where the weights are not finite, or not those of the schema."""
    first = module.predict(np.zeros((1, len(schema.columns))))
    if first.shape != (1, len(schema.targets)) or not np.isfinite(first).all():
        raise NotReady("the weights are not finite, or not those of the schema")
