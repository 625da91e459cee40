"""Options of a training: known, bounded, and the same from JSON and from a query."""

from dataclasses import fields
from typing import Any

import pytest

from service.errors import Invalid
from service.regression.optimizers import GradientOptions, Start
from service.training.options import TrainOptions, load_options, options_from_query
from service.training.solver import Exact, Gradient, Sparse


def test_the_defaults() -> None:
    """Without options the model `default` is trained with an intercept, exactly, and served as live."""
    assert load_options({}) == TrainOptions(
        model="default", features=None, target=None, intercept=True, promote=True, description="", labels={}, solver=Exact()
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
        "terms": ["a", "a^2", "b"],
        "weights": "w",
        "categorical": "b",
        "unseen": "reference",
        "missing": "drop",
        "like": "m@3",
        "new_schema": True,
        "ledger": "off",
        "folds": 5,
        "sample": 100,
        "history": True,
        "dtype": "float32",
        "solver": {"name": "exact", "ridge": 0.5},
    }
    loaded = {"features": ("b", "a"), "target": ("y",), "terms": ("a", "a^2", "b"), "categorical": ("b",), "solver": Exact(ridge=0.5)}

    assert load_options(given) == TrainOptions(**(given | loaded))
    assert set(given) == {field.name for field in fields(TrainOptions)}


@pytest.mark.parametrize(
    ("given", "solver"),
    [
        ("exact", Exact()),
        ({"name": "lasso", "l1": 2}, Sparse(2.0)),
        ({"name": "elastic_net", "l1": 2, "l2": 3}, Sparse(2.0, 3.0)),
        ("adam", Gradient(GradientOptions(name="adam"))),
        (
            {"name": "sgd", "learning_rate": 0.1, "epochs": 7, "batch_size": 4, "momentum": 0.9, "loss": "l1", "init": "zeros", "seed": 3},
            Gradient(GradientOptions(name="sgd", learning_rate=0.1, epochs=7, batch_size=4, momentum=0.9, loss="l1", init="zeros", seed=3)),
        ),
        (
            {"name": "gradient_descent", "init": {"weight": [[1, 2]], "bias": 3}, "standardize": True, "tolerance": 1e-9},
            Gradient(GradientOptions(name="gradient_descent", init=Start([[1, 2]], 3), standardize=True, tolerance=1e-9)),
        ),
    ],
)
def test_every_solver_is_loaded(given: Any, solver: Any) -> None:
    """A solver's name alone means its defaults, and each of its options reaches it."""
    assert load_options({"solver": given}).solver == solver


NAMES, TWICE = ["must be a name or a list of names"], ["names a column twice"]
SOLVERS = (
    "must be one of exact, lasso, elastic_net, gradient_descent, sgd, adam, adagrad, rmsprop, lbfgs, "
    "or an object with that name and its options"
)


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
        ({"solver": "magic"}, {"solver": [SOLVERS]}),
        ({"solver": 5}, {"solver": [SOLVERS]}),
        ({"solver": {"ridge": 1}}, {"solver": [SOLVERS]}),
        ({"solver": {"name": "exact", "ridge": -1}}, {"solver.ridge": ["Must be greater than or equal to 0 and less than inf"]}),
        ({"solver": "lasso"}, {"solver.l1": ["Missing data for required field"]}),
        ({"solver": {"name": "lasso", "l1": 1, "ridge": 2}}, {"solver.ridge": ["Unknown field"]}),
        (
            {"solver": {"name": "sgd", "epochs": 0}},
            {"solver.epochs": ["Must be greater than or equal to 1 and less than or equal to 1000000"]},
        ),
        ({"solver": {"name": "sgd", "loss": "hinge"}}, {"solver.loss": ["Must be one of: mse, sse, l1, huber"]}),
        ({"missing": "mean"}, {"missing": ["Must be one of: error, drop"]}),
        ({"unseen": "drop"}, {"unseen": ["Must be one of: error, reference"]}),
        ({"dtype": "float16"}, {"dtype": ["Must be one of: float64, float32"]}),
        ({"terms": []}, {"terms": NAMES}),
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
        "terms": ["y,z^2"],
        "categorical": ["x", "y"],
        "solver": ["lasso", '{"name": "exact", "ridge": 2}'],
    }

    assert load_options(options_from_query(query)) == load_options(
        {
            "model": "b",
            "features": ["x", "with, comma"],
            "target": ["y", "z"],
            "labels": {"team": "risk", "tier": "1", "a": "b=c"},
            "intercept": False,
            "terms": ["y", "z^2"],
            "categorical": ["x", "y"],
            "solver": {"name": "exact", "ridge": 2},
        }
    )
    assert options_from_query({}) == {}
    assert options_from_query({"solver": ["sgd"]}) == {"solver": "sgd"}
    with pytest.raises(Invalid) as caught:
        options_from_query({"solver": ["{name: sgd}"]})
    assert caught.value.errors == {"solver": ["is not valid JSON"]}
