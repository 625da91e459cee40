"""Moments against rational arithmetic, and the laws by which they add, forget and merge."""

import functools
import itertools
from fractions import Fraction

import exact
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from service.regression import digits, limbs, narrow, products
from service.regression import double_double as dd
from service.regression.grid import DEFAULT_RESOLUTION, place
from service.regression.limbs import BITS, HALF
from service.regression.moments import Moments

Array = NDArray[np.float64]

any_float = st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=True)
ordinary = st.one_of(
    st.floats(-1e6, 1e6), any_float, st.integers(-100, 100).map(float), st.sampled_from([0.0, -0.0, 0.1, 1.0, 2.0**-40, 1e15])
)


def rows(elements: st.SearchStrategy[float], features: int = 2, most: int = 12) -> st.SearchStrategy[Array]:
    """Matrices [k, features + 1]: rows of features and one target."""
    return st.integers(1, most).flatmap(lambda k: hnp.arrays(np.float64, (k, features + 1), elements=elements))


def learned(Z: Array, **options: object) -> Moments:
    moments = Moments(Z.shape[1] - 1, 1, **options)  # type: ignore[arg-type]
    moments.add(Z[:, :-1], Z[:, -1:])
    return moments


def entries(moments: Moments) -> list[list[Fraction]]:
    q = 1 + moments.features + moments.targets
    return [[moments.entry(i, j) for j in range(i + 1)] for i in range(q)]


@given(Z=rows(any_float))
@settings(max_examples=150, deadline=None)
def test_every_entry_is_the_rational_sum_for_any_float64(Z: Array) -> None:
    """From subnormals to 1e308, each entry equals the sum of products of the values rounded to the resolution, in rationals."""
    moments = learned(Z)
    assert entries(moments) == exact.gram(Z[:, :-1], Z[:, -1:], moments.resolution.tolist())


@given(Z=rows(any_float), resolution=st.lists(st.integers(-1074, 40), min_size=4, max_size=4))
@settings(max_examples=100, deadline=None)
def test_every_entry_is_the_rational_sum_in_any_frame(Z: Array, resolution: list[int]) -> None:
    """A declared resolution, however it lies to the data, rounds each value once, ties to even, and nothing else."""
    moments = learned(Z, resolution=resolution)
    assert entries(moments) == exact.gram(Z[:, :-1], Z[:, -1:], resolution)


def check_sums(moments: Moments, Z: Array, chosen: list[int]) -> None:
    """The sums of products of the chosen columns are those of their rationals."""
    columns = {j: [exact.rounded(v, DEFAULT_RESOLUTION) for v in Z[:, j].tolist()] for j in chosen}
    for i, j in itertools.combinations_with_replacement(chosen, 2):
        assert moments.entry(i + 1, j + 1) == sum(a * b for a, b in zip(columns[i], columns[j], strict=True))


