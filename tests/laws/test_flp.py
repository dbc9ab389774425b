"""FLP and FLP-M: the published equations, recovery."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from conftest import fit_quietly, table
from numpyro import handlers
from scipy.special import expit, softmax

import scalebayes as sb
from scalebayes.laws.flp_m import domain_law
from scalebayes.model import design
from scalebayes.model.law import Law
from scalebayes.prediction.simulation import simulate

LINE = sb.Flp(scores="linear", floor="known")


LEFT_OUT = ("G_at", "g_at", "h_at")


def story(
    law: Law, seed: int = 0, rest: Sequence[str] = LEFT_OUT
) -> Callable[[design.Design], dict[str, np.ndarray]]:
    """What a law tells of a design: every site at a draw of the prior, those at rest at their mean."""

    def value(site: dict[str, Any]) -> jax.Array | None:
        at_rest = site["name"] in rest
        return jnp.broadcast_to(site["fn"].mean, site["fn"].batch_shape) if at_rest else None

    def told(data: design.Design) -> dict[str, np.ndarray]:
        at = handlers.substitute(handlers.seed(law, seed), substitute_fn=value)
        trace = handlers.trace(at).get_trace(data)
        sites = {k: np.asarray(s["value"]) for k, s in trace.items() if s["type"] != "plate"}
        line = getattr(trace["score"]["fn"], "latent", None)
        return sites | ({"line": np.asarray(line.expected)} if line else {})

    return told


def test_stage_1_is_the_published_power_law() -> None:
    """log_L is log(E + A C^-alpha) where families and discrepancy are at rest."""
    observations = table()
    data = design.build(observations)
    v = story(sb.Flp(), rest=(*LEFT_OUT, "log_fall_f"))(data)
    share = expit(v["e"] + v["spread_e"] * v["z_e"])
    level = np.exp(data.reference.log_loss0 + v["level_f"])[data.family]
    C0 = np.exp(data.reference.middle[2])
    E, A = share * level, (1 - share) * level * C0 ** v["alpha"]
    C = (6 * observations.models["params"] * observations.models["tokens"]).to_numpy()[:, None]
    np.testing.assert_allclose(np.exp(v["log_L"]), E + A * C ** -v["alpha"], rtol=1e-5)
    # the steepness at C0 is what was sampled
    np.testing.assert_allclose((1 - share) * v["alpha"], np.exp(v["log_fall"][0]), rtol=1e-5)


def test_every_family_is_on_a_power_law_of_its_own() -> None:
    observations = table()
    data = design.build(observations)
    v = story(sb.Flp())(data)
    c = np.log(observations.models["flops"].to_numpy()) - data.reference.middle[2]
    for f in range(len(data.lineage)):
        for loss, alpha in zip(np.exp(v["log_L"][data.family == f]).T, v["alpha"], strict=True):
            x = np.exp(-alpha * c[data.family == f])
            A, E = np.polyfit(x, loss, 1)
            np.testing.assert_allclose(E + A * x, loss, rtol=1e-5)
            assert min(A, E) > 0


def test_without_an_irreducible_part_logs_are_on_a_line() -> None:
    observations = table()
    data = design.build(observations)
    v = story(sb.Flp(irreducible=False))(data)
    c = np.log(observations.models["flops"].to_numpy()) - data.reference.middle[2]
    assert "e" not in v
    np.testing.assert_allclose(v["alpha"], np.exp(v["log_fall"][0]), rtol=1e-5)
    line = data.reference.log_loss0 + v["level_f"][data.family] - v["alpha"] * c[:, None]
    np.testing.assert_allclose(v["log_L"], line, rtol=1e-5, atol=1e-6)


def test_stage_2_is_a_line_in_the_observed_loss_and_the_score_far_above_the_threshold() -> None:
    placeholder, rng = table(), np.random.default_rng(0)
    losses, scores = placeholder.losses, placeholder.scores.assign(score=0.7)
    losses["loss"] = rng.uniform(0.4, 1.6, len(losses))
    data = design.build(sb.Observations(placeholder.models, scores, losses))
    v = story(LINE)(data)
    L = losses.loc[losses["domain"] == "c4", "loss"].to_numpy()
    unit = 0.2 * (1 - data.chance)  # what a logit is worth
    w1 = -unit * np.exp(v["log_k"]) / np.median(L)
    w0 = 0.7 + unit * (v["b_f"] + np.exp(v["log_k"]))  # 0.7, the median score, at the median loss
    np.testing.assert_allclose(v["line"], w0[data.family] + L[:, None] * w1, atol=1e-5)
    above = v["line"] - data.chance - 0.05
    assert (above > 0.2).sum() > 20
    np.testing.assert_allclose(v["mu"][above > 0.2], v["line"][above > 0.2], atol=1e-4)
    assert (above < -0.2).sum() > 5
    assert np.abs(v["mu"] - data.chance)[above < -0.2].max() < 0.02


def test_a_line_with_a_learned_floor_is_refused() -> None:
    with pytest.raises(ValueError, match=r"needs the chance level.*choose floor='known'"):
        sb.Flp(scores="linear", floor="learned")


def test_a_line_needs_the_chance_level_of_every_benchmark() -> None:
    observations = table()
    scores = observations.scores
    scores.loc[scores["benchmark"] == "gsm", "chance"] = np.nan
    unknown = sb.Observations(observations.models, scores, observations.losses)
    with pytest.raises(ValueError, match=r"there is none for \['gsm'\]: give it"):
        sb.fit(LINE, unknown, seed=0, sampler=sb.Nuts(draws=1, warmup=1))


def test_flp_without_losses_on_its_feature_is_refused() -> None:
    without = table().without(domains="c4")
    with pytest.raises(ValueError, match=r"feature 'c4' needs losses on \['c4'\].*'mmlu'"):
        sb.fit(sb.Flp(), without, seed=0, sampler=sb.Nuts(draws=1, warmup=1))


def test_the_domain_law_is_a_power_of_total_and_of_domain_flops() -> None:
    C, share = np.array([[1.0], [10.0], [200.0]]), np.array([[0.5, 0.1], [0.2, 0.7], [0.9, 1.3]])
    a1, a2 = np.array([0.05, -0.02]), np.array([0.1, 0.2])
    with jax.enable_x64(True):
        law = np.exp(domain_law(*map(jnp.asarray, (np.log(C), np.log(share), a1, a2))))
    np.testing.assert_allclose(law, 1 / (C**a1 * (share * C) ** a2), rtol=1e-12)


def test_losses_of_domains_follow_from_total_and_effective_domain_flops() -> None:
    observations = table()
    data = design.build(observations)
    v = story(sb.FlpM())(data)
    a2, rho = np.exp(v["log_a2"]), v["rho"] + v["spread_rho"] * v["z_rho"]
    np.testing.assert_allclose(v["a1"] + a2, np.exp(v["log_fall"]), rtol=1e-5)
    w = observations.mixtures.pivot(index="model", columns="source", values="weight")
    w = w.loc[observations.models["model"], list(observations.sources)].to_numpy()
    C = observations.models["flops"].to_numpy() / np.exp(data.reference.middle[2])
    level = np.exp(data.reference.log_loss0 + v["level_f"][data.family])
    assert np.ptp(w[:, 0]) > 0.5
    for m, domain in enumerate(observations.domains):
        taught = v["transfer"] * v["T"][m]
        taught[[source == domain for source in observations.sources]] = 1.0
        share = (w @ taught / taught.mean()) ** (C ** (rho[m] / np.log(10)))
        loss = level[:, m] / (C ** v["a1"][m] * (share * C) ** a2[m])
        np.testing.assert_allclose(np.exp(v["log_L"][:, m]), loss, rtol=1e-5)


def with_a_loss_raised(law: sb.FlpM, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Expected scores of the first model as its losses are, and with each 5% higher in turn."""
    data, told = design.build(table()), story(law, seed)
    before, after = told(data)["mu"], []
    for m in range(len(data.labels("domain"))):
        raised = (data.loss_model == 0) & (data.loss_domain == m)
        changed = replace(data, log_loss=data.log_loss + np.log(1.05) * raised)
        after.append(told(changed)["mu"])
        np.testing.assert_array_equal(after[-1][1:], before[1:])
    return before[0], np.array(after)[:, 0]


