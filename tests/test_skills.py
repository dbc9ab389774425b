"""Skills of fits whose draws come from the law itself, so that the truth of every draw is known."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from numpyro import handlers

from scalebayes import curves
from scalebayes import design as designs
from scalebayes.laws import FamilyIntercept, Sloth
from scalebayes.observations import Observations
from scalebayes.posterior import Fit, make_tree
from scalebayes.skills import _skill_part, skill_draws, skills

N_DRAW = 60
CHANCE = 0.2
# programs that draw from a Beta take long to compile
FAST = {"floor": "known", "ceiling": "one", "rho": dist.Uniform(0.1, 0.9)}


def observations(n_family=6, n_benchmark=7):
    """Families of three sizes, in pairs of a lineage, one model without a token count."""
    rng = np.random.default_rng(0)
    rows = [
        {"family": f"family {f}", "lineage": f"lineage {f // 2}", "params": size * 1e9}
        for f in range(n_family)
        for size in (1.0, 3.0, 9.0)
    ]
    table = pd.DataFrame(rows).assign(
        model=[f"model {i}" for i in range(len(rows))], tokens=rng.uniform(5e11, 5e12, len(rows))
    )
    table.loc[4, "tokens"] = np.nan
    benchmarks = [f"benchmark {j}" for j in range(n_benchmark)]
    for name in benchmarks:
        table[name] = rng.uniform(0.3, 0.7, len(rows))
    chance = dict.fromkeys(benchmarks, CHANCE)
    return Observations.from_wide(table, benchmarks=benchmarks, lineage="lineage", chance=chance)


def drawn_from(law, seen=None):
    """A Fit whose draws are draws of the law's prior, in double precision."""
    seen = observations() if seen is None else seen
    with jax.enable_x64():
        design = designs.build(seen)

        def one(key):
            trace = handlers.trace(handlers.seed(law, key)).get_trace(design)
            return {k: v["value"] for k, v in trace.items() if v["type"] != "plate"}

        sites = jax.jit(jax.vmap(jax.vmap(one)))(
            jax.random.split(jax.random.key(0), (2, N_DRAW // 2))
        )
        sites = {k: np.asarray(v) for k, v in sites.items() if k != "score"}
    zeros = np.zeros((2, N_DRAW // 2))
    tree = make_tree(
        law,
        design,
        {
            "posterior": sites,
            "log_likelihood": {"score": np.zeros((*zeros.shape, len(design.score)))},
            "log_prior": {k: zeros for k in sites if k != "mu"},
        },
        {"n_steps": zeros + 7, "diverging": zeros > 0},
    )
    return Fit(law, seen, (), tree, design.reference, {"settings": {"x64": True}})


def abilities(fit):
    """Logits of the draws, back from expected scores."""
    mu = fit.tree["posterior"]["mu"].to_numpy()
    return np.log((mu - CHANCE) / (1 - mu)).reshape(N_DRAW, *mu.shape[2:])


@pytest.fixture(scope="module")
def fits():
    made = {}

    def get(**choices):
        key = tuple(sorted(choices.items()))
        if key not in made:
            tiny = {"omega": dist.LogNormal(-5.0, 0.1)} if choices.get("specific") else {}
            made[key] = drawn_from(Sloth(**choices, **tiny, **FAST))
        return made[key]

    return get


@pytest.mark.parametrize("specific", [False, True])
@pytest.mark.parametrize(("family_slopes", "lineage"), [(False, False), (True, True)])
def test_abilities_are_loadings_times_skills(fits, specific, family_slopes, lineage):
    fit = fits(specific=specific, family_slopes=family_slopes, lineage=lineage)
    b = fit.draws()["b"]
    drawn = skill_draws(fit)
    expected = b[:, None] + drawn.theta @ drawn.lam.swapaxes(1, 2)
    # exact where nothing is specific; else that has sd 0.007, and more where inputs multiply it
    error = np.abs(expected - abilities(fit))
    assert np.max(error) < 1e-6 or (specific and np.sqrt(np.mean(error**2)) < 0.03)
    assert np.std(expected - b[:, None]) > 1


def test_what_is_specific_is_not_a_skill():
    """With large specific effects, errors of abilities have the size of what is specific."""
    law = Sloth(lam=dist.Normal(0.0, 1e-3), family_slopes=False, **FAST)
    drawn = skill_draws(drawn_from(law))
    # effects say nothing of skills here, which stay as spread as their prior says
    assert np.std(drawn.alpha) == pytest.approx(1.0, abs=0.1)


def test_skills_given_effects_have_the_joint_distribution():
    """Skills drawn back correlate with effects as the skills that made the effects."""
    rng = np.random.default_rng(1)
    lam = np.array([[1.0, 0.2], [0.3, -0.8], [0.5, 0.5], [0.0, 0.4]])
    omega = np.array([0.3, 0.5, 1.0, 0.2])
    v = rng.normal(size=(200_000, 2))
    effect = v @ lam.T + omega * rng.normal(size=(200_000, 4))
    back = _skill_part(effect[None], lam[None], omega[None], rng)[0]

    np.testing.assert_allclose(
        np.cov(np.hstack([back, effect]).T), np.cov(np.hstack([v, effect]).T), atol=0.02
    )
    fitted = np.linalg.lstsq(effect, v)[0]  # a regression knows no closed form
    again = np.linalg.lstsq(effect, back)[0]
    np.testing.assert_allclose(again, fitted, atol=0.02)
    np.testing.assert_allclose(
        np.cov((back - effect @ again).T), np.cov((v - effect @ fitted).T), atol=0.01
    )


@pytest.mark.parametrize("rotation", ["oblimin", "promax", "varimax", "quartimax"])
def test_tables(fits, rotation):
    fit = fits(specific=True, family_slopes=True, lineage=True)
    tables = skills(fit, rotation=rotation, prob=(0.5, 0.9, 0.975))
    numbers = ["mean", "median", "sd", "lower_50", "upper_50", "lower_90", "upper_90"]
    numbers += ["lower_97.5", "upper_97.5"]
    n_model, n_family, n_benchmark = 18, 6, 7
    shapes = {
        "loadings": (["benchmark", "skill"], n_benchmark * 2),
        "models": (["model", "family", "skill"], n_model * 2),
        "families": (["family", "skill"], n_family * 2),
        "slopes": (["input", "skill"], 3 * 2),
        "correlations": (["across", "skill", "with_skill"], 2),
    }
    for name, (keys, n) in shapes.items():
        table = getattr(tables, name)
        assert list(table.columns) == keys + numbers
        assert len(table) == n
        assert not table.duplicated(keys).any()
        assert table.notna().all(axis=None)
        assert (table["lower_90"] <= table["median"]).all()
    of_family = fit.observations.models.set_index("model")["family"]
    assert (tables.models["model"].map(of_family) == tables.models["family"]).all()
    across_models = tables.correlations.set_index("across").loc["models"]
    assert across_models["sd"] < 1e-9
    if rotation in ("varimax", "quartimax"):
        assert abs(across_models["mean"]) < 1e-9


def test_tables_show_the_truth():
    """One truth in all draws but its axes: the tables find it, whatever the axes."""
    law = Sloth(specific=False, family_slopes=False, **FAST)
    fit = drawn_from(law)
    rng = np.random.default_rng(2)
    lam = np.zeros((7, 2))
    lam[:4, 0], lam[4:, 1] = [1.0, 1.2, 0.8, 1.1], [0.6, 0.7, 0.5]
    alpha, beta, s = rng.normal(size=(6, 2)), rng.normal(size=(3, 2)), 0.5
    turn = np.linalg.qr(rng.normal(size=(2, N_DRAW // 2, 2, 2)))[0]
    posterior = fit.tree["posterior"].to_dataset()
    for name, value in (
        ("lam", lam @ turn),
        ("a_skill", alpha @ turn),
        ("B_skill", beta / s @ turn),
        ("s", np.full((2, N_DRAW // 2), s)),
    ):
        posterior[name] = (posterior[name].dims, value)
    tree = fit.tree.copy()
    tree["posterior"] = type(tree)(posterior)
    tables = skills(dataclasses.replace(fit, tree=tree))

    models = fit.observations.models
    log_n = (np.log(models["params"]) - fit.reference.log_n0) / curves.LOG_UNIT
    log_d = (np.log(models["tokens"]) - fit.reference.log_d0) / curves.LOG_UNIT
    x = np.stack([log_n, log_d, log_n * log_d / 2], axis=-1)
    theta = alpha.repeat(3, axis=0) + x @ beta
    skill = tables.models.pivot(index="model", columns="skill", values="mean").loc[models["model"]]
    known = models["tokens"].notna().to_numpy()
    for k in range(2):
        # oblique skills are each one of the truth's, up to their unit
        correlation = np.corrcoef(theta[known, k], skill.iloc[:, k][known])[0, 1]
        assert correlation > 0.999
        loading = tables.loadings.query(f"skill == 'skill {k + 1}'").set_index("benchmark")
        scale = loading["mean"].to_numpy() / np.where(lam[:, k] > 0, lam[:, k], np.inf)
        np.testing.assert_allclose(
            loading["mean"].to_numpy(), lam[:, k] * scale.max(), atol=0.02 * scale.max()
        )
        assert loading["sd"].max() < 0.2


def test_seed_and_thinning(fits):
    fit = fits(specific=True, family_slopes=True, lineage=True)
    first, again, other = (skill_draws(fit, seed=seed, draws=20) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.theta, again.theta)
    assert np.abs(first.theta - other.theta).max() > 1e-6
    assert len(first.lam) == 20
    np.testing.assert_array_equal(first.lam[[0, -1]], fit.draws()["lam"][[0, -1]])
    assert len(skill_draws(fit, draws=10_000).lam) == N_DRAW


def test_one_skill_of_one_family():
    one = observations().only(families="family 0")
    tables = skills(drawn_from(Sloth(skills=1, **FAST), one))
    assert len(tables.correlations) == 0
    assert set(tables.loadings["skill"]) == {"skill 1"}
    assert tables.loadings["mean"].sum() > 0


def test_one_family_has_no_correlation_across_families():
    one = observations().only(families="family 0")
    table = skills(drawn_from(Sloth(specific=False, **FAST), one)).correlations.set_index("across")
    assert np.isnan(table.loc["families", "mean"])
    assert -1 < table.loc["models", "mean"] < 1


def test_bad_input_is_named(fits):
    fit = fits(specific=False, family_slopes=False, lineage=False)
    with pytest.raises(ValueError, match="rotation must be one of"):
        skills(fit, rotation="none")
    with pytest.raises(ValueError, match="prob must be probabilities"):
        skills(fit, prob=(90,))
    with pytest.raises(ValueError, match="draws must be at least 2"):
        skills(fit, draws=1)
    with pytest.raises(TypeError, match="FamilyIntercept has no skills: fit Sloth"):
        skills(dataclasses.replace(fit, law=FamilyIntercept()))
