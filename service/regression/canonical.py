"""The one form in which moments are compared, fingerprinted and stored.

Invariant: two moments are equal exactly when their canonical forms are equal, byte for byte; digits stand at absolute powers of
two, so nothing in them tells how, in what order, or with what internal alignment they were summed.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from service.regression.grid import FINEST
from service.regression.limbs import HALF, Integers, Planes

_VERSION = 1
_DTYPES = {"counts": np.int64, "resolution": np.int64, "levels": np.int64, "digits": np.int32}


@dataclass(frozen=True)
class Canonical:
    """The exact Gram of [1 X Y] over ``n`` rows.

    ``resolution`` [q], q = 1 + features + targets: values are multiples of 2^resolution. ``levels`` [L], ascending, and ``digits``
    [L, q (q + 1) / 2]: the lower triangle row by row; an entry is the sum of digits * 2^(22 level), digits in [-2^21, 2^21).
    """

    n: int
    features: int
    targets: int
    resolution: Integers
    levels: Integers
    digits: NDArray[np.int32]

    def fingerprint(self, context: bytes = b"") -> str:
        """SHA-256 in hexadecimal over ``context`` (names and frame, in the caller's own canonical bytes) and the moments."""
        digest = hashlib.sha256(b"plumbline moments 1\0" + len(context).to_bytes(8, "little") + context)
        for part in (self._counts(), self.resolution, self.levels, self.digits):
            digest.update(np.ascontiguousarray(part, dtype=part.dtype.newbyteorder("<")).tobytes())
        return digest.hexdigest()

    def to_bytes(self) -> bytes:
        """A safetensors file; equal moments give equal bytes."""
        return save({"counts": self._counts(), "resolution": self.resolution, "levels": self.levels, "digits": self.digits})

    def _counts(self) -> Integers:
        return np.array([_VERSION, self.n, self.features, self.targets], dtype=np.int64)


def from_bytes(data: bytes) -> Canonical:
    """What `Canonical.to_bytes` wrote. Raises ValueError for anything else: stored bytes are never trusted."""
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise ValueError("These bytes are not stored moments: they are no safetensors file. Restore the file from a copy.") from error
    if {name: tensor.dtype for name, tensor in tensors.items()} != _DTYPES or tensors["counts"].shape != (4,):
        raise ValueError(
            "These bytes are not stored moments: tensors are missing, unknown or of another type. Restore the file from a copy."
        )
    version, n, features, targets = tensors["counts"].tolist()
    if version != _VERSION:
        raise ValueError(f"These moments are of format {version}, this program reads format {_VERSION}: use the program that wrote them.")
    form = Canonical(n, features, targets, tensors["resolution"], tensors["levels"], tensors["digits"])
    if not _is_canonical(form):
        raise ValueError("These moments are damaged: sizes, levels or digits contradict one another. Restore the file from a copy.")
    return form


def pack(planes: Planes, *, n: int, features: int, targets: int, resolution: Integers) -> Canonical:
    """The canonical form of planes whose entries are in units of one, already canonical digit by digit."""
    q = 1 + features + targets
    levels = sorted(planes)
    lower = np.tril_indices(q)
    digits = np.array([planes[level][lower] for level in levels], dtype=np.int32).reshape(len(levels), len(lower[0]))
    return Canonical(n, features, targets, resolution.copy(), np.array(levels, dtype=np.int64), digits)


def unpack(form: Canonical) -> Planes:
    """Planes [q, q], lower triangle filled."""
    q = 1 + form.features + form.targets
    lower = np.flatnonzero(np.tri(q, dtype=np.bool_))
    planes: Planes = {}
    for level, digits in zip(form.levels.tolist(), form.digits, strict=True):
        plane = np.zeros(q * q, dtype=np.int64)
        plane[lower] = digits
        planes[level] = plane.reshape(q, q)
    return planes


def _is_canonical(form: Canonical) -> bool:
    q = 1 + form.features + form.targets
    return (
        min(form.n, form.features, form.targets) >= 0
        and form.resolution.shape == (q,)
        and bool((np.abs(form.resolution) <= -FINEST).all())
        and form.levels.ndim == 1
        and form.digits.shape == (len(form.levels), q * (q + 1) // 2)
        and bool((np.diff(form.levels) > 0).all())
        and bool((form.digits >= -HALF).all() and (form.digits < HALF).all() and form.digits.any(axis=1).all())
    )
