"""The compiled loops, in every width of vectors that this processor has, against numpy and rationals, in whatever order rows lie."""

import itertools
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import exact
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from service.regression import kernels
from service.regression.kernels import Layers, Outside
from service.regression.limbs import BITS, HALF
from service.regression.moments import Moments
from service.regression.products import self_test, syrk
from service.regression.row_digests import RowHasher

Array = NDArray[np.float64]

WIDTHS = {"x86_64_v2": "DEFAULT", "x86_64_v3": "AVX2", "x86_64_v4": "AVX512"}
COMPILED = sorted(path.name.split(".")[1] for path in Path(kernels.__file__).parent.glob("kernels.*.so"))
HERE = list(WIDTHS.values()).index(torch.backends.cpu.get_cpu_capability()) if set(COMPILED) == set(WIDTHS) else 0
LEVELS = list(WIDTHS)[: HERE + 1] if set(COMPILED) == set(WIDTHS) else COMPILED
BASE = 1 << BITS


@pytest.fixture(params=LEVELS)
def level(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The kernels compiled for one width of vectors, in use."""
    monkeypatch.setattr(kernels, "_level", lambda: request.param)
    return request.param


def numbers(rows: int, features: int) -> Array:
    """Rows [rows, features + 1] with digits in, above and below of three slices."""
    rng = np.random.default_rng(rows + features)
    Z = rng.normal(size=(rows, features + 1))
    Z[rng.integers(0, rows, 9), rng.integers(0, features + 1, 9)] *= 2.0 ** rng.integers(-70, 70, 9)
    Z[0, 0], Z[1, 1] = -0.0, 2.0**-300
    return Z


def laid_out() -> dict[str, Callable[[Array], Array]]:
    """Ways in which the same matrix may lie in memory."""

    def unaligned(Z: Array) -> Array:
        memory = np.empty(Z.nbytes + 1, dtype=np.uint8)[1:]
        memory[:] = np.frombuffer(Z.tobytes(), dtype=np.uint8)
        return memory.view(np.float64).reshape(Z.shape)

    return {
        "by columns": np.asfortranarray,
        "every other column": lambda Z: np.repeat(Z, 2, axis=1)[:, ::2],
        "every third row": lambda Z: np.repeat(Z, 3, axis=0)[::3],
        "backwards": lambda Z: np.ascontiguousarray(Z[::-1, ::-1])[::-1, ::-1],
        "big-endian": lambda Z: Z.astype(">f8"),
        "unaligned": unaligned,
    }


def test_all_levels_are_compiled_and_this_processor_uses_its_own() -> None:
    """`make kernels` leaves one library for each width, and torch's word chooses among them."""
    assert COMPILED in (sorted(WIDTHS), ["baseline"])
    assert kernels._level() == LEVELS[-1]


@pytest.mark.parametrize("features", [3, 70])
@pytest.mark.parametrize("weighted", [False, True])
def test_sums_are_rational_at_every_width(level: str, features: int, *, weighted: bool) -> None:
    """Sums of numbers with strays on both sides, narrow and wide, with weights and without, equal those of rationals."""
    Z = numbers(700, features)
    weights = np.random.default_rng(7).uniform(0.1, 9.0, len(Z)) if weighted else None
    moments = Moments(features, 1)
    moments.add(Z[:, :-1], Z[:, -1:], weights=weights)
    Z = Z if weights is None else Z * np.sqrt(weights)[:, None]
    columns = {j: [exact.rounded(v, int(moments.resolution[0])) for v in Z[:, j].tolist()] for j in (0, 1, 2, features)}
    for i, j in itertools.combinations_with_replacement(columns, 2):
        assert moments.entry(i + 1, j + 1) == sum((a * b for a, b in zip(columns[i], columns[j], strict=True)), Fraction(0))


@pytest.mark.parametrize("layout", laid_out())
@pytest.mark.parametrize("features", [3, 70, 300])
def test_rows_count_alike_however_they_lie_in_memory(level: str, features: int, layout: str) -> None:
    """Fortran's order, steps, backwards, foreign bytes and odd addresses: fingerprints and digests are those of plain rows."""
    Z = numbers(600, features)
    moved = laid_out()[layout](Z)
    assert np.array_equal(moved, Z)
    plain, other = Moments(features, 1), Moments(features, 1)
    plain.add(Z[:, :-1], Z[:, -1:])
    other.add(moved[:, :-1], moved[:, -1:])
    assert other.fingerprint() == plain.fingerprint()
    digests = RowHasher(b"key").digests(Z[:, :-1], Z[:, -1:])
    assert np.array_equal(RowHasher(b"key").digests(moved[:, :-1], moved[:, -1:]), digests)


def test_every_width_gives_the_same_bits() -> None:
    """Fingerprints, and digests of weighted rows, from each library."""
    Z = numbers(3000, 80)
    found = set()
    for level in LEVELS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernels, "_level", lambda level=level: level)
            moments = Moments(80, 1)
            moments.add(Z[:, :-1], Z[:, -1:], weights=np.abs(Z[:, 0]))
            found.add((moments.fingerprint(), RowHasher(b"key").digests(Z[:, :-1], Z[:, -1:], Z[:, 0]).tobytes()))
    assert len(found) == 1


