"""What the exact core promises, asked over HTTP: NIST's digits, one fingerprint for one set of rows, and honest numbers."""

import csv
import io
import json
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load
from werkzeug.test import Client

from model_store.store import ModelStore
from service.config import Config
from service.regression import least_squares, strd
from service.regression.moments import Moments

Array = NDArray[np.float64]
PLACE = strd.directory()
DATASETS = {dataset.name: dataset for dataset in strd.load(PLACE)} if PLACE else {}
nist = pytest.mark.skipif(PLACE is None, reason="the NIST data are not here: set NIST_STRD")

# What the float64 columns hold: the rest is lost where decimals and powers become binary, before the service sees them.
AS_COLUMNS = {
    "norris": 13.9,
    "pontius": 13.4,
    "noint1": 15.0,
    "noint2": 15.0,
    "filip": 7.5,
    "longley": 14.6,
    "wampler1": 15.0,
    "wampler2": 13.1,
    "wampler3": 15.0,
    "wampler4": 15.0,
    "wampler5": 15.0,
}
AS_TERMS = {name: digits for name, digits in AS_COLUMNS.items() if name[0] in "pfw"} | {"filip": 14.0}


@pytest.fixture
def store(config: Config) -> ModelStore:
    return ModelStore.open(config.store)


def trained(client: Client, request: dict[str, Any]) -> Any:
    answer = client.post("/train", json=request)
    assert answer.status_code == 201, answer.json
    return answer.json


def estimates(document: Any) -> list[float]:
    return [row["estimate"] for row in document["fit"]["coefficients"]]


def least_digits(document: Any, column: str, certified: list[Fraction]) -> float:
    rows = document["fit"]["coefficients"]
    return min(strd.lre(row[column], value) for row, value in zip(rows, certified, strict=True))


def check_certificate(name: str, document: Any, *, coefficients: float, errors: float) -> None:
    data, fit = DATASETS[name], document["fit"]
    assert fit["aliased"] == []
    assert least_digits(document, "estimate", data.coefficients) >= coefficients
    for row, value in zip(fit["coefficients"], data.standard_errors, strict=True):
        assert strd.lre(row["std_error"], value) >= (errors if value else 10.0), row["term"]
    assert strd.lre(fit["r2"], data.r_squared) >= min(errors, 13.0)
    assert strd.lre(fit["residual_std"], data.residual_sd) >= (min(errors, 13.0) if data.residual_sd else 10.0)


@nist
@pytest.mark.parametrize("name", AS_COLUMNS)
def test_nist_as_columns(name: str, client: Client) -> None:
    """Coefficients and standard errors in the JSON of `POST /train` have the certified digits that float64 columns hold."""
    data = DATASETS[name]
    document = trained(client, {"instances": data.X.tolist(), "targets": data.y[:, 0].tolist(), "intercept": data.intercept})
    check_certificate(name, document, coefficients=AS_COLUMNS[name], errors=7.5 if name == "filip" else 13.5)


@nist
@pytest.mark.parametrize("name", AS_TERMS)
def test_nist_as_declared_terms(name: str, client: Client) -> None:
    """As powers of one feature, Filip has 14 digits and no other has fewer than before; predictions are those of the certificate."""
    data = DATASETS[name]
    assert data.degree is not None
    request = {"instances": data.X[:, :1].tolist(), "targets": data.y[:, 0].tolist(), "features": ["x"]}
    document = trained(client, request | {"terms": [f"x^{power}" for power in range(1, data.degree + 1)]})
    check_certificate(name, document, coefficients=AS_TERMS[name], errors=13.5)
    answer: Any = client.post("/predict", json={"instances": data.X[:5, :1].tolist()}).json
    curve = [sum(b * Fraction(x) ** power for power, b in enumerate(data.coefficients)) for x in data.X[:5, 0].tolist()]
    scale = max(map(abs, curve))
    assert all(abs(Fraction(found) - true) <= scale / 10**11 for found, true in zip(answer["predictions"], curve, strict=True))


NAMES = ["a", "b", "c", "y"]


