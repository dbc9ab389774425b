"""best_mixture against an optimiser of SciPy, and its refusals."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import fit_quietly
from scipy.optimize import minimize
from scipy.special import expit

import scalebayes as sb

SOURCES, DOMAINS = ("web", "code", "books"), ("web", "code")
# small runs, a large model; that this is told is tested in prediction/test_ranges.py
pytestmark = pytest.mark.filterwarnings("ignore::scalebayes.ExtrapolationWarning")

BUDGET = {"family": "one", "params": 1e9, "tokens": 2e10}


def table() -> sb.Observations:
    rng = np.random.default_rng(0)
    names = [f"m{i}" for i in range(24)]
    models = pd.DataFrame({"model": names, "family": "one", "params": 1e8, "tokens": 2e9})
    weights = pd.DataFrame(rng.dirichlet([1, 1, 1], len(names)), index=names, columns=SOURCES)
    mixtures = weights.melt(ignore_index=False, var_name="source", value_name="weight")
    held = weights.to_numpy() @ [
        [1.0, 0.1],
        [0.1, 1.0],
        [0.3, 0.05],
    ]  # of each source for each domain
    log_loss = 1.0 - 0.1 * np.log(held) + rng.normal(0, 0.01, held.shape)
    losses = pd.DataFrame(np.exp(log_loss), index=names, columns=DOMAINS)
    losses = losses.melt(ignore_index=False, var_name="domain", value_name="loss")
    losses = losses.rename_axis("model").reset_index().assign(unit="nats/token")
    score = 0.25 + 0.75 * expit(-5 * (log_loss.mean(axis=1) - log_loss.mean()))
    scores = models[["model"]].assign(benchmark="exam", score=score, chance=0.25, n_items=1000)
    mixtures = mixtures.rename_axis("model").reset_index()
    return sb.Observations(models, scores, losses, mixtures)


@pytest.fixture(scope="module")
def fitted() -> sb.Fit:
    return fit_quietly(sb.FlpM(), table(), seed=0, sampler=sb.Nuts(draws=20, warmup=100))


def test_a_weighted_loss_is_minimised(fitted: sb.Fit) -> None:
    aim = {"web": 1.0, "code": 2.0}
    best = sb.best_mixture(fitted, **BUDGET, losses=aim, draws=4)
    np.testing.assert_allclose(best.draws.sum("source"), 1.0)
    assert (best.gap < 2e-3 * best.value).all()
    posterior = fitted.tree["posterior"].to_dataset().stack(sample=("chain", "draw"))
    c0 = fitted.reference.middle[2]
    u = (np.log(6 * BUDGET["params"] * BUDGET["tokens"]) - c0) / np.log(10)
    for draw in best.draws.coords["draw"].to_numpy():
        site = {k: v.to_numpy() for k, v in posterior.isel(sample=draw).items()}
        T = np.where(
            [[k == m for k in SOURCES] for m in DOMAINS], 1.0, site["transfer"] * site["T"]
        )
        a2 = np.exp(site["log_a2"] + (site["rho"] + site["spread_rho"] * site["z_rho"]) * u)

        even = pd.DataFrame({"model": "new", "source": SOURCES, "weight": 1 / 3})
        model = pd.DataFrame({"model": ["new"]}).assign(**BUDGET)
        at_even = sb.predictive_draws(
            fitted, sb.Observations(model, mixtures=even), of="loss", kind="mean"
        )["loss"]
        level = at_even.stack(sample=("chain", "draw")).isel(sample=draw, model=0).to_numpy()

        def cost(z: np.ndarray, T: Any = T, a2: Any = a2, level: Any = level) -> float:
            w = np.exp(z - z.max())
            ratio = T @ (w / w.sum()) / T.mean(axis=1)
            return float(np.array([1.0, 2.0]) * level @ ratio**-a2)

        reached = minimize(cost, np.zeros(3), method="Nelder-Mead", options={"maxiter": 4000}).fun
        own = cost(np.log(best.draws.sel(draw=draw).to_numpy() + 1e-300))
        assert own == pytest.approx(reached, rel=1e-3)
        assert float(best.value.sel(draw=draw)) == pytest.approx(own, rel=1e-6)


def test_a_benchmark_is_maximised(fitted: sb.Fit) -> None:
    best = sb.best_mixture(fitted, **BUDGET, benchmark="exam", draws=5)
    assert best.weights.columns.tolist()[:2] == ["source", "mean"]
    for corner in SOURCES:
        model = pd.DataFrame({"model": [corner]}).assign(**BUDGET)
        alone = pd.DataFrame({"model": [corner], "source": [corner], "weight": [1.0]})
        scores = sb.predictive_draws(fitted, sb.Observations(model, mixtures=alone), kind="mean")
        scores = scores["score"].stack(sample=("chain", "draw")).squeeze().to_numpy()
        there = scores[best.draws.coords["draw"].to_numpy()]
        assert (best.value.to_numpy() >= there - 1e-3).all()


@pytest.mark.parametrize(
    ("aim", "message"),
    [
        ({}, "either a benchmark to maximise, or weights of losses"),
        ({"benchmark": "exam", "losses": {"web": 1.0}}, "either a benchmark"),
        ({"benchmark": "quiz"}, "no benchmark 'quiz', it has 'exam'"),
        ({"losses": {"books": 1.0}}, "no domain 'books', it has 'web', 'code'"),
        ({"losses": {"web": -1.0}}, "must be positive"),
    ],
)
def test_aims_that_are_none_are_refused(fitted: sb.Fit, aim: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sb.best_mixture(fitted, **BUDGET, **aim)


def test_a_law_without_mixtures_is_refused(fitted: sb.Fit) -> None:
    other = dataclasses.replace(fitted, law=sb.Ladder())
    with pytest.raises(ValueError, match="needs a law with mixtures, such as FlpM"):
        sb.best_mixture(other, **BUDGET, benchmark="exam")
