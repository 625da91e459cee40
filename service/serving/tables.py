"""A prediction as the columns of a table, which every form of table shows alike."""

from collections.abc import Iterator

import numpy as np

from service.regression.columns import Array
from service.serving.predictor import PER_ROW, Prediction


def columns_of(predicted: Prediction) -> Iterator[tuple[str, Array]]:
    """Each column [n] with its name: `lower`, or `lower.rent` where there are several targets; `contributions.area`."""
    ends = [""] if len(predicted.targets) == 1 else [f".{target}" for target in predicted.targets]
    for name in PER_ROW:
        values = getattr(predicted, name)
        if values is None:
            continue
        if values.ndim == 1:
            yield name, values
        elif values.ndim == 2:
            yield from ((f"{name}{end}", values[:, t]) for t, end in enumerate(ends))
        elif predicted.baseline is not None:
            for end, baseline in zip(ends, predicted.baseline, strict=True):
                yield f"baseline{end}", np.full(len(values), baseline)
            for j, column in enumerate(predicted.columns):
                yield from ((f"{name}.{column}{end}", values[:, j, t]) for t, end in enumerate(ends))
