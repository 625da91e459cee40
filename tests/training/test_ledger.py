"""The ledger of many rows: segments sorted as rows come, which together count each row as often as it was learned."""

import numpy as np

from service.training.ledger import Ledger, Wanted

RANDOM = np.random.default_rng(93)
X, Y = RANDOM.normal(size=(150_000, 2)), RANDOM.integers(0, 2, size=(150_000, 1)).astype(np.float64)
X[100_000:100_100] = X[:100]  # learned twice, far apart
Y[100_000:100_100] = Y[:100]


def noted() -> Ledger:
    """A ledger that noted all rows, in batches."""
    ledger = Ledger()
    for start in range(0, len(X), 40_000):
        ledger.add(X[start : start + 40_000], Y[start : start + 40_000], None)
    return ledger


def missing(ledger: Ledger, rows: np.ndarray) -> list[int]:
    """The places among `rows` of those that are not there to be taken out; the others are out then."""
    wanted = Wanted(ledger.keys)
    wanted.add(X[rows], Y[rows], None, places=np.arange(len(rows)))
    return ledger.remove(wanted).missing.tolist()


def test_segments_together_count_each_row_as_often_as_it_was_learned() -> None:
    """All rows can be taken out, in any order, those learned twice twice; nothing is left, and nothing more can be taken."""
    ledger = noted()
    ledger.settle(since=0)
    assert len(ledger.segments) > 1
    assert sum(int(segment.entries().counts.sum()) for segment in ledger.segments) == len(X)

    order = RANDOM.permutation(len(X))
    assert missing(ledger, order[:100_000]) == []
    assert missing(ledger, order[100_000:]) == []
    assert ledger.segments == []

    again = noted()
    again.settle(since=0)
    assert missing(again, np.array([100_005, 5, 5])) == [2]


def test_a_ledger_settled_again_holds_the_same_rows() -> None:
    """A learning that another came before settles anew, after that one's version, and loses no row."""
    ledger = noted()
    ledger.settle(since=3)
    first = [segment.entries().digests for segment in ledger.segments]
    ledger.settle(since=4)

    assert {segment.since for segment in ledger.segments} == {4}
    assert all(map(np.array_equal, first, [segment.entries().digests for segment in ledger.segments]))
    assert missing(ledger, np.arange(len(X))) == []
