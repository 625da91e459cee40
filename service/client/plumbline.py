"""The client: one object for one service."""

import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Unpack, overload

from service.client.connection import Again, Body, Connection, path_of
from service.client.data import Table, Unframed, json_request, request_of
from service.client.frames import FrameT, form_for, frame_of, is_frame
from service.client.options import ForgetOptions, LearnOptions, LivingOptions, PredictOptions, RefitOptions, SelectOptions, TrainOptions
from service.client.problem import Problem
from service.client.results import Difference, Job, Model, Move, Prediction, Selection, Version

LIVE = "live"
ARCHIVE = "application/zip"
FIRST_LOOK, LONGEST_LOOK = 0.05, 1.0  # seconds between looks at a job
Progress = Callable[[Job], None]


class Plumbline:
    """A service at `url`; `token` is one of its tokens, where it wants one, and `timeout` how many seconds it may be silent.

        >>> from service.client import Plumbline
        >>> service = Plumbline("http://127.0.0.1:8080")
        >>> service.train({"area": [50, 60, 70, 90], "rent": [600, 700, 800, 990]}, target="rent", model="rent").name
        'rent@1'
        >>> service.predict("rent", [{"area": 80}]).predictions
        [894.2857142857142]

    A version is named MODEL@VERSION by its number or an alias, and without @VERSION it is the live one. What makes a version is sent
    with an idempotency key, so that a broken connection, a full queue (429) and a service not ready (503) are tried again and nothing is
    done twice. Everything may raise `Problem`. One object may be used by several threads.
    """

    def __init__(self, url: str, token: str | None = None, timeout: float = 60.0) -> None:
        self._connection = Connection(url, token=token, timeout=timeout)

    def train(
        self,
        data: Table,
        targets: Any = None,
        *,
        progress: Progress | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[TrainOptions],
    ) -> Version:
        """Fit rows and publish the version.

        The rows are a frame, a dict of columns, a list of dicts or a file, whose target the option `target` names; or an array or a list
        of lists, with `targets`. `progress` is called with the job while it waits and runs.
        """
        return self._version("/train", request_of(data, options, targets), progress, idempotency_key)

    def learn(
        self,
        model: str,
        data: Table,
        targets: Any = None,
        *,
        progress: Progress | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[LearnOptions],
    ) -> Version:
        """Learn further rows: a new version, as if trained on all of them."""
        return self._version(path_of("models", model, "learn"), request_of(data, options, targets), progress, idempotency_key)

    def forget(
        self,
        model: str,
        data: Table,
        targets: Any = None,
        *,
        progress: Progress | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[ForgetOptions],
    ) -> Version:
        """Forget rows: a new version, as if they had never come; `document["forgotten"]` says what else holds them."""
        return self._version(path_of("models", model, "forget"), request_of(data, options, targets), progress, idempotency_key)

    def merge(
        self, model: str, others: str | Sequence[str], *, idempotency_key: str | None = None, **options: Unpack[LivingOptions]
    ) -> Version:
        """Merge other models, or versions of them, whose frames are equal: a new version, as if trained on the rows of all."""
        body = json_request({"with": others, **options})
        return Version.of(self._make(path_of("models", model, "merge"), body, key=idempotency_key))

    def refit(self, model: str, *, idempotency_key: str | None = None, **options: Unpack[RefitOptions]) -> Version:
        """Fit some of the terms, or by another solver, without the rows: a new version."""
        return Version.of(self._make(path_of("models", model, "refit"), json_request(options), key=idempotency_key))

    def select(self, model: str, *, idempotency_key: str | None = None, **options: Unpack[SelectOptions]) -> Selection:
        """Choose terms or a ridge penalty without the rows; with `publish` the choice becomes a version."""
        return Selection.of(self._make(path_of("models", model, "select"), json_request(options), key=idempotency_key))

    def import_version(
        self, model: str, file: str | Path, *, promote: bool = False, new_schema: bool = False, idempotency_key: str | None = None
    ) -> Version:
        """Publish the version in a file that `service export` wrote, under the next number of a model."""
        asked = {"promote": json.dumps(promote), "new_schema": json.dumps(new_schema)}
        path = path_of("models", model, "import")
        return Version.of(self._make(path, Body(Path(file), ARCHIVE), query=asked, key=idempotency_key))

    @overload
    def predict(self, model: str, rows: FrameT, **asked: Unpack[PredictOptions]) -> FrameT: ...
    @overload
    def predict(self, model: str, rows: Table, *, into: type[FrameT], **asked: Unpack[PredictOptions]) -> FrameT: ...
    @overload
    def predict(self, model: str, rows: Unframed, **asked: Unpack[PredictOptions]) -> Prediction: ...

    def predict(self, model: str, rows: Table, *, into: type[Any] | None = None, **asked: Unpack[PredictOptions]) -> Any:
        """Predict rows by a version.

        Of a frame the answer is such a frame, with a column `predictions` and one for all else that is asked for, and with the index of
        a pandas frame; `into` asks for a kind of frame whatever the rows are. Otherwise it is a `Prediction`.
        """
        name, _, version = model.partition("@")
        named = {"version" if version.isdecimal() else "alias": version} if version else {}
        body, query = request_of(rows, {"model": name, **named, **asked})
        kind: Any = into or (type(rows) if is_frame(rows) else None)
        if kind is None:
            return Prediction.of(self._connection.ask("POST", "/predict", body=body, query=query).document())
        answer = self._connection.ask("POST", "/predict", body=body, query=query, headers={"Accept": form_for(kind)})
        return frame_of(kind, answer.content, like=rows)

    def models(self) -> list[Model]:
        """All models."""
        return [Model.of(document) for document in self._pages("/models", "models")]

    def versions(self, model: str) -> list[str]:
        """The numbers of a model's versions, newest first."""
        return list(self._pages(path_of("models", model, "versions"), "versions"))

    def version(self, name: str) -> Version:
        """A version by its name."""
        return Version.of(self.get(self._path(name)))

    def plot(self, name: str, kind: str, form: str = "svg") -> bytes:
        """A picture of a version, as an SVG or PNG file; what it would need and is not kept is a `Problem` that says so."""
        return self._connection.ask("GET", f"{self._path(name)}{path_of('plots', f'{kind}.{form}')}").content

    def report(self, name: str) -> bytes:
        """All there is to see of a version, as an HTML file."""
        return self._connection.ask("GET", f"{self._path(name)}/report.html").content

    def diff(self, model: str, before: str, after: str) -> Difference:
        """Two versions of a model, numbers or aliases, side by side."""
        return Difference.of(self.get(path_of("models", model, "diff"), **{"from": before, "to": after}))

    def promote(self, name: str, *, alias: str = LIVE, expect: str | None = None, reason: str = "") -> Move:
        """Let an alias name a version; with `expect` only if it names that one until now, else it is a `Problem` of status 412."""
        version = self.version(name)
        asked = {"version": version.version, "reason": reason} | ({"expect": expect} if expect is not None else {})
        path = path_of("models", version.model, "aliases", alias)
        again: Again = "always" if expect is None else "unsent"  # a move that was made is not expected twice
        return Move.of(self._connection.ask("PUT", path, body=json_request(asked), again=again).document())

    def rollback(self, model: str, *, reason: str = "") -> Move:
        """Let live name again the version it named before; a second rollback undoes the first."""
        body = json_request({"reason": reason})
        return Move.of(self._connection.ask("POST", path_of("models", model, "rollback"), body=body, again="unsent").document())

    def history(self, model: str, alias: str = LIVE) -> list[Move]:
        """Every move of an alias, newest first."""
        moves = self._pages(path_of("models", model, "aliases", alias), "history")
        return [Move.of({"model": model, "alias": alias} | move) for move in moves]

    def delete(self, model: str, *, version: str | None = None, alias: str | None = None) -> None:
        """Delete for ever a version that no alias names, or an alias but not its version, or else the model with all its versions."""
        what = ["versions", version] if version is not None else ["aliases", alias] if alias is not None else []
        self._connection.ask("DELETE", path_of("models", model, *what), again="unsent")

    def job(self, job_id: str) -> Job:
        """What became of a job."""
        return Job.of(self.get(path_of("jobs", job_id)))

    def cancel(self, job_id: str) -> None:
        """Cancel a job; one that has finished loses its record."""
        self._connection.ask("DELETE", path_of("jobs", job_id))

    def wait(self, job_id: str, progress: Progress | None = None) -> Mapping[str, Any]:
        """Wait for a job to end, and return its result, a version document; `progress` is called with each news of it.

        Raises:
            Problem: the job failed or was cancelled; or as for any request.
        """
        path, tag, pause = path_of("jobs", job_id), "", FIRST_LOOK
        while True:
            answer = self._connection.ask("GET", path, headers={"If-None-Match": tag} if tag else {})
            if answer.content:
                job, tag = Job.of(answer.document()), answer.headers.get("etag", "")
                if progress is not None:
                    progress(job)
                if job.finished:
                    return _result(job)
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_LOOK)

    def get(self, path: str, **query: Any) -> Any:
        """The JSON document at a path of the HTTP API."""
        return self._connection.ask("GET", path, query=query).document()

    def _version(self, path: str, request: tuple[Body, Mapping[str, Any]], progress: Progress | None, key: str | None) -> Version:
        body, query = request
        return Version.of(self._make(path, body, query=query, progress=progress, key=key))

    def _make(
        self, path: str, body: Body, *, query: Mapping[str, Any] | None = None, progress: Progress | None = None, key: str | None = None
    ) -> Any:
        """The document of what an operation made; its job is cancelled when whoever waits for it is interrupted."""
        headers = {"Idempotency-Key": key or str(uuid.uuid4())} | ({"Prefer": "respond-async"} if progress else {})
        answer = self._connection.ask("POST", path, query=query, body=body, headers=headers)
        if answer.status != 202:
            return answer.document()
        job_id = str(answer.document()["id"])
        try:
            return self.wait(job_id, progress)
        except KeyboardInterrupt:
            with suppress(Problem):  # the interrupt is what must be told
                self.cancel(job_id)
            raise

    def _pages(self, path: str, member: str) -> list[Any]:
        """The entries of all pages of a list."""
        entries: list[Any] = []
        after: dict[str, str] = {}
        while True:
            page = self.get(path, limit=1000, **after)
            entries += page[member]
            if page["after"] is None:
                return entries
            after = {"after": page["after"]}

    def _path(self, name: str) -> str:
        model, _, version = name.partition("@")
        return path_of("models", model, "versions", version or LIVE)


def _result(job: Job) -> Mapping[str, Any]:
    if job.state == "succeeded":
        result: Mapping[str, Any] = job.document["result"]
        return result
    error = job.error or {"detail": "the job was cancelled before it published anything"}
    raise Problem(error["detail"], status=error.get("status"), errors=error.get("errors"), request_id=job.document.get("request_id"))
