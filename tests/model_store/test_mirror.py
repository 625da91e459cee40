"""The mirror of a bucket: what watchers see, what it keeps, what heals, and what never comes into it."""

import os
import time
from pathlib import Path

import pytest

from model_store import LIVE, ModelStore
from model_store.bucket import BucketObjects
from model_store.errors import Conflict, NotFound, StoreUnavailable, UnknownAlias, UnknownModel, UnknownVersion
from model_store.opening import Opened
from model_store.sync import KEPT_MOVES, Sync
from tests.buckets import Endpoint

BLOBS = {"state_dict": b"weights"}


class Replica:
    """A store in a bucket with a mirror, and its sync, looked with by hand."""

    def __init__(self, bucket: str, cache: Path, *, spared_seconds: float = 600.0) -> None:
        self.opened = Opened.at(bucket, cache=cache, refresh_seconds=0.2)
        assert self.opened.mirrored is not None
        assert self.opened.reach is not None
        self.reach, self.mirror = self.opened.reach, cache / "mirror"
        self.sync = Sync(self.opened.mirrored, refresh_seconds=0.0, spared_seconds=spared_seconds)
        self.acting, self.watching = self.opened.acting, self.opened.watching

    def look(self) -> None:
        """One look, without faults."""
        assert self.sync.look() == {}
        self.reach.found()

    def files(self, part: str) -> list[str]:
        """What is mirrored below a folder."""
        return sorted(str(path.relative_to(self.mirror)) for path in (self.mirror / part).rglob("*") if path.is_file())


@pytest.fixture
def here(bucket: str, tmp_path: Path) -> Replica:
    return Replica(bucket, tmp_path / "here")


@pytest.fixture
def there(bucket: str, tmp_path: Path) -> Replica:
    return Replica(bucket, tmp_path / "there")


def publish(replica: Replica, number: int = 1, **options: object) -> None:
    """Publish a version with blobs of its own."""
    replica.acting.publish("m", blobs={"state_dict": b"weights %d" % number}, document={"number": number}, **options)  # type: ignore[arg-type]


def served(replica: Replica) -> bytes:
    """The blob of the version that `live` names, as a watcher reads it."""
    store = replica.watching
    return store.blob(store.manifest("m", store.resolve("m", LIVE)).blobs["state_dict"])


def test_watchers_see_their_own_replica_at_once_and_others_after_a_look(here: Replica, there: Replica) -> None:
    """A publish is in the own mirror when it returns; in another's after the next look, whatever was missed meanwhile."""
    publish(here)
    assert (served(here), there.watching.models()) == (b"weights 1", [])
    there.look()
    assert (there.watching.models(), served(there)) == (["m"], b"weights 1")
    for number in range(2, 6):
        publish(here, number)
    assert (served(here), served(there), there.watching.newer("m", LIVE, 1)) == (b"weights 5", b"weights 1", False)
    there.look()
    assert (served(there), there.watching.alias("m", LIVE).seq) == (b"weights 5", 5)
    assert [there.watching.newer("m", LIVE, seq) for seq in range(1, 6)] == [True] * 4 + [False], "whichever they knew"
    here.acting.rollback("m")
    there.acting.move_alias("m", "tested", 2)
    here.look()
    there.look()
    assert served(here) == served(there) == b"weights 4"
    assert here.watching.aliases("m") == there.watching.aliases("m") == {"live": 4, "tested": 2}


def test_the_mirror_alone_serves(here: Replica, there: Replica, endpoint: Endpoint, bucket: str, tmp_path: Path) -> None:
    """Out of reach, processes old and new serve what aliases name; anything else is told to be out of reach, and soon."""
    publish(here)
    publish(here, 2)
    there.look()
    endpoint.stop()
    with pytest.raises(StoreUnavailable):
        there.sync.look()
    there.reach.lost("out of reach")
    after = Replica(bucket, tmp_path / "there")
    for replica in (there, after):
        assert served(replica) == b"weights 2"
        assert (replica.reach.reason(), replica.reach.seen()) == ("out of reach", True)
        assert not replica.watching.newer("m", LIVE, 2)
        started = time.monotonic()
        with pytest.raises(StoreUnavailable, match=r"^out of reach$"):
            replica.watching.resolve("m", "1")
        assert time.monotonic() - started < 0.5
        with pytest.raises(StoreUnavailable):
            replica.acting.publish("m", blobs=BLOBS, document={})
    endpoint.start()
    there.look()
    assert (there.acting.versions("m"), there.watching.resolve("m", "1"), there.reach.reason()) == ([1, 2], 1, None)


def test_what_is_deleted_goes_from_the_mirror(here: Replica, there: Replica) -> None:
    """A deleted model is gone after a look, a deleted version is after the refresh, and what comes under the name later is seen."""
    publish(here)
    publish(here, 2)
    there.look()
    assert there.watching.resolve("m", "1") == 1
    here.acting.delete_version("m", 1)
    time.sleep(0.25)
    for replica in (here, there):
        with pytest.raises(UnknownVersion):
            replica.watching.resolve("m", "1")
    here.acting.delete_model("m")
    with pytest.raises(UnknownModel):
        here.watching.alias("m", LIVE)
    there.look()
    assert (there.watching.models(), there.watching.newer("m", LIVE, 2)) == ([], True)
    with pytest.raises(UnknownModel):
        there.watching.alias("m", LIVE)
    there.acting.publish("m", blobs=BLOBS, document={}, promote=False)
    here.look()
    with pytest.raises(UnknownAlias):
        here.watching.alias("m", LIVE)
    publish(there, 4)
    here.look()
    assert served(here) == b"weights 4"


