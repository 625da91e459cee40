"""Options of a training: known, bounded, and the same from JSON and from a query."""

from typing import Any

import pytest

from service.errors import Invalid
from service.training.options import TrainOptions, load_options, options_from_query


def test_the_defaults() -> None:
    """Without options the model `default` is trained with an intercept, exactly, and served as live."""
    assert load_options({}) == TrainOptions(
        model="default", features=None, target=None, intercept=True, promote=True, description="", labels={}, solver="exact"
    )


def test_every_option_is_loaded() -> None:
    """Each option reaches its field; one name is as good as a list of one."""
    given = {
        "model": "m.1-x_Y",
        "features": ["b", "a"],
        "target": "y",
        "intercept": False,
        "promote": False,
        "description": "why",
        "labels": {"team": "risk"},
        "solver": "exact",
    }

    assert load_options(given) == TrainOptions(**(given | {"features": ("b", "a"), "target": ("y",)}))


NAMES, TWICE = ["must be a name or a list of names"], ["names a column twice"]


@pytest.mark.parametrize(
    ("given", "errors"),
    [
        ({"lamda": 1}, {"lamda": ["Unknown field"]}),
        ({"features": []}, {"features": NAMES}),
        ({"features": [1]}, {"features": NAMES}),
        ({"features": [""]}, {"features": NAMES}),
        ({"features": {"a": 1}}, {"features": NAMES}),
        ({"target": 5}, {"target": NAMES}),
        ({"target": ["y", "y"]}, {"target": TWICE}),
        ({"model": 5}, {"model": ["Not a valid string"]}),
        ({"intercept": "maybe"}, {"intercept": ["Not a valid boolean"]}),
        ({"description": "x" * 1001}, {"description": ["Longer than maximum length 1000"]}),
        ({"labels": {"a": 1}}, {"labels.a.value": ["Not a valid string"]}),
        ({"labels": {"a" * 65: "x"}}, {f"labels.{'a' * 65}.key": ["Longer than maximum length 64"]}),
        ({"labels": ["a"]}, {"labels": ["Not a valid mapping type"]}),
        ({"solver": "magic"}, {"solver": ["Must be one of: exact"]}),
    ],
)
def test_a_wrong_option_is_named(given: dict[str, Any], errors: dict[str, list[str]]) -> None:
    """A misspelt or unusable option is an error at its path, never a silent default."""
    with pytest.raises(Invalid) as caught:
        load_options(given)

    assert caught.value.errors == errors


@pytest.mark.parametrize("name", ["", ".m", "-m", "m/n", "m n", "m" * 65, "ü", "m\n", "..", "m@3"])
def test_a_wrong_model_name_is_refused(name: str) -> None:
    """A model name is one safe path segment."""
    with pytest.raises(Invalid) as caught:
        load_options({"model": name})

    assert list(caught.value.errors) == ["model"]


def test_a_query_says_the_same_as_json() -> None:
    """Names may be repeated or separated by commas, labels are pairs, and the last of a repeated option holds."""
    query = {
        "model": ["a", "b"],
        "features": ["x", "with, comma"],
        "target": ["y,z"],
        "labels": ["team=risk,tier=1", "a=b=c"],
        "intercept": ["false"],
    }

    assert load_options(options_from_query(query)) == load_options(
        {
            "model": "b",
            "features": ["x", "with, comma"],
            "target": ["y", "z"],
            "labels": {"team": "risk", "tier": "1", "a": "b=c"},
            "intercept": False,
        }
    )
    assert options_from_query({}) == {}
