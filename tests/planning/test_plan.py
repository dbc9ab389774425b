"""Planning: probabilities, budgets, allocations and the next run, against the law itself."""

from __future__ import annotations

import jax
import numpy as np
import pandas as pd
import pytest
from conftest import PASSED, table
from numpyro import handlers
from scipy.special import expit, logit

import scalebayes as sb
from scalebayes.inference.posterior import Fit
from scalebayes.inference.sampling import sampler_specification
from scalebayes.inference.tree import make_tree
from scalebayes.model import design as designs
from scalebayes.planning import budgets
from scalebayes.planning.allocation import _peak
from scalebayes.planning.experiments import _residual_variance
from scalebayes.prediction.designs import design_of_models
from scalebayes.prediction.new_levels import at_draw, positions
from scalebayes.prediction.simulation import prior_predictive

# grids and simulations ask far out on purpose; that this is told is tested in prediction/test_ranges.py
pytestmark = pytest.mark.filterwarnings("ignore::scalebayes.ExtrapolationWarning")


def fit_of(law, observations, sites) -> Fit:
    """A fit with given draws of all sites: nothing is sampled."""
    design = designs.build(observations)
    shape = next(iter(sites.values())).shape[:2]
    observed = {"score": len(observations.scores)}
    if "log_L" in sites:
        observed["loss"] = len(observations.losses)
    derived = {"mu", "log_L", "alpha", "beta", "irreducible_share"}
    values = {
        "posterior": sites,
        "log_likelihood": {k: np.zeros((*shape, n)) for k, n in observed.items()},
        "log_prior": {k: np.zeros(v.shape) for k, v in sites.items() if k not in derived},
    }
    tree = make_tree(law, design, values, {"n_steps": np.ones(shape)})
    about = {"seed": 0, "sampler": sampler_specification(sb.Nuts())}
    return Fit(law, observations, (), tree, design.reference, about, PASSED)


@pytest.fixture(scope="module")
def known(simulated):
    """The default law with its parameters known: those of a simulation, with scores that rise."""
    truth = dict(simulated[1])
    rising = np.array([0.8, 0.5, 0.1])[:, None]
    truth |= {"B": np.tile(rising, 4), "z": 0 * truth["z"], "lam": np.abs(truth["lam"])}
    draws = {k: np.repeat(v[None, None], 300, axis=1) for k, v in truth.items()}
    return fit_of(sb.Sloth(), table(), draws)


@pytest.fixture(scope="module")
def ladders():
    """Draws of a ladder's parameters from their priors, as a fit."""
    law, observations = sb.Ladder(feature="c4"), table(4, 3)
    tree = prior_predictive(law, observations, seed=5, draws=60)["prior"].to_dataset()
    return fit_of(law, observations, {str(k): v.to_numpy() for k, v in tree.data_vars.items()})


def plans(*rows):
    return pd.DataFrame(rows, columns=["model", "family", "params", "tokens"])


def drawn_from_the_law(fit, models, n=20_000):
    """Scores as the law itself tells them at the first draw, shape (n, model, benchmark)."""
    draw = {k: v[0] for k, v in fit.draws().items()}
    with jax.enable_x64(True):
        design = design_of_models(fit, models)
        law = handlers.seed(at_draw(fit.law, draw, positions(fit, design)), 0)
        site = handlers.trace(law).get_trace(design)["score"]
        scores = np.asarray(site["fn"].sample(jax.random.key(7), (n,)))
    return scores.clip(0, 1).reshape(n, len(models), -1)


def test_probabilities_are_those_of_simulations_from_the_law(known):
    models = plans(("x", "f0", 60e9, 2e12), ("y", "f3", 60e9, 2e12))
    scores = drawn_from_the_law(known, models)
    names = known.design.labels("benchmark")
    targets = dict(zip(names, np.quantile(scores[:, 0], 0.4, axis=0), strict=True))
    found = sb.target_probability(known, models, targets)
    assert found["benchmark"].tolist() == [*names, "all"] * 2
    reached = scores >= np.array(list(targets.values()))
    brute = np.column_stack([reached.mean(axis=0), reached.all(axis=-1).mean(axis=0)])
    np.testing.assert_allclose(found["probability"], brute.ravel(), atol=0.03)
    # scores of one model do not err apart
    assert abs(brute[0, -1] - brute[0, :-1].prod()) > 0.05


