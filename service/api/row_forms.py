"""The wire forms that row protocols share: lists of rows, objects by name and tensors in, one value or one object per row out."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import simdjson

from service.documents import Document
from service.regression.columns import Column
from service.rows import Rows, rows_of
from service.serving.predictor import PER_ROW, Prediction

PREDICT = "predict"  # what the prediction itself is called beside others


def row_form(document: Document, member: str, features: Sequence[str]) -> Rows:
    """`member`, a list of instances: objects by feature name, rows of values, or for a model of one feature bare values.

    Raises:
        Invalid: it is none of these, or ragged; what is wrong is named.
    """
    if document.first_is(member, dict):
        return unwrapped(document.named(member, features))
    value = document.members[member]
    if len(features) == 1 and isinstance(value, simdjson.Array) and len(value) and not document.first_is(member, list):
        return rows_of(features, [document.column(member)], lambda row, _: member if row is None else f"{member}[{row}]")
    return document.positional(member, features)


def tensor_form(document: Document, member: str, features: Sequence[str]) -> Rows:
    """`member`, the inputs of a model: one tensor by feature name, [n] or [n, 1] each, or all in one, [n, p].

    Raises:
        Invalid: as `row_form`.
    """
    if isinstance(document.members[member], simdjson.Object):
        return unwrapped(document.columns(member, features))
    return row_form(document, member, features)


def unwrapped(rows: Rows) -> Rows:
    """Rows in which each value may stand in a list of its own, as it does where every feature is a tensor."""
    if isinstance(rows.data, np.ndarray):
        return rows
    return replace(rows, data={name: _bare(column) for name, column in rows.data.items()})


def _bare(column: Column) -> Column:
    if isinstance(column, list) and column and all(isinstance(cell, list) and len(cell) == 1 for cell in column):
        return [cell[0] for cell in column]
    return column


def values(predicted: Prediction, name: str = "predictions") -> Any:
    """A member of a prediction for JSON: [n] for one target or for what has none, else [n, t]."""
    found = getattr(predicted, name)
    return found if found.ndim == 1 else np.ascontiguousarray(found[:, 0] if len(predicted.targets) == 1 else found)


def by_row(predicted: Prediction) -> Any:
    """The predictions, one element per row; an object per row where more was asked for than they."""
    if not _more(predicted):
        return values(predicted)
    columns = {name: column.tolist() for name, column in _by_name(predicted).items()}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if predicted.contributions is not None:
        return [row | parts for row, parts in zip(rows, explanations(predicted), strict=True)]
    return rows


def by_name(predicted: Prediction) -> Any:
    """The predictions; an object of them and of what was asked for with them by name, each with one element per row."""
    if not _more(predicted):
        return values(predicted)
    columns = _by_name(predicted)
    if predicted.contributions is not None:
        columns["baseline"], columns["contributions"] = _baseline(predicted), _contributions(predicted)
    return columns


def explanations(predicted: Prediction) -> list[dict[str, Any]]:
    """For each row its `contributions` by design column, which with `baseline` add up to its prediction; these must have been asked for."""
    baseline, columns = _baseline(predicted), {name: column.tolist() for name, column in _contributions(predicted).items()}
    rows = zip(*columns.values(), strict=True) if columns else [()] * len(predicted.predictions)
    return [{"baseline": baseline, "contributions": dict(zip(columns, row, strict=True))} for row in rows]


def _more(predicted: Prediction) -> bool:
    return any(getattr(predicted, name) is not None for name in PER_ROW[1:])


def _by_name(predicted: Prediction) -> dict[str, Any]:
    """Everything of a prediction that has one element per row, but for contributions."""
    names = [name for name in PER_ROW if name != "contributions" and getattr(predicted, name) is not None]
    return {PREDICT if name == "predictions" else name: values(predicted, name) for name in names}


def _baseline(predicted: Prediction) -> Any:
    """The prediction at the training means: a number for one target, else [t]."""
    baseline = predicted.baseline
    return None if baseline is None else baseline.tolist() if len(predicted.targets) > 1 else float(baseline[0])


def _contributions(predicted: Prediction) -> dict[str, Any]:
    """By design column, what it adds: [n] for one target, else [n, t]."""
    parts = predicted.contributions
    if parts is None:
        return {}
    one = len(predicted.targets) == 1
    return {name: np.ascontiguousarray(parts[:, j, 0] if one else parts[:, j]) for j, name in enumerate(predicted.columns)}
