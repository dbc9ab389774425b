"""Ladders: the published curves on fixed inputs, recovery of simulated ladders, checkpoints, averages."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from conftest import fit_quietly
from numpyro import distributions as dist
from numpyro import handlers
from scipy.special import expit, logit

import scalebayes as sb
from scalebayes.evaluation.evidence import pieces
from scalebayes.model import curves, design
from scalebayes.model.discrepancy import away
from scalebayes.model.losses import DrivingLosses
from scalebayes.prediction import averaging
from scalebayes.prediction import new_levels as levels
from scalebayes.prediction.designs import design_of_models
from scalebayes.prediction.simulation import simulate

TASKS = {"easy": 0.25, "hard": 0.25, "pair": 0.5}


def ladder(sizes: int = 4, checkpoints: int = 1) -> sb.Observations:
    """Runs of some sizes and four lengths each, with placeholder losses and scores."""
    rows = []
    for s in range(sizes):
        for multiple in (1, 2, 5, 10):
            params, run = 2e8 * 2.0**s, f"{s}-{multiple}"
            for c in range(checkpoints):
                tokens = 20 * params * multiple * (checkpoints - c) / checkpoints
                rows.append((f"{run}-{c}", run, "one", params, tokens))
    models = pd.DataFrame(rows, columns=["model", "run", "family", "params", "tokens"])
    cells = models[["model"]].merge(pd.DataFrame({"name": list(TASKS)}), how="cross")
    scores = cells.rename(columns={"name": "benchmark"}).assign(score=0.5, n_items=2000)
    scores["chance"] = scores["benchmark"].map(TASKS)
    losses = cells.rename(columns={"name": "domain"}).assign(loss=1.1, unit="bits/byte")
    return sb.Observations(models, scores, losses)


def values(law: sb.Ladder, data: design.Design, seed: int = 0) -> dict[str, np.ndarray]:
    trace = handlers.trace(handlers.seed(law, seed)).get_trace(data)
    return {
        k: np.asarray(s["value"])
        for k, s in trace.items()
        if s["type"] == "sample" and not s["is_observed"]
    }


def test_step_1_is_the_published_surface() -> None:
    """log_L is log(E + A / N^alpha + B / D^beta) where families and discrepancy are at rest."""
    data, law = design.build(ladder()), sb.Ladder()
    sites = values(law, data)
    for name in ("g_at", "G_at"):
        sites[name] = np.zeros_like(sites[name])
    sites["log_fall_f"] = sites["log_fall"][None]
    trace = handlers.trace(handlers.substitute(handlers.seed(law, 0), sites)).get_trace(data)
    level = np.exp(np.asarray(data.reference.log_loss0) + sites["level_f"][0])
    alpha, beta = (np.asarray(trace[k]["value"]) for k in ("alpha", "beta"))
    e = expit(sites["e"] + sites["spread_e"] * sites["z_e"])
    np.testing.assert_allclose(trace["irreducible_share"]["value"], e, rtol=1e-5)
    A, B = (level * np.exp(f) / k for f, k in zip(sites["log_fall"], (alpha, beta), strict=True))
    np.testing.assert_allclose(A + B, (1 - e) * level, rtol=1e-5)
    ratio = sites["r"] + sites["spread_r"] * sites["z_r"]
    np.testing.assert_allclose(np.log(alpha / beta), ratio, atol=1e-5)
    E = e * level
    n0, d0, _ = np.exp(data.reference.middle)
    N, D = np.exp(data.log_params)[:, None], np.exp(data.log_tokens)[:, None]
    expected = E + A * n0**alpha / N**alpha + B * d0**beta / D**beta
    np.testing.assert_allclose(np.exp(trace["log_L"]["value"]), expected, rtol=1e-5)


def test_step_2_is_the_published_sigmoid_of_the_observed_loss() -> None:
    observations = ladder()
    losses = observations.losses
    losses["loss"] = np.linspace(0.7, 1.3, len(losses))
    data = design.build(sb.Observations(observations.models, observations.scores, losses))
    law = sb.Ladder()
    sites = values(law, data)
    sites["h_at"] = np.zeros_like(sites["h_at"])
    trace = handlers.trace(handlers.substitute(handlers.seed(law, 0), sites)).get_trace(data)
    relative = np.exp(data.log_loss.reshape(-1, 3) - data.reference.log_loss0) - 1
    eta = logit(data.reference.typical) + sites["b_f"] - np.exp(sites["log_k"]) * relative
    expected = sites["gamma"] + (1 - sites["gamma"]) * expit(eta)
    np.testing.assert_allclose(trace["mu"]["value"], expected, rtol=1e-5)


def test_deviations_of_a_loss_reach_the_ability_at_its_slope() -> None:
    data, law = design.build(ladder()), sb.Ladder(feature="hard")
    log_loss = np.linspace(-0.4, 0.4, 16)[:, None] * np.ones(3)
    k = np.array([4.0, 6.0, 8.0])

    def ability(log_loss: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        relative, own = np.exp(log_loss), np.full((16, 3), 0.1)
        losses = DrivingLosses(jnp.asarray(relative), jnp.asarray(own), jnp.full((1, 16, 3), 0.2))
        with handlers.seed(rng_seed=0):
            eta, shared, _ = law._of_one_loss(data, losses, jnp.asarray(k))
        return np.asarray(eta), np.asarray(shared)

    step = 1e-2
    above, below = (ability(log_loss + sign * step)[0] for sign in (1, -1))
    _, shared = ability(log_loss)
    slope = -(above - below) / (2 * step)
    smooth = np.abs(ability(log_loss + step)[1] - ability(log_loss - step)[1])[0] < 0.05
    assert smooth.mean() > 0.5  # elsewhere a knot lies within the step
    np.testing.assert_allclose(shared[0][smooth], 0.2 * slope[smooth], rtol=0.02)
    np.testing.assert_allclose(shared[1], shared[0] / 2)


def test_flops_are_one_input() -> None:
    law = sb.Ladder(inputs="flops")
    E, A, alpha = np.full((2, 1), 1.0), np.full((2, 1, 1), 2.0), np.full((1, 1), 0.5)
    c = np.log([[1.0], [4.0]])
    np.testing.assert_allclose(curves.surface(E, A, alpha, c), [[3.0], [2.0]])
    assert law.coords()["input"] == ["flops"]


def test_the_discrepancy_spreads_with_distance() -> None:
    u = np.array([0.0, 0.5, 1.0, 2.0, 4.0, -2.0])
    sd = np.sqrt((np.asarray(away(u)[0]) ** 2).sum(axis=1))
    assert sd[0] == sd[1] == 0
    assert sd[5] == pytest.approx(sd[3])
    assert (np.diff(sd[1:5]) > 0).all()
    np.testing.assert_allclose(sd[3:5] ** 2, np.array([2.0, 4.0]) ** 3 / 3, rtol=0.12)


def test_a_feature_without_losses_is_refused() -> None:
    with pytest.raises(ValueError, match=r"feature 'c4' needs losses on \['c4'\]"):
        sb.fit(sb.Ladder(feature="c4"), ladder(), seed=0, sampler=sb.Nuts(draws=1, warmup=1))


LARGE = ladder(sizes=5)


@pytest.fixture(scope="module")
def simulated() -> tuple[sb.Observations, dict[str, np.ndarray]]:
    return simulate(sb.Ladder(), LARGE, seed=5)


@pytest.fixture(scope="module")
def fitted(simulated: tuple[sb.Observations, dict[str, np.ndarray]]) -> sb.Fit:
    hidden = [m for m in simulated[0].models["model"] if m.startswith("4")]
    return fit_quietly(
        sb.Ladder(), simulated[0], seed=0, sampler=sb.Nuts(draws=300, warmup=300, max_tree_depth=7), hold_out=hidden,
        reference=design.build(LARGE).reference,  # the very law that the table was simulated from
    )  # fmt: skip


def test_hidden_larger_runs_are_inside(fitted: sb.Fit) -> None:
    table = fitted.observations
    large = table.models[table.models["model"].isin(fitted.held_out)]
    for of, truth in (("score", table.scores), ("loss", table.losses)):
        found = sb.predict(fitted, large, of=of).merge(
            truth, on=["model", "benchmark" if of == "score" else "domain"]
        )
        assert len(found) == 12
        assert found[of].between(found["lower_90"], found["upper_90"]).mean() >= 0.7
        width = found["upper_90"] - found["lower_90"]
        assert (width > 0).all()
        assert width.max() < 0.5


def test_saved_fits_predict_alike(fitted: sb.Fit, tmp_path) -> None:
    again = sb.load(fitted.save(tmp_path / "fit.nc"))
    large = fitted.observations.models.iloc[-2:]
    pd.testing.assert_frame_equal(sb.predict(again, large), sb.predict(fitted, large))


def test_uncertainty_of_the_loss_reaches_the_score(fitted: sb.Fit) -> None:
    """Plugging in the mean of step 1, as separate fits do, gives narrower intervals."""
    large = fitted.observations.models[fitted.observations.models["model"].isin(fitted.held_out)]
    post = fitted.tree["posterior"].to_dataset().copy(deep=True)
    of_step_1 = ["e", "spread_e", "z_e", "r", "spread_r", "z_r", "log_fall", "level_f"]
    of_step_1 += ["tau_fall", "log_fall_f"]
    for name in [*of_step_1, "t", "g_at", "G", "G_at"]:
        post[name] = 0 * post[name] + post[name].mean(("chain", "draw"))
    tree = fitted.tree.copy()
    tree["posterior"] = type(tree)(post)
    plugged = dataclasses.replace(fitted, tree=tree)
    joint, narrow = (
        sb.predict(f, large, kind="mean", prob=[0.9]).eval("upper_90 - lower_90")
        for f in (fitted, plugged)
    )
    assert joint.mean() > narrow.mean()
    assert (joint > 0.95 * narrow).all()


def test_a_run_is_one_level_however_many_checkpoints() -> None:
    law, data = sb.Ladder(checkpoints=True), design.build(ladder(sizes=2, checkpoints=3))
    assert values(law, data)["z_run"].shape == (8, 3)
    assert levels.local_dim(law, "z_run") == "run"
    assert data.final.sum() == 8


def test_checkpoints_of_one_run_need_the_choice() -> None:
    with pytest.raises(ValueError, match="several checkpoints of one run"):
        sb.fit(
            sb.Ladder(), ladder(sizes=2, checkpoints=2), seed=0, sampler=sb.Nuts(draws=1, warmup=1)
        )


def test_a_checkpoint_asked_for_alone_is_not_the_end_of_its_run() -> None:
    table = ladder(sizes=2, checkpoints=3)
    fit = sb.Fit(
        sb.Ladder(checkpoints=True), table, (), xr.DataTree(), design.build(table).reference, {}
    )
    middle = table.models[table.models["model"] == "0-5-1"]
    assert not design_of_models(fit, middle).final.any()
    longer = middle.assign(model="longer", tokens=10 * middle["tokens"])
    elsewhere = middle.assign(model="other", run="other")
    assert design_of_models(fit, pd.concat([longer, elsewhere])).final.all()


def test_stacking_finds_the_better_law() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=400)
    right, wrong = dist.Normal(0.0, 1.0), dist.Normal(1.5, 1.0)
    density = np.stack([np.asarray(d.log_prob(truth)) for d in (right, wrong)], axis=1)
    weights = averaging.stacking(density)
    assert weights.sum() == pytest.approx(1)
    assert weights[0] > 0.9
    half = np.where(np.arange(400)[:, None] % 2, density, density[:, ::-1])
    np.testing.assert_allclose(averaging.stacking(half), 0.5, atol=0.06)


def test_a_size_is_one_piece_of_evidence() -> None:
    clear = np.array([[-200.0, 0.0], [-100.0, 0.0]])
    np.testing.assert_allclose(averaging.stacking(clear), [0.25, 0.75], atol=0.005)


def test_staged_fits_are_the_joint_one_where_all_losses_were_observed(fitted: sb.Fit) -> None:
    staged = fit_quietly(
        sb.Ladder(), fitted.observations, seed=1, hold_out=fitted.held_out, reference=fitted.reference,
        sampler=sb.Staged(sb.Nuts(draws=200, warmup=300, max_tree_depth=7)),
    )  # fmt: skip
    large = fitted.observations.models.iloc[-4:]
    for of in ("score", "loss"):
        one, other = (sb.predict(f, large, of=of) for f in (fitted, staged))
        assert (one["median"] - other["median"]).abs().max() < 0.4 * one["sd"].max()
        np.testing.assert_allclose(other["sd"], one["sd"], rtol=0.5)
    assert not staged.sampler.joint
    with pytest.raises(ValueError, match="a fit in stages has no posterior to leave single scores"):
        pieces(staged, "score")


def test_in_staged_fits_scores_do_not_tell_of_losses() -> None:
    """Scores of runs whose losses are unknown inform step 1 of the joint law alone."""
    table = ladder(sizes=2)
    losses = table.losses[~table.losses["model"].str.startswith("1")]
    found, short = {}, sb.Nuts(draws=60, warmup=60, max_tree_depth=5)
    for score in (0.55, 0.8):
        large = table.scores["model"].str.startswith("1")
        scores = table.scores.assign(score=np.where(large, score, 0.5))
        observations = sb.Observations(table.models, scores, losses)
        for staged in (False, True):
            fit = fit_quietly(
                sb.Ladder(), observations, seed=0, reference=design.build(table).reference,
                sampler=sb.Staged(short) if staged else short,
            )  # fmt: skip
            found[score, staged] = fit.tree["posterior"]["log_L"].to_numpy()
    np.testing.assert_array_equal(found[0.55, True], found[0.8, True])
    of_large = np.s_[..., 4:, :]
    assert found[0.55, False][of_large].mean() > found[0.8, False][of_large].mean()


def test_a_law_without_losses_has_no_stages(simulated: tuple) -> None:
    with pytest.raises(ValueError, match="Staged is for laws with losses"):
        sb.fit(sb.Sloth(), simulated[0], seed=0, sampler=sb.Staged(sb.Nuts(draws=1, warmup=1)))


def test_an_average_mixes_draws(fitted: sb.Fit) -> None:
    both = sb.Average({"a": fitted, "b": fitted}, {"a": 0.25, "b": 0.75}, pd.DataFrame())
    large = fitted.observations.models.iloc[-2:]
    draws = sb.predictive_draws(both, large)["score"]
    assert dict(draws.sizes) == {"chain": 1, "draw": 600, "model": 2, "benchmark": 3}
    one, mixed = sb.predict(fitted, large), sb.predict(both, large)
    np.testing.assert_allclose(mixed["median"], one["median"], atol=0.02)


def test_an_average_needs_three_sizes() -> None:
    with pytest.raises(ValueError, match="three sizes are needed"):
        sb.fit_average({"a": sb.Ladder(), "b": sb.Ladder(inputs="flops")}, ladder(sizes=2), seed=0)
