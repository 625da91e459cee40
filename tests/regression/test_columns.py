"""Columns as callers hand them over: what is a number, a category, a gap, and what is refused where."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from service.regression.columns import MISSING, UNSEEN, RowError, RowErrors, all_finite, codes, is_text, label, labels, numbers

NAN = math.nan


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.5, -0.0, 3], [1.5, 0.0, 3.0]),
        ([1, None, NAN], [1.0, NAN, NAN]),
        ([2**53, -(2**53)], [2.0**53, -(2.0**53)]),
        ([], []),
        (np.array([1.5, NAN]), [1.5, NAN]),
        (np.array([1.5], dtype=np.float32), [1.5]),
        (np.array([1, 2**53], dtype=np.uint64), [1.0, 2.0**53]),
        (np.array([], dtype=np.int64), []),
        (np.array([1, None, 2.5], dtype=object), [1.0, NAN, 2.5]),
        ([np.float64(2.5), np.int32(3)], [2.5, 3.0]),
    ],
)
def test_numbers_come_out_as_float64_with_gaps_as_nan(values: Any, expected: list[float]) -> None:
    """Lists and arrays of any numeric kind, None and NaN alike missing."""
    found, errors = numbers("area", values)
    assert errors == []
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, expected)


def test_a_float64_array_is_not_copied() -> None:
    """The common case costs nothing."""
    values = np.array([1.0, 2.0])
    assert numbers("area", values)[0] is values


@pytest.mark.parametrize(
    ("values", "errors"),
    [
        (["1", 2.0, True], [(0, "area", "must be a number"), (2, "area", "must be a number")]),
        (np.array(["1"]), [(0, "area", "must be a number")]),
        (np.array([True, False]), [(0, "area", "must be a number"), (1, "area", "must be a number")]),
        ([1, 2**53 + 1], [(1, "area", "must be a number that float64 holds exactly; whole numbers end at 2^53")]),
        ([10**400], [(0, "area", "must be a number that float64 holds exactly; whole numbers end at 2^53")]),
        (np.array([-(2**60)]), [(0, "area", "must be a number that float64 holds exactly; whole numbers end at 2^53")]),
        ([1.0, math.inf], [(1, "area", "must be a finite number")]),
        (["1", -math.inf], [(0, "area", "must be a number"), (1, "area", "must be a finite number")]),
        (["x"] * 50, [(row, "area", "must be a number") for row in range(20)]),
    ],
)
def test_what_is_no_number_is_refused_by_row_and_column(values: Any, errors: list[tuple[int, str, str]]) -> None:
    """Each fault has its row, its column and what must be there; no fault is also a gap; an exception carries 20 of them."""
    found, wrong = numbers("area", values)
    assert not np.isnan(found).any()
    assert RowErrors(wrong).errors == [RowError(*error) for error in errors]


def test_the_text_of_the_errors_names_rows_and_columns() -> None:
    """A caller that only prints the exception still sees where."""
    errors = RowErrors([RowError(3, "area", "must be a number"), RowError(None, "zip", "is missing")])
    assert str(errors) == "area[3]: must be a number; zip: is missing"


@pytest.mark.parametrize(
    ("value", "text"),
    [("a", "a"), (10115, "10115"), (10115.0, "10115"), (-0.0, "0"), (0.5, "0.5"), (True, "true"), (None, None), (NAN, None), ("", "")],
)
def test_labels(value: Any, text: str | None) -> None:
    """Numbers that are equal are one category, whatever their type."""
    assert label(value) == text


def test_codes_are_places_among_the_categories() -> None:
    """Known categories by place, gaps and unseen ones by their own codes, for lists and arrays."""
    expected = [1, MISSING, UNSEEN, 0]
    assert codes(["b", None, "c", "a"], ("a", "b")).tolist() == expected
    assert codes(np.array(["b", None, "c", "a"], dtype=object), ("a", "b")).tolist() == expected
    assert codes(np.array([2.0, NAN, 3.0, 1.0]), ("1", "2")).tolist() == expected
    assert list(labels(np.array(["x", "y"]))) == ["x", "y"]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (["a", None], True),
        (["a", NAN], True),
        ([np.str_("a")], True),
        ([np.float64(NAN)], None),
        ([1, 2.0], False),
        ([NAN, 2.0], False),
        ([None, NAN], None),
        ([], None),
        ([True], False),
        (np.array(["a"]), True),
        (np.array([1.0]), False),
        (np.array([NAN]), None),
        (np.array([]), None),
        (np.array(["a", None], dtype=object), True),
    ],
)
def test_text_is_told_from_numbers(values: Any, text: bool | None) -> None:  # noqa: FBT001
    """A column is text, numbers, or all missing."""
    assert is_text("zip", values) is text


def test_text_among_numbers_is_refused_at_the_first_odd_row() -> None:
    """A mixture is nobody's intention: the row that differs from the first is named."""
    with pytest.raises(RowErrors) as caught:
        is_text("zip", [None, 1, 2, "a"])
    message = "text and numbers stand in one column: make them one kind, or declare it categorical"
    assert caught.value.errors == [RowError(3, "zip", message)]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_all_finite_looks_at_a_part_and_at_nothing_but_the_part(value: float) -> None:
    """Whole matrices, parts with what is beside them, transposes, tensors' memory, and numbers whose squares overflow."""
    whole = np.random.default_rng(0).normal(size=(50, 11))
    tensor = torch.zeros(50, 11, dtype=torch.float64)
    for part in (whole, whole[:, :10], whole[:, 7:], whole[::2], whole.T, whole[3:, 1:4].T, tensor.numpy()[:, :10], tensor.T[:10].numpy()):
        assert all_finite(part)
        kept, part[2, 2] = part[2, 2], value
        assert not all_finite(part)
        part[2, 2] = 1e300
        assert all_finite(part)
        part[2, 2] = kept
    whole[7, 10] = value
    assert all_finite(whole[:, :10])
    assert not all_finite(whole[:, 10:])