def check_digits(digits: Array, outside: Outside, numbers: Array) -> None:
    """Digits [slices, n, q] are integers within 2^21, and those of a number sum with what is left of it to the number."""
    assert (np.abs(digits) <= HALF).all()
    assert np.array_equal(digits, np.rint(digits))
    left = np.zeros(numbers.shape)
    left.ravel()[outside.below] = outside.left
    for row, column in zip(*(np.random.default_rng(1).integers(0, n, 200) for n in numbers.shape), strict=True):
        parts = [*digits[:, row, column].tolist(), left[row, column]]
        assert sum(Fraction(part) / BASE**place for place, part in enumerate(parts)) == Fraction(numbers[row, column])


SHAPES = [(1, 1), (31, 5), (513, 3), (40, 510), (40, 511), (33, 600)]


@pytest.mark.parametrize("slices", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("shape", SHAPES)
def test_rows_are_cut_into_what_makes_up_each_number(level: str, shape: tuple[int, int], slices: int) -> None:
    """Row by row, three slices by their values at five points; nothing around their memory is touched."""
    rows, features = shape
    X = np.random.default_rng(slices).uniform(-1, 1, size=(rows, features)) * HALF
    Y = np.full((rows, 1), 0.5)
    memory = np.full((7 if slices == 3 else slices + 2, rows, features + 2), 1e300)
    digits = memory[1:-1]
    outside = kernels.cut(X, Y, None, np.ones(features + 2), Layers(digits, slices, evaluated=slices == 3), most=rows * (features + 2))
    assert outside is not None
    assert (memory[[0, -1]] == 1e300).all()
    if slices == 3:
        first, two, last, plus, minus = digits
        digits = np.stack([first, (plus - minus) / 2, last])
        assert np.array_equal(two, 4 * first + 2 * digits[1] + last)
        assert np.array_equal(plus + minus, 2 * (first + last))
    check_digits(digits, outside, np.hstack([np.ones((rows, 1)), X, Y]))


@pytest.mark.parametrize("slices", [1, 2, 3, 5])
@pytest.mark.parametrize("shape", SHAPES[:3])
def test_products_of_stacked_slices_are_those_of_integers(level: str, shape: tuple[int, int], slices: int) -> None:
    """Sums of products against numpy's of the digits cut row by row; rows with digits outside are kept, and no others."""
    rows, features = shape
    q = features + 2
    X = np.random.default_rng(slices).integers(-(2**40), 2**40, size=(rows, features)) / 2.0**20
    X[::7, 0] += 2.0**-30 * np.arange(1, len(X[::7]) + 1)
    X[rows // 2, 0] = 2.0**30
    Y = np.full((rows, 1), 0.5)
    by_row = Layers(np.empty((slices, rows, q)), slices)
    assert kernels.cut(X, Y, None, np.ones(q), by_row, most=rows * (features + 2)) is not None
    stack = by_row.array.swapaxes(1, 2).reshape(slices * q, rows).astype(np.int64)
    products, outside = kernels.gram(X, Y, None, np.ones(q), slices=slices, most=rows * (features + 2))
    assert np.array_equal(np.tril(products), np.tril(stack @ stack.T))
    assert outside is not None
    assert outside.rows is not None
    assert np.array_equal(outside.layers.array, by_row.array[:, outside.rows])
    assert set(outside.rows.tolist()) == {row for row in range(rows) if X[row, 0] == 2.0**30 or (X[row] * BASE ** (slices - 1) % 1).any()}
    assert outside.rows[outside.above // q].tolist() == [rows // 2]


def test_the_largest_digits_of_a_strip_sum_exactly(level: str) -> None:
    """512 squares of 2^21, the most that are summed in float64 at once, with a last one that makes the sum odd."""
    X = np.full((512, 1), float(HALF))
    X[-1] = HALF - 1
    products, outside = kernels.gram(X, X, None, np.ones(3), slices=1, most=0)
    assert outside is not None
    assert int(products[1, 1]) == 511 * HALF**2 + (HALF - 1) ** 2 == int(products[2, 1])


@pytest.mark.parametrize("narrow", [False, True])
def test_a_block_with_too_much_left_is_given_up(level: str, *, narrow: bool) -> None:
    """As soon as more numbers have digits below than were allowed, nothing is told of them; as many as allowed are."""
    X, Y = np.full((50, 2), 1 / 3), np.zeros((50, 1))

    def cut(most: int) -> Outside | None:
        if narrow:
            return kernels.gram(X, Y, None, np.ones(4), slices=1, most=most)[1]
        return kernels.cut(X, Y, None, np.ones(4), Layers(np.empty((1, 50, 4)), 1), most=most)

    assert cut(most=99) is None
    outside = cut(most=100)
    assert outside is not None
    assert sorted(outside.below.tolist()) == [4 * row + column for row in range(50) for column in (1, 2)]


def test_kernels_that_are_missing_are_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """The start-up test says which file, and how to make it."""
    assert self_test(syrk) is None
    monkeypatch.setattr(kernels, "_level", lambda: "other")
    assert self_test(syrk) == "kernels.other.so is missing: compile it with `make kernels`."


@pytest.mark.parametrize(("targets", "weights"), [(4, None), (6, None), (5, 4), (5, 6)])
def test_rows_that_are_not_equally_many_are_refused(targets: int, weights: int | None) -> None:
    """Nothing is read beyond the end of the shorter ones."""
    with pytest.raises(ValueError, match="they must be equally many"):
        RowHasher(b"key").digests(np.ones((5, 2)), np.ones((targets, 1)), None if weights is None else np.ones(weights))
