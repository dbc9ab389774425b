"""Held-out scores: folds, refits that go on where they stopped, comparison and averages."""

from __future__ import annotations

import inspect
import os
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from conftest import fit_quietly, table

import scalebayes as sb
from scalebayes.data import folds
from scalebayes.data.folds import Fold
from scalebayes.evaluation import (
    comparison,
    evidence,
    importance_sampling,
    leave_one_out,
    moment_matching,
    refits,
)
from scalebayes.evaluation.cross_validation import cross_validate
from scalebayes.evaluation.heldout import held_out
from scalebayes.evaluation.pieces import Pieces
from scalebayes.evaluation.predictions import mixed
from scalebayes.prediction import averaging
from scalebayes.prediction.simulation import simulate

SHORT: dict[str, Any] = {"seed": 0, "sampler": sb.Nuts(draws=200, warmup=200)}
QUICK: dict[str, Any] = {"seed": 0, "sampler": sb.Nuts(draws=200, warmup=200, chains=2)}


@pytest.fixture(scope="module")
def observations() -> sb.Observations:
    """Six families of three sizes, from a law in which size matters."""
    return simulate(sb.SizeAndTokens(), table(6, 3), seed=2)[0].only(domains=[])


@pytest.fixture(scope="module")
def fits(observations: sb.Observations) -> dict[str, sb.Fit]:
    laws = {"right": sb.SizeAndTokens(), "wrong": sb.SharedIntercept()}
    return {k: fit_quietly(law, observations, **SHORT) for k, law in laws.items()}


# --- folds --------------------------------------------------------------------------------------


def test_the_larger_models_of_one_family_are_left_out_at_a_time(
    observations: sb.Observations,
) -> None:
    found = folds.larger(observations)
    assert len(found) == 12
    assert found[0] == Fold("f0 from its smallest size", ("f0-1", "f0-2"), "f0")
    assert found[1] == Fold("f0 from its smallest 2 sizes", ("f0-2",), "f0")
    assert folds.larger(observations, keep=[3]) == []


def test_a_model_a_family_and_a_score(observations: sb.Observations) -> None:
    assert [f.hold_out for f in folds.each_model(observations)][:2] == [("f0-0",), ("f0-1",)]
    assert folds.each_family(observations)[5].hold_out == ("f5-0", "f5-1", "f5-2")
    assert folds.each_score(observations)[1].hold_out == (("f0-0", "gsm"),)
    assert folds.hidden(observations.scores, [("f0-0", "gsm"), "f1-0"]).sum() == 5


def test_single_scores_are_held_out(observations: sb.Observations, tmp_path: Path) -> None:
    cell = ("f0-2", "gsm")
    fit = fit_quietly(sb.SharedIntercept(), observations, hold_out=[cell, "f1-0"], **SHORT)
    assert fit.seen.sum() == len(observations.scores) - 5
    assert len(fit.tree["log_likelihood"]["score_obs"]) == fit.seen.sum()
    again = sb.load(fit.save(tmp_path / "fit.nc"))
    assert again.held_out == (cell, "f1-0")
    cells = held_out(again).cells
    assert set(cells["model"] + cells["benchmark"]) >= {"f0-2gsm", "f1-0gsm"}
    assert len(cells) == 5
    with pytest.raises(ValueError, match=r"cannot hold out \[\('f0-2', 'piqa'\)\]"):
        sb.fit(sb.SharedIntercept(), observations, hold_out=[("f0-2", "piqa")], **QUICK)


# --- held-out scores of one fit -----------------------------------------------------------------


