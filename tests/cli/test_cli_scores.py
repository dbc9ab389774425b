"""Scores in other units and on other scales: what the shell says, and that its remedies help."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from scalebayes import Observations, ScoreWarning
from scalebayes.cli import inputs, options
from scalebayes.cli.app import app
from scalebayes.cli.errors import one_line, run

CHANCE = {"GPQA": 0.25, "MUSR": 0.343298, "MMLU-PRO": 0.1}  # what is looked up by these names
BENCHMARKS = ",".join(CHANCE)
NAMES = {name: name for name in ("model", "family", "params", "tokens")}


def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    size = np.tile(np.geomspace(3e8, 7e10, 15), 2)
    ability = np.log10(size / 8e9) + np.repeat([0, 0.2], 15)
    rows = {"model": [f"m{i}" for i in range(30)], "family": np.repeat(["a", "b"], 15)}
    scores = {
        b: c + (1 - c) * 0.4 / (1 + np.exp(-2 * ability)) + 0.004 * rng.standard_normal(30)
        for b, c in CHANCE.items()
    }
    return pd.DataFrame({**rows, "params": size, "tokens": 2e12, **scores})


def normalised(rows: pd.DataFrame, of: Any) -> pd.DataFrame:
    rows = rows.copy()
    for b, c in CHANCE.items():
        rows.loc[of, b] = ((rows.loc[of, b] - c) / (1 - c)).clip(0)
    return rows


def read(path: Path, **settings: Any) -> Observations:
    given = {"losses": {}, "mixtures": {}, "units": {}, "chance": {}, "items": {}} | settings
    return inputs.observations(str(path), BENCHMARKS, NAMES, **given)[0]


def refused(path: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(app, ["fit", "sloth", str(path), "--benchmarks", BENCHMARKS, *arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert "\n" not in error
    return error


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scores.csv"


def test_units_of_benchmarks_in_percent(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    percent = ["GPQA", "MUSR"]
    table().assign(**{b: 100 * table()[b] for b in percent}).to_csv(path, index=False)
    remedy = re.search(r"pass --units (\S+)\)", refused(path, capsys))
    assert remedy is not None
    assert remedy[1] == "GPQA=0.01,MUSR=0.01"
    seen = read(path, units=options.factors("--units", [remedy[1]]))
    table().to_csv(path, index=False)
    np.testing.assert_allclose(seen.scores["score"], read(path).scores["score"])


def test_scores_normalised_by_chance(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    normalised(table(), slice(None)).to_csv(path, index=False)
    error = refused(path, capsys)
    assert "'GPQA' (chance 0.25, lowest 0" in error
    remedy = re.search(r"pass --chance (\S+); ", error)
    assert remedy is not None
    assert remedy[1] == "GPQA=0,MUSR=0,MMLU-PRO=0"
    assert error.endswith("pass --trust-scales")
    zero = options.factors("--chance", [remedy[1]])
    assert set(read(path, chance=zero).scores["chance"]) == {0.0}


def test_mixed_scales(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    normalised(table(), slice(None, None, 2)).to_csv(path, index=False)
    error = refused(path, capsys)
    assert "scores on 'GPQA': expected one scale, got about 15 of 30" in error
    assert "normalised_scores" not in error
    assert error.endswith("pass --trust-scales")
    assert read(path, trust_scales=True).benchmarks == tuple(CHANCE)


def test_scores_below_chance_are_told(path: Path) -> None:
    table().assign(GPQA=[0.15, 0.16, *table()["GPQA"][2:]]).to_csv(path, index=False)
    with pytest.warns(ScoreWarning, match="2 of 30 models are clearly below the chance level 0.25"):
        read(path)


def test_dictionaries_become_pairs_of_the_shell() -> None:
    said = one_line("pass units={'a': 0.01, 'b c': 1}, or covariates={'stage': 'category'}")
    assert said == "pass --units a=0.01,b c=1, or --covariate stage=category"
