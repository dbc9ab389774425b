"""The verbs of `plan`: each gives what the library gives, and refuses in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb
from scalebayes.cli.app import app
from scalebayes.cli.errors import run

PLANNED = pd.DataFrame(
    {
        "model": ["n-1b", "n-8b"],
        "family": ["next", "next"],
        "params": [1e9, 8e9],
        "tokens": [1e12, 2e12],
    }
)


@pytest.fixture(scope="module")
def folder(fitted: sb.Fit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan")
    fitted.save(folder / "fit.nc")
    PLANNED.to_csv(folder / "planned.csv", index=False)
    return folder


def ask(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:
    assert run(app, ["plan", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_chance_is_that_of_the_library(folder, fitted, capsys):
    models = ["--models", f"{folder}/planned.csv"]
    arguments = ["chance", f"{folder}/fit.nc", "--target", "mmlu=0.4,arc=0.5", *models]
    told = pd.DataFrame(ask(capsys, *arguments)["probabilities"])
    expected = sb.target_probability(fitted, PLANNED, {"mmlu": 0.4, "arc": 0.5})
    np.testing.assert_allclose(told["probability"], expected["probability"], rtol=1e-9)
    assert told["benchmark"].tolist() == ["mmlu", "arc", "all"] * 2
    assert run(app, ["plan", *arguments]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == [
        "model", "family", "benchmark", "target", "probability", "flops_past", "ratio_outside"
    ]  # fmt: skip


def test_budget_tells_and_draws(folder, capsys):
    picture = folder / "map.png"
    arguments = ["budget", f"{folder}/fit.nc", "--family", "f0", "--target", "mmlu=0.5"]
    options = ["--flops", "1e18,1e25", "--tokens-per-param", "5,500", "--probability", "0.6"]
    told = ask(capsys, *arguments, *options, "--picture", str(picture))
    assert told["flops"] == pytest.approx(6 * told["params"] * told["tokens"])
    assert told["probability"] == 0.6
    assert len(told["frontier"]) > 10
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_allocation_is_that_of_the_library(folder, fitted, capsys):
    arguments = ["allocation", f"{folder}/fit.nc", "--family", "f1", "--flops", "1e22,1e23"]
    told = ask(capsys, *arguments, "--benchmarks", "arc")
    expected = sb.allocate(fitted, "f1", [1e22, 1e23], benchmarks="arc")
    np.testing.assert_allclose(
        pd.DataFrame(told["best"])["params"], expected.best["params"], rtol=1e-9
    )
    assert len(told["region"]) == 6


def test_contests_and_next_runs(folder, fitted, capsys):
    told = ask(
        capsys, "contest", f"{folder}/fit.nc", "--models", f"{folder}/planned.csv"
    )["contests"]  # fmt: skip
    expected = sb.beats(fitted, PLANNED)
    assert [row["probability"] for row in told] == expected["probability"].tolist()
    candidates = ["--candidates", f"{folder}/planned.csv", "--benchmark", "arc"]
    target = ["--family", "next", "--params", "7e10", "--tokens", "5e12"]
    told = ask(capsys, "next", f"{folder}/fit.nc", *candidates, *target)["candidates"]
    assert {row["model"] for row in told} == {"n-1b", "n-8b"}
    assert all(0 < row["sd_after"] < row["sd_before"] for row in told)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["chance", "--target", "mmlu=57", "--models", "planned.csv"], "divide by 100"),
        (["chance", "--target", "mmlu", "--models", "planned.csv"], "--target expects name=number"),
        (["budget", "--target", "mmlu=0.5", "--family", "f1", "--flops", "1e22"], "two numbers"),
        (["allocation", "--family", "f1", "--flops", "many"], "--flops expects numbers"),
        (["budget", "--picture", "map.gif"], "ends in .png, .svg, .pdf, got map.gif"),
        (["contest", "--csv", "no/table.csv"], "there is no folder no"),
    ],
)
def test_refusals_are_one_line(arguments, says, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    verb, *rest = arguments
    assert run(app, ["plan", verb, "fit.nc", *rest]) == 2
    err = capsys.readouterr().err.strip().splitlines()
    assert err[-1].startswith("error: ")
    assert says in err[-1]