def table(rows: int = 60, seed: int = 5) -> Array:
    """Rows of three features and a target, of very different scales, none of them short binary fractions."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(rows, 3)) * [1e-3, 1.0, 1e6] + [0.0, 10.0, 1e5]
    return np.column_stack([X, X @ [100.0, -2.0, 1e-6] + random.normal(size=rows)])


def csv_of(rows: Array, order: list[int]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([NAMES[i] for i in order])
    writer.writerows([map(repr, row) for row in rows[:, order].tolist()])
    return text.getvalue()


def as_positional(client: Client, rows: Array, order: list[int]) -> Any:
    x = [i for i in order if i != 3]
    return client.post("/train", json={"instances": rows[:, x].tolist(), "targets": rows[:, 3].tolist(), "features": [NAMES[i] for i in x]})


def as_named(client: Client, rows: Array, order: list[int]) -> Any:
    instances = [{NAMES[i]: row[i] for i in order} for row in rows.tolist()]
    return client.post("/train", json={"instances": instances, "target": "y", "features": NAMES[:3]})


def as_columns(client: Client, rows: Array, order: list[int]) -> Any:
    columns = {NAMES[i]: rows[:, i].tolist() for i in order}
    return client.post("/train", json={"columns": columns, "target": "y", "features": NAMES[:3]})


def as_csv(client: Client, rows: Array, order: list[int]) -> Any:
    return client.post("/train?target=y&features=a,b,c", data=csv_of(rows, order), content_type="text/csv")


FORMS: list[Callable[[Client, Array, list[int]], Any]] = [as_named, as_columns, as_csv]


def test_one_set_of_rows_has_one_fingerprint_and_one_set_of_coefficients(client: Client) -> None:
    """Over 50 random permutations in every form, fingerprint, coefficients and state_dict are equal bit for bit."""
    rows, random = table(), np.random.default_rng(0)
    documents = [as_positional(client, rows, [0, 1, 2, 3])]
    for turn in range(50):
        shuffled = rows[random.permutation(len(rows))]
        documents.append(
            [*FORMS, as_positional][turn % 4](client, shuffled, [0, 1, 2, 3] if turn % 4 == 3 else random.permutation(4).tolist())
        )
    assert [answer.status_code for answer in documents] == [201] * 51
    found = [answer.json for answer in documents]

    assert {document["fingerprint"] for document in found} == {found[0]["fingerprint"]}
    assert {document["state_dict"] for document in found} == {found[0]["state_dict"]}
    assert [document["fit"] for document in found] == [found[0]["fit"]] * 51
    assert [document["schema"] for document in found] == [found[0]["schema"]] * 51


def test_chunks_and_shards_leave_no_trace(client: Client, store: ModelStore) -> None:
    """Moments of random chunks in random order, in a version's frame, are the bytes of its blob."""
    rows, random = table(), np.random.default_rng(1)
    as_positional(client, rows, [0, 1, 2, 3])
    blob = store.remembered(store.manifest("default", 1), "moments")
    for _ in range(50):
        shuffled = rows[random.permutation(len(rows))]
        cuts = np.sort(random.integers(0, len(rows), size=random.integers(1, 8)))
        shards = [Moments(3, 1), Moments(3, 1)]
        for turn, chunk in enumerate(np.split(shuffled, cuts)):
            shards[turn % 2].add(chunk[:, :3], chunk[:, 3:])
        shards[0].merge(shards[1])
        assert shards[0].to_bytes() == blob


def test_other_rows_names_or_frames_have_other_fingerprints(client: Client) -> None:
    """One bit of one value, one row more, a name, an intercept: each has another fingerprint; another solver has the same."""
    rows = table()
    nudged = rows.copy()
    nudged[7, 1] = np.nextafter(nudged[7, 1], np.inf)
    base = {"instances": rows[:, :3].tolist(), "targets": rows[:, 3].tolist(), "features": ["a", "b", "c"], "new_schema": True}
    others = [
        {"instances": nudged[:, :3].tolist()},
        {"instances": rows[[*range(60), 0], :3].tolist(), "targets": rows[[*range(60), 0], 3].tolist()},
        {"instances": rows[:-1, :3].tolist(), "targets": rows[:-1, 3].tolist()},
        {"features": ["a", "b", "d"]},
        {"intercept": False},
        {"weights": [2.0] * 60},
        {"terms": ["a", "b"]},
    ]
    same = [{"solver": {"name": "exact", "ridge": 1.0}}, {"solver": {"name": "lasso", "l1": 0.1}}, {"weights": [1] * 60}]
    prints = [trained(client, base | other)["fingerprint"] for other in [{}, *others, *same]]

    assert len(set(prints[: 1 + len(others)])) == 1 + len(others)
    assert set(prints[1 + len(others) :]) == {prints[0]}


