"""The search for the best subsets of terms, in float64 and many subsets at a time.

Invariant: a subset is reached from the full model by removals, whose sums of squares only add up; a branch is left only where a lower bound
of everything in it is no better than the worst subset kept.

With C the (X'X)^-1 of a model and b its coefficients, removing the columns E adds b_E' (C_EE)^-1 b_E to the sum of squares. Whatever has
been removed before, that is at least |b_E|^2 / l, l being the largest eigenvalue of the full model's C scaled to a diagonal of ones: the
bound of Furnival and Wilson (1974), which knows single removals only, and this one together leave few branches.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.regression.least_squares import Fit
from service.regression.products import Array

Mask = NDArray[np.bool_]
Found = list[tuple[Mask, float, Array]]  # which terms stay [q], the criterion, rss [t]

_BATCH = 128  # subsets worked on at a time
_MOST = 30_000  # subsets opened before the search gives up: about two seconds of 30 collinear terms
_SLACK = 1e-9  # of a criterion, for the rounding of bounds


@dataclass(frozen=True)
class Problem:
    """The full model: C [m, m] scaled to a diagonal of ones, b [m, t] accordingly, rss [t], and which columns each of q terms has.

    ``score`` gives the criterion [..., t] from rss [..., t] and numbers of coefficients [..., 1] or [..., t]: growing and concave in both.
    ``base`` is the number of coefficients that always stay.
    """

    C: Array
    b: Array
    rss: Array
    base: int
    columns: tuple[NDArray[np.int64], ...]
    score: Callable[[Array, NDArray[np.int64]], Array]

    @property
    def sizes(self) -> NDArray[np.int64]:
        return np.array([len(columns) for columns in self.columns], dtype=np.int64)

    def value(self, rss: Array, coefficients: NDArray[np.int64]) -> Array:
        """The criterion [...] of all targets together."""
        total: Array = self.score(rss, coefficients[..., None]).sum(axis=-1)
        return total


def problem_of(fit: Fit, groups: Sequence[Sequence[int]], *, score: Callable[[Array, NDArray[np.int64]], Array]) -> Problem:
    """The search over ``groups`` of independent features of ``fit``, which is none of them perfect."""
    first = int(fit.intercept)
    flat = [first + j for group in groups for j in group]
    W = fit.factor.hi[flat]
    lengths = np.linalg.norm(W, axis=1)
    W = W / lengths[:, None]
    starts = np.cumsum([0, *(len(group) for group in groups)])
    columns = tuple(np.arange(starts[i], starts[i + 1]) for i in range(len(groups)))
    return Problem(W @ W.T, fit.coefficients[flat] / lengths[:, None], fit.rss, first, columns, score)


class _Best:
    """The best subsets seen, each once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: dict[bytes, tuple[Mask, float, Array]] = {}
        self.worst = np.inf

    def offer(self, kept: Mask, value: float, rss: Array) -> None:
        key = kept.tobytes()
        if value >= self.worst or key in self._found:
            return
        self._found[key] = (kept.copy(), value, rss.copy())
        if len(self._found) > self._most:
            del self._found[max(self._found, key=lambda other: self._found[other][1])]
        if len(self._found) == self._most:
            self.worst = max(value for _, value, _ in self._found.values())

    def ranked(self) -> Found:
        return sorted(self._found.values(), key=lambda entry: (entry[1], entry[0].sum()))


def stepwise(problem: Problem, *, most: int) -> tuple[Found, bool]:
    """From the full model, the removal or addition of one term that helps most, until none does; never called exhaustive."""
    best = _Best(most)
    _step(problem, best)
    return best.ranked(), False


def _step(problem: Problem, best: _Best) -> None:
    q, sizes = len(problem.columns), problem.sizes
    kept = np.ones(q, dtype=bool)
    value = float(problem.value(problem.rss, np.array(problem.base + sizes.sum())))
    best.offer(kept, value, problem.rss)
    while True:
        rss = _after_each_move(problem, kept)
        size = problem.base + sizes @ kept + np.where(kept, -sizes, sizes)
        values = problem.value(rss, size)
        for i in np.argsort(values).tolist():
            moved = kept.copy()
            moved[i] = not kept[i]
            best.offer(moved, float(values[i]), rss[i])
        i = int(np.argmin(values)) if q else 0
        if not q or values[i] >= value - _SLACK:
            return
        kept[i], value = not kept[i], float(values[i])


