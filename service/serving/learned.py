"""What a version remembers of the rows it was trained on, for those of its predictions that say how sure they are.

It is read and solved when it is first asked for, and kept as long as the version is loaded. The libraries that this takes are
loaded then too: a worker that only predicts needs none of them.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from model_store.errors import CorruptObject
from model_store.manifest import Manifest
from model_store.store import ModelStore
from service.errors import MustWait

if TYPE_CHECKING:
    from service.regression.least_squares import Fit
    from service.regression.moments import Moments

MOMENTS = "moments"
EXACT = "exact"


class Learned:
    """The memory of one version; `may_wait` tells whether whoever asks may wait until it is read."""

    def __init__(self, store: ModelStore, manifest: Manifest, *, intercept: bool, may_wait: Callable[[], bool]) -> None:
        self._store, self._manifest, self._intercept, self._may_wait = store, manifest, intercept, may_wait
        self._fit: Fit | None = None
        self._lock = threading.Lock()  # two requests at once read and solve once

    @property
    def solver(self) -> str:
        """The name of the solver that the weights come from."""
        solver = self._manifest.document.get("fit", {}).get("solver", "")
        return str(solver["name"] if isinstance(solver, dict) else solver)

    @property
    def has_errors(self) -> bool:
        """Whether the solver is plain least squares, of which standard errors, intervals and leverages are known."""
        return bool(self._manifest.document.get("fit", {}).get("solver") == EXACT)

    def fit(self) -> "Fit":
        """The least-squares fit of the rows.

        Raises:
            Forgotten: the version keeps its moments no more.
            CorruptObject, StoreUnavailable: they cannot be read.
            MustWait: it has to be read, and whoever asks may not wait.
        """
        if self._fit is None and not self._may_wait():
            raise MustWait
        with self._lock:
            if self._fit is None:
                self._fit = self._solved()
            return self._fit

    def moments(self) -> "Moments":
        """The exact sums themselves, read anew.

        Raises:
            Forgotten, CorruptObject, StoreUnavailable: as `fit`.
        """
        from service.regression.moments import Moments  # noqa: PLC0415 - scipy takes 0.2 s to import

        data = self._store.remembered(self._manifest, MOMENTS)
        try:
            return Moments.from_bytes(data)
        except ValueError as error:
            where = f"version {self._manifest.version} of model {self._manifest.model}"
            raise CorruptObject(f"the moments of {where} cannot be read: {error}") from error

    def _solved(self) -> "Fit":
        from service.regression.least_squares import solve  # noqa: PLC0415

        return solve(self.moments(), intercept=self._intercept)