def rational(X: Array, y: Array) -> tuple[list[Fraction], Fraction]:
    """Coefficients of [1 X] and R2 by Gauss elimination in fractions."""
    A = [[Fraction(1), *map(Fraction, row)] for row in X.tolist()]
    t = [Fraction(value) for value in y.tolist()]
    m = len(A[0])
    system = [[sum(r[i] * r[j] for r in A) for j in range(m)] + [sum(r[i] * v for r, v in zip(A, t, strict=True))] for i in range(m)]
    for k in range(m):
        system[k] = [value / system[k][k] for value in system[k]]
        for i in range(m):
            if i != k:
                system[i] = [a - system[i][k] * b for a, b in zip(system[i], system[k], strict=True)]
    b = [line[-1] for line in system]
    mean = sum(t) / len(t)
    rss = sum((v - sum(c * a for c, a in zip(b, row, strict=True))) ** 2 for row, v in zip(A, t, strict=True))
    return b, 1 - rss / sum((v - mean) ** 2 for v in t)


def test_a_rate_and_a_population_unscaled(client: Client) -> None:
    """With a rate in [0, 0.1] beside a population in [1e5, 5e6], R2 and every coefficient are those of rational arithmetic."""
    random = np.random.default_rng(11)
    X = np.column_stack([random.uniform(0, 0.1, size=50), random.uniform(1e5, 5e6, size=50)])
    y = 3.0 * X[:, 0] + 1e-6 * X[:, 1] + random.normal(scale=0.3, size=50)
    document = trained(client, {"instances": X.tolist(), "targets": y.tolist(), "features": ["rate", "population"]})
    coefficients, r2 = rational(X, y)

    assert least_digits(document, "estimate", coefficients) >= 14.5
    assert strd.lre(document["fit"]["r2"], r2) >= 15.0
    assert document["fit"]["r2"] == float(r2)


def test_whole_weights_are_repeated_rows(client: Client) -> None:
    """A row of weight 3 counts as three rows and a row of weight 0 as none: coefficients equal to 1e-14, relative."""
    random = np.random.default_rng(2)
    X, counts = random.normal(size=(30, 2)) * [1.0, 50.0], random.integers(0, 5, size=30)
    y = X @ [2.0, -0.1] + random.normal(size=30)
    weighted = trained(client, {"instances": X.tolist(), "targets": y.tolist(), "weights": counts.tolist()})
    repeated = trained(client, {"instances": np.repeat(X, counts, axis=0).tolist(), "targets": np.repeat(y, counts).tolist()})

    np.testing.assert_allclose(estimates(weighted), estimates(repeated), rtol=1e-14)
    np.testing.assert_allclose(weighted["fit"]["rss"], repeated["fit"]["rss"], rtol=1e-13)
    np.testing.assert_allclose(weighted["fit"]["r2"], repeated["fit"]["r2"], rtol=1e-13)


def test_dummies_and_constants_that_say_nothing_new_are_named(client: Client) -> None:
    """Of collinear dummies the last and of constants each is in `aliased` and null throughout; the fit is that without them."""
    random = np.random.default_rng(6)
    kinds = random.integers(0, 3, size=40)
    x = random.normal(size=40)
    y = x + 2.0 * (kinds == 1) - (kinds == 2) + random.normal(scale=0.1, size=40)
    columns = {"x": x.tolist(), "one": [7.5] * 40} | {f"is{k}": (kinds == k).astype(int).tolist() for k in range(3)}
    names = list(columns)
    document = trained(client, {"columns": columns | {"y": y.tolist()}, "target": "y"})
    fit = document["fit"]
    without = np.column_stack([np.ones(40), x, kinds == 0, kinds == 1])
    truth = np.linalg.lstsq(without, y, rcond=None)[0]
    found = {row["term"]: row for row in fit["coefficients"]}

    assert fit["aliased"] == ["one", "is2"]
    assert list(found) == ["intercept", *names]
    np.testing.assert_allclose([found[name]["estimate"] for name in ("intercept", "x", "is0", "is1")], truth, rtol=1e-12)
    for name in fit["aliased"]:
        assert found[name] == {
            "target": "y",
            "term": name,
        } | dict.fromkeys(["estimate", "std_error", "t", "p", "lower", "upper"])
    assert (fit["n"], fit["dof"]) == (40, 36)
    assert any("one, is2" in line for line in fit["advice"])


def test_a_perfect_fit_invents_nothing(client: Client) -> None:
    """y = 2 x + 1 to the last bit: errors are 0, R2 is 1, and tests, AIC and BIC, which do not exist, are null."""
    fit = trained(client, {"instances": [[0], [1], [2], [3]], "targets": [1, 3, 5, 7], "features": ["x"]})["fit"]
    honest = {"std_error": 0.0, "t": None, "p": None}

    assert (fit["rss"], fit["residual_std"], fit["r2"], fit["adjusted_r2"]) == (0.0, 0.0, 1.0, 1.0)
    assert (fit["f"], fit["aic"], fit["bic"]) == (None, None, None)
    assert fit["coefficients"] == [
        {"target": "y", "term": "intercept", "estimate": 1.0, "lower": 1.0, "upper": 1.0} | honest,
        {"target": "y", "term": "x", "estimate": 2.0, "lower": 2.0, "upper": 2.0} | honest,
    ]