@pytest.mark.parametrize("seed", [0, 1])
def test_performance_falls_with_every_loss(seed: int) -> None:
    before, after = with_a_loss_raised(sb.FlpM(), seed)
    assert (after <= before).all()
    assert (after.min(axis=0) < before).all()


def test_performance_of_a_network_may_rise_with_a_loss() -> None:
    before, after = with_a_loss_raised(sb.FlpM(scores="network"), 0)
    assert (after > before + 1e-3).any()


def test_losses_count_by_shares_of_one_slope() -> None:
    """eta is -k_j sum_m p_jm (y / L0 - 1), p_j on the simplex."""
    law, data = sb.FlpM(), design.build(table(n_family=3, n_size=2))
    x = np.random.default_rng(0).normal(0, 0.1, (6, 5))
    with jax.enable_x64(True):
        falling = handlers.seed(law._falling, 0)
        trace = handlers.trace(falling).get_trace(data, jnp.asarray(x))
        eta, steep = map(np.asarray, falling(data, jnp.asarray(x)))
        k, uneven, z = (np.asarray(trace[s]["value"]) for s in ("log_k", "uneven", "z_p"))
    weight = np.exp(k)[:, None] * softmax(uneven * z, axis=1)
    np.testing.assert_allclose(eta, -x @ weight.T, rtol=1e-9)
    np.testing.assert_allclose(steep, -np.repeat(weight[:, None], 6, axis=1), rtol=1e-9)