def test_a_version_is_seen_whole_or_not_at_all(here: Replica, there: Replica, bucket: str) -> None:
    """A version whose blob is damaged in the bucket is told by the look, and the one before goes on."""
    publish(here)
    there.look()
    publish(here, 2)
    digest = here.acting.manifest("m", 2).blobs["state_dict"]
    BucketObjects(bucket).replace("blobs/sha256/" + digest.removeprefix("sha256:"), b"damaged")
    assert list(there.sync.look()) == ["m"]
    assert served(there) == b"weights 1"
    publish(here, 3)
    there.look()
    assert served(there) == b"weights 3"


def test_a_flipped_bit_or_a_lost_file_is_mended_from_the_bucket(here: Replica, there: Replica) -> None:
    """Whichever file of the mirror is damaged or lost, watchers read what the bucket has, and the file is whole again."""
    publish(here)
    there.look()
    paths = [there.mirror / name for name in there.files("models") + there.files("blobs") if not name.endswith("present")]
    assert len(paths) == 3
    for path in paths:
        whole = path.read_bytes()
        path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
        assert served(there) == b"weights 1"
        assert path.read_bytes() == whole, path
        path.unlink()
        there.look()
        assert (served(there), path.read_bytes()) == (b"weights 1", whole), path


@pytest.mark.slow
def test_the_mirror_does_not_grow(bucket: str, here: Replica, tmp_path: Path) -> None:
    """It keeps what aliases name and the latest moves; what a watcher knew of long ago counts as news."""
    there = Replica(bucket, tmp_path / "there", spared_seconds=0.0)
    for number in range(1, 9):
        publish(here, number)
        there.look()
        publish(there, 100 + number)
    there.acting.publish("m", blobs=BLOBS, document={}, promote=False)
    there.acting.move_alias("m", "tested", 3)
    there.look()
    assert there.files("models/m/versions") == ["models/m/versions/16.json", "models/m/versions/3.json"]
    assert len(there.files("blobs")) == 2
    for turn in range(KEPT_MOVES):
        there.acting.move_alias("m", LIVE, 1 + turn % 2)
    there.look()
    assert len(there.files("models/m/aliases/live")) == KEPT_MOVES
    assert there.watching.newer("m", LIVE, 3)
    assert there.watching.alias("m", LIVE).version == 1 + (KEPT_MOVES - 1) % 2
    assert len(there.watching.alias_history("m", LIVE)) == KEPT_MOVES
    assert len(there.acting.alias_history("m", LIVE)) == KEPT_MOVES + 16


def test_memory_and_jobs_are_never_mirrored(here: Replica, there: Replica) -> None:
    """What is forgotten is nowhere: memory is read from the bucket; a job's record is the same at both replicas at once."""
    manifest = here.acting.publish("m", blobs=BLOBS, memory={"moments": b"rows"}, document={})
    assert there.acting.remembered(manifest, "moments") == b"rows"
    for state in ("queued", "running", "succeeded"):
        here.acting.job_records.put("job", {"state": state})
        assert there.acting.job_records.read("job") == {"state": state}
    there.acting.job_records.delete("job")
    with pytest.raises(NotFound):
        here.acting.job_records.read("job")
    here.look()
    there.look()
    for replica in (here, there):
        assert not [name for name in replica.files(".") if name.startswith(("memory", "jobs"))]


def test_writers_of_two_replicas_take_turns(here: Replica, there: Replica) -> None:
    """With `expect`, one of two writers is refused, whichever mirror is behind; the version that lost is gone."""
    publish(here)
    for number in range(2, 8):
        writer, other = (here, there) if number % 2 else (there, here)
        live = writer.acting.alias("m", LIVE).version
        publish(writer, number, expect=live)
        with pytest.raises(Conflict):
            publish(other, 100 + number, expect=live)
        assert served(writer) == b"weights %d" % number
    here.look()
    there.look()
    assert served(here) == served(there) == b"weights 7"
    assert here.acting.versions("m") == there.acting.versions("m")
    assert len(here.acting.versions("m")) == 7


def test_a_local_store_watches_itself(tmp_path: Path) -> None:
    """In a directory there is nothing to mirror: who acts and who watches have the same store, and no cache is made."""
    opened = Opened.at(tmp_path / "store", cache=tmp_path / "cache")
    assert opened.acting is opened.watching
    assert (opened.mirrored, opened.reach, (tmp_path / "cache").exists()) == (None, None, False)
    assert isinstance(opened.acting, ModelStore)
    assert os.listdir(tmp_path) == ["store"]  # noqa: PTH208 - names alone