@pytest.mark.parametrize("features", [3, 80])
@pytest.mark.parametrize("value", [1.0, 2.0**21 - 1, np.nextafter(4.0, 0.0), 1e300, 5e-324])
def test_rows_of_the_largest_digits_stay_exact(value: float, features: int) -> None:
    """Blocks in which every value is the same and every digit as large as it can be, with signs that add or cancel, sum exactly."""
    n = 5000
    Z = np.full((n, features + 1), value)
    Z[:, 1::2] *= -1.0
    Z[n // 2 :, 2] *= -1.0
    moments = learned(Z)
    scaled = exact.rounded(value, int(moments.resolution[1]))
    assert moments.entry(0, 0) == n
    assert moments.entry(1, 1) == n * scaled**2
    assert moments.entry(1, 2) == -n * scaled**2
    assert moments.entry(1, 3) == 0
    assert moments.entry(features, features) == n * scaled**2


@pytest.mark.parametrize("features", [4, 70])
def test_wide_range_columns_stay_exact_over_many_blocks(features: int) -> None:
    """Log-normal columns over forty orders of magnitude, short decimals, integers and float32, in several blocks, sum exactly."""
    rng = np.random.default_rng(features)
    n = 4500
    Z = rng.normal(size=(n, features + 1))
    Z[:, 0] = np.exp(rng.normal(size=n) * 20)
    Z[:, 1] = rng.integers(-9, 9, size=n) / 10
    Z[:, 2] = rng.integers(-(2**40), 2**40, size=n)
    Z[:, 3] = Z[:, 3].astype(np.float32)
    moments = learned(Z)
    columns = [[exact.rounded(v, DEFAULT_RESOLUTION) for v in Z[:, j].tolist()] for j in range(5)]
    for i in range(4):
        for j in range(i + 1):
            assert moments.entry(i + 1, j + 1) == sum(a * b for a, b in zip(columns[i], columns[j], strict=True))


def slices_used(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Into how many slices blocks are cut, once they are."""
    used = set()
    entries = digits._entries
    monkeypatch.setattr(digits, "_entries", lambda *of: (used.add(of[2].layers.slices), entries(*of))[1])
    return used


@pytest.mark.parametrize(("spread", "expected"), [(0.1, 3), (13.0, 4), (36.0, 5)])
@pytest.mark.parametrize("features", [4, 70])
def test_every_number_of_slices_sums_exactly(spread: float, expected: int, features: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values spread evenly over so many powers of two that blocks are cut into three, four and five slices, in blocks of both layouts."""
    used = slices_used(monkeypatch)
    rng = np.random.default_rng(features)
    Z = rng.uniform(1.0, 2.0, size=(3000, features + 1)) * np.exp2(rng.uniform(0, spread, size=(3000, features + 1)))
    Z *= rng.choice([-1, 1], size=Z.shape)
    moments = learned(Z)
    assert used == {expected}
    check_sums(moments, Z, [0, 1, features - 1, features])


@pytest.mark.parametrize("features", [4, 70])
def test_a_block_whose_later_rows_have_more_digits_is_cut_anew(features: int) -> None:
    """Small integers first, which fit one slice; then real numbers, and then some of all magnitudes, among them one far above the rest."""
    rng = np.random.default_rng(features)
    Z = rng.normal(size=(1500, features + 1))
    Z[:1000] = rng.integers(-9, 9, size=(1000, features + 1))
    Z[1300:] *= np.exp2(rng.uniform(-40, 0, size=(200, features + 1)))
    Z[1400, 1] = 2.0**60
    moments = learned(Z)
    check_sums(moments, Z, [0, 1, features - 1, features])


@pytest.mark.parametrize("features", [4, 70])
def test_many_digits_of_one_column_outside_of_the_slices_sum_exactly(features: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of a column lies sixty powers of two below the rest of it, beside columns in three slices; nothing cancels."""
    used = slices_used(monkeypatch)
    n = 5000
    Z = np.random.default_rng(features).uniform(1.0, 2.0, size=(n, features + 1))
    Z[n // 4 : -n // 4, 1] *= 2.0**-60
    moments = learned(Z)
    assert features == 4 or used == {3}
    check_sums(moments, Z, [0, 1, 2, features])


@pytest.mark.parametrize("lowest", [-4, -30, -110])
def test_sums_are_scaled_to_double_double_however_far_apart_they_lie(lowest: int) -> None:
    """Columns of magnitudes that differ by 2^22 a level, so that the smallest only fit float64 when scaled; against rationals."""
    rng = np.random.default_rng(-lowest)
    levels = range(lowest, 3)
    digits = {level: np.tril(rng.integers(-HALF, HALF, size=(3, 3))) for level in levels}
    for level, plane in digits.items():
        plane[1, :2] *= level <= lowest // 2 + 1  # the second column is smaller, the third smaller still
        plane[2] *= level <= lowest + 1
        plane[range(3), range(3)] = np.abs(plane.diagonal())
    result, exponents = limbs.scaled(digits, np.zeros(3, dtype=np.int64))
    for i, j in itertools.product(range(3), repeat=2):
        row, column = max(i, j), min(i, j)
        value = sum(int(digits[level][row, column]) * Fraction(2) ** (BITS * level) for level in levels)
        expected = value / Fraction(2) ** int(exponents[i] + exponents[j])
        assert abs(dd.to_fraction(result.at((i, j))) - expected) <= abs(expected) * Fraction(2) ** -103 + Fraction(2) ** -1074
        assert i != j or Fraction(1, 8) <= expected <= 8


def test_digits_are_placed_above_values_that_a_heavy_tail_has_yet_to_bring() -> None:
    """Of 200,000 log-normal values hardly one lies above the digits that were placed by the first 8,000, and few below three of four."""
    values = np.exp(3 * np.random.default_rng(3).normal(size=(200_000, 1)))
    grid = place(values[:8000].max(axis=0), values[:1000].T, resolution=np.full(1, DEFAULT_RESOLUTION))
    assert (values >= np.ldexp(1.0, grid.tops - 1)).mean() <= 1e-5
    assert (values < np.ldexp(1.0, grid.tops - 35)).mean() <= 1e-3  # 88 bits of four slices, less the 53 of a value


@given(Z=rows(ordinary, most=30), data=st.data())
@settings(max_examples=80, deadline=None)
def test_any_order_chunking_split_and_merge_give_equal_fingerprints(Z: Array, data: st.DataObject) -> None:
    """Permuted rows, cut into chunks dealt to several moments and merged, have the fingerprint and the bytes of one single add."""
    order = data.draw(st.permutations(range(len(Z))))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(Z)), max_size=5)))
    parts = [Moments(2, 1) for _ in range(data.draw(st.integers(1, 4)))]
    for k, chunk in enumerate(np.split(Z[list(order)], cuts)):
        parts[k % len(parts)].add(chunk[:, :-1], chunk[:, -1:], threads=data.draw(st.integers(1, 3)))
    merged = parts[0]
    for part in parts[1:]:
        merged.merge(part)
    assert (merged.fingerprint(), merged.to_bytes()) == (learned(Z).fingerprint(), learned(Z).to_bytes())


@given(Z=rows(ordinary), noise=rows(any_float), data=st.data())
@settings(max_examples=80, deadline=None)
def test_rows_added_and_removed_leave_no_trace(Z: Array, noise: Array, data: st.DataObject) -> None:
    """Whatever is added and removed again, in another order and grouping, the rest is bit for bit what it would have been."""
    frame = [DEFAULT_RESOLUTION] * 4
    moments, expected = learned(Z, resolution=frame), learned(Z, resolution=frame)
    moments.add(noise[:, :-1], noise[:, -1:])
    for index in data.draw(st.permutations(range(len(noise)))):
        moments.remove(noise[index : index + 1, :-1], noise[index : index + 1, -1:])
    assert moments.to_bytes() == expected.to_bytes()
    moments.remove(Z[:, :-1], Z[:, -1:])
    assert (moments.planes, moments.n) == ({}, 0)


def test_fifty_permutations_chunkings_and_shardings_have_one_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Data of unequal scales over many blocks and up to four shards, fifty times, by the loop of ours and by each BLAS: one fingerprint."""
    rng = np.random.default_rng(50)
    X, Y = rng.normal(size=(3000, 5)) * 10.0 ** rng.integers(-8, 8, size=5), rng.normal(size=(3000, 2))
    found = set()
    for trial in range(50):
        monkeypatch.setattr(narrow, "COLUMNS", 0 if trial % 4 else 64)
        order = rng.permutation(len(X))
        shards = [Moments(5, 2, product=(products.syrk, products.torch_gemm, exact.scipy_syrk)[trial % 3]) for _ in range(1 + trial % 4)]
        for k, chunk in enumerate(np.array_split(order, rng.integers(1, 60))):
            shards[k % len(shards)].add(X[chunk], Y[chunk], threads=1 + trial % 2)
        functools.reduce(lambda merged, shard: merged.merge(shard) or merged, shards)
        found.add(shards[0].fingerprint(b"names"))
    assert len(found) == 1


def test_equal_scales_give_equal_frames_whatever_comes_first() -> None:
    """Columns from 1e-50 to 1e300, first batches a thousand times smaller than the rest or all zero: one frame and one fingerprint."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(40, 4)) * [1e-50, 1.0, 1e9, 1e300]
    X[:10] *= 1e-3
    X[:5, 1] = 0.0
    Y = rng.normal(size=(40, 1))
    forward, backward = Moments(4, 1), Moments(4, 1)
    for chunk in (slice(0, 5), slice(5, 10), slice(10, 40)):
        forward.add(X[chunk], Y[chunk])
    backward.add(X[::-1], Y[::-1])
    assert forward.resolution.tolist() == backward.resolution.tolist() == [DEFAULT_RESOLUTION] * 6
    assert forward.fingerprint() == backward.fingerprint()


def test_a_declared_resolution_keeps_tiny_columns_to_the_last_bit() -> None:
    """Values near 1e-300 round away under the default resolution and are summed exactly under the finest."""
    Z = np.array([[1.1e-30, 1.3e-300, 1.0], [-2.7e-31, 5.5e-299, 2.0]])
    assert entries(learned(Z))[2] == [0, 0, 0]
    assert entries(learned(Z, resolution=[-1074] * 4)) == exact.gram(Z[:, :2], Z[:, 2:], [-1074] * 4)


def test_forgetting_is_bit_equal_to_retraining_even_after_an_outlier() -> None:
    """40 % of the rows, among them values of 1e9 and 1e30, are removed: bytes equal those of a training without them."""
    rng = np.random.default_rng(40)
    X, Y = rng.normal(size=(1000, 6)), rng.normal(size=(1000, 1))
    X[700], X[900, 0] = 1e9, 1e30
    moments, retrained = Moments(6, 1), Moments(6, 1)
    moments.add(X, Y)
    moments.remove(X[600:], Y[600:])
    retrained.add(X[:600], Y[:600])
    assert moments.to_bytes() == retrained.to_bytes()


@given(Z=rows(ordinary), weights=hnp.arrays(np.float64, 12, elements=st.floats(1e-6, 1e6)))
@settings(max_examples=50, deadline=None)
def test_weights_multiply_rows_by_their_roots_rounding_each_value_once(Z: Array, weights: Array) -> None:
    """Weighted entries are the rational sums over the float64 products sqrt(w) z; rows of weight zero do not count."""
    Z, w = np.clip(Z, -1e300, 1e300), weights[: len(Z)]
    moments = Moments(2, 1)
    moments.add(Z[:, :-1], Z[:, -1:], weights=w)
    moments.add(Z[:, :-1], Z[:, -1:], weights=np.zeros(len(Z)))
    assert entries(moments) == exact.gram(Z[:, :-1], Z[:, -1:], moments.resolution.tolist(), w)
    assert moments.n == len(Z)
    moments.remove(Z[:, :-1], Z[:, -1:], weights=w)
    assert moments.planes == {}


@given(Z=rows(ordinary, features=4))
@settings(max_examples=40, deadline=None)
def test_selected_columns_are_those_that_would_have_been_learned_alone(Z: Array) -> None:
    """Dropping, keeping and reordering columns needs no rows: the bytes equal a training on those columns."""
    frame = np.arange(6) - 170
    whole = learned(Z, resolution=frame)
    alone = Moments(2, 1, resolution=frame[[0, 4, 2, 5]])
    alone.add(Z[:, [3, 1]], Z[:, 4:])
    assert whole.select([3, 1], [0]).to_bytes() == alone.to_bytes()


@given(Z=rows(any_float), more=rows(ordinary))
@settings(max_examples=60, deadline=None)
def test_stored_moments_live_on_as_if_they_had_never_been_stored(Z: Array, more: Array) -> None:
    """Bytes and back keep every entry, and what is added afterwards leads to the same bytes."""
    frame = [DEFAULT_RESOLUTION] * 4
    moments = learned(Z, resolution=frame)
    restored = Moments.from_bytes(moments.to_bytes())
    assert entries(restored) == entries(moments)
    for each in (moments, restored):
        each.add(more[:, :-1], more[:, -1:])
    assert restored.to_bytes() == moments.to_bytes()


def _restored_fingerprint(data: bytes) -> str | None:
    """None where the bytes are refused as they should be, by a ValueError that speaks of moments."""
    try:
        return Moments.from_bytes(data).fingerprint()
    except ValueError as error:
        return None if "moments" in str(error) else "refused for a wrong reason"


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_damaged_bytes_are_refused(data: st.DataObject) -> None:
    """Truncated or altered files raise ValueError or, where a digit changed into another, differ in their fingerprint."""
    moments = learned(np.arange(12.0).reshape(4, 3))
    stored = bytearray(moments.to_bytes())
    position = data.draw(st.integers(0, len(stored) - 1))
    stored[position] ^= data.draw(st.integers(1, 255))
    outcome = _restored_fingerprint(bytes(stored))
    assert outcome is None or outcome != moments.fingerprint() or Moments.from_bytes(bytes(stored)).to_bytes() == moments.to_bytes()
    with pytest.raises(ValueError, match="not stored moments"):
        Moments.from_bytes(bytes(stored[: position // 2]))


def test_fingerprints_tell_apart_what_differs() -> None:
    """Another row, row count, resolution, column or context gives another fingerprint; minus zero is zero."""
    Z = np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])
    zero_row = np.vstack([Z, np.zeros((1, 3))])
    different = [
        learned(Z).fingerprint(),
        learned(Z + 1).fingerprint(),
        learned(zero_row).fingerprint(),
        learned(Z, resolution=[-100] * 4).fingerprint(),
        learned(Z[:, [1, 0, 2]]).fingerprint(),
        learned(Z).fingerprint(b"x"),
    ]
    assert len(set(different)) == 6
    assert learned(np.where(Z == 0, -0.0, Z)).fingerprint() == different[0]


@pytest.mark.parametrize(
    ("X", "Y", "weights", "message"),
    [
        ([[1.0, 2.0]], [[np.nan]], None, r"Y\[0, 0\] is not a finite number: drop the row or fill in a value."),
        ([[1.0, np.inf]], [[0.0]], None, r"X\[0, 1\] is not a finite number: drop the row or fill in a value."),
        ([[1.0]], [[0.0]], None, r"X has shape \(1, 1\) and Y \(1, 1\), expected \(1, 2\) and \(1, 1\)."),
        ([[1.0, 2.0]], [[0.0]], [-1.0], "weights must be 1 finite numbers, none of them negative."),
        ([[1.0, 1e300]], [[0.0]], [1e30], "Values times the roots of their weights leave the range of float64: scale the weights down."),
    ],
)
def test_bad_rows_are_refused_and_change_nothing(X: list[object], Y: list[object], weights: list[float] | None, message: str) -> None:
    """The error says what and where, and the moments are those from before."""
    moments = learned(np.ones((2, 3)))
    before = moments.to_bytes()
    with pytest.raises(ValueError, match=message):
        moments.add(np.array(X), np.array(Y), weights=None if weights is None else np.array(weights))
    assert moments.to_bytes() == before


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("features", "threads"), [(3, 1), (3, 2), (80, 1)])
def test_a_number_that_is_not_finite_is_found_wherever_it_stands(value: float, features: int, threads: int) -> None:
    """Far down in a batch, before and after the digits have their place: the cell is named, and the moments stay as they were."""
    rng = np.random.default_rng(302)
    X, Y = rng.normal(size=(30_000, features)), rng.normal(size=(30_000, 1))
    moments = Moments(features, 1)
    X[29_001, 2] = value
    with pytest.raises(ValueError, match=r"^X\[29001, 2\] is not a finite number: drop the row or fill in a value\.$"):
        moments.add(X, Y, threads=threads)
    assert (moments.n, moments.planes) == (0, {})
    X[29_001, 2] = 1.0
    moments.add(X, Y, threads=threads)
    before = moments.fingerprint()
    Y[12_500] = value
    with pytest.raises(ValueError, match=r"^Y\[12500, 0\] is not a finite number"):
        moments.add(X, Y, threads=threads)
    assert (moments.n, moments.fingerprint()) == (30_000, before)


def test_rows_never_added_are_refused_where_sums_can_tell() -> None:
    """More rows than there are, or a negative sum of squares, cannot be removed; the moments stay as they were."""
    moments = learned(np.ones((2, 3)))
    before = moments.to_bytes()
    with pytest.raises(ValueError, match=r"3 rows cannot be removed: only 2 were added."):
        moments.remove(np.ones((3, 2)), np.ones((3, 1)))
    with pytest.raises(ValueError, match="never added"):
        moments.remove(np.full((1, 2), 9.0), np.ones((1, 1)))
    assert moments.to_bytes() == before


def test_moments_of_other_columns_or_frames_do_not_merge() -> None:
    """The error says which and what to do."""
    with pytest.raises(ValueError, match=r"2 features and 1 targets, the others 1 and 1: merge moments of the same columns."):
        learned(np.ones((2, 3))).merge(learned(np.ones((2, 2))))
    with pytest.raises(ValueError, match="train one of them in the frame of the other"):
        learned(np.ones((2, 3))).merge(learned(np.ones((2, 3)), resolution=[-60] * 4))


def _strassen(S: Array, out: Array) -> None:
    """One level of Strassen's recombination, as a library might use for square shapes."""
    m, k = S.shape[0] // 2 * 2, S.shape[1] // 2 * 2
    T = np.ascontiguousarray(S.T)
    out[:] = S @ T
    if m < 2 or k < 2:
        return
    h, d = m // 2, k // 2
    a, b, c, e = S[:h, :d], S[:h, d:k], S[h:m, :d], S[h:m, d:k]
    p, q, r, s = T[:d, :h], T[:d, h:m], T[d:k, :h], T[d:k, h:m]
    m1, m2, m3, m4 = (a + e) @ (p + s), (c + e) @ p, a @ (q - s), e @ (r - p)
    m5, m6, m7 = (a + b) @ s, (c - a) @ (p + q), (b - e) @ (r + s)
    out[:m, :m] = np.block([[m1 + m4 - m5 + m7, m3 + m5], [m2 + m4, m1 - m2 + m3 + m6]])
    out[:m, :m] += S[:m, k:] @ T[k:, :m]


def _reduced(S: Array, out: Array) -> None:
    """float32 arithmetic under float64's name, as where reduced precision is switched on."""
    out[:] = S.astype(np.float32) @ S.astype(np.float32).T


def _off_by_one(S: Array, out: Array) -> None:
    """One sum of the last row wrong by one."""
    products.syrk(S, out)
    out[-1, 0] += 1


def _lower_alone(S: Array, out: Array) -> None:
    """A product that leaves the upper triangle as it was."""
    out[:] = np.nan
    lower = np.tril_indices(len(S))
    out[lower] = (S @ S.T)[lower]


@pytest.mark.parametrize("product", [products.syrk, products.torch_gemm, exact.scipy_syrk, _lower_alone])
def test_this_machine_multiplies_integers_exactly(product: products.Product) -> None:
    """Every BLAS that may form the products passes the start-up test."""
    assert products.self_test(product) is None


@pytest.mark.parametrize("product", [_strassen, _reduced, _off_by_one])
def test_products_that_round_are_refused_with_advice(product: products.Product) -> None:
    """Strassen's recombination and reduced-precision arithmetic do not pass the start-up test."""
    refused = products.self_test(product)
    assert refused is not None
    assert "is not exact on integers below 2^53" in refused
    assert "use the CPU" in refused


@pytest.mark.parametrize("rows", [4095, 4097, 20_483, 70_001])
def test_blocks_of_any_length_and_of_the_largest_digits_sum_exactly(rows: int) -> None:
    """Lengths that cannot be parted equally; where digits are placed for smaller values, many squares together pass 2^53."""
    rng = np.random.default_rng(rows)
    first = rng.integers(-(2**40), 2**40, size=(64, 2))
    first[0] = 2**43 - 1
    large = np.arange(rows)[:, None] // 4096 % 3 == 0
    X = np.where(large, 2**43 - 1 - rng.integers(0, 2**40, size=(rows, 2)), rng.integers(-1000, 1000, size=(rows, 2)))
    y = rng.integers(-5, 5, size=(rows + 64, 1))
    moments = Moments(2, 1)
    moments.add(first.astype(np.float64), y[:64].astype(np.float64))
    moments.add(X.astype(np.float64), y[64:].astype(np.float64), threads=2)
    Z = np.hstack([np.ones((rows + 64, 1), dtype=np.int64), np.vstack([first, X]), y]).astype(object)
    assert all(moments.entry(i, j) == Z[:, i] @ Z[:, j] for i in range(4) for j in range(4))
