"""One piece of work for the trainer: what an operation is given, whichever operation it is."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_store.store import ModelStore
from service.rows import Rows
from service.training.holders import purged_document
from service.training.jobs import Submission
from service.training.options import TrainOptions
from service.training.sources import Body, Chosen, Limits, Source, open_body
from service.training.train import QUIET, Progress


@dataclass(frozen=True)
class Work:
    """A job that was taken: its request body is at `body`, and `submission` says what is asked of it.

    Operations tell `progress` how far they are and call its `check` before they publish. Under `roots` stand the files that a
    request may name.
    """

    store: ModelStore
    limits: Limits
    body: Path
    submission: Submission
    progress: Progress = QUIET
    roots: Sequence[Path | str] = ()

    def open(self, given: Mapping[str, Any] | None = None) -> Body:
        """The body of the request, its rows told to `progress`; `given` are the options not in it, by default the submission's.

        Raises:
            Unreadable, Invalid, TooLarge, UnsupportedMedia
        """
        asked = self.submission
        body = open_body(
            self.body, asked.media_type, asked.options if given is None else given, self.limits, roots=self.roots, check=self.progress.check
        )

        def watched(options: TrainOptions) -> Source:
            source = body.source(options)
            self.progress.count(source.total)
            return _Watched(source, self.progress.check)

        return Body(body.given, watched)

    def committed(self, model: str) -> dict[str, Any] | None:
        """The version document of an earlier attempt at this request, whose process ended between its commit and its answer.

        What was to be purged with that commit is purged.
        """
        asked = self.submission
        if asked.idempotency_key is None or asked.since is None:
            return None
        version = self.store.committed(model, asked.idempotency_key, since=asked.since)
        return None if version is None else purged_document(self.store, self.store.manifest(model, version))


class _Watched:
    """A source that looks before each batch whether to go on."""

    def __init__(self, source: Source, check: Callable[[], None]) -> None:
        self._source, self._check = source, check

    @property
    def chosen(self) -> Chosen:
        return self._source.chosen

    def total(self) -> int | None:
        return self._source.total()

    def batches(self) -> Iterator[Rows]:
        for rows in self._source.batches():
            self._check()
            yield rows