def _after_each_move(problem: Problem, kept: Mask) -> Array:
    """The rss [q, t] after each term has moved out of ``kept`` or into it."""
    inside = np.concatenate([np.full(len(columns), stays) for columns, stays in zip(problem.columns, kept, strict=True)])
    out = np.flatnonzero(~inside)
    E = np.linalg.inv(problem.C[np.ix_(out, out)])  # the Gram of what is out, less what the rest explains
    pull = E @ problem.b[out]
    across = problem.C[:, out]
    C, b = problem.C - across @ E @ across.T, problem.b - across @ pull
    rss = problem.rss + (problem.b[out] * pull).sum(axis=0)
    at = np.full(len(inside), -1)
    at[out] = np.arange(len(out))
    moves = []
    for columns, stays in zip(problem.columns, kept, strict=True):
        if stays:
            moves.append((b[columns] * np.linalg.solve(C[np.ix_(columns, columns)], b[columns])).sum(axis=0))
        else:
            there = at[columns]
            moves.append(-(pull[there] * np.linalg.solve(E[np.ix_(there, there)], pull[there])).sum(axis=0))
    after: Array = np.maximum(rss + np.array(moves).reshape(len(kept), len(rss)), problem.rss)
    return after


class _Node(NamedTuple):
    """A subset whose term ``removed`` is still to be removed from its parent's C, b, rss and terms."""

    bound: float
    C: Array
    b: Array
    rss: Array
    kept: Mask
    removed: int


class _Opened(NamedTuple):
    """A batch of models: C [B, m, m], b [B, m, t], rss [B, t], which terms each has [B, q], and the place of the last one removed [B]."""

    C: Array
    b: Array
    rss: Array
    kept: Mask
    last: NDArray[np.int64]


def branch_and_bound(problem: Problem, *, most: int) -> tuple[Found, bool]:
    """The best subsets of all, and whether that is certain: not where the search gave up."""
    best = _Best(most)
    _step(problem, best)
    strength = [float((b * np.linalg.solve(problem.C[np.ix_(g, g)], b)).sum()) for g in problem.columns for b in [problem.b[g]]]
    order = np.argsort(strength)[::-1]  # the strongest first: few branches without them survive, and those hold most subsets
    columns = tuple(problem.columns[i] for i in order)
    ordered = Problem(problem.C, problem.b, problem.rss, problem.base, columns, problem.score)
    found = _Best(most)
    place = np.argsort(order)
    for kept, value, rss in best.ranked():
        found.offer(kept[order], value, rss)
    largest = float(np.linalg.eigvalsh(problem.C)[-1]) if len(problem.C) else 1.0
    q = len(columns)
    start = _Opened(problem.C[None], problem.b[None], problem.rss[None], np.ones((1, q), dtype=bool), np.array([-1]))
    nodes = _children(ordered, start, largest=largest, best=found)
    opened = 0
    while nodes and opened < _MOST:
        batch, nodes = nodes[-_BATCH:], nodes[:-_BATCH]
        batch = [node for node in batch if node.bound < found.worst - _SLACK]
        if batch:
            opened += len(batch)
            nodes += _children(ordered, _opened(ordered, batch), largest=largest, best=found)
    return [(kept[place], value, rss) for kept, value, rss in found.ranked()], not nodes


def _opened(problem: Problem, batch: Sequence[_Node]) -> _Opened:
    """The nodes after their removals."""
    C, b, rss = (np.stack([getattr(node, part) for node in batch]) for part in ("C", "b", "rss"))
    kept, last = np.stack([node.kept for node in batch]), np.array([node.removed for node in batch])
    kept[np.arange(len(batch)), last] = False
    for step in range(int(problem.sizes[last].max())):
        who = np.flatnonzero(problem.sizes[last] > step)
        column = np.array([problem.columns[i][step] for i in last[who]])
        pivot, across, own = C[who, column, column], C[who, :, column], b[who, column]
        b[who] -= across[:, :, None] * (own / pivot[:, None])[:, None, :]
        C[who] -= across[:, :, None] * (across / pivot[:, None])[:, None, :]
        rss[who] += own * own / pivot[:, None]
        b[who, column], C[who, column], C[who, :, column] = 0.0, 0.0, 0.0
    return _Opened(C, b, rss, kept, last)