def test_the_mean_reaches_a_target_or_not(known):
    models = plans(("x", "f0", 60e9, 2e12), ("y", "f3", 60e9, 2e12))
    mean = sb.predict(known, models, kind="mean").set_index(["model", "benchmark"])["mean"]
    for shift, expected in ((-0.001, 1.0), (0.001, 0.0)):
        found = sb.target_probability(
            known, models, {"mmlu": mean["x", "mmlu"] + shift}, kind="mean"
        )
        assert found["probability"].tolist()[:2] == [expected, expected]


def test_the_smallest_budget_is_where_the_probability_crosses(known):
    targets = {"mmlu": 0.5, "arc": 0.5}
    ranges = {"flops": (1e15, 1e30), "tokens_per_param": (5.0, 50.0)}
    found = sb.smallest_budget(known, "f0", targets, probability=0.7, **ranges)
    assert found.flops == pytest.approx(6 * found.params * found.tokens)
    assert 4.99 < found.tokens / found.params < 50.01
    # by brute force: on every fine ratio, at a budget a little below and a little above
    ratios = np.geomspace(5, 50, 325)
    for flops, reaches in ((found.flops / 1.05, False), (found.flops * 1.05, True)):
        n = np.sqrt(flops / 6 / ratios)
        models = pd.DataFrame({"model": [f"m{i}" for i in range(325)], "family": "f0"})
        models = models.assign(params=n, tokens=n * ratios)
        rows = sb.target_probability(known, models, targets)
        assert (rows.loc[rows["benchmark"] == "all", "probability"].max() >= 0.7) == reaches


@pytest.mark.parametrize(
    ("best", "drift", "edge"), [(60.0, 0.0, False), (15.0, 0.0, True), (20.1, 2.0, True)]
)
def test_a_budget_says_whether_a_wider_range_may_do_better(known, monkeypatch, best, drift, edge):
    # log odds 2 log C, less the square of the distance to the best ratio, which may drift with C
    middle = 1e22

    def reached(fit, family, targets, params, tokens, *others):
        c = np.log(6 * params * tokens / middle)
        off = np.log(tokens / params) - np.log(best) - drift * (c - logit(0.8) / 2)
        return expit(2 * c - off**2)

    monkeypatch.setattr(budgets, "joint_probability", reached)
    ranges = {"flops": (1e20, 1e24), "tokens_per_param": (20.0, 200.0)}
    found = sb.smallest_budget(known, "f0", {"mmlu": 0.5}, probability=0.8, **ranges)
    off = np.log(max(best, 20.0) / best)
    assert found.flops == pytest.approx(middle * np.exp((logit(0.8) + off**2) / 2), rel=0.01)
    assert found.tokens / found.params == pytest.approx(max(best, 20.0), rel=0.03)
    assert found.at_edge == edge
    assert str(found).endswith(", at an end of the range") == edge


def test_budgets_out_of_range_are_refused_with_the_remedy(known):
    def ask(flops, **targets):
        sb.smallest_budget(known, "f0", targets, flops=flops, tokens_per_param=(5, 50))

    with pytest.raises(ValueError, match=r"no budget up to 1e\+16 FLOPs.*wider range with flops"):
        ask((1e15, 1e16), mmlu=0.9)
    with pytest.raises(ValueError, match="already: give a lower range with flops"):
        ask((1e29, 1e30), mmlu=0.3)


