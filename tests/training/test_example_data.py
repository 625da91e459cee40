"""The examples are trained as their table says, and come out as the literature has them."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from service.cli import main
from tests.support import ROOT

README = (ROOT / "examples" / "README.md").read_text("utf-8")
PUBLISHED = {
    "forbes": ({"intercept": (-81.0637, 2.0518), "boiling_point": (0.5229, 0.0101)}, 0.2328, 0.9944),
    "stackloss": (
        {
            "intercept": (-39.9197, 11.8960),
            "air_flow": (0.7156, 0.1349),
            "water_temperature": (1.2953, 0.3680),
            "acid_concentration": (-0.1521, 0.1563),
        },
        3.2434,
        0.9136,
    ),
}


@pytest.mark.parametrize("model", PUBLISHED)
def test_an_example_comes_out_as_published(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command of the table trains the file, to the published coefficients, standard errors, residual sd and R²."""
    (command,) = re.findall(rf"^python -m service (train examples/{model}.*)$", README, re.MULTILINE)
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PLUMBLINE_STORE", str(tmp_path / "store"))
    trained = CliRunner().invoke(main, command.split())
    assert trained.exit_code == 0, trained.output
    shown = CliRunner().invoke(main, ["models", "show", model, "--json"])
    fit = json.loads(shown.output)["fit"]
    coefficients, deviation, r2 = PUBLISHED[model]

    found = {c["term"]: (round(c["estimate"], 4), round(c["std_error"], 4)) for c in fit["coefficients"]}
    assert found == coefficients
    assert (round(fit["residual_std"], 4), round(fit["r2"], 4)) == (deviation, r2)
    for estimate, error in coefficients.values():
        assert f"{abs(estimate):.4f} ({error:.4f})" in README


def test_every_example_is_in_the_table() -> None:
    """Each file has its row, with its number of rows and its columns."""
    for path in sorted((ROOT / "examples").glob("*.csv")):
        header, *rows = path.read_text("utf-8").splitlines()
        (line,) = [line for line in README.splitlines() if line.startswith(f"| `{path.name}` | {len(rows)} |")]

        assert [name for name in header.split(",") if f"`{name}`" not in line] == []