def _children(problem: Problem, opened: _Opened, *, largest: float, best: _Best) -> list[_Node]:
    """Offer each node's children, which lack one term after ``last``, and return those below which something better may lie."""
    C, b, rss, kept, last = opened
    q, sizes = len(problem.columns), problem.sizes
    adds = _added(problem, C, b)
    least = np.add.reduceat(np.square(b[:, np.concatenate(problem.columns)]), np.cumsum([0, *sizes[:-1]]), axis=1) / largest
    size = problem.base + kept @ sizes
    may = np.arange(q) > last[:, None]
    values = np.where(may, problem.value(rss[:, None] + adds, size[:, None] - sizes), np.inf)
    for node, i in np.argwhere(values < best.worst).tolist():
        child = kept[node].copy()
        child[i] = False
        best.offer(child, float(values[node, i]), rss[node] + adds[node, i])
    bounds = _bounds(problem, rss, adds, least, size=size)
    open_ = may & (bounds < best.worst - _SLACK) & (np.arange(q) < q - 1)
    nodes = [_Node(float(bounds[n, i]), C[n], b[n], rss[n], kept[n], i) for n, i in np.argwhere(open_).tolist()]
    return sorted(nodes, key=lambda node: -node.bound)


def _bounds(problem: Problem, rss: Array, adds: Array, least: Array, *, size: NDArray[np.int64]) -> Array:
    """Of each child [B, q], a bound of the criterion of all subsets that lack its term and any of the terms after it.

    rss [B, t], adds and least [B, q, t], size [B]. Of all subsets of so many columns, those that lack the terms which add least by the
    column have the lowest bound; the fractional knapsack says so.
    """
    q, sizes = len(problem.columns), problem.sizes
    lowest, counts = [], []
    for own, single, share in zip(rss.T, np.moveaxis(adds, 2, 0), np.moveaxis(least, 2, 0), strict=True):
        order = np.argsort(share / sizes, axis=1)
        after = order[:, None, :] > np.arange(q)[None, :, None]  # [B, child, place in the order]
        more = np.cumsum(np.where(after, np.take_along_axis(share, order, axis=1)[:, None, :], 0.0), axis=2)
        fewer = np.cumsum(np.where(after, sizes[order][:, None, :], 0), axis=2)
        nothing = np.zeros((*more.shape[:2], 1))
        more, fewer = np.concatenate([nothing, more], axis=2), np.concatenate([nothing, fewer], axis=2)
        if (sizes > 1).any():  # between two places lie subsets with as little added as the first and as few columns as the second
            fewer = np.concatenate([fewer[:, :, 1:], fewer[:, :, -1:]], axis=2)
        lowest.append(own[:, None, None] + np.maximum(single[:, :, None], share[:, :, None] + more))
        counts.append((size[:, None] - sizes)[:, :, None] - fewer)
    each = problem.score(np.stack(lowest, axis=-1), np.stack(counts, axis=-1))
    bounds: Array = each.min(axis=2).sum(axis=-1)  # the least sum is no less than the sum of the least
    return bounds


def _added(problem: Problem, C: Array, b: Array) -> Array:
    """What the removal of each term adds to the rss of each model [B, q, t]; nothing for a term that it does not have."""
    pivots = C[:, np.arange(C.shape[1]), np.arange(C.shape[1])]
    absent = pivots == 0.0
    alone = b * b / np.where(absent, 1.0, pivots)[:, :, None]
    added: Array = alone[:, [columns[0] for columns in problem.columns]]
    for i, columns in enumerate(problem.columns):
        if len(columns) > 1:
            block = C[:, columns[:, None], columns] + absent[:, columns, None] * np.eye(len(columns))
            added[:, i] = (b[:, columns] * np.linalg.solve(block, b[:, columns])).sum(axis=1)
    return added
