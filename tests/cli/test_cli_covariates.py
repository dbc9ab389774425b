"""Covariates on the command line, from the table to predictions, plans and the report."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb
from scalebayes.cli import options
from scalebayes.cli.app import app
from scalebayes.cli.errors import run
from scalebayes.inference.diagnostics import ConvergenceWarning

TINY = ["--draws", "8", "--warmup", "8", "--chains", "2"]
NEXT = ["--model", "a-70b", "--family", "a", "--params", "70e9", "--tokens", "2e12"]
COLUMNS = "model,family,params,tokens"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with fit.nc: nine models of three families, with a year and a stage."""
    folder = tmp_path_factory.mktemp("covariates")
    rows = [
        {"model": f"{family}-{size:g}b", "family": family, "params": size * 1e9, "tokens": 2e12,
         "year": 2021 + i + j, "stage": "chat" if (i + j) % 2 else "base",
         "quiz": round(0.3 + 0.1 * np.log10(size) + 0.02 * j, 3)}
        for j, family in enumerate("abc") for i, size in enumerate((1.0, 7.0, 30.0))
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "scores.csv", index=False)
    declared = ["--covariate", "year=numeric", "--covariate", "stage=base<chat"]
    arguments = ["fit", "family-intercept", f"{folder}/scores.csv", "--benchmarks", "all"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # eight draws cannot converge
        assert run(app, [*arguments, *declared, "--out", f"{folder}/fit.nc", *TINY]) == 0
    return folder


def predicted(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str) -> pd.DataFrame:
    capsys.readouterr()
    asked = ["predict", f"{folder}/fit.nc", "--kind", "mean", "--json", *arguments]
    assert run(app, asked) == 0
    return pd.DataFrame(json.loads(capsys.readouterr().out)["predictions"])


def test_the_fit_knows_its_covariates_and_takes_no_scores_from_them(folder):
    fit = sb.load(folder / "fit.nc")
    assert fit.law.covariates == ("year", "stage")
    assert fit.observations.covariates["year"] == sb.Covariate("year", "numeric")
    assert fit.observations.covariates["stage"] == sb.Covariate(
        "stage", "ordered", ("base", "chat")
    )
    assert fit.observations.benchmarks == ("quiz",)


def test_a_single_model_and_a_file_are_predicted_as_by_the_library(folder, capsys):
    given = ["--covariate", "year=2025", "--covariate", "stage=chat"]
    single = predicted(capsys, folder, *NEXT, *given)
    file = folder / "models.csv"
    file.write_text(f"{COLUMNS},year,stage\na-70b,a,70e9,2e12,2025,chat\n")
    read = predicted(capsys, folder, "--models", str(file))
    models = pd.DataFrame(
        {"model": ["a-70b"], "family": "a", "params": 70e9, "tokens": 2e12, "year": 2025.0, "stage": "chat"}
    )  # fmt: skip
    expected = sb.predict(sb.load(folder / "fit.nc"), models, kind="mean")
    for table in (single, read):
        np.testing.assert_allclose(table["median"], expected["median"], rtol=1e-9)
    base = predicted(capsys, folder, *NEXT, "--covariate", "year=2025,stage=base")
    assert base["median"].iloc[0] != single["median"].iloc[0]


def test_plan_chance_takes_covariates(folder, capsys):
    target = ["--target", "quiz=0.5"]
    given = ["--covariate", "year=2025,stage=chat"]
    assert run(app, ["plan", "chance", f"{folder}/fit.nc", *target, *NEXT, *given, "--json"]) == 0
    rows = pd.DataFrame(json.loads(capsys.readouterr().out)["probabilities"])
    models = pd.DataFrame(
        {"model": ["a-70b"], "family": "a", "params": 70e9, "tokens": 2e12, "year": 2025.0, "stage": "chat"}
    )  # fmt: skip
    expected = sb.target_probability(sb.load(folder / "fit.nc"), models, {"quiz": 0.5})
    np.testing.assert_allclose(rows["probability"], expected["probability"], rtol=1e-9)


def test_the_report_shows_the_covariates(folder, capsys):
    page = folder / "page.html"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # ArviZ's, of so few draws
        assert run(app, ["report", f"{folder}/fit.nc", "-o", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert "Covariates" in text
    assert "2021 to 2025" in text


REFUSED = {
    "a covariate missing": (["--covariate", "year=2025"], "the law uses the covariate 'stage'"),
    "all missing": ([], "the law uses the covariate 'year'"),
    "an unknown level": (
        ["--covariate", "year=2025,stage=sft"],
        "stage must be one of its levels 'base', 'chat', got 'sft'",
    ),
    "an unknown covariate": (
        ["--covariate", "yaer=2025"],
        "--covariate yaer=2025: the fit has no covariate 'yaer'; did you mean 'year'",
    ),
    "not a number": (
        ["--covariate", "year=late"],
        "--covariate expects name=number, such as year=2025, got 'year=late'",
    ),
    "no value": (["--covariate", "stage"], "--covariate expects NAME=VALUE"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_refusals_are_one_line(why, folder, capsys):
    given, says = REFUSED[why]
    capsys.readouterr()
    assert run(app, ["predict", f"{folder}/fit.nc", *NEXT, *given]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("error: ")
    assert says in line


def test_a_file_without_a_covariate_is_refused_by_name(folder, capsys):
    file = folder / "short.csv"
    file.write_text(f"{COLUMNS},year\na-70b,a,70e9,2e12,2025\n")
    capsys.readouterr()
    assert run(app, ["predict", f"{folder}/fit.nc", "--models", str(file)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "the law uses the covariate 'stage', which is not given for 'a-70b'" in line
    both = ["--models", str(file), "--covariate", "year=2025"]
    assert run(app, ["predict", f"{folder}/fit.nc", *both]) == 2
    assert "not --models and --covariate" in capsys.readouterr().err


def test_a_new_family_needs_covariates_by_the_names_of_options(folder, capsys):
    capsys.readouterr()
    budget = ["budget", f"{folder}/fit.nc", "--target", "quiz=0.5", "--family", "zeta"]
    ranges = ["--flops", "1e20,1e25", "--tokens-per-param", "10,100"]
    assert run(app, ["plan", *budget, *ranges]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "the family 'zeta' is not in the fit" in line
    assert line.endswith("give it, as in --covariate year=...")


def test_candidates_and_the_predicted_model_need_the_same_covariates(folder, capsys):
    runs = folder / "runs.csv"
    runs.write_text(f"{COLUMNS},year,stage\ns-1b,a,1e9,1e11,2025,chat\n")
    capsys.readouterr()
    target = ["--family", "a", "--params", "70e9", "--tokens", "2e12"]
    assert run(app, ["plan", "next", f"{folder}/fit.nc", "--candidates", str(runs), *target]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "only one of them has 'stage', 'year': add it to the other" in line


def test_kinds_and_levels_are_parsed():
    assert options.covariates(["year=numeric,stage=base<sft<chat", "lab=category"]) == {
        "year": "numeric", "stage": ["base", "sft", "chat"], "lab": "category"
    }  # fmt: skip
    with pytest.raises(ValueError, match="--covariate expects COLUMN=KIND, such as stage=category"):
        options.covariates(["year"])


def test_a_wrong_kind_is_refused(folder, capsys):
    table = f"{folder}/scores.csv"
    fit = ["fit", "family-intercept", table, "--benchmarks", "all", "--covariate"]
    for given, says in (
        ("year=number", "got 'number'"),
        ("years=numeric", "did you mean 'year'"),
        ("stage=numeric", "stage"),
    ):
        capsys.readouterr()
        assert run(app, [*fit, given]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert says in line