def test_a_map_has_the_probabilities_of_its_models(known):
    grid = sb.target_map(known, "f0", {"mmlu": 0.6}, params=[1e9, 1e11], tokens=[1e12, 1e13])
    assert grid["flops"].tolist() == [6e21, 6e22, 6e23, 6e24]
    assert grid["params"].tolist() == [1e9, 1e9, 1e11, 1e11]
    models = plans(
        *(
            (f"x{i}", "f0", n, d)
            for i, (n, d) in enumerate(zip(grid["params"], grid["tokens"], strict=True))
        )
    )
    single = sb.target_probability(known, models, {"mmlu": 0.6})
    single = single.loc[single["benchmark"] == "all", "probability"]
    np.testing.assert_allclose(grid["probability"], single, atol=0.02)
    assert (np.diff(grid["probability"].to_numpy().reshape(2, 2), axis=0) >= 0).all()


def test_an_average_mixes_probabilities(known, fitted):
    models = plans(("x", "f0", 60e9, 2e12), ("y", "f3", 60e9, 2e12))
    each = [
        sb.target_probability(f, models, {"mmlu": 0.6})["probability"][0] for f in (known, fitted)
    ]
    average = sb.Average({"a": known, "b": fitted}, {"a": 0.25, "b": 0.75})
    found = sb.target_probability(average, models, {"mmlu": 0.6})["probability"]
    assert found[0] == pytest.approx(0.25 * each[0] + 0.75 * each[1])


@pytest.mark.parametrize(
    ("targets", "says"),
    [
        ({"mmlu": 57.0}, "target of mmlu must lie in .*, but is 57: .*percentage, divide by 100"),
        ({"mmlu": 0.0}, "must lie in"),
        ({"mmlux": 0.5}, "no benchmark 'mmlux', it has 'arc'"),
        ({}, "at least one target"),
    ],
)
def test_targets_that_mean_nothing_are_refused(known, targets, says):
    with pytest.raises(ValueError, match=says):
        sb.target_probability(known, plans(("x", "f2", 1e9, 1e12)), targets)


def test_a_model_beats_another_as_often_as_its_draws_do(fitted):
    models = plans(("x", "f0", 60e9, 2e12), ("y", "f5", 60e9, 2e12))
    found = sb.beats(fitted, models).set_index("benchmark")
    scores = sb.predictive_draws(fitted, models)["score"]
    gap = (scores.sel(model="x") - scores.sel(model="y")).to_numpy()
    gap = np.concatenate([gap, gap.mean(axis=-1, keepdims=True)], axis=-1)
    won = (gap > 0).mean(axis=(0, 1)) + (gap == 0).mean(axis=(0, 1)) / 2  # scores end at one
    np.testing.assert_allclose(found["probability"], won)
    with pytest.raises(ValueError, match="at least two models"):
        sb.beats(fitted, models.head(1))


def test_the_optimum_of_a_ladder_is_that_of_its_surface(ladders):
    """A / N^alpha + B / D^beta at N D fixed is least where alpha A / N^alpha = beta B / D^beta."""
    flops = [1e21, 1e24]
    found = sb.allocate(ladders, "f1", flops, losses={"c4": 1.0}, tokens_per_param=(1e-3, 1e6))
    posterior = ladders.tree["posterior"].to_dataset().isel(chain=0)
    at = {"domain": "c4"}
    alpha, beta = (posterior[k].sel(at).to_numpy() for k in ("alpha", "beta"))
    fall = posterior["log_fall_f"].sel(family="f1", **at).to_numpy()
    n0, d0, _ = ladders.reference.middle
    for i, c in enumerate(np.log(np.array(flops) / 6) - n0 - d0):
        exact = n0 + (fall[:, 0] - fall[:, 1] + beta * c) / (alpha + beta)
        inside = exact > np.log(found.prices["params"].groupby(found.prices["flops"]).min().iloc[i])
        assert inside.mean() > 0.9
        np.testing.assert_allclose(found.draws.to_numpy()[i][inside], exact[inside], atol=0.05)
    best = found.best.set_index("flops")
    assert (best["price"] <= found.prices.groupby("flops")["price"].min() + 1e-12).all()
    assert (found.prices["price"] >= 0).all()
    # with one loss in the middle, the benchmark is best where the loss is least
    of_score = sb.allocate(ladders, "f1", flops, benchmarks="mmlu", tokens_per_param=(1e-3, 1e6))
    telling = (
        of_score.prices.groupby("flops")["value"].max().to_numpy() < 1
    )  # none is at its ceiling
    assert telling.all()
    off = np.abs(of_score.draws - found.draws).to_numpy()
    assert (
        off < 0.05
    ).mean() > 0.97  # but for draws at the ceiling, where all sizes score the same


