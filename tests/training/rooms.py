"""Models of one store, made by the use cases themselves from rows of one table: what tests of living models share."""

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from model_store.store import ModelStore
from service.training.document import version_document
from service.training.forgetting import forget
from service.training.framing import in_frame
from service.training.learning import learn
from service.training.living_options import (
    ForgetOptionsSchema,
    LearnOptionsSchema,
    MergeOptionsSchema,
    RefitOptionsSchema,
    SelectOptionsSchema,
)
from service.training.merging import merge
from service.training.options import TrainOptions, load_options
from service.training.refitting import refit
from service.training.selecting import select
from service.training.sources import Body, Limits, Source, open_body
from service.training.train import train
from service.validation import validated

Document = dict[str, Any]
LIMITS = Limits(10**7, 1000)


def open_source(
    path: Path, media_type: str, given: Mapping[str, Any], limits: Limits, *, complete: Callable[[TrainOptions], TrainOptions] = lambda o: o
) -> tuple[Source, TrainOptions]:
    """The source and the options of a spooled training request.

    `complete` adds to the options what they leave to another version's frame.

    Raises:
        Unreadable, Invalid, TooLarge, UnsupportedMedia
    """
    body = open_body(path, media_type, given, limits)
    options = complete(load_options(body.given))
    return body.source(options), options


class Rooms:
    """A store, and a table of rows (area, rooms, town, weight, rent and costs) to train on and to learn from by their indices."""

    options: Document = {  # noqa: RUF012 - it is never changed
        "target": ["rent", "costs"],
        "features": ["area", "rooms", "town"],
        "terms": ["area", "area^2", "rooms", "town", "area*town"],
        "weights": "weight",
    }

    def __init__(self, directory: Path, rows: int) -> None:
        random = np.random.default_rng(rows)
        area = random.uniform(20, 180, rows)
        town = random.choice(["Bonn", "Jena", "Ulm"], rows)
        town[:3] = ["Bonn", "Jena", "Ulm"]
        self.table: dict[str, Any] = {
            "area": area,
            "rooms": random.integers(1, 7, rows).astype(float),
            "town": town,
            "weight": random.choice([0.0, 0.5, 1.0, 3.7], rows, p=[0.05, 0.15, 0.6, 0.2]),
            "rent": 9 * area + 0.01 * area**2 + 100 * (town == "Ulm") + random.normal(0, 30, rows),
            "costs": area * random.lognormal(0, 2, rows),
        }
        self.rows = rows
        self.store = ModelStore.open(directory / "store")
        self.directory, self._count = directory, count()

    def train(self, model: str, rows: Sequence[int], **options: Any) -> Document:
        """Train on some rows; the version document."""
        source, asked = open_source(
            self._body(rows, self.options | {"model": model} | options),
            "application/json",
            {},
            LIMITS,
            complete=lambda o: in_frame(self.store, o),
        )
        return version_document(self.store, train(self.store, source, asked))

    def in_frame_of(self, like: str, model: str, rows: Sequence[int], **options: Any) -> Document:
        """Train on some rows in the frame of another version."""
        mine = {name: value for name, value in self.options.items() if name not in ("features", "terms")}
        source, asked = open_source(
            self._body(rows, mine | {"model": model, "like": like} | options),
            "application/json",
            {},
            LIMITS,
            complete=lambda o: in_frame(self.store, o),
        )
        return version_document(self.store, train(self.store, source, asked))

    def learn(self, model: str, rows: Sequence[int], **options: Any) -> Document:
        """Learn some rows; the version document."""
        body = self.body(rows, **options)
        asked = validated(LearnOptionsSchema(), body.given)
        return version_document(self.store, learn(self.store, model, body.source, asked))

    def forget(self, model: str, rows: Sequence[int], **options: Any) -> Document:
        """Forget some rows; the version document."""
        body = self.body(rows, **options)
        return forget(self.store, model, body.source, validated(ForgetOptionsSchema(), body.given))

    def merge(self, model: str, *others: str, **options: Any) -> Document:
        """Merge other models; the version document."""
        return version_document(self.store, merge(self.store, model, validated(MergeOptionsSchema(), {"with": list(others)} | options)))

    def refit(self, model: str, **options: Any) -> Document:
        """Refit; the version document."""
        return version_document(self.store, refit(self.store, model, validated(RefitOptionsSchema(), options)))

    def select(self, model: str, **options: Any) -> Document:
        """Select; the answer, as JSON has it."""
        answer = select(self.store, model, validated(SelectOptionsSchema(), options))
        return json.loads(json.dumps(answer, allow_nan=False))

    def body(self, rows: Sequence[int], **options: Any) -> Body:
        """A request with some rows."""
        return open_body(self._body(rows, {"weights": "weight"} | options), "application/json", {}, LIMITS)

    def _body(self, rows: Sequence[int], options: Document) -> Path:
        body = self.directory / f"body-{next(self._count)}"
        columns = {name: [None if cell != cell else cell for cell in column[list(rows)].tolist()] for name, column in self.table.items()}  # noqa: PLR0124 - NaN
        body.write_text(json.dumps({"columns": columns} | options))
        return body


def same(one: Document, other: Document) -> bool:
    """Whether two versions are one regression, bit for bit: rows, frame, weights and all that is said of the fit."""
    return all(one[part] == other[part] for part in ("fingerprint", "state_dict", "fit", "schema"))