def test_as_many_rows_as_coefficients(client: Client) -> None:
    """n = p: the line through two points, and null for every quantity that needs a row to spare."""
    fit = trained(client, {"instances": [[1], [3]], "targets": [1, 2]})["fit"]

    assert estimates({"fit": fit}) == [0.5, 0.5]
    assert (fit["n"], fit["dof"], fit["aliased"], fit["r2"]) == (2, 0, [], 1.0)
    assert [fit[name] for name in ("adjusted_r2", "residual_std", "f", "aic", "bic")] == [None] * 5
    assert all(row[name] is None for row in fit["coefficients"] for name in ("std_error", "t", "p", "lower", "upper"))


def test_fewer_rows_than_coefficients(client: Client) -> None:
    """n < p: the columns that rows are lacking for are aliased, the others interpolate, and the version predicts its rows."""
    X, y = [[1.0, 5.0, 2.0], [3.0, -1.0, 4.0]], [1.0, 2.0]
    fit = trained(client, {"instances": X, "targets": y})["fit"]
    answer: Any = client.post("/predict", json={"instances": X}).json

    assert (fit["n"], fit["dof"], fit["aliased"]) == (2, 0, ["x2", "x3"])
    np.testing.assert_allclose(answer["predictions"], y, rtol=1e-14)
    assert all(row[name] is None for row in fit["coefficients"] for name in ("std_error", "t", "p", "lower", "upper"))


def test_a_constant_target(client: Client) -> None:
    """A target that never varies has no R2; the slopes are 0."""
    fit = trained(client, {"instances": [[1], [2], [4]], "targets": [0.1, 0.1, 0.1]})["fit"]

    assert estimates({"fit": fit}) == [0.1, 0.0]
    assert (fit["r2"], fit["adjusted_r2"], fit["f"]) == (None, None, None)


def context_of(document: Any) -> bytes:
    """Names and frame as the fingerprint covers them."""
    schema = json.loads(json.dumps(document["schema"]))
    del schema["frame"]["resolution"]
    return json.dumps(schema, sort_keys=True, ensure_ascii=True).encode()


def test_the_moments_of_a_version_read_back(client: Client, store: ModelStore) -> None:
    """The stored blob gives the version's fingerprint again, and its entries are the sums of the rows to the last bit."""
    rows = table()
    document = as_positional(client, rows, [0, 1, 2, 3]).json
    moments = Moments.from_bytes(store.remembered(store.manifest("default", 1), "moments"))

    assert f"sha256:{moments.fingerprint(context_of(document))}" == document["fingerprint"]
    assert (moments.n, moments.resolution.tolist()) == (60, document["schema"]["frame"]["resolution"])
    exact = [sum(Fraction(a) * Fraction(b) for a, b in zip(rows[:, 0].tolist(), column, strict=True)) for column in rows.T.tolist()]
    assert [moments.entry(1, 1 + j) for j in range(4)] == exact


def test_forgetting_is_retraining(client: Client, store: ModelStore) -> None:
    """Moments less 40 % of the rows are those of a retrain `like` the whole, bit for bit, coefficients included."""
    rows = table(200)
    gone = np.random.default_rng(8).permutation(200) < 80
    whole = as_positional(client, rows, [0, 1, 2, 3]).json
    kept = rows[~gone]
    request = {"model": "kept", "instances": kept[:, :3].tolist(), "targets": kept[:, 3].tolist()}
    retrained = trained(client, request | {"like": "default@1"})
    moments = Moments.from_bytes(store.remembered(store.manifest("default", 1), "moments"))
    moments.remove(rows[gone, :3], rows[gone, 3:])
    reload = Moments.from_bytes(moments.to_bytes())
    manifest = store.manifest("kept", 1)

    assert f"sha256:{reload.fingerprint(context_of(whole))}" == retrained["fingerprint"]
    assert retrained["schema"] == whole["schema"]
    assert store.remembered(manifest, "moments") == moments.to_bytes()
    assert estimates(retrained) == coefficients_of(moments)
    weights = load(store.blob(manifest.blobs["state_dict"]))
    assert [*weights["linear.bias"].tolist(), *weights["linear.weight"][0].tolist()] == coefficients_of(moments)


def coefficients_of(moments: Moments) -> list[float]:
    found: list[float] = least_squares.solve(moments).coefficients[:, 0].tolist()
    return found
