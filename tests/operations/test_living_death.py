"""Kill -9 at random instants of many publishes and learns: the store stays whole, and what was acknowledged stays learned."""

import http.client
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from model_store import ModelStore
from model_store.errors import Forgotten
from service.regression.moments import Moments
from tests.operations.processes import alive, descendants, trainer_pid, wait_until
from tests.support import Reply, Service

DEATHS = int(os.environ.get("PLUMBLINE_DEATHS", "3"))  # of each victim
OPERATIONS = 30 * DEATHS
WITHIN = 0.05  # seconds from the beginning of a request to the death that meets it: most take less
ANSWERED_WITHIN = 90.0


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["trainer", "worker", "master"])
def test_no_death_loses_or_doubles_what_was_learned(make_service: Callable[..., Service], victim: str) -> None:
    """Many appends, each repeated under its key until it is answered, among kills: the end equals one training of all rows."""
    rng = random.Random(victim)
    service = make_service(WORKERS="2" if victim == "worker" else "1").start()
    first = {"instances": [[0.0], [1.0], [3.0]], "targets": [1.0, 2.5, 4.0]}
    assert service.post("/train", {"model": "m", **first}).status == 201
    rows = [([float(i)], i * 0.5 + rng.gauss(0, 1)) for i in range(OPERATIONS)]
    killer = _Killer(service, victim, rng)
    fatal = set(rng.sample(range(OPERATIONS), DEATHS))
    acknowledged: list[int] = []
    for number, (x, y) in enumerate(rows):
        if number in fatal:
            killer.soon()
        reply = _until_answered(service, killer, f"row-{number}", {"instances": [x], "targets": [y]})
        acknowledged.append(int(reply.json["version"]))
    killer.mend()
    assert killer.deaths == DEATHS

    wait_until(lambda: _answers(service), "the service by itself again")
    live = service.get("/models/m/versions/live").json
    everything = {"instances": first["instances"] + [x for x, _ in rows], "targets": first["targets"] + [y for _, y in rows]}
    retrained = service.post("/train", {"model": "again", "like": "m@1", **everything}).json
    assert live["fit"]["n"] == len(everything["targets"])
    assert live["fingerprint"] == retrained["fingerprint"]
    assert live["fit"]["coefficients"] == retrained["fit"]["coefficients"]
    assert acknowledged == sorted(set(acknowledged))
    assert service.stop() == 0
    _check_whole(service.store, acknowledged)


class _Killer:
    """Kills one of the service's processes in the middle of a request; a master is started again, as a container engine does."""

    def __init__(self, service: Service, victim: str, rng: random.Random) -> None:
        self._service, self._victim, self._rng = service, victim, rng
        self._timer: threading.Timer | None = None
        self.deaths = 0

    def soon(self) -> None:
        """Kill at a random instant of the request that is about to be sent; the process must be there by then."""
        self.mend()
        wait_until(lambda: self._pid() is not None, f"a {self._victim}")
        self._timer = threading.Timer(self._rng.uniform(0, WITHIN), self._kill)
        self._timer.start()

    def mend(self) -> None:
        """Start the service again when its master was killed."""
        if self._timer is not None:
            self._timer.join()
        process = self._service.process
        assert process is not None
        if self._victim == "master" and process.poll() is not None:
            wait_until(lambda: not any(alive(orphan) for orphan in self._orphans), "the end of the orphans")
            self._service.start()

    def _kill(self) -> None:
        pid = self._pid()
        if pid is not None:
            self._orphans = descendants(pid)
            os.kill(pid, signal.SIGKILL)
            self.deaths += 1
            if self._victim == "master":
                assert self._service.process is not None
                self._service.process.wait()

    def _pid(self) -> int | None:
        if self._victim == "trainer":
            return trainer_pid(self._service)
        if self._victim == "worker":
            workers = self._service.worker_pids()
            return self._rng.choice(workers) if workers else None
        assert self._service.process is not None
        return self._service.process.pid


def _until_answered(service: Service, killer: _Killer, key: str, document: object) -> Reply:
    """Send one append under its key until the service says that it is done, as a client should."""
    deadline = time.monotonic() + ANSWERED_WITHIN
    while True:
        assert time.monotonic() < deadline, f"{key} was not answered within {ANSWERED_WITHIN} s"
        try:
            reply = service.post("/models/m/learn", document, headers={"Idempotency-Key": key})
        except (OSError, http.client.HTTPException):
            killer.mend()
            time.sleep(0.02)
            continue
        if reply.status == 201:
            return reply
        assert reply.status in (202, 500, 503), reply.body
        time.sleep(0.02)


def _answers(service: Service) -> bool:
    try:
        return service.post("/predict", {"model": "m", "instances": [[1.0]]}).status == 200
    except (OSError, http.client.HTTPException):
        return False


def _check_whole(root: Path, acknowledged: list[int]) -> None:
    """Every version that is listed reads back whole, with digests that match; live is the last one acknowledged."""
    store = ModelStore.open(root)
    assert store.aliases("m")["live"] == acknowledged[-1]
    history = [move.version for move in store.alias_history("m", "live")]
    assert set(acknowledged) <= set(history)
    for version in store.versions("m"):
        manifest = store.manifest("m", version)
        for digest in manifest.blobs.values():
            store.blob(digest)
        try:
            assert Moments.from_bytes(store.remembered(manifest, "moments")).n == manifest.document["fit"]["n"]
        except Forgotten:
            assert version not in store.aliases("m").values()
