"""Row digests against the same hash in Python's integers, and against what chance would do."""

import hashlib
import struct
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from service.regression.row_digests import RowHasher, fold_of, groups_of

Array = NDArray[np.float64]
RNG = np.random.default_rng(128)
X, Y, WEIGHTS = RNG.normal(size=(50, 3)), RNG.normal(size=(50, 2)), RNG.uniform(0.1, 9.0, size=50)


def hashed(key: bytes, features: list[float], targets: list[float], weight: float) -> tuple[int, int]:
    """The digest of one row, from the definition."""
    numbers = [*features, *targets, weight]
    halves = struct.unpack(f"<{2 * len(numbers)}I", struct.pack(f"<{len(numbers)}d", *(v or 0.0 for v in numbers)))
    context = b"plumbline rows 1\0" + struct.pack("<QQ", len(features), len(targets)) + key
    stream = hashlib.shake_256(context).digest(32 * (len(halves) + 1))
    words = struct.unpack(f"<{4 * (len(halves) + 1)}Q", stream)
    a, b, c, d = ((sum(words[4 * (i + 1) + h] * half for i, half in enumerate(halves)) + words[h]) % 2**64 // 2**32 for h in range(4))
    return scattered(a * 2**32 + c), scattered(b * 2**32 + d)


def scattered(z: int) -> int:
    """The output function of SplitMix64."""
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
    return z ^ z >> 31


def test_digests_are_the_multilinear_hash_of_the_bits() -> None:
    """50 weighted rows, digest by digest, as Python's integers have it; a missing weight is 1."""
    expected = [hashed(b"key", *row) for row in zip(X.tolist(), Y.tolist(), WEIGHTS.tolist(), strict=True)]
    assert [tuple(row) for row in RowHasher(b"key").digests(X, Y, WEIGHTS).tolist()] == expected
    assert scattered(0x9E3779B97F4A7C15) == 0xE220A8397B1DCDAF  # the published first number from seed 0
    unweighted = [hashed(b"key", x, y, 1.0) for x, y in zip(X.tolist(), Y.tolist(), strict=True)]
    assert [tuple(row) for row in RowHasher(b"key").digests(X, Y).tolist()] == unweighted


@pytest.mark.parametrize("features", [1, 14, 15, 16, 63, 300])
def test_digests_of_wide_rows_and_of_the_largest_digits(features: int) -> None:
    """Rows of as many numbers as fit into one exact product or not, some with all bits set: sums come close to 2^53."""
    wide = RNG.normal(size=(20, features)) * 10.0 ** RNG.integers(-300, 300, size=(20, features))
    wide[:5] = np.finfo(np.float64).max
    wide[5:10] = np.nextafter(0.0, 1.0)
    targets = wide[:, :1]
    expected = [hashed(b"wide", x, y, 1.0) for x, y in zip(wide.tolist(), targets.tolist(), strict=True)]
    assert [tuple(row) for row in RowHasher(b"wide").digests(wide, targets).tolist()] == expected


@pytest.mark.parametrize("heads", [2**64 - 1, 3])
def test_groups_are_ascending_and_keep_the_order_of_equal_rows(heads: int) -> None:
    """With first halves all apart, and with only four of them, against Python's dictionary and sort."""
    digests = np.column_stack([RNG.integers(0, heads, 3000, dtype=np.uint64, endpoint=True), RNG.integers(0, 40, 3000, dtype=np.uint64)])
    rows: dict[tuple[int, ...], list[int]] = {}
    for place, row in enumerate(digests.tolist()):
        rows.setdefault(tuple(row), []).append(place)
    expected = [rows[row] for row in sorted(rows)]

    groups = groups_of(digests)
    assert [part.tolist() for part in np.split(groups.order, groups.starts[1:])] == expected
    assert groups.counts.tolist() == [len(places) for places in expected]
    assert groups_of(digests[:0]).counts.tolist() == []


def test_a_digest_depends_on_its_row_alone() -> None:
    """Shuffled, chunked, in Fortran's order or among 10,000 others, a row keeps its digest."""
    hasher = RowHasher(b"key")
    whole = hasher.digests(X, Y, WEIGHTS)
    order = RNG.permutation(50)
    assert np.array_equal(hasher.digests(X[order], Y[order], WEIGHTS[order]), whole[order])
    assert np.array_equal(hasher.digests(np.asfortranarray(X), np.asfortranarray(Y), WEIGHTS), whole)
    parts = [hasher.digests(X[i : i + 7], Y[i : i + 7], WEIGHTS[i : i + 7]) for i in range(0, 50, 7)]
    assert np.array_equal(np.vstack(parts), whole)
    many = hasher.digests(np.tile(X, (200, 1)), np.tile(Y, (200, 1)), np.tile(WEIGHTS, 200))
    assert np.array_equal(many, np.tile(whole, (200, 1)))
    assert hasher.digests(X[:0], Y[:0]).shape == (0, 2)


def test_zeros_of_both_signs_are_one_value_and_keys_are_apart() -> None:
    """-0 is 0 in features, targets and weights; another key gives another digest, and so does a value moved to its neighbour column."""
    hasher = RowHasher(b"key")
    zeros = np.zeros((1, 2))
    assert np.array_equal(hasher.digests(-zeros, -zeros, -zeros[:, 0]), hasher.digests(zeros, zeros, zeros[:, 0]))
    assert not (hasher.digests(X, Y) == RowHasher(b"kez").digests(X, Y)).any()
    moved = [hasher.digests(np.array([row]), zeros)[0, 0] for row in ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0])]
    assert len(set(moved)) == 3
    assert hasher.digests(np.zeros((1, 3)), zeros[:, :1])[0, 0] != hasher.digests(zeros, zeros)[0, 0]