def test_peaks_are_found_between_points_and_at_the_ends():
    x = np.arange(6.0)
    value = np.stack([-((x - 2.3) ** 2), x, -x])[:, None]
    position, at_edge, height = _peak(value, x[None])
    np.testing.assert_allclose(position[:, 0], [2.3, 5, 0])
    np.testing.assert_allclose(height[:, 0], [0, 5, 0], atol=1e-12)
    assert at_edge[:, 0].tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"flops": -1.0}, "flops must be positive"),
        ({"flops": 1e21, "benchmarks": "mmlux"}, "no benchmark 'mmlux'"),
        ({"flops": 1e21, "benchmarks": "mmlu", "losses": {"c4": 1.0}}, "give either"),
        ({"flops": 1e21, "losses": {"c4": -1.0}}, "weights of losses must be positive"),
        ({"flops": 1e21, "tokens_per_param": (50, 5)}, "the smaller first"),
    ],
)
def test_allocations_that_mean_nothing_are_refused(ladders, arguments, says):
    with pytest.raises(ValueError, match=says):
        sb.allocate(ladders, "f1", **arguments)


def test_what_a_regression_leaves_is_the_conditional_variance():
    """Of q = a'y + noise with known noise, and of a parabola in y."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=(4000, 3))
    noise = 0.5 * rng.normal(size=4000)
    assert _residual_variance(y @ [1.0, -2.0, 0.0] + noise, y) == pytest.approx(0.25, rel=0.08)
    assert _residual_variance(y[:, 0] ** 2 + noise, y) == pytest.approx(0.25, rel=0.08)
    unrelated = rng.normal(size=4000)
    assert _residual_variance(unrelated, y) == pytest.approx(unrelated.var(ddof=1), rel=0.01)


def test_runs_of_the_family_and_larger_ones_tell_more(fitted):
    candidates = plans(
        ("small", "new", 1e9, 1e12), ("large", "new", 10e9, 1e12), ("other", "f1", 10e9, 1e12)
    )
    big = plans(("big", "new", 70e9, 5e12))
    tables = [
        sb.next_run(fitted, candidates, big, benchmark="mmlu", seed=seed) for seed in range(8)
    ]
    # one seed has a standard error of 0.02
    mean = pd.concat(tables).groupby("model")["information"].mean()
    assert mean["large"] > mean["small"] + 0.02
    assert mean["small"] > mean["other"] + 0.1
    table = tables[0]
    found = table.set_index("model")
    assert table["per_1e20_flops"].is_monotonic_decreasing
    sd = sb.predict(fitted, plans(("big", "new", 70e9, 5e12)), seed=1)
    expected = sd.set_index("benchmark")["sd"]["mmlu"]
    np.testing.assert_allclose(found["sd_before"], expected, rtol=0.15)
    np.testing.assert_allclose(np.log(found["sd_before"] / found["sd_after"]), found["information"])


def test_a_run_of_a_ladder_shows_losses_and_the_scores_that_go_with_them(ladders):
    near, far = ("near", "f1", 30e9, 3e12), ("far", "f2", 1e9, 1e11)
    found = sb.next_run(ladders, plans(near, far), plans(("big", "f1", 70e9, 5e12)))
    found = found.set_index("model")["information"]
    assert found["near"] > found["far"]


def test_runs_that_cannot_be_next_are_refused(fitted):
    big = plans(("big", "f1", 70e9, 5e12))
    with pytest.raises(ValueError, match="has 'f1-0' already"):
        sb.next_run(fitted, plans(("f1-0", "f1", 1e9, 1e12)), big)
    with pytest.raises(ValueError, match="predicted must be one model"):
        sb.next_run(fitted, big, plans(("a", "f1", 1e9, 1e12), ("b", "f1", 2e9, 1e12)))
