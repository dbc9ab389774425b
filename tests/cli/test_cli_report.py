"""The verbs that show and judge fits: what they write, print and refuse."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import HELD_OUT

import scalebayes as sb
from scalebayes.cli import options
from scalebayes.cli.app import app
from scalebayes.cli.errors import run
from scalebayes.evaluation.comparison import Comparison


@pytest.fixture(scope="module")
def folder(fitted: sb.Fit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with large.nc, of which two models are held out, all.nc without these, and models.csv."""
    folder = tmp_path_factory.mktemp("shown")
    fitted.save(folder / "large.nc")
    seen = fitted.observations.without(models=HELD_OUT)
    replace(fitted, observations=seen, held_out=()).save(folder / "all.nc")
    models = pd.DataFrame({"model": ["n-70b", "m"], "family": ["f2", "new"], "params": [70, 2]})
    models.assign(tokens=2).to_csv(folder / "models.csv", index=False)
    return folder


def test_report_writes_a_page_and_tells_where(folder, capsys):
    arguments = ["report", f"{folder}/large.nc", "-o", f"{folder}/page.html"]
    models = ["--models", f"{folder}/models.csv", "--units", "params=1e9,tokens=1e12"]
    assert run(app, [*arguments, *models, "--title", "A fit", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert told["file"] == f"{folder}/page.html"
    assert told["bytes"] == len(page.encode())
    assert told["verdict"]["converged"] is False
    assert "<h1>A fit</h1>" in page
    assert '<th scope="row">n-70b</th>' in page
    assert run(app, arguments) == 0
    out, err = capsys.readouterr()
    assert out == f"report: {folder}/page.html\n"
    assert "writing the page" in err
    assert "n-70b" not in (folder / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        ("intervals", "png"),
        ("calibration", "svg"),
        ("curves", "png"),
        ("skills", "png"),
        ("identifiability", "png"),
    ],
)
def test_plot_draws_and_says_what_it_shows(kind, suffix, folder, capsys):
    out = folder / f"{kind}.{suffix}"
    arguments = ["plot", f"{folder}/large.nc", "--kind", kind, "--out", str(out)]
    assert run(app, [*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["file"], told["kind"]) == (str(out), kind)
    words = {"intervals": "of 8 scores", "calibration": "of 8 held-out scores"}
    words |= {"curves": "along training FLOPs of f0, f1, f2", "skills": "skill 1: arc "}
    words |= {"identifiability": "groups of parameters. "}
    assert words[kind] in told["shows"]
    starts = {"png": b"\x89PNG", "svg": b"<?xml"}[suffix]
    assert out.read_bytes().startswith(starts)
    assert run(app, arguments) == 0
    assert capsys.readouterr().out == f"{told['shows']}\npicture: {out}\n"


def test_compare_passes_on_what_is_asked_and_prints_the_table(folder, fitted, capsys, monkeypatch):
    table = pd.DataFrame({"rank": [0, 1], "elpd": [-1.5, np.nan]}, index=["twin", "all"])
    table = table.assign(p=0.5, se=0.25)
    evidence = pd.DataFrame({"fold": ["f0 from its smallest size"], "all": -2.0, "twin": -1.5})
    pareto_k = evidence.assign(all=0.6, twin=np.nan)
    asked = []

    def compare(fits, *, progress, **settings):
        asked.append(({name: fit.held_out for name, fit in fits.items()}, settings))
        for name in fits:
            for done in range(4):
                progress(name, done, 3)
        return Comparison(settings["by"], table, evidence, pareto_k, {})

    monkeypatch.setattr(sb, "compare", compare)
    monkeypatch.setattr("scalebayes.cli.evaluate.shows_progress", lambda json: not json)
    fits = ["compare", f"{folder}/all.nc", f"twin={folder}/all.nc"]
    settings = ["--by", "family", "--keep", "2,3", "--folder", "folds", "--jobs", "2"]
    settings += ["--method", "stacking"]
    assert run(app, [*fits, *settings, "--csv", f"{folder}/table.csv"]) == 0
    out, err = capsys.readouterr()
    named = {"all": (), "twin": ()}
    passed = {
        "by": "family",
        "keep": [2, 3],
        "method": "stacking",
        "folder": Path("folds"),
        "jobs": 2,
    }
    assert asked == [(named, passed)]
    assert err.count("3/3 refits") == 2
    assert [line.split() for line in out.splitlines()] == [
        ["law", "elpd"], ["twin", "-1.500"], ["all", "-"],
    ]  # fmt: skip
    assert pd.read_csv(folder / "table.csv").columns.tolist() == ["law", *table.columns]
    assert run(app, [*fits, "--json"]) == 0
    passed = {"by": "larger", "keep": [1, 2], "method": "pseudo-bma", "folder": None, "jobs": 1}
    assert asked[1] == (named, passed)
    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "converged": False,
        "failures": [f"{name}: {f}" for name in ("all", "twin") for f in fitted.verdict.failures],
        "by": "larger",
        "comparison": [
            {"law": "twin", "rank": 0, "elpd": -1.5, "p": 0.5, "se": 0.25},
            {"law": "all", "rank": 1, "elpd": None, "p": 0.5, "se": 0.25},
        ],
        "evidence": [{"fold": "f0 from its smallest size", "all": -2.0, "twin": -1.5}],
        "pareto_k": [{"fold": "f0 from its smallest size", "all": 0.6, "twin": None}],
    }  # fmt: skip
    assert err == "comparing all, twin by larger\n"


REFUSED = {
    "no such kind": (("plot", "{folder}/large.nc", "--kind", "curve"), "no picture of kind 'curve'"),
    "misspelt kind": (
        ("plot", "{folder}/large.nc", "--kind", "interval"),
        "did you mean 'intervals'",
    ),
    "no such format": (("plot", "{folder}/large.nc", "--out", "x.gif"), "ends in .png, .svg, .pdf"),
    "no folder of a picture": (("plot", "{folder}/large.nc", "--out", "no/x.png"), "folder no"),
    "nothing to draw": (("plot", "{folder}/all.nc"), "fit with --hold-out"),
    "nothing to judge": (("plot", "{folder}/all.nc", "--kind", "calibration"), "--hold-out"),
    "one fit": (("compare", "{folder}/all.nc"), "at least two fits"),
    "a name twice": (("compare", "{folder}/all.nc", "{folder}/all.nc"), "all-2={folder}/all.nc"),
    "no such fit": (("compare", "a={folder}/no.nc", "{folder}/all.nc"), "{folder}/no.nc"),
    "no such piece": (("compare", "a={folder}/all.nc", "b={folder}/all.nc", "--by", "size"), "size"),
    "sizes": (("compare", "{folder}/all.nc", "--keep", "1,many"), "--keep expects whole numbers"),
}  # fmt: skip


@pytest.mark.parametrize("why", REFUSED)
def test_bad_input_is_one_line_and_exit_code_2(why, folder, capsys):
    arguments, says = REFUSED[why]
    assert run(app, [a.format(folder=folder) for a in arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    *_, line = err.splitlines()
    assert line.startswith("error: ")
    assert says.format(folder=folder) in line


def test_report_refuses_before_it_works(folder, capsys):
    page = ["report", f"{folder}/all.nc", "-o"]
    assert run(app, [*page, f"{folder}/no/page.html"]) == 2
    assert "there is no folder" in capsys.readouterr().err
    misspelt = folder / "misspelt.csv"
    header = "model,family,params,tokens\n"
    misspelt.write_text(f"{header}x,ff2,7e9,1e12\n")
    assert run(app, [*page, f"{folder}/none.html", "--models", str(misspelt)]) == 2
    assert "--new-family 'ff2'" in capsys.readouterr().err
    assert not (folder / "none.html").exists()


@pytest.mark.parametrize("verb", ["report", "plot", "compare"])
def test_help_shows_an_example(verb, capsys):
    assert run(app, [verb, "--help"]) == 0
    assert f"scalebayes {verb} " in capsys.readouterr().out.split("Example:")[1]


def test_names_of_files(tmp_path):
    odd = tmp_path / "a=b.nc"
    odd.touch()
    found = options.named_files([str(odd), "new=dir/x.nc", "dir/y.nc"])
    assert found == {"a=b": odd, "new": Path("dir/x.nc"), "y": Path("dir/y.nc")}
