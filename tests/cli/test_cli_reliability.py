"""Every verb that uses a fit tells that it has not converged, and how far a prediction is from what was seen."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from conftest import PASSED

import scalebayes as sb
from scalebayes.cli.app import app
from scalebayes.cli.errors import run

LINE = "warning: not converged: do not rely on the answers of this fit before this is mended: "

ONE = ["--model", "n", "--family", "f2", "--params", "3e10", "--tokens", "1e12"]
VERBS = {
    "predict": ["predict", "fit.nc", *ONE],
    "skills": ["skills", "fit.nc"],
    "report": ["report", "fit.nc", "-o", "page.html"],
    "plot": ["plot", "fit.nc", "--kind", "curves", "--out", "c.png"],
    "chance": ["plan", "chance", "fit.nc", "--target", "mmlu=0.5", *ONE],
    "budget": ["plan", "budget", "fit.nc", "--family", "f0", "--target", "mmlu=0.5", "--picture",
               "map.png", "--flops", "1e18,1e25"],
    "allocation": ["plan", "allocation", "fit.nc", "--family", "f1", "--flops", "1e23"],
    "contest": ["plan", "contest", "fit.nc", "--models", "models.csv"],
    "next": ["plan", "next", "fit.nc", "--candidates", "models.csv", *ONE[2:]],
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(fitted: sb.Fit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """fit.nc, which has not converged, good.nc, which has, and models.csv."""
    folder = tmp_path_factory.mktemp("reliability")
    fitted.save(folder / "fit.nc")
    replace(fitted, judged=PASSED).save(folder / "good.nc")
    models = pd.DataFrame({"model": ["a", "b"], "family": ["f2", "f3"], "params": [1e10, 2e10]})
    models.assign(tokens=1e12).to_csv(folder / "models.csv", index=False)
    return folder


def ask(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[str, list[str]]:
    """Standard output, and the warnings on standard error, of a run in which all warnings are shown."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert run(app, arguments) == 0
    out, err = capsys.readouterr()
    return out, [line for line in err.splitlines() if line.startswith("warning: ")]


@pytest.mark.parametrize("verb", VERBS)
def test_a_failed_verdict_is_one_line_and_in_the_json(verb, folder, fitted, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    out, told = ask([*VERBS[verb], "--json"], capsys)
    assert [line for line in told if "converged" in line] == [line for line in told if LINE in line]
    assert sum(LINE in line for line in told) == 1
    answer = json.loads(out)
    assert answer["converged"] is False
    assert answer["failures"] == list(fitted.verdict.failures)


@pytest.mark.parametrize("verb", ["predict", "chance"])
def test_a_converged_fit_says_so_in_the_json_alone(verb, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    out, told = ask([*(a.replace("fit.nc", "good.nc") for a in VERBS[verb]), "--json"], capsys)
    assert told == []
    assert (json.loads(out)["converged"], json.loads(out)["failures"]) == (True, [])


def test_a_summary_holds_the_failures(folder, fitted, capsys):
    out, _ = ask(["summary", f"{folder}/fit.nc", "--json"], capsys)
    assert json.loads(out)["converged"] is False
    assert json.loads(out)["failures"] == list(fitted.verdict.failures)


def test_comparisons_name_the_fit_that_failed(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    settings = ["--by", "score", "--method", "stacking", "--json"]
    found = sb.Comparison(
        "score", pd.DataFrame({"elpd": [0.0]}), pd.DataFrame(), pd.DataFrame(), {}
    )
    monkeypatch.setattr(sb, "compare", lambda *_, **__: found)
    out, _ = ask(["compare", "fit.nc", "good.nc", *settings], capsys)
    answer = json.loads(out)
    assert answer["converged"] is False
    assert all(failure.startswith("fit: ") for failure in answer["failures"])


def test_far_predictions_are_told_and_shown(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    far = ["--model", "n", "--family", "f2", "--params", "1e14", "--tokens", "1e15"]
    out, told = ask(["predict", "good.nc", *far], capsys)
    (line,) = told
    assert "warning: 'n' (1e+14 parameters, 1e+15 tokens) lies" in line
    assert out.splitlines()[0].split()[-2:] == ["flops_past", "ratio_outside"]
    out, told = ask(["predict", "good.nc", *ONE], capsys)
    assert told == []
    assert out.splitlines()[0].split()[-1] == "flops_past"  # no ratio is outside
    out, _ = ask(["predict", "good.nc", *far, "--json"], capsys)
    rows = json.loads(out)["predictions"]
    assert all(row["flops_past"] > 1.5 for row in rows)
    assert all(
        row["ratio_outside"] < 0 for row in rows
    )  # ten tokens a parameter, fewer than any seen
    swapped = ["--model", "n", "--family", "f2", "--params", "1e12", "--tokens", "3e10"]
    _, told = ask(["plan", "chance", "good.nc", "--target", "mmlu=0.5", *swapped], capsys)
    (line,) = told
    assert line.endswith("are params and tokens swapped?")
