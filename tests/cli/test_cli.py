"""The command line, as processes where that matters and in this process for its refusals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scalebayes import datasets, load
from scalebayes.cli import demo
from scalebayes.cli.app import app
from scalebayes.cli.errors import run
from scalebayes.report.tables import to_json

ROOT = Path(__file__).parents[2]
TINY = ("--draws", "8", "--warmup", "8", "--chains", "2")
BIGGER = ("--model", "a-70b", "--family", "a-family", "--params", "70e9", "--tokens", "2e12")


def scalebayes(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user would: a process of its own, its output not a terminal."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("SCALEBAYES")}
    env["PYTHONPATH"] = os.pathsep.join([str(ROOT), env.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "scalebayes.cli", *arguments],
        cwd=cwd, env=env, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with scores.csv: nine models of three families, in billions and trillions."""
    folder = tmp_path_factory.mktemp("cli")
    sizes = np.array([1.0, 7.0, 30.0])
    rows = [
        {"name": f"{family[0]}-{size:g}b", "maker": family, "billions": size, "trillions": 2.0,
         "MMLU": round(0.3 + 0.1 * np.log10(size) + shift, 3), "riddles": round(0.5 + shift, 3),
         "remark": "x"}
        for family, shift in (("a-family", 0.0), ("b", 0.05), ("c", 0.1)) for size in sizes
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    table.to_csv(folder / "scores.csv", index=False)
    table.assign(MMLU=100 * table["MMLU"]).to_csv(folder / "percent.csv", index=False)
    shares = table.assign(web=[1.0, 0.8, 0.6] * 3, code=[0.0, 0.2, 0.4] * 3)
    shares.to_csv(folder / "shares.csv", index=False)
    return folder


COLUMNS = (
    "--model-col", "name", "--family-col", "maker", "--params-col", "billions",
    "--tokens-col", "trillions", "--units", "params=1e9,tokens=1e12",
)  # fmt: skip


@pytest.fixture(scope="module")
def fitted(folder: Path) -> subprocess.CompletedProcess[str]:
    """The process that wrote fit.nc."""
    done = scalebayes(
        "fit", "family-intercept", "scores.csv", *COLUMNS, "--benchmarks", "all",
        "--chance", "riddles=0.2", "--hold-out", "c-30b", "--out", "fit.nc", *TINY, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


def test_fit_says_which_facts_it_used_and_what_it_left_out(fitted):
    assert "MMLU: chance 0.25 (looked up), items 14042 (looked up)" in fitted.stderr
    assert "riddles: chance 0.2 (given), items unknown" in fitted.stderr


def test_fit_compares_held_out_scores(fitted):
    lines = fitted.stdout.splitlines()
    assert [line.split()[:3] for line in lines[1:3]] == [
        ["c-30b", "MMLU", "0.548"],
        ["c-30b", "riddles", "0.600"],
    ]
    assert "2 scores of 1 held-out model:" in fitted.stdout


def test_warnings_are_single_lines_on_stderr(fitted):
    warned = [line for line in fitted.stderr.splitlines() if line.startswith("warning: ")]
    assert warned  # eight draws cannot pass
    assert "Warning" not in fitted.stderr
    assert "NOT converged" in fitted.stdout


def test_predict_writes_json_alone_on_stdout_and_a_csv(folder, fitted):
    done = scalebayes(
        "predict", "fit.nc", *BIGGER, "--prob", "0.5,0.8", "--json", "--csv", "p.csv", cwd=folder
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["predictions"]
    assert [row["benchmark"] for row in rows] == ["MMLU", "riddles"]
    written = pd.read_csv(folder / "p.csv")
    assert {"lower_80", "upper_50"} <= set(written.columns)
    np.testing.assert_allclose(written["lower_80"], [row["lower_80"] for row in rows])


def test_predict_reads_models_from_a_file(folder, fitted, capsys):
    models = pd.DataFrame(
        {
            "model": ["a-70b", "z-3b"],
            "family": ["a-family", "zeta"],
            "params": [70, 3],
            "tokens": [2, None],
        }
    )
    models.to_csv(folder / "models.csv", index=False)
    code = run(
        app,
        ["predict", f"{folder}/fit.nc", "--models", f"{folder}/models.csv", "--kind", "mean",
         "--units", "params=1e9,tokens=1e12"],
    )  # fmt: skip
    out, err = capsys.readouterr()
    assert code == 0, err
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["a-70b", "a-70b", "z-3b", "z-3b"]
    assert "has not seen the family 'zeta'" in err
    assert max(map(len, out.splitlines())) > 60  # nothing was cut off at 80 columns or folded
    assert "…" not in out


def test_summary_tells_law_data_verdict_and_priors(folder, fitted, capsys):
    assert run(app, ["summary", f"{folder}/fit.nc", "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert about["law"]["name"] == "FamilyIntercept"
    assert about["data"]["held_out"] == ["c-30b"]
    assert about["settings"]["draws"] == 8
    assert about["verdict"]["converged"] is False
    assert {"name", "prior", "reason"} == set(about["priors"][0])
    assert run(app, ["summary", f"{folder}/fit.nc", "--csv", f"{folder}/summary.csv"]) == 0
    assert "FamilyIntercept" in capsys.readouterr().out
    assert set(pd.read_csv(folder / "summary.csv")["part"]) >= {"law", "data", "verdict", "prior"}


FIT = ("fit", "shared-intercept", "{folder}/scores.csv", "--benchmarks", "MMLU", *COLUMNS)
PREDICT = ("predict", "{folder}/fit.nc")
REFUSED = {
    "missing table": (("fit", "sloth", "nowhere.csv", "--benchmarks", "all"), "nowhere.csv"),
    "missing fit": (("predict", "nowhere.nc", *BIGGER), "nowhere.nc"),
    "truncated fit": (("summary", "{folder}/cut.nc"), "truncated"),
    "not a fit": (("summary", "{folder}/scores.csv"), "not a complete fit"),
    "percent scores": (
        ("fit", "sloth", "{folder}/percent.csv", "--benchmarks", "MMLU", *COLUMNS),
        "--units score=0.01",
    ),
    "params in billions": ((*FIT, "--units", "tokens=1e12"), "--units params=1e9"),
    "unknown law": (("fit", "slothh", "{folder}/scores.csv"), "did you mean 'sloth'"),
    "no benchmarks": (FIT[:3], "--benchmarks all"),
    "unknown benchmark": ((*FIT, "--benchmarks", "MMLUU"), "did you mean 'MMLU'"),
    "bad units": ((*FIT, "--units", "params=billions"), "--units expects name=number"),
    "unknown unit": ((*FIT, "--units", "param=1e9"), "did you mean 'params'"),
    "skills for a law without": (
        (*FIT, "--set", "skills=2"),
        "--set skills=2: shared-intercept has no choice 'skills'",
    ),
    "unknown model held out": ((*FIT, "--hold-out", "d-1b"), "d-1b"),
    "no such folder": ((*FIT, "--out", "nowhere/fit.nc"), "nowhere"),
    "no draws": ((*FIT, "--draws", "0"), "--draws"),
    "half a model": ((*PREDICT, "--model", "x", "--params", "7e9"), "--family is missing"),
    "two sources of models": ((*PREDICT, "--models", "m.csv", "--model", "x"), "either"),
    "bad probability": ((*PREDICT, *BIGGER, "--prob", "0.5,high"), "--prob"),
    "probability of 90": ((*PREDICT, *BIGGER, "--prob", "90"), "between 0 and 1"),
    "misspelt family": (
        ("predict", "{folder}/fit.nc", "--model", "x", "--family", "aa-family", *BIGGER[4:]),
        "--new-family 'aa-family'",
    ),
    "bad kind": ((*PREDICT, *BIGGER, "--kind", "median"), "median"),
    "skills of a baseline": (("skills", "{folder}/fit.nc"), "has no skills"),
    "mixture without a column": ((*FIT, "--mixture", "web"), "SOURCE=COLUMN, such as"),
    "mixture of an unknown column": ((*FIT, "--mixture", "web=remarks"), "mean 'remark'"),
    "column of scores as a mixture": ((*FIT, "--mixture", "web=MMLU"), "for one purpose"),
    "source twice": ((*FIT, "--mixture", "web=a,web=b"), "--mixture names 'web' twice"),
    "mixture of a bundled table": (
        ("fit", "sloth", "open_llm", "--mixture", "web=mmlu"),
        "leave out --units, --chance, --items, --loss, --mixture and --covariate",
    ),
    "half a mixture": (
        (
            "fit",
            "sloth",
            "{folder}/shares.csv",
            "--benchmarks",
            "MMLU",
            *COLUMNS,
            "--mixture",
            "web=web",
        ),
        "shares.csv, 6 problems: line 3 (model 'a-7b'), column 'web'",
    ),
    "unknown verb": (("forecast",), "forecast"),
    "missing argument": (("predict",), "FIT.nc"),
    "unknown option": ((*PREDICT, "--tokns", "1e12"), "--tokns"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_bad_input_is_one_line_and_exit_code_2(why, folder, fitted, capsys):
    (folder / "cut.nc").write_bytes((folder / "fit.nc").read_bytes()[:5000])
    arguments, says = REFUSED[why]
    code = run(app, [a.format(folder=folder) for a in arguments])
    out, err = capsys.readouterr()
    assert code == 2
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("error: ")
    assert says in line


def test_a_percentage_ends_the_process_with_one_line(tmp_path):
    table = pd.DataFrame(
        {"model": ["l-7b"], "family": ["llama"], "params": [7e9], "tokens": [1e12], "mmlu": [57.0]}
    )
    table.to_csv(tmp_path / "scores.csv", index=False)
    done = scalebayes("fit", "sloth", "scores.csv", "--benchmarks", "mmlu", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("error: scores.csv, line 2 (model 'l-7b')")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("verb", ["demo", "fit", "predict", "summary", "skills", "data get"])
def test_help_shows_an_example(verb, capsys):
    assert run(app, [*verb.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"scalebayes {verb} " in shown.split("Example:")[1]


def test_demo_prints_intervals_beside_scores_and_their_coverage(tmp_path):
    done = scalebayes(
        "demo", "--out", "d", "--draws", "4", "--warmup", "2", "--chains", "2", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "inside the 90% interval" in done.stdout
    assert (tmp_path / "d" / "intervals.png").stat().st_size > 20_000
    table = pd.read_csv(tmp_path / "d" / "predictions.csv")
    assert table["model"].nunique() == len(demo.FAMILIES)
    scored = table[table["observed"].notna()]
    inside = scored["observed"].between(scored["lower_90"], scored["upper_90"])
    assert f"{inside.mean():.0%} inside the 90% interval" in done.stdout


def test_demo_families_have_a_largest_model_well_above_the_next():
    models = datasets.open_llm().models
    assert len(demo.FAMILIES) == 10
    for family in demo.FAMILIES:
        sizes = models.loc[models["family"] == family, "params"].sort_values().to_list()
        assert len(sizes) >= 3
        assert sizes[-1] > 2.4 * sizes[-2]


def test_json_has_no_nan():
    table = pd.DataFrame({"score": [0.5, np.nan], "ok": [True, False]})
    assert json.loads(to_json({"rows": table, "n": np.int64(3), "x": float("inf")})) == {
        "rows": [{"score": 0.5, "ok": True}, {"score": None, "ok": False}],
        "n": 3,
        "x": None,
    }


def test_mixtures_on_the_command_line(folder, capsys):
    done = scalebayes(
        "fit", "shared-intercept", "shares.csv", "--benchmarks", "all", *COLUMNS,
        "--mixture", "web=web,software=code", "--out", "mixed.nc", *TINY, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    out = f"{folder}/mixed.nc"
    seen = load(out).observations
    assert seen.benchmarks == ("MMLU", "riddles")  # all but the columns of the mixture
    weights = seen.mixtures.set_index(["model", "source"])["weight"]
    assert weights["a-30b"].to_dict() == {"web": 0.6, "software": 0.4}

    header = "model,family,params,tokens,source,weight\n"
    models = folder / "models_with_shares.csv"
    predict = ["predict", out, "--models", str(models), "--units", "params=1e9,tokens=1e12"]
    models.write_text(header + "d-1b,b,1,2,web,.5\nd-1b,b,1,2,software,.5\ne-1b,b,1,2,,\n")
    assert run(app, predict) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert [row.split()[0] for row in rows] == ["d-1b", "d-1b", "e-1b", "e-1b"]
    models.write_text(header + "d-1b,b,1,2,web,.5\nd-1b,b,1,2,wiki,.5\n")
    assert run(app, predict) == 2
    assert "the fit has no source ['wiki']" in capsys.readouterr().err
    models.write_text(header + "d-1b,b,1,2,web,.5\n")
    assert run(app, predict) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "line 2 (model 'd-1b', source 'web')" in line
    assert "must sum to one, got 0.5" in line


def test_the_demonstration_of_ladders_holds_out_the_large_runs():
    law, observations, hidden = demo.task("ladder")
    assert observations.models.nlargest(2, "params")["model"].tolist() == hidden[::-1]
    assert law.feature in observations.domains
    with pytest.raises(ValueError, match="but not of 'flp'"):
        demo.task("flp")