def test_held_out_scores_are_those_of_predict_and_log_score(observations: sb.Observations) -> None:
    out = ["f0-1", "f0-2", "f3-2"]
    fit = fit_quietly(sb.SizeAndTokens(), observations, hold_out=out, **SHORT)
    own = observations.only(models=out)
    inside, outside = held_out(fit), held_out(fit, own)
    expected = sb.predict(fit, own.models).set_index(["model", "benchmark"])
    density = sb.log_score(fit, own).set_index(["model", "benchmark"])["log_score"]
    for held in (inside, outside):
        cells = held.cells.set_index(["model", "benchmark"])
        np.testing.assert_allclose(cells["log_score"], density[cells.index], atol=1e-4)
        medians = pd.Series(np.median(held.draws, axis=1), cells.index)
        sd = expected["sd"][cells.index]
        assert (np.abs(medians - expected["median"][cells.index]) < 0.35 * sd).all()
        assert held.folds["n_scores"].tolist() == [12]
        joint = sb.joint_log_score(fit, own)
        assert held.folds["log_score"][0] == pytest.approx(joint, abs=1e-3)
    assert cells["family_size"].unique().tolist() == [1, 2]
    models = observations.models.set_index("model")
    decades = np.log10(models["flops"]["f3-2"] / models["flops"]["f3-1"])
    assert cells.loc["f3-2", "distance"].unique() == pytest.approx(decades)
    with pytest.raises(ValueError, match="the fit has seen all its scores"):
        held_out(fit_quietly(sb.SharedIntercept(), observations, **SHORT))
    with pytest.raises(ValueError, match=r"has seen 60 of these scores, such as f0-0 / arc"):
        held_out(fit, observations)
    mix = held_out(sb.Average({"a": fit, "b": fit}, {"a": 0.25, "b": 0.75}))
    assert mix.folds["log_score"][0] == pytest.approx(held.folds["log_score"][0])
    assert mix.folds["log_score_se"][0] < held.folds["log_score_se"][0]


def test_distance_of_a_model_without_tokens_is_that_of_its_size(
    observations: sb.Observations,
) -> None:
    models = observations.models.copy()
    models.loc[models["model"] == "f3-2", ["tokens", "flops"]] = np.nan
    tables = sb.Observations(models, observations.scores)
    fit = fit_quietly(sb.SharedIntercept(), tables, hold_out=["f3-2"], **SHORT)
    params = models.set_index("model")["params"]
    decades = np.log10(params["f3-2"] / params["f3-1"])
    assert held_out(fit).cells["distance"].unique() == pytest.approx(decades)


def test_a_size_without_scores_does_not_stay(observations: sb.Observations) -> None:
    scores = observations.scores[observations.scores["model"] != "f0-0"]
    first = folds.larger(sb.Observations(observations.models, scores), keep=[1])[0]
    assert first == Fold("f0 from its smallest size", ("f0-2",), "f0")


def test_models_without_tokens_have_sizes(observations: sb.Observations) -> None:
    models = observations.models.assign(tokens=np.nan, flops=np.nan)
    found = averaging.sizes(sb.Observations(models, observations.scores))
    assert sum(len(names) for _, names in found) == len(models)


# --- refits -------------------------------------------------------------------------------------


