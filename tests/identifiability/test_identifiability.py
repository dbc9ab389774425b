"""What the data identify: closed forms, cases built to be unidentified, and values set by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest
from conftest import BENCHMARKS, HELD_OUT, PASSED, fit_quietly, table
from numpyro import handlers

import scalebayes as sb
from scalebayes.identifiability.contraction import contraction, directions, pairs
from scalebayes.identifiability.prior_and_posterior import Draws
from scalebayes.identifiability.remedies import NEEDS, OF_INPUT, Seen, remedy
from scalebayes.identifiability.verdicts import MIN_SENSITIVITY, _sensitivities
from scalebayes.inference.posterior import Fit
from scalebayes.inference.tree import make_tree
from scalebayes.model import design as designs
from scalebayes.model.design import Design
from scalebayes.prediction.simulation import simulate


def draws_with(covariance: np.ndarray, seed: int) -> np.ndarray:
    """Draws whose sampled covariance is exactly the one given."""
    z = np.random.default_rng(seed).normal(size=(400, len(covariance)))
    z = (z - z.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(z, rowvar=False))).T
    return z @ np.linalg.cholesky(covariance).T


def conjugate(inputs: np.ndarray, prior_sd: np.ndarray, noise: float) -> tuple[np.ndarray, ...]:
    """Prior and posterior covariance of y ~ Normal(inputs beta, noise^2), and Fisher information in prior sds."""
    fisher = inputs.T @ inputs / noise**2
    posterior = np.linalg.inv(np.diag(prior_sd**-2.0) + fisher)
    return np.diag(prior_sd**2), posterior, prior_sd[:, None] * fisher * prior_sd


def test_directions_of_a_linear_model_have_their_closed_form():
    rng = np.random.default_rng(0)
    prior, posterior, fisher = conjugate(rng.normal(size=(5, 4)), np.array([1, 2, 0.5, 0.1]), 1.0)
    before, after = draws_with(prior, 1), draws_with(posterior, 2)
    np.testing.assert_allclose(
        contraction(before, after), 1 - np.diag(posterior) / np.diag(prior), rtol=1e-8
    )
    told = np.linalg.eigvalsh(fisher)  # how often the data weigh what the prior does
    row, weights = directions(before, after, list("abcd"), "all")
    assert row["effective_rank"] == (told >= 1).sum() == 2
    assert row["effective_parameters"] == pytest.approx((told / (1 + told)).sum())
    assert row["worst_contraction"] == pytest.approx(told[0] / (1 + told[0]))
    assert row["best_contraction"] == pytest.approx(told[-1] / (1 + told[-1]))
    best = np.linalg.eigh(fisher)[1][:, -1]
    np.testing.assert_allclose(weights["best"], best / best[np.abs(best).argmax()], atol=1e-8)


def test_a_sum_that_is_known_leaves_the_difference_open():
    prior, posterior, _ = conjugate(np.array([[1.0, 1.0, 0.0]]), np.array([1.0, 1.0, 1.0]), 0.1)
    posterior[2, 2] = 0.2
    row, _ = directions(draws_with(prior, 1), draws_with(posterior, 2), ["floor", "b", "other"])
    assert row["worst"] in ("floor up with b down", "b up with floor down")
    assert row["best"] in ("floor up with b up", "b up with floor up")
    assert row["worst_contraction"] == pytest.approx(0.0, abs=1e-8)
    names = ["floor", "b", "other"]
    table = pairs(pd.DataFrame(np.corrcoef(draws_with(posterior, 2).T), names, names))
    assert table[["one", "other"]].to_numpy().tolist() == [["floor", "b"]]
    assert table["correlation"][0] == pytest.approx(-1 / 1.01, rel=1e-6)


def test_of_many_open_directions_one_parameter_is_named():
    row, _ = directions(draws_with(np.eye(8), 1), draws_with(np.eye(8), 2), list("abcdefgh"))
    assert row["worst"].endswith(" alone")
    assert row["effective_rank"] == 0


def test_covariances_need_draws():
    with pytest.raises(
        ValueError, match="more than 8 draws for the covariance of 4 parameters, got 8"
    ):
        directions(np.ones((8, 4)), np.ones((8, 4)), list("abcd"))


def test_sensitivities_tell_what_the_prior_drives_and_what_the_data():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2000, 4)) * [
        1.0,
        0.1,
        0.0,
        1.0,
    ]  # prior alone, data, constant, a family
    elements = pd.DataFrame({"site": list("abcd"), "local": [False, False, False, True]})
    elements["sampled"] = [(site,) for site in elements["site"]]
    normal = -0.5 * values**2
    log_prior = dict(zip("abcd", normal.T, strict=True))
    found = _sensitivities(Draws(elements, values, values, 100 * normal[:, 1], log_prior))
    prior, likelihood = found["prior_sensitivity"], found["likelihood_sensitivity"]
    assert prior[0] > MIN_SENSITIVITY > prior[1]
    assert likelihood[1] > MIN_SENSITIVITY > likelihood[0]
    assert prior[2] == likelihood[2] == 0.0
    assert np.isnan([prior[3], likelihood[3]]).all()


ABOVE = "arc"
"""The benchmark whose scores are moved far above its floor."""


@pytest.fixture(scope="module")
def unidentified(fitted: sb.Fit) -> sb.Identifiability:
    """All models of one token count, and no score of a benchmark near its floor.

    The table has the shape of that of `fitted`, whose compiled program serves it.
    """
    full = table()
    models = full.models.assign(tokens=1e12).drop(columns="flops")
    made, _ = simulate(
        sb.Sloth(), sb.Observations(models, full.scores, full.losses, full.mixtures), seed=3
    )
    scores, own = made.scores, made.scores["benchmark"] == ABOVE
    scores.loc[own, "score"] = 0.6 + 0.35 * scores.loc[own, "score"]
    observations = sb.Observations(models, scores, made.losses, made.mixtures)
    observations = observations.without(families=["f7"])
    return sb.identifiability(
        fit_quietly(
            sb.Sloth(),
            observations,
            seed=1,
            sampler=sb.Nuts(draws=250, warmup=300),
            hold_out=HELD_OUT,
        )
    )


def of(result: sb.Identifiability, name: str) -> pd.Series:
    return result.elements.set_index("name").loc[name]


def test_slopes_on_what_does_not_vary_are_driven_by_the_prior(unidentified):
    groups = unidentified.groups.set_index("group")
    assert groups.loc["B[size]", "verdict"] == "identified"
    for name in ("B[tokens]", "B[size_x_tokens]"):
        assert groups.loc[name, "verdict"] == "prior-driven"
        assert abs(groups.loc[name, "contraction"]) < 0.3
        assert "no family has two token budgets; add" in groups.loc[name, "remedy"]
    assert any("no family has two token budgets" in line for line in unidentified.lacking)
    assert "B[tokens]" in str(unidentified)


def test_a_floor_that_no_score_comes_near_is_driven_by_the_prior(unidentified):
    floor = of(unidentified, f"gamma[{ABOVE}]")
    assert floor["verdict"] == "prior-driven"
    assert abs(floor["contraction"]) < 0.3
    assert floor["prior_sensitivity"] > 0.05
    remedies = unidentified.groups.set_index("group")["remedy"]
    assert f"no score near the floor of {ABOVE}" in remedies["gamma"]


def test_effects_of_what_was_not_seen_are_not_judged(unidentified):
    effects = unidentified.elements.query("local")
    assert set(effects["block"]) == {""}
    assert effects["prior_sensitivity"].isna().all()
    assert set(effects.query("site == 'd'")["at"]) == {
        f"f{f} / {b}" for f in range(7) for b in BENCHMARKS
    }


def set_by_hand(law: sb.FlpM, n_draw: int = 120) -> Fit:
    """A fit whose draws lie close to the means of their priors; those of T_root about one, of any sign."""
    observations = table(4, 2)

    def mean(site: dict[str, Any]) -> Any:
        return site["fn"].mean if site["type"] == "sample" and not site["is_observed"] else None

    def means(design: Design) -> dict[str, Any]:
        by_mean = handlers.substitute(law, substitute_fn=mean)
        trace = handlers.trace(handlers.seed(by_mean, 0)).get_trace(design)
        sampled = {k: s for k, s in trace.items() if s["type"] == "sample"}
        return {k: s["value"] for k, s in sampled.items() if not s["is_observed"]}

    with jax.enable_x64(True):
        design = designs.build(observations)
        centre = jax.tree.map(np.asarray, jax.jit(means)(design))
    rng, values = np.random.default_rng(0), {}
    for name, middle in centre.items():
        near = 0.01 * rng.normal(size=(1, n_draw, *middle.shape))
        values[name] = middle + np.where(middle == 0, 1.0, middle) * near
        if name == "T_root":
            values[name] = rng.choice([-1.0, 1.0], near.shape) * (1 + near)
    tree = make_tree(
        law,
        design,
        {
            "posterior": values,
            "log_likelihood": {},
            "log_prior": {k: rng.normal(size=(1, n_draw)) for k in values},
        },
        {"n_steps": np.ones((1, n_draw))},
    )
    return Fit(law, observations, (), tree, design.reference, {}, PASSED)


def test_values_known_to_a_percent_are_identified_signs_and_hidden_units_apart():
    result = sb.identifiability(set_by_hand(sb.FlpM(scores="network")))
    groups = result.groups.set_index("group")
    hidden = groups["verdict"] == "not judged"
    assert set(groups.index[hidden]) == {"U", "U0", "V"}
    assert set(groups["verdict"][~hidden]) == {"identified"}
    assert (groups["remedy"][~hidden] == "").all()
    assert not set(result.correlation.columns.str.split("[").str[0]) & {"U", "U0", "V"}
    assert (
        len(result.directions) == len(BENCHMARKS) + len(BENCHMARKS) + 1 + 1
    )  # domains have c4, too


def test_a_rotation_of_the_loadings_changes_nothing_that_is_judged():
    rng = np.random.default_rng(0)
    lam, effect = rng.normal(size=(3, 5, 2)), rng.normal(size=(3, 4, 2))
    turn = np.linalg.qr(rng.normal(size=(3, 2, 2)))[0]
    law = sb.Sloth(specific=False)
    data = designs.build(table(4, 2))
    coords = dict(data.coords) | {"benchmark": tuple("abcde")}
    data = dataclasses.replace(data, coords=tuple(coords.items()))

    def judged(t: np.ndarray) -> dict[str, np.ndarray]:
        values = {"lam": lam @ t, "loading": np.zeros(0), "d_skill": effect @ t}
        return {own.name: own.values for own in law.invariants(values, values, data)}

    plain, turned = judged(np.eye(2)), judged(turn)
    assert set(plain) == {"lam length", "lam angle", "d_skill"}
    for name, value in plain.items():
        np.testing.assert_allclose(turned[name], value, atol=1e-12)
    length, cosine = np.exp(plain["lam length"]), plain["lam angle"]
    gram = lam @ lam.swapaxes(1, 2)
    np.testing.assert_allclose(cosine[:, 0] * length[:, 1] * length[:, 0], gram[:, 1, 0])
    np.testing.assert_allclose(plain["d_skill"], effect @ lam.swapaxes(1, 2))


def test_every_need_of_an_input_is_known():
    assert set(OF_INPUT.values()) <= set(NEEDS)


def models(**columns: object) -> Seen:
    rows = {"family": ["f", "f", "g"], "lineage": "l", "run": ["a", "b", "c"]}
    rows |= {"params": [1e9, 2e9, 1e9], "tokens": [1e12, 1e12, 2e12], "flops": [1e21, 1e22, 1e23]}
    share = pd.DataFrame({"benchmark": ["easy", "easy", "hard"], "share": [0.5, 0.95, 0.02]})
    return Seen(pd.DataFrame(rows | columns), share, domains=1, mixtures=2, skills=2, constant=())


@pytest.mark.parametrize(
    ("need", "reason"),
    [
        ("size", "only 1 of 2 families has two sizes"),
        ("tokens", "no family has two token budgets"),
        ("compute", "the models span 2.0 decades of FLOPs"),
        ("low scores", "no score near the floor of easy"),
        ("high scores", "no score near the ceiling of hard"),
        ("range of scores", "scores span less than half the range of easy, hard"),
        ("families", "there are only 2 families"),
        ("models", "no family has three models"),
        ("benchmarks", "2 benchmarks cannot separate 2 skills from specific parts"),
        ("checkpoints", "no run has two checkpoints"),
        ("mixtures", "there are only 2 different mixtures"),
        ("domains", "there are losses on only 1 domain"),
    ],
)
def test_a_design_says_what_it_lacks(need, reason):
    assert remedy(models(), need, ["easy", "hard"]).startswith(f"{reason}; add ")


@pytest.mark.parametrize(("tokens", "together"), [([20, 40, 81], True), ([20, 21, 400], False)])
def test_tokens_in_step_with_size_tell_nothing_of_their_own(tokens, together):
    grown = models(family="f", params=[1e9, 2e9, 4e9], tokens=[1e9 * t for t in tokens])
    for need in ("size", "tokens"):
        said = remedy(grown, need, [])
        assert said.startswith("within families size and tokens are nearly collinear") == together


def test_a_design_that_lacks_nothing_says_only_what_to_add():
    several = models(tokens=[2e12, 1e12, 1e12], run="a", family="f")
    for need in ("tokens", "size", "models", "checkpoints"):
        assert remedy(several, need, []) == NEEDS[need].add
    assert remedy(several, "lineages", []).startswith("no lineage has two families; ")
    assert remedy(models(), "lineages", []) == NEEDS["lineages"].add
    assert remedy(models(), "low scores", ["hard"]) == NEEDS["low scores"].add
