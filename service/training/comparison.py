"""Two versions of a model side by side: every coefficient, its change, and how large the change is beside its standard error."""

from typing import Any

from model_store.manifest import Manifest

FIT = ("n", "r2", "residual_std")


def comparison(before: Manifest, after: Manifest) -> dict[str, Any]:
    """The difference document of two versions of one model.

    `change_in_std_errors` is the change over the standard error of the `from` version. A term of one version alone is listed with
    nulls, and so is what a fit does not have.
    """
    old, new = (_coefficients(manifest) for manifest in (before, after))
    return {
        "model": before.model,
        "from": str(before.version),
        "to": str(after.version),
        **{name: {"from": before.document["fit"][name], "to": after.document["fit"][name]} for name in FIT},
        "coefficients": [_changed(key, old.get(key, {}), new.get(key, {})) for key in dict.fromkeys([*old, *new])],
    }


def _coefficients(manifest: Manifest) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["target"], row["term"]): row for row in manifest.document["fit"]["coefficients"]}


def _changed(key: tuple[str, str], old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    first, second, error = old.get("estimate"), new.get("estimate"), old.get("std_error")
    change = second - first if first is not None and second is not None else None
    return {
        "target": key[0],
        "term": key[1],
        "from": first,
        "to": second,
        "change": change,
        "from_std_error": error,
        "to_std_error": new.get("std_error"),
        "change_in_std_errors": change / error if change is not None and error else None,
    }
