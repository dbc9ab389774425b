"""`fit auto`: the law is chosen, told and saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import scalebayes as sb
from scalebayes.cli.app import app
from scalebayes.cli.errors import run
from scalebayes.evaluation import selection

pytestmark = pytest.mark.filterwarnings("ignore::scalebayes.ConvergenceWarning")  # tiny fits
TINY = ("--draws", "8", "--warmup", "8", "--chains", "2")
LAWS = {"shared": sb.SharedIntercept(), "families": sb.FamilyIntercept()}


@pytest.fixture
def two_laws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two quick laws to choose from."""
    monkeypatch.setattr(selection, "candidates", lambda _: LAWS)


def test_the_chosen_law_is_told_and_saved(two_laws: None, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "fit.nc"
    wanted = ["fit", "auto", "open_llm", "--benchmarks", "mmlu", "--out", str(out), *TINY, "--json"]
    assert run(app, [*wanted, "--retries", "0"]) == 0
    printed = capsys.readouterr()
    saved = sb.load(out)
    [chosen] = [name for name, law in LAWS.items() if law == saved.law]
    assert f"auto: {chosen}" in printed.err
    assert "mean log predictive density of a score of" in printed.err
    assert json.loads(printed.out)["file"] == str(out)
    assert saved.sampler == sb.Nuts(draws=8, warmup=8, chains=2, retries=0)


@pytest.mark.parametrize("option", [("--set", "skills=3"), ("--staged",)])
def test_choices_are_not_for_auto(option: tuple[str, ...], capsys: Any) -> None:
    assert run(app, ["fit", "auto", "open_llm", "--benchmarks", "mmlu", *option]) == 2
    assert "auto chooses the law: leave out --set and --staged" in capsys.readouterr().err
