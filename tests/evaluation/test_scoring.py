"""Scoring rules against closed forms, calibration of simulated data, and what scores tell in groups."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scoringrules
from conftest import table
from scipy.integrate import quad
from scipy.stats import beta, multivariate_normal, norm, rice

import scalebayes as sb
from scalebayes.evaluation import scoring
from scalebayes.evaluation.predictions import HeldOut, joined, mixed
from scalebayes.model.likelihoods import Noisy
from scalebayes.prediction import log_scores as densities_of_scores
from scalebayes.prediction.predictive import summary
from scalebayes.report import figures as pictures

mpl.use("Agg")


def gaussian(sd: float, n: int = 2000, n_model: int = 500) -> HeldOut:
    """Standard normal values, predicted as normal with another standard deviation."""
    rng = np.random.default_rng(0)
    cells = pd.DataFrame({"fold": "all", "model": [f"m{i % n_model}" for i in range(n)]})
    cells = cells.assign(family="f", benchmark="b", observed=rng.normal(size=n), log_score=0.0)
    cells = cells.assign(distance=np.linspace(0, 2, n), family_size=1)
    one = pd.DataFrame({"fold": ["all"], "n_models": n_model, "n_scores": n, "log_score": [0.0]})
    return HeldOut(cells, rng.normal(0, sd, (n, 1000)), one.assign(passed=True, verdict=""))


def test_an_energy_score_of_one_value_is_its_crps() -> None:
    held = gaussian(1.0, n=50, n_model=50)
    thin = held.draws[:, np.linspace(0, 999, 250).round().astype(int)]
    crps = scoringrules.crps_ensemble(held.cells["observed"].to_numpy(), thin)
    np.testing.assert_allclose(scoring.energy(held)["energy"], crps, rtol=1e-9)


def test_joint_scores_see_what_marginal_ones_do_not() -> None:
    """Two values that move together, predicted together and apart, with the same marginals."""
    rng = np.random.default_rng(1)
    n = 300
    shared = rng.normal(size=n)
    names = [f"m{i}" for i in range(n)]
    cells = pd.DataFrame({"fold": "a", "model": np.repeat(names, 2), "benchmark": ["x", "y"] * n})
    cells = cells.assign(family="f", observed=np.repeat(shared, 2), distance=0.0, family_size=1)
    z = rng.normal(size=(n, 1, 400))
    together = np.repeat(z, 2, axis=1).reshape(2 * n, 400)
    apart = np.stack([z[:, 0], rng.permuted(z[:, 0], axis=1)], axis=1).reshape(2 * n, 400)
    one, other = (HeldOut(cells, d, pd.DataFrame()) for d in (together, apart))
    a, b = (scoring.scores(h)["crps"].mean() for h in (one, other))
    assert a == pytest.approx(b, abs=1e-9)
    assert scoring.energy(one)["energy"].mean() < scoring.energy(other)["energy"].mean() - 0.02


@pytest.mark.parametrize(
    ("sd", "low", "high"), [(1.0, 0.87, 0.93), (0.5, 0.5, 0.65), (2.0, 0.99, 1)]
)
def test_coverage_tells_a_wrong_noise_model(sd: float, low: float, high: float) -> None:
    held = gaussian(sd)
    row = scoring.calibration(held).iloc[0]
    assert low <= row["coverage_90"] <= high
    curve = scoring.coverage(held)
    at = (curve["level"] - 0.9).abs().idxmin()
    assert curve["coverage"][at] == pytest.approx(row["coverage_90"], abs=0.02)
    within = curve["coverage"].between(curve["lower"], curve["upper"])
    assert within.all() == (sd == 1.0)
    assert (curve["upper"] - curve["lower"]).max() < 0.1
    wanted = sb.conformal_prob(held, 0.8)
    assert wanted == pytest.approx(2 * norm.cdf(norm.ppf(0.9) / sd) - 1, abs=0.03)


def test_calibration_in_groups_counts_every_score_once() -> None:
    held = gaussian(1.0)
    held.cells.loc[:99, "distance"] = np.nan
    found = scoring.calibration(held, by="distance")
    assert found["distance"].tolist() == [
        "up to 0.5 decades", "0.5 to 1", "1 to 1.5", "over 1.5", "new family",
    ]  # fmt: skip
    assert found["scores"].sum() == 2000
    assert found["scores"].iloc[-1] == 100
    with pytest.raises(ValueError, match="by must be one of distance"):
        scoring.calibration(held, by="colour")


def test_few_scores_tell_no_large_share() -> None:
    few = gaussian(1.0, n=8)
    with pytest.raises(ValueError, match="8 held-out scores cannot tell"):
        sb.conformal_prob(few, 0.9)


# --- closed forms -------------------------------------------------------------------------------


def evenly_spread(of: Any, n: int = 1000) -> np.ndarray:
    """Quantiles of a distribution, which stand for draws without their chance, shape (n,)."""
    return of.ppf((np.arange(n) + 0.5) / n)


def predicted(observed: np.ndarray, draws: np.ndarray, models: Any = None) -> HeldOut:
    """Scores of one benchmark with their predictive draws, each of a model of its own by default."""
    n = len(observed)
    models = [f"m{i}" for i in range(n)] if models is None else models
    cells = pd.DataFrame({"fold": "all", "model": models, "family": "f", "benchmark": "b"})
    cells = cells.assign(observed=observed, log_score=0.0, distance=0.0, family_size=1)
    return HeldOut(cells, draws, pd.DataFrame())


DISTRIBUTIONS = {"normal": norm(0.6, 0.1), "beta": beta(8, 3), "beta at the edge": beta(0.7, 2)}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_crps_is_the_integral_over_the_distribution(name: str) -> None:
    of = DISTRIBUTIONS[name]
    y = of.ppf([0.001, 0.1, 0.4, 0.5, 0.8, 0.97])
    found = scoring.scores(predicted(y, np.tile(evenly_spread(of), (len(y), 1))))
    low, high = of.ppf([1e-12, 1 - 1e-12])
    expected = [
        quad(lambda x: of.cdf(x) ** 2, low, v)[0] + quad(lambda x: of.sf(x) ** 2, v, high)[0]
        for v in y
    ]
    np.testing.assert_allclose(found["crps"], expected, atol=2e-5)
    np.testing.assert_allclose(found["pit"], of.cdf(y), atol=6e-4)
    lower, upper = of.ppf([0.05, 0.95])
    outside = np.maximum(lower - y, 0) + np.maximum(y - upper, 0)
    np.testing.assert_allclose(found["interval_score"], upper - lower + 20 * outside, rtol=0.015)


def test_crps_is_the_closed_form_of_a_normal() -> None:
    y = np.array([-3.2, -1.0, 0.0, 0.3, 2.0])
    found = scoring.scores(predicted(y, np.tile(evenly_spread(norm), (5, 1))))["crps"]
    expected = y * (2 * norm.cdf(y) - 1) + 2 * norm.pdf(y) - 1 / np.sqrt(np.pi)
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_crps_and_energy_of_draws_are_sums_over_their_pairs() -> None:
    rng = np.random.default_rng(3)
    models = ["a", "b", "a", "b", "b"]
    held = predicted(rng.normal(size=5), rng.normal(size=(5, 150)), models)
    y, x = held.cells["observed"].to_numpy(), held.draws
    pairs = np.abs(x[:, :, None] - x[:, None]).mean(axis=(1, 2))
    expected = np.abs(x - y[:, None]).mean(axis=1) - pairs / 2
    np.testing.assert_allclose(scoring.scores(held)["crps"], expected, rtol=1e-9)
    found = scoring.energy(held).set_index("model")["energy"]
    for model, rows in {"a": [0, 2], "b": [1, 3, 4]}.items():
        away = np.linalg.norm(x[rows] - y[rows, None], axis=0).mean()
        apart = np.linalg.norm(x[rows][:, :, None] - x[rows][:, None], axis=0).mean()
        assert found[model] == pytest.approx(away - apart / 2, rel=1e-9)


@pytest.mark.parametrize("y", [(0.0, 0.0), (1.0, -0.5), (3.0, 2.0)])
def test_energy_is_the_closed_form_of_two_normals(y: tuple[float, float]) -> None:
    n_model = 150
    draws = np.random.default_rng(4).normal(size=(2 * n_model, scoring.ENERGY_DRAWS))
    held = predicted(np.tile(y, n_model), draws, np.repeat(np.arange(n_model), 2))
    found = scoring.energy(held)["energy"].mean()
    pairs = np.sqrt(np.pi) * (1 - 1 / scoring.ENERGY_DRAWS)  # a draw is no way from itself
    away = np.hypot(*y)
    expected = (rice.mean(away) if away else np.sqrt(np.pi / 2)) - pairs / 2
    assert found == pytest.approx(expected, abs=0.012)


def noisy(mean: Any, sd: Any, shared: Any) -> Noisy:
    """One model's three values, all observed."""
    cell = jnp.zeros(3, int), jnp.arange(3)
    mean, sd, rows = (
        jnp.array(v).reshape(shape)
        for v, shape in ((mean, (1, 3)), (sd, (1, 3)), (shared, (1, 1, 3)))
    )
    return Noisy(mean, sd, rows, cell, jnp.ones(3, bool))