def test_slopes_of_the_network_are_its_derivatives() -> None:
    law, data = sb.FlpM(scores="network", hidden=2), design.build(table(n_family=3, n_size=2))
    with jax.enable_x64(True):
        network = handlers.seed(law._network, 0)  # the same weights at every call
        x = jnp.asarray(np.random.default_rng(0).normal(0, 0.1, (6, 5)))
        _, steep = network(data, x)
        jacobian = np.asarray(jax.jacobian(lambda x: network(data, x)[0])(x))
    diagonal = jacobian[np.arange(6), :, np.arange(6)]  # (model, benchmark, domain)
    np.testing.assert_allclose(np.moveaxis(np.asarray(steep), 0, 1), diagonal, rtol=1e-9)
    assert np.abs(jacobian).sum() == pytest.approx(np.abs(diagonal).sum())
    assert np.abs(diagonal).min() > 0


def test_a_network_without_units_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one hidden unit, got hidden=0"):
        sb.FlpM(hidden=0)


def test_models_without_mixtures_are_refused() -> None:
    whole = table(n_family=2, n_size=2)
    bare = sb.Observations(whole.models, whole.scores, whole.losses)
    with pytest.raises(ValueError, match="observations hold none: give mixtures, or choose Flp"):
        sb.fit(sb.FlpM(), bare, seed=0, sampler=sb.Nuts(draws=1, warmup=1))
    some = whole.mixtures[whole.mixtures["model"] != "f1-0"]
    partly = sb.Observations(whole.models, whole.scores, whole.losses, some)
    with pytest.raises(ValueError, match="none is known of 'f1-0': give their mixtures"):
        sb.fit(sb.FlpM(), partly, seed=0, sampler=sb.Nuts(draws=1, warmup=1))


def test_weights_that_do_not_sum_to_one_are_refused() -> None:
    whole = table(n_family=2, n_size=2)
    mixtures = whole.mixtures
    mixtures.loc[mixtures["model"] == "f1-0", "weight"] *= 0.9
    with pytest.raises(sb.ObservationsError) as refused:
        sb.Observations(whole.models, whole.scores, whole.losses, mixtures)
    for part in ("model 'f1-0' must sum to one, got 0.9", "divide them by their sum"):
        assert part in str(refused.value)


TASKS = {"easy": 0.25, "hard": 0.25, "pair": 0.5}


def runs(sizes: int = 5) -> sb.Observations:
    """Runs of some sizes and four lengths each, with placeholder losses and scores."""
    rows = [
        (f"{s}-{length}", "one", 2e8 * 2.0**s, 4e9 * 2.0**s * length)
        for s in range(sizes)
        for length in (1, 2, 5, 10)
    ]
    models = pd.DataFrame(rows, columns=["model", "family", "params", "tokens"])
    cells = models[["model"]].merge(pd.DataFrame({"name": list(TASKS)}), how="cross")
    scores = cells.rename(columns={"name": "benchmark"}).assign(score=0.5, n_items=2000)
    scores["chance"] = scores["benchmark"].map(TASKS)
    losses = models[["model"]].merge(pd.DataFrame({"domain": ["c4", "code"]}), how="cross")
    return sb.Observations(models, scores, losses.assign(loss=1.1, unit="bits/byte"))


@pytest.fixture(scope="module")
def fitted() -> sb.Fit:
    """FLP's line fitted to a table that it simulated, without the largest size."""
    placeholder = runs()
    simulated, _ = simulate(LINE, placeholder, seed=7)
    hidden = [m for m in simulated.models["model"] if m.startswith("4")]
    return fit_quietly(
        LINE, simulated, seed=0, hold_out=hidden,
        sampler=sb.Nuts(draws=200, warmup=200, target_accept=0.8, max_tree_depth=8),
        reference=design.build(placeholder).reference,  # the very law that simulated the table
    )  # fmt: skip


def test_hidden_larger_runs_are_inside(fitted: sb.Fit) -> None:
    whole = fitted.observations
    emerged = whole.scores["score"] > whole.scores["chance"] + 0.05
    assert 0.3 < emerged.mean() < 0.9
    large = whole.models[whole.models["model"].isin(fitted.held_out)]
    for of, column, truth in (
        ("score", "benchmark", whole.scores),
        ("loss", "domain", whole.losses),
    ):
        found = sb.predict(fitted, large, of=of).merge(truth, on=["model", column])
        assert len(found) == len(large) * truth[column].nunique()
        assert found[of].between(found["lower_90"], found["upper_90"]).mean() >= 0.7
        assert (found["upper_90"] - found["lower_90"]).between(1e-3, 0.3).all()
