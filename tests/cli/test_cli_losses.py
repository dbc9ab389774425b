"""Verbs that judge a fit serve losses too: fit, plot and report of a ladder that holds out runs."""

from __future__ import annotations

import contextlib
import io
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb
from scalebayes.cli.app import app
from scalebayes.cli.errors import run
from scalebayes.evaluation import scoring

FIT = [
    "fit", "ladder", "runs.csv", "--benchmarks", "easy", "--chance", "easy=0.25", "--loss",
    "c4=c4_loss:nats/token", "--loss", "code=code_loss:nats/token", "--set", "feature=c4",
    "--hold-out", "r-7", "--hold-out", "r-8", "--hold-out", "r-6", "--draws", "40", "--warmup", "300",
    "--chains", "2",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine runs of one recipe, and a fit to six of them."""
    folder = tmp_path_factory.mktemp("losses")
    params = np.repeat([2e8, 4e8, 8e8], 3)
    tokens = params * np.tile([20, 50, 100], 3)
    noise = np.exp(0.01 * np.random.default_rng(0).normal(size=9))
    loss = noise * (1.5 + 400 / params**0.3 + 400 / tokens**0.3)
    table = pd.DataFrame(
        {"model": [f"r-{i}" for i in range(9)], "family": "r", "params": params, "tokens": tokens}
    )
    score = 0.25 + 0.7 / (1 + np.exp(4 * (loss - 3.2)))
    table.assign(easy=score, c4_loss=loss, code_loss=loss / 2).to_csv(
        folder / "runs.csv", index=False
    )
    return folder


@pytest.fixture(scope="module")
def said(folder: Path) -> dict[str, str]:
    """What the fit printed, as text and as JSON."""
    found = {}
    with pytest.MonkeyPatch.context() as patched, warnings.catch_warnings():
        patched.chdir(folder)
        warnings.simplefilter("ignore", sb.ConvergenceWarning)  # forty draws
        for kind, more in (("text", []), ("json", ["--json"])):
            with contextlib.redirect_stdout(io.StringIO()) as out:
                assert run(app, [*FIT, "--out", "fit.nc", *more]) == 0
            found[kind] = out.getvalue()
    return found


def test_fit_judges_held_out_scores_and_losses(said):
    assert "3 scores of 3 held-out models:" in said["text"]
    assert "6 losses of 3 held-out models:" in said["text"]
    answer = json.loads(said["json"])
    assert {row["benchmark"] for row in answer["predictions"]} == {"easy"}
    assert {row["domain"] for row in answer["predicted_losses"]} == {"c4", "code"}
    for row in (*answer["predictions"], *answer["predicted_losses"]):
        assert {"observed", "median", "flops_past", "ratio_outside"} <= set(row)
    assert answer["converged"] is False


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("intervals", "of 6 losses lie inside their 90% intervals"),
        ("calibration", "Calibration of 6 held-out losses of 3 models."),
        ("curves", "Predicted loss along training FLOPs of r, one panel a domain"),
    ],
)
def test_pictures_of_losses(kind, says, said, folder, capsys):
    out = folder / f"{kind}.png"
    arguments = ["plot", f"{folder}/fit.nc", "--kind", kind, "--of", "loss", "--out", str(out)]
    assert run(app, [*arguments, "--json"]) == 0
    assert says in json.loads(capsys.readouterr().out)["shows"]
    assert out.read_bytes().startswith(b"\x89PNG")


def test_pictures_of_no_predictions_have_no_losses(said, folder, capsys):
    assert run(app, ["plot", f"{folder}/fit.nc", "--kind", "identifiability", "--of", "loss"]) == 2
    assert "leave out --of loss" in capsys.readouterr().err


def test_held_out_losses_are_calibrated(said, folder):
    held = sb.held_out(sb.load(folder / "fit.nc"), of="loss")
    table = sb.calibration(held, by="domain")
    assert table["domain"].tolist() == ["c4", "code"]
    assert table["losses"].tolist() == [3, 3]
    cells = scoring.scores(held)
    observed = pd.read_csv(folder / "runs.csv").set_index("model")["c4_loss"]
    of_c4 = cells[cells["domain"] == "c4"]
    assert of_c4["observed"].tolist() == pytest.approx(observed[of_c4["model"]].tolist())


def test_the_report_calibrates_losses(said, folder, capsys):
    page = folder / "page.html"
    assert run(app, ["report", f"{folder}/fit.nc", "-o", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert 'id="calibration-of-losses"' in text
    assert "Calibration of 6 held-out losses of 3 models." in text
    assert "beside the losses. " in text  # intervals of both
    assert "beside the scores. " in text