def log_scores(
    monkeypatch: pytest.MonkeyPatch, means: Any, sd: Any, shared: Any, value: Any
) -> tuple[np.ndarray, float]:
    """Marginal and joint log scores of a model's three values, from draws of what is expected of them."""
    observations = table(1, 1).only(benchmarks=["arc", "gsm", "mmlu"])

    def densities(mean: Any) -> dict[str, Any]:
        given = noisy(mean, sd, shared)
        joint = given.log_prob(value)[None]
        return {"log_density": given.marginal.log_prob(value), "joint_log_density": joint}

    with jax.enable_x64(True):
        found = {k: np.asarray(v)[None] for k, v in jax.vmap(densities)(jnp.array(means)).items()}
    monkeypatch.setattr(densities_of_scores, "design_of_scores", lambda *_: None)
    monkeypatch.setattr(densities_of_scores, "at_cells", lambda *_, **__: found)
    fit: Any = SimpleNamespace(parts=())  # what it would give is given above
    marginal = sb.log_score(fit, observations)["log_score"].to_numpy()
    return marginal, sb.joint_log_score(fit, observations)


MEAN = np.array([0.5, 0.6, 0.3])
SD = np.array([0.02, 0.05, 0.03])
SHARED = np.array([0.04, 0.03, -0.05])
COMMON = np.array([0.03, 0.06, 0.04])