def test_finished_folds_are_read_and_others_fitted(
    observations: sb.Observations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = folds.larger(observations, keep=[2])[:3]
    law = sb.SharedIntercept()
    first = cross_validate(law, observations, questions[:2], folder=tmp_path, **QUICK)
    assert len(list(tmp_path.glob("*.npz"))) == 2
    fitted = []
    real = sb.fit
    monkeypatch.setattr(
        "scalebayes.evaluation.cross_validation.sample_posterior",
        lambda *args, **more: fitted.append(more["hold_out"]) or real(*args, **more),
    )
    told: list[tuple[int, int]] = []
    settings = {"folder": tmp_path, "progress": lambda *n: told.append(n), **QUICK}
    whole = cross_validate(law, observations, questions, **settings)
    assert fitted == [questions[2].hold_out]
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
    with joblib.parallel_config(backend="threading"):
        again = cross_validate(law, observations, questions, jobs=2, **settings)
    assert told[4:] == told[:4]
    pd.testing.assert_frame_equal(again.cells, whole.cells)
    pd.testing.assert_frame_equal(whole.cells.iloc[: len(first.cells)], first.cells)
    pd.testing.assert_frame_equal(whole.folds.iloc[:2], first.folds)
    np.testing.assert_array_equal(whole.draws[: len(first.cells)], first.draws)
    cross_validate(law, observations, questions[:1], folder=tmp_path, **{**QUICK, "seed": 1})
    assert len(fitted) == 2  # another seed is another fit
    for file in tmp_path.glob("*.npz"):
        file.write_bytes(file.read_bytes()[:500])
    mended = cross_validate(law, observations, questions[:1], folder=tmp_path, **QUICK)
    assert len(fitted) == 3
    pd.testing.assert_frame_equal(mended.folds, first.folds.head(1))


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
import scalebayes as sb
from conftest import table
from scalebayes.data import folds
from scalebayes.prediction.simulation import simulate
observations = simulate(sb.SizeAndTokens(), table(6, 3), seed=2)[0].only(domains=[])
sb.cross_validate(sb.SharedIntercept(), observations, folds.larger(observations, keep=[1, 2]),
                  folder={folder!r}, seed=0, sampler=sb.Nuts(draws=200, warmup=200, chains=2))
"""


@pytest.mark.slow
def test_a_process_killed_in_a_fold_loses_that_fold_alone(
    observations: sb.Observations, tmp_path: Path
) -> None:
    script = SCRIPT.format(tests=str(Path(__file__).parents[1]), folder=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", script])
    deadline = time.monotonic() + 240
    wanted = int(np.random.default_rng(os.getpid()).integers(1, 5))
    while len(list(tmp_path.glob("*.npz"))) < wanted:
        assert process.poll() is None, "the process ended before it was to be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = {p: p.stat().st_mtime_ns for p in tmp_path.glob("*.npz")}
    assert len(finished) >= wanted
    questions = folds.larger(observations, keep=[1, 2])
    settings = {**QUICK, "folder": tmp_path}
    whole = cross_validate(sb.SharedIntercept(), observations, questions, **settings)
    assert len(whole.folds) == 12
    assert {p: p.stat().st_mtime_ns for p in finished} == finished  # none was fitted again
    assert len(list(tmp_path.glob("*.npz"))) == 12


@pytest.mark.slow
def test_a_cluster_gives_what_one_process_gives(
    observations: sb.Observations, tmp_path: Path
) -> None:
    """Folds on worker processes of Dask, of which one is killed half-way."""
    from dask.distributed import Client, LocalCluster

    questions = folds.larger(observations, keep=[2])[:4]
    law = sb.SharedIntercept()
    alone = cross_validate(law, observations, questions, **QUICK)
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
        joblib.parallel_config(backend="dask"),
    ):
        victim = next(iter(client.run(os.getpid).values()))
        killer = subprocess.Popen(
            [sys.executable, "-c", KILLER.format(folder=str(tmp_path), pid=victim)]
        )
        there = cross_validate(law, observations, questions, folder=tmp_path, jobs=2, **QUICK)
        assert killer.wait(timeout=60) == 0
    pd.testing.assert_frame_equal(there.cells, alone.cells)
    np.testing.assert_array_equal(there.draws, alone.draws)


KILLER = """
import os, pathlib, signal, time
while not list(pathlib.Path({folder!r}).glob("*.npz")):
    time.sleep(0.05)
os.kill({pid}, signal.SIGKILL)
"""


# --- comparison ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Finished folds of the comparisons by larger models."""
    return tmp_path_factory.mktemp("folds")


@pytest.fixture(scope="module")
def by_larger(fits: dict[str, sb.Fit], folder: Path) -> sb.Comparison:
    return sb.compare(fits, keep=[1], folder=folder)


def test_the_right_law_predicts_larger_models_better(by_larger: sb.Comparison) -> None:
    table = by_larger.table
    assert list(table.index) == ["right", "wrong"]
    assert table["elpd_diff"]["right"] == 0
    differences = by_larger.evidence["right"] - by_larger.evidence["wrong"]
    assert table["elpd_diff"]["wrong"] == pytest.approx(differences.sum())
    assert table["dse"]["wrong"] == pytest.approx(np.sqrt(6 * differences.var(ddof=0)))
    assert table["elpd"]["right"] == pytest.approx(by_larger.evidence["right"].sum())
    assert (table["pieces"] == 6).all()
    assert sum(by_larger.weights.values()) == pytest.approx(1)
    assert by_larger.weights["right"] > 0.8
    passed = by_larger.held["wrong"].folds["passed"]
    assert table["failed"]["wrong"] == (~passed).sum()


def test_an_average_has_the_draws_and_densities_of_its_parts(
    by_larger: sb.Comparison, fits: dict[str, sb.Fit]
) -> None:
    held, parts, weights = by_larger.average(), by_larger.held, by_larger.weights
    expected = np.log(sum(weights[k] * np.exp(parts[k].folds["log_score"]) for k in parts))
    np.testing.assert_allclose(held.folds["log_score"], expected)
    assert held.draws.shape == parts["right"].draws.shape
    even = mixed(parts, {"right": 0.5, "wrong": 0.5})
    means = (parts["right"].draws.mean(1) + parts["wrong"].draws.mean(1)) / 2
    error = even.draws.std(1) / np.sqrt(even.draws.shape[1])
    assert (np.abs(even.draws.mean(1) - means) < 5 * error).all()
    both = sb.average(fits, by_larger.weights)
    assert sb.predict(both, fits["right"].observations.models.head(2)).shape[0] == 8
    with pytest.raises(ValueError, match="sum to one"):
        sb.average(fits, {"right": 0.5, "wrong": 0.2})
    with pytest.raises(ValueError, match="give one weight a fit"):
        sb.average(fits, {"right": 1.0})


def test_importance_sampling_and_moment_matching_agree_with_refits(fits: dict[str, sb.Fit]) -> None:
    fast = sb.compare(fits, by="model", refit=False)
    assert fast.evidence["fold"].tolist() == fits["wrong"].observations.models["model"].tolist()
    assert (fast.evidence["n_scores"] == 4).all()
    raw = sb.compare(fits, by="model", refit=False, moment_match=False)
    moved = np.argsort(-raw.pareto_k["wrong"].to_numpy())[:3]
    assert (raw.pareto_k["wrong"][moved] > 0.5).all()
    good = np.flatnonzero(raw.pareto_k["wrong"] < 0.5)[:6]
    assert len(good) == 6
    np.testing.assert_array_equal(fast.evidence["wrong"][good], raw.evidence["wrong"][good])
    observations = fits["wrong"].observations
    questions = folds.each_model(observations)
    log_lik = refits.densities(fits["wrong"], questions).reshape(-1, len(questions))[:, moved]
    told = moment_matching.matched(fits["wrong"], "model", moved, log_lik, np.full(3, 0.5))
    assert all(one.pareto_k < 0.6 for one in told)
    at = [*good, *moved]
    exact = cross_validate(sb.SharedIntercept(), observations, [questions[i] for i in at], **QUICK)
    expected = exact.folds["log_score"].to_numpy()
    found = [*fast.evidence["wrong"][good], *(one.log_density for one in told)]
    difference = np.abs(np.array(found) - expected)
    assert (difference[:6] < 0.3).sum() >= 5  # of short chains
    assert np.median(difference[:6]) < 0.1
    before = np.abs(raw.evidence["wrong"].to_numpy()[at] - expected)
    assert difference[6:].mean() < before[6:].mean()
    assert fast.table["elpd"]["wrong"] + fast.table["p"]["wrong"] == pytest.approx(
        raw.table["elpd"]["wrong"] + raw.table["p"]["wrong"]
    )  # the log density of the models with them seen


def test_scores_one_at_a_time(fits: dict[str, sb.Fit]) -> None:
    found = sb.compare(fits, by="score", refit=False)
    assert len(found.evidence) == 72
    assert found.evidence["fold"][1] == "f0-0 / gsm"
    assert list(found.table.index) == ["right", "wrong"]
    assert found.weights["right"] > 0.99
    other = sb.compare(fits, by="score", refit=False, method="stacking")
    assert other.weights != found.weights
    assert sum(other.weights.values()) == pytest.approx(1)
    np.testing.assert_allclose(averaging.pseudo_bma(np.log([[0.2, 0.6]])), [0.25, 0.75])
    assert (found.table["failed"] == 0).all()
    with pytest.raises(ValueError, match="has no predictions of all pieces"):
        found.average()


def test_what_importance_sampling_cannot_tell_is_refitted(
    fits: dict[str, sb.Fit], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter(range(10**6))

    def with_one_bad(log_lik: np.ndarray, reff: float) -> importance_sampling.LeftOut:
        found = importance_sampling.importance(log_lik, reff)
        return found._replace(pareto_k=0.9 if next(calls) % 72 == 3 else 0.1)

    monkeypatch.setattr(leave_one_out, "importance", with_one_bad)
    found = sb.compare(fits, by="score", moment_match=False)
    assert found.pareto_k["right"][3] == 0.9
    assert found.held["right"].folds["fold"].tolist() == [found.evidence["fold"][3]]
    assert found.evidence["right"][3] == found.held["right"].folds["log_score"][0]
    assert not found.table["warning"].any()


def test_moved_draws_are_believed_below_one_half(
    fits: dict[str, sb.Fit], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter(range(72))

    def two_bad(log_lik: np.ndarray, reff: float) -> importance_sampling.LeftOut:
        found = importance_sampling.importance(log_lik, reff)
        return found._replace(pareto_k=0.9 if next(calls) in (3, 8) else 0.6)

    moved = [importance_sampling.LeftOut(-7.0, k, 0.1) for k in (0.55, 0.45)]
    monkeypatch.setattr(leave_one_out, "importance", two_bad)
    monkeypatch.setattr(leave_one_out, "matched", lambda *_: moved)
    found = evidence.pieces(fits["right"], "score")
    assert found.held is not None
    assert found.held.folds["fold"].tolist() == [found.labels["fold"][3]]
    assert found.log_density[3] == found.held.folds["log_score"][0]
    assert found.log_density[8] == -7.0
    assert found.pareto_k[[3, 8]].tolist() == [0.55, 0.45]
    assert not found.unsure.any()


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # of pandas, inside ArviZ
def test_the_table_is_that_of_arviz(by_larger: sb.Comparison) -> None:
    import arviz_stats
    import xarray as xr
    from arviz_stats.utils import ELPDData

    table, names = by_larger.evidence.copy(), ["right", "wrong"]
    table[names] /= 40  # no law gets all weight
    n = len(table)
    parts, theirs = {}, {}
    for name in names:
        values, unknown = table[name].to_numpy(), np.full(n, np.nan)
        parts[name] = Pieces(table, values, unknown, unknown, unknown > 0, np.nan, None)
        kind = {"kind": "loo"} if "kind" in inspect.signature(ELPDData).parameters else {}
        theirs[name] = ELPDData(
            elpd=values.sum(), se=np.sqrt(n * values.var()), p=0.0, n_samples=100, n_data_points=n,
            scale="log", warning=False, good_k=0.7, elpd_i=xr.DataArray(values, dims="piece"), **kind,
        )  # fmt: skip
    ours = comparison._table(table, parts, "pseudo-bma")
    raw = inspect.signature(arviz_stats.compare).parameters.keys() & {"round_to"}
    expected = arviz_stats.compare(theirs, method="bb-pseudo-bma", **dict.fromkeys(raw, "none"))
    expected = expected.loc[ours.index]
    for column in ("rank", "elpd", "elpd_diff", "dse"):
        theirs_there = pd.to_numeric(expected[column]).abs()  # ArviZ 1.x counts from the other side
        np.testing.assert_allclose(ours[column], theirs_there, err_msg=column)
    np.testing.assert_allclose(ours["weight"], expected["weight"], atol=0.03)
    assert ours["weight"].min() > 0.03


def test_few_pieces_do_not_make_pseudo_bma_weights(
    monkeypatch: pytest.MonkeyPatch, fits: dict[str, sb.Fit], by_larger: sb.Comparison
) -> None:
    two = by_larger.evidence.head(2)
    found = iter(
        [
            Pieces(
                two[["fold", "piece", "n_scores"]],
                two[k].to_numpy(),
                np.full(2, 0.3),
                np.full(2, np.nan),
                np.array([k == "wrong", False]),
                np.nan,
                None,
            )
            for k in fits
        ]
        * 2
    )
    monkeypatch.setattr(comparison, "pieces", lambda *_: next(found))
    with pytest.warns(UserWarning, match="2 pieces, too few for pseudo-BMA.*method='stacking'"):
        sb.compare(fits)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", sb.ConvergenceWarning)  # the fits are short
        table = sb.compare(fits, method="stacking").table
    np.testing.assert_allclose(table["mcse"], 0.3 * 2**0.5)
    assert table["warning"].to_dict() == {"right": False, "wrong": True}


def test_folds_of_one_family_are_one_piece(fits: dict[str, sb.Fit], folder: Path) -> None:
    found = sb.compare(fits, keep=[1, 2], folder=folder)
    assert len(found.evidence) == 12
    by_family = found.evidence.groupby("piece")[["right", "wrong"]].mean()
    assert set(by_family.index) == {f"f{i}" for i in range(6)}
    lower = by_family["right"] - by_family["wrong"]
    assert (found.table["pieces"] == 6).all()
    assert found.table["elpd_diff"]["wrong"] == pytest.approx(lower.sum())
    assert found.table["dse"]["wrong"] == pytest.approx(np.sqrt(6 * lower.var(ddof=0)))
    one = comparison._table(
        found.evidence.head(1),
        {k: replace(_pieces(found, k), unsure=np.array([False])) for k in ("right", "wrong")},
        "stacking",
    )
    assert one[["se", "dse"]].isna().all(axis=None)


def _pieces(found: sb.Comparison, name: str) -> Pieces:
    unknown = np.full(len(found.evidence), np.nan)
    density = found.evidence[name].to_numpy()
    return Pieces(found.evidence, density, unknown, unknown, unknown > 0, np.nan, None)


def test_densities_of_larger_models_come_from_both_fits(
    by_larger: sb.Comparison, fits: dict[str, sb.Fit], observations: sb.Observations
) -> None:
    questions = folds.larger(observations, keep=[1])
    for name, fit in fits.items():
        more = 2.5  # draws, for densities from one fit to be exact enough
        sampler = sb.Nuts(draws=int(200 * more), warmup=200, retries=0)
        alone = cross_validate(
            fit.law, observations, questions, seed=0, sampler=sampler, reference=fit.reference
        ).folds
        both = by_larger.held[name].folds
        error = np.hypot(alone["log_score_se"], both["log_score_se"])
        trusted = alone["log_score_se"] < 0.2
        assert trusted.sum() >= 2
        difference = (both["log_score"] - alone["log_score"])[trusted]
        assert (difference.abs() < 4 * error[trusted]).all()
        assert (both["log_score_se"] ** 2).sum() < 0.7 * more * (alone["log_score_se"] ** 2).sum()


def test_a_run_of_another_name_is_left_out_as_a_model(observations: sb.Observations) -> None:
    models = observations.models.assign(run="run of " + observations.models["model"])
    tables = sb.Observations(models, observations.scores)
    fit = fit_quietly(sb.SharedIntercept(), tables, **SHORT)
    found = evidence.pieces(fit, "model", moment_match=False, refit=False)
    plain = fit_quietly(sb.SharedIntercept(), observations, **SHORT)
    expected = evidence.pieces(plain, "model", moment_match=False, refit=False)
    assert found.labels["fold"][0] == "run of f0-0"
    np.testing.assert_allclose(found.log_density, expected.log_density)


def test_different_rows_are_not_compared(
    fits: dict[str, sb.Fit], observations: sb.Observations
) -> None:
    other = fit_quietly(sb.SharedIntercept(), observations, hold_out=["f2-1"], **SHORT)
    with pytest.raises(ValueError, match=r"not seen the same scores: 4 differ, such as f2-1 / arc"):
        sb.compare({**fits, "other": other})
    turned = sb.Observations(observations.models, observations.scores[::-1].reset_index(drop=True))
    other = fit_quietly(sb.SharedIntercept(), turned, **SHORT)
    with pytest.raises(ValueError, match="the same scores in another order"):
        sb.average({**fits, "other": other}, {"right": 0.5, "wrong": 0.3, "other": 0.2})
    scores = observations.scores.copy()
    scores.loc[5, "score"] += 0.01
    other = fit_quietly(sb.SharedIntercept(), sb.Observations(observations.models, scores), **SHORT)
    with pytest.raises(ValueError, match=r"the same scores: 1 differ, such as f0-1 / gsm"):
        sb.compare({**fits, "other": other}, by="score")
    with pytest.raises(ValueError, match="at least two fits"):
        sb.compare({"right": fits["right"]})
    with pytest.raises(ValueError, match="by must be larger"):
        sb.compare(fits, by="moon")
    with pytest.raises(ValueError, match="method must be stacking"):
        sb.compare(fits, method="vote")


def test_fits_to_tables_with_other_unscored_models_are_not_compared(
    observations: sb.Observations, fits: dict[str, sb.Fit]
) -> None:
    small = observations.models[observations.models["model"] == "f0-0"]
    unscored = small.assign(model="f0-tiny", run="f0-tiny", params=1e7, flops=np.nan)
    models = pd.concat([observations.models, unscored], ignore_index=True)
    losses = pd.DataFrame({"model": ["f0-tiny"], "domain": ["c4"], "loss": [4.0]})
    losses["unit"] = "nats/token"
    more = sb.Observations(models, observations.scores, losses)
    other = fit_quietly(sb.SharedIntercept(), more, **SHORT)
    with pytest.raises(ValueError, match="differ in models without scores"):
        sb.compare({"right": fits["right"], "other": other})