def test_every_bit_of_a_row_moves_every_bit_of_its_digest_half_of_the_time() -> None:
    """Over 400 keys each of the 128 bits is flipped by each of 256 bits of a row as often as a coin would, within 6 deviations."""
    bits = X[:1].copy()
    row = np.concatenate([bits, np.ones((1, 1))], axis=1).view(np.uint64)
    changed = np.repeat(row, 256, axis=0)
    changed[np.arange(256), np.arange(256) // 64] ^= np.uint64(1) << (np.arange(256) % 64).astype(np.uint64)
    rows = np.vstack([row, changed]).view(np.float64)
    rows = rows[np.isfinite(rows).all(axis=1)]
    flips = np.zeros((len(rows) - 1, 128))
    for key in range(400):
        digests = RowHasher(key.to_bytes(2, "little")).digests(rows[:, :3], rows[:, 3:])
        flips += np.unpackbits((digests[1:] ^ digests[:1]).view(np.uint8), axis=1)
    assert len(rows) > 250
    assert np.abs(flips - 200).max() < 6 * 10


def structured() -> tuple[Array, Array]:
    """All 10^5 rows of small integers: neighbours differ in few bits, and most of their bits are zero."""
    rows = np.array(list(product(range(10), repeat=5)), dtype=np.float64)
    return rows[:, :4], rows[:, 4:]


def test_rows_like_one_another_have_different_digests_and_fall_evenly() -> None:
    """10^5 rows of digits: no two halves are equal, and bytes are uniform by the chi-squared test, though a lattice went in."""
    digests = RowHasher(b"key").digests(*structured())
    for half in digests.T:
        assert len(np.unique(half)) == len(half)
    for place in digests.view(np.uint8).T:
        assert stats.chisquare(np.bincount(place, minlength=256)).pvalue > 1e-6


@pytest.mark.parametrize("folds", [2, 5, 10, 97])
def test_folds_are_even_and_belong_to_the_row(folds: int) -> None:
    """Fold sizes are those of chance, also among rows of the same last value; rows given twice, in another order, keep their fold."""
    rows, targets = structured()
    fold = fold_of(rows, targets, folds=folds)
    assert stats.chisquare(np.bincount(fold, minlength=folds)).pvalue > 1e-6
    assert np.array_equal(fold_of(rows[::-1], targets[::-1], np.ones(len(rows)), folds=folds)[::-1], fold)
    runs = np.array([np.bincount(fold[i::10], minlength=folds) for i in range(10)])
    assert stats.chi2_contingency(runs).pvalue > 1e-6
    assert int(fold[12345]) == hashed(b"plumbline folds 1", rows[12345].tolist(), targets[12345].tolist(), 1.0)[0] % folds