@pytest.mark.parametrize("z", [(1.0, 1.0, -1.0), (1.5, -1.5, 1.0), (0.0, 0.0, 0.0)])
def test_log_scores_are_those_of_a_normal_that_errs_together(
    z: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model's deviation and an unknown parameter move three scores: all is one normal."""
    covariance = np.diag(SD**2) + np.outer(SHARED, SHARED) + np.outer(COMMON, COMMON)
    value = MEAN + z * np.sqrt(np.diag(covariance))
    parameter = evenly_spread(norm, 2000)
    means = MEAN + COMMON * parameter[:, None]
    marginal, joint = log_scores(monkeypatch, means, SD, SHARED, value)
    apart = norm(MEAN, np.sqrt(np.diag(covariance))).logpdf(value)
    together = multivariate_normal(MEAN, covariance).logpdf(value)
    np.testing.assert_allclose(marginal, apart, atol=2e-3)
    assert joint == pytest.approx(together, abs=5e-3)
    assert abs(together - apart.sum()) > 0.15
    # the deviation alone, in one draw
    one = multivariate_normal(MEAN, np.diag(SD**2) + np.outer(SHARED, SHARED)).logpdf(value)
    with jax.enable_x64(True):
        found = noisy(MEAN, SD, SHARED).of_models(jnp.array(value))
    np.testing.assert_allclose(found, [one], rtol=1e-9)


def test_log_score_is_that_of_a_beta_seen_with_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    of, sd, value = beta(8, 3), 0.02, np.array([0.4, 0.75, 0.95])
    means = np.repeat(evenly_spread(of)[:, None], 3, axis=1)
    marginal, _ = log_scores(monkeypatch, means, np.full(3, sd), np.zeros(3), value)
    density = [
        quad(lambda m, v=v: of.pdf(m) * norm.pdf(v, m, sd), 0, 1, points=[v], epsabs=1e-12)[0]
        for v in value
    ]
    np.testing.assert_allclose(marginal, np.log(density), atol=2e-3)
    assert (np.abs(np.log(density) - of.logpdf(value)) > 4e-3).all()  # the noise counts


# --- calibration of what a law simulates --------------------------------------------------------


@pytest.fixture(scope="module")
def of_prior() -> HeldOut:
    """200 scores, each of another table that a law gives, predicted from 1200 other such tables."""
    observations = table(4, 3).only(domains=[])
    tree = sb.prior_predictive(sb.SizeAndTokens(), observations, seed=1, draws=1400)
    tables = tree["prior_predictive"]["score"].to_numpy()[0]  # (table, score)
    cell = np.arange(200) % tables.shape[1]
    return predicted(tables[np.arange(200), cell], tables[200:, cell].T)


def stays(held: HeldOut) -> bool:
    curve = scoring.pit_ecdf(held)
    return bool(curve["ecdf"].between(curve["lower"], curve["upper"]).all())


def test_pit_is_uniform_for_what_a_law_simulates(of_prior: HeldOut) -> None:
    cells, draws = of_prior.cells, of_prior.draws
    median = np.median(draws, axis=1, keepdims=True)
    narrow = HeldOut(cells, median + (draws - median) / 2, of_prior.folds)
    wide = HeldOut(cells, median + (draws - median) * 2, of_prior.folds)
    shifted = HeldOut(cells, draws + draws.std(axis=1, keepdims=True) / 3, of_prior.folds)
    assert stays(of_prior)
    assert not stays(narrow)
    assert not stays(wide)
    assert not stays(shifted)
    curve = scoring.pit_ecdf(shifted)
    above = curve["ecdf"] > curve["upper"]
    assert above.any()  # scores lower than predicted
    assert not (curve["ecdf"] < curve["lower"]).any()


@pytest.mark.parametrize("n", [1, 2, 3, 25, 80])
def test_the_band_holds_uniform_curves_as_often_as_it_says(n: int) -> None:
    rng = np.random.default_rng(5)
    grid = np.tile((np.arange(1000) + 0.5) / 1000, (n, 1))
    share = np.mean([stays(predicted(rng.uniform(size=n), grid)) for _ in range(400)])
    assert (0.92 if n > 3 else 0.99) <= share <= (0.98 if n > 3 else 1)


def test_a_bias_leaves_the_curve_of_the_pit_but_not_that_of_coverage() -> None:
    rng = np.random.default_rng(6)
    draws = rng.normal(0.4, 1.1, (60, 1000))
    held = predicted(rng.normal(size=60), draws)
    coverage = scoring.coverage(held)
    assert coverage["coverage"].between(coverage["lower"], coverage["upper"]).all()
    assert not stays(held)


def test_the_curve_counts_scores_up_to_each_value() -> None:
    y = np.array([0.1, 0.15, 0.6, 0.95])
    curve = scoring.pit_ecdf(predicted(y, np.tile((np.arange(100) + 0.5) / 100, (4, 1))))
    assert curve["value"].tolist() == [0.25, 0.5, 0.75]
    assert curve["ecdf"].tolist() == [0.5, 0.5, 0.75]


def test_one_score_alone_has_all_curves_and_a_picture() -> None:
    held = predicted(np.array([0.3]), np.linspace(0, 1, 101)[None])
    assert scoring.pit(held) == pytest.approx([0.302], abs=0.005)
    for curve, share in ((scoring.coverage(held), 1.0), (scoring.pit_ecdf(held), 1.0)):
        assert curve.iloc[0].tolist() == [0.5, share, 0.0, 1.0]
    assert scoring.calibration(held)["scores"].tolist() == [1]
    shown = pictures.calibration(held)
    assert "1 held-out score of 1 model." in shown.figure.get_supxlabel()
    assert "furthest from uniform at 0.50, by +0.50, and stays in the 95% band" in shown.shows
    plt.close(shown.figure)


def test_the_words_of_a_picture_tell_that_the_curve_leaves_its_band() -> None:
    rng = np.random.default_rng(10)
    shown = pictures.calibration(predicted(rng.normal(size=50), rng.normal(2, 1, (50, 500))))
    assert "and leaves the 95% band of independent calibrated scores" in shown.shows
    plt.close(shown.figure)


# --- groups and shares --------------------------------------------------------------------------


def test_energy_counts_every_model_once() -> None:
    rng = np.random.default_rng(7)
    models = ["a", "b", "b", "b", "c", "c"]
    held = predicted(rng.normal(size=6), rng.normal(size=(6, 100)), models)
    held.cells["benchmark"] = ["x", "x", "y", "z", "y", "z"]
    held.cells["distance"] = [0.0, 0.0, 0.0, 0.0, 2.0, 2.0]
    a, b, c = 100 * scoring.energy(held)["energy"]
    assert scoring.calibration(held)["energy"].tolist() == pytest.approx([(a + b + c) / 3])
    assert scoring.calibration(held, "distance")["energy"].tolist() == pytest.approx(
        [(a + b) / 2, c]
    )
    found = scoring.calibration(held, "benchmark").set_index("benchmark")["energy"]
    assert found.to_dict() == pytest.approx({"x": (a + b) / 2, "y": (b + c) / 2, "z": (b + c) / 2})
    twice = joined(
        [held, HeldOut(held.cells.head(1).assign(fold="other"), held.draws[:1] + 1, held.folds)]
    )
    once_more = 100 * scoring.energy(twice)["energy"].iloc[-1]
    assert scoring.calibration(twice)["energy"][0] == pytest.approx((a + b + c + once_more) / 4)


@pytest.mark.parametrize("prob", [0.2, 0.5, 0.55, 0.9])
def test_the_conformal_probability_is_the_smallest_that_held_its_share(prob: float) -> None:
    rng = np.random.default_rng(8)
    held = predicted(rng.normal(0.3, 1.3, 99), rng.normal(size=(99, 400)))
    found = sb.conformal_prob(held, prob)
    y = held.cells["observed"].to_numpy()

    def held_by(p: float) -> int:
        columns = list(summary(held.draws, [p]).values())
        return int(((columns[-2] <= y) & (y <= columns[-1])).sum())

    assert held_by(found + 1e-9) == round(100 * prob)
    assert held_by(found - 1e-6) == round(100 * prob) - 1


def test_a_share_that_no_interval_of_draws_holds_is_refused() -> None:
    rng = np.random.default_rng(9)
    y = np.r_[rng.uniform(0.2, 0.8, 70), np.full(20, 1.5), np.full(9, -0.5)]
    held = predicted(y, np.tile(np.linspace(0, 1, 201), (99, 1)))
    assert sb.conformal_prob(held, 0.7) < 0.7
    with pytest.raises(
        ValueError, match=r"share of 0\.293 .*\(29 of 99\) lies outside all 201 draws"
    ):
        sb.conformal_prob(held, 0.71)


def test_draws_that_are_all_alike_hold_themselves_alone() -> None:
    """As where all draws of a score are clipped at one."""
    held = predicted(np.array([1.0, 1.0, 0.98, 0.4, 0.5]), np.ones((5, 200)))
    held.draws[3:] = np.linspace(0, 1, 200)
    assert sb.conformal_prob(held, 0.6) == pytest.approx(0.2)  # the fourth of five, without ties
    with pytest.raises(ValueError, match=r"share of 0\.2 .*\(1 of 5\)"):
        sb.conformal_prob(held, 0.8)


def test_joined_parts_keep_draws_of_all_chains() -> None:
    long = predicted(np.zeros(2), np.stack([np.arange(100.0), 1000 + np.arange(100.0)]))
    short = predicted(np.ones(1), np.arange(5.0)[None])
    draws = joined([long, short]).draws
    assert draws[0].tolist() == [0, 25, 50, 74, 99]
    assert (draws[1] == 1000 + draws[0]).all()  # still joint
    assert draws[2].tolist() == [0, 1, 2, 3, 4]


# --- losses -------------------------------------------------------------------------------------


def losses() -> HeldOut:
    """Losses of three models on two domains, with draws that err by a part of each."""
    rng = np.random.default_rng(11)
    cells = pd.DataFrame({"fold": "all", "model": list("aabbcc"), "domain": ["c4", "code"] * 3})
    cells = cells.assign(family="f", observed=rng.uniform(1.5, 4, 6), log_score=np.nan)
    cells = cells.assign(distance=[0.0, 0.0, 0.2, 0.2, 3.0, 3.0], family_size=2)
    around = cells["observed"].to_numpy()[:, None] * np.exp(rng.normal(0, 0.1, (6, 1)))
    draws = around * np.exp(rng.normal(0, 0.06, (6, 200)))
    return HeldOut(cells, draws, pd.DataFrame(), of="loss")


def test_losses_are_judged_in_their_own_unit() -> None:
    held = losses()
    y, x = held.cells["observed"].to_numpy(), held.draws
    table = scoring.scores(held)
    assert table["error"].tolist() == pytest.approx(np.abs(np.median(x, axis=1) - y).tolist())
    for p in (50, 90):
        low, high = np.percentile(x, [50 - p / 2, 50 + p / 2], axis=1)
        assert table[f"inside_{p}"].tolist() == ((low <= y) & (y <= high)).tolist()
    assert 0 < table["inside_90"].sum() < 6
    whole = scoring.calibration(held).iloc[0]
    assert whole["losses"] == 6
    assert whole["models"] == 3
    low, high = np.percentile(x, [5, 95], axis=1)
    pairs = np.abs(x[:, :, None] - x[:, None]).mean(axis=(1, 2))
    expected = {
        "error": np.abs(np.median(x, axis=1) - y).mean(),
        "bias": (np.median(x, axis=1) - y).mean(),
        "crps": (np.abs(x - y[:, None]).mean(axis=1) - pairs / 2).mean(),
        "width_90": (high - low).mean(),
        "coverage_90": ((low <= y) & (y <= high)).mean(),
    }
    assert whole[list(expected)].to_dict() == pytest.approx(expected)
    by_domain = scoring.calibration(held, "domain").set_index("domain")
    off = np.abs(np.median(x, axis=1) - y)
    assert by_domain["error"].to_dict() == pytest.approx(
        {"c4": off[::2].mean(), "code": off[1::2].mean()}
    )
    assert scoring.calibration(held, "distance")["losses"].tolist() == [4, 2]
    with pytest.raises(ValueError, match="model, family, domain, family_size, but is 'benchmark'"):
        scoring.calibration(held, "benchmark")


def test_pictures_of_losses_tell_of_losses() -> None:
    held = losses()
    table = scoring.scores(held)
    inside = int(table["inside_90"].sum())
    shown = pictures.intervals(table)
    assert shown.shows.startswith(
        "Predictive intervals of 3 models on 2 domains, beside the losses"
    )
    assert f"{inside} of 6 losses lie inside their 90% intervals" in shown.shows
    out = table[~table["inside_90"]].iloc[0]
    assert f"{out['model']} on {out['domain']} had {out['observed']:.3f}, not" in shown.shows
    plt.close(shown.figure)
    shown = pictures.calibration(held)
    assert shown.shows.startswith("Calibration of 6 held-out losses of 3 models.")
    crps = scoring.calibration(held, "distance")["crps"]
    assert f"up to 0.5 decades, {crps[0]:.3f} and" in shown.shows
    assert "of 4 losses inside; over 1.5" in shown.shows
    assert "score" not in shown.shows
    plt.close(shown.figure)


def test_figures_of_scores_are_in_points_and_by_any_columns() -> None:
    """Tables of two methods one below the other, one of points without intervals."""
    rng = np.random.default_rng(12)
    held = predicted(rng.normal(size=6), rng.normal(size=(6, 100)), list("aabbcc"))
    point = held.cells.assign(median=held.cells["observed"] + [0.1, -0.1, 0.3, 0.1, 0.0, 0.0])
    point = point.assign(error=(point["median"] - point["observed"]).abs())
    both = pd.concat(
        [scoring.scores(held).assign(method="law"), point.assign(method="least squares")]
    )
    both["half"] = ["first"] * 3 + ["second"] * 3 + ["first"] * 3 + ["second"] * 3
    found = scoring.figures(both, ["method", "half"])
    assert found.index.tolist() == [
        (method, half) for method in ("law", "least squares") for half in ("first", "second")
    ]
    assert (found["scores"] == 3).all()
    assert (found["models"] == 2).all()
    points = found.loc["least squares"]
    assert points["error"].tolist() == pytest.approx([50 / 3, 10 / 3])
    assert points["bias"].tolist() == pytest.approx([10, 10 / 3])
    assert points[["crps", "width_90", "coverage_50", "coverage_90"]].isna().all(axis=None)
    one = scoring.calibration(held).iloc[0]
    alone = scoring.figures(scoring.scores(held)).iloc[0]
    same = ["scores", "models", "error", "bias", "crps", "width_90", "coverage_50", "coverage_90"]
    assert alone[same].to_dict() == pytest.approx(one[same].to_dict())
    assert found.loc["law", "coverage_90"].mean() == pytest.approx(one["coverage_90"])


def test_scores_and_losses_are_not_joined_or_mixed() -> None:
    score, loss = predicted(np.zeros(6), np.zeros((6, 5))), losses()
    with pytest.raises(
        ValueError, match="expected parts of scores or of losses, got 'loss', 'score'"
    ):
        joined([score, loss])
    with pytest.raises(ValueError, match="'b' predicts other scores than 'a'"):
        mixed({"a": score, "b": loss}, {"a": 0.5, "b": 0.5})
    assert joined([loss, loss]).of == "loss"
