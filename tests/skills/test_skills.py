"""Skills of fits whose draws are simulated with skills written out, so that the truth is known."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pandas as pd
import pytest
from conftest import PASSED
from numpyro import handlers

from scalebayes import FamilyIntercept, Sloth
from scalebayes.data.observations import Observations
from scalebayes.inference.posterior import Fit
from scalebayes.inference.tree import make_tree
from scalebayes.model import design as designs
from scalebayes.skills import skill_levels, skills
from scalebayes.skills.factor_scores import SkillDraws, _skill_part, skill_draws

N_DRAW = 60
CHANCE = 0.2
LAM = np.zeros((7, 2))
LAM[:4, 0], LAM[4:, 1] = [1.0, 1.2, 0.8, 1.1], [0.6, 0.7, 0.5]


def observations():
    """Six families of three sizes, in pairs of a lineage, one model without a token count."""
    rng = np.random.default_rng(0)
    rows = [
        {"family": f"family {f}", "lineage": f"lineage {f // 2}", "params": size * 1e9}
        for f in range(6)
        for size in (1.0, 3.0, 9.0)
    ]
    table = pd.DataFrame(rows).assign(
        model=[f"model {i}" for i in range(len(rows))], tokens=rng.uniform(5e11, 5e12, len(rows))
    )
    table.loc[4, "tokens"] = np.nan
    benchmarks = [f"benchmark {j}" for j in range(len(LAM))]
    for name in benchmarks:
        table[name] = rng.uniform(0.3, 0.7, len(rows))
    chance = dict.fromkeys(benchmarks, CHANCE)
    return Observations.from_wide(table, benchmarks=benchmarks, lineage="lineage", chance=chance)


def told(seen=None, *, skills=2, specific=True, family_slopes=True, lineage=True, omega=0.3):
    """A Fit whose draws tell the law's story from skills on, with its skills and abilities.

    Returns:
        The fit, its skills and its abilities eta, shape (draw, model, benchmark).
    """
    seen = observations() if seen is None else seen
    law = Sloth(
        skills=skills, specific=specific, family_slopes=family_slopes, lineage=lineage,
        floor="known", ceiling="one",
    )  # fmt: skip
    with jax.enable_x64():
        design = designs.build(seen)
    rng, n, n_benchmark = np.random.default_rng(1), N_DRAW, len(LAM)
    site = {
        "lam": LAM[:, :skills] @ np.linalg.qr(rng.normal(size=(n, skills, skills)))[0],
        "b": rng.normal(size=(n, n_benchmark)),
        "s": rng.uniform(0.5, 1.0, n),
        "log_d": design.reference.log_d0 + rng.normal(size=(n, len(design.unknown_tokens))),
    }
    if specific:
        site["omega"] = np.full((n, n_benchmark), omega)
    if family_slopes:
        site["tau"] = rng.uniform(0.1, 0.5, (n, 2))
    if lineage:
        site["rho"] = rng.uniform(0.2, 0.8, n)
    s = site["s"][:, None, None]
    tau = site.get("tau", np.zeros((n, 2)))[:, None, :, None]
    rho = site.get("rho", np.zeros(n))[:, None, None]

    def standard(*rows):
        """Skills and their effects on benchmarks, in standard units."""
        v = rng.normal(size=(n, *rows, skills))
        lam = site["lam"].reshape(n, *[1] * (len(rows) - 1), n_benchmark, skills)
        e = rng.normal(size=(n, *rows, n_benchmark)) if specific else 0.0
        return v, v @ lam.swapaxes(-1, -2) + omega * e

    n_family = len(design.labels("family"))
    v_slope, y_slope = standard(3)
    v_own, y_own = standard(n_family, 2)
    v_lineage, y_lineage = standard(len(design.labels("lineage")))
    v_family, y_family = standard(n_family)

    log_d = np.tile(design.log_tokens, (n, 1))
    log_d[:, design.unknown_tokens] = site["log_d"]
    x = inputs(np.tile(design.log_params, (n, 1)), log_d, design.reference)
    x_f = inputs(*design.centre.T, design.reference)

    def at(alpha, slope, own, x):
        """Intercepts and slopes of families at inputs x: skills, or effects on benchmarks."""
        slopes = np.repeat(slope[:, None], n_family, axis=1)
        slopes[:, :, :2] += own
        return alpha[:, design.family] + np.einsum("dip,dipk->dik", x, slopes[:, design.family])

    v_alpha = np.sqrt(rho) * v_lineage[:, design.lineage] + np.sqrt(1 - rho) * v_family
    y_alpha = np.sqrt(rho) * y_lineage[:, design.lineage] + np.sqrt(1 - rho) * y_family
    theta = at(v_alpha, s * v_slope, tau * v_own, x)
    eta = site["b"][:, None] + at(y_alpha, s * y_slope, tau * y_own, x)

    if specific:
        root = np.linalg.cholesky(site["lam"] @ site["lam"].swapaxes(1, 2) + omega**2 * np.eye(7))
        site |= {
            "B": s * y_slope,
            "a": site["b"][:, None]
            + y_alpha
            + np.einsum("fp,dpj->dfj", x_f, s * y_slope)
            + np.einsum("fp,dfpj->dfj", x_f[:, :2], tau * y_own),
            "l": np.sqrt(rho) * y_lineage,
            "z": np.linalg.solve(root[:, None], y_own.swapaxes(2, 3)).swapaxes(2, 3),
        }
    else:
        site |= {"B_skill": v_slope, "d_skill": v_family, "l_skill": v_lineage, "z_skill": v_own}
    for name, used in (("l", lineage), ("z", family_slopes), ("log_d", site["log_d"].size)):
        if not used:
            site = {k: v for k, v in site.items() if k not in (name, f"{name}_skill")}

    def chains(values):
        return {k: v.reshape(2, N_DRAW // 2, *v.shape[1:]) for k, v in values.items()}

    zeros = np.zeros((2, N_DRAW // 2))
    groups = {
        "posterior": chains({**site, "mu": CHANCE + (1 - CHANCE) / (1 + np.exp(-eta))}),
        "log_likelihood": {"score": np.zeros((*zeros.shape, len(design.score)))},
        "log_prior": {},
    }
    tree = make_tree(law, design, groups, {"n_steps": zeros + 7, "diverging": zeros > 0})
    about = {"seed": 0, "sampler": {"sampler": "Nuts"}}
    fit = Fit(law, seen, (), tree, design.reference, about, PASSED)
    return fit, SkillDraws(site["lam"], theta, v_alpha, s * v_slope), eta


def inputs(log_n, log_d, reference):
    """Size, tokens and half their product in units of 1.5 natural logs."""
    n, d = (log_n - reference.log_n0) / 1.5, (log_d - reference.log_d0) / 1.5
    return np.stack([n, d, n * d / 2], axis=-1)


CHOICES = pytest.mark.parametrize(
    ("specific", "family_slopes", "lineage"),
    [(False, False, False), (False, True, True), (True, False, False), (True, True, True)],
)


@CHOICES
def test_the_story_told_here_is_the_laws(specific, family_slopes, lineage):
    fit, _, eta = told(specific=specific, family_slopes=family_slopes, lineage=lineage)
    posterior = fit.tree["posterior"].isel(chain=0, draw=0)
    draw = {k: v.to_numpy() for k, v in posterior.data_vars.items() if k != "mu"}

    def value(site):
        if site["name"] not in draw and site["type"] == "sample" and not site["is_observed"]:
            return np.ones(site["fn"].shape())  # such as noise, of no account for mu
        return draw.get(site["name"])

    with jax.enable_x64():
        law = handlers.substitute(fit.law, substitute_fn=value)
        mu = handlers.trace(law).get_trace(fit.design)["mu"]["value"]
    np.testing.assert_allclose(mu, CHANCE + (1 - CHANCE) / (1 + np.exp(-eta[0])), atol=1e-10)


@CHOICES
def test_skills_that_fix_the_effects_come_back(specific, family_slopes, lineage):
    fit, truth, _ = told(
        specific=specific, family_slopes=family_slopes, lineage=lineage, omega=1e-5
    )
    back = skill_draws(fit)
    for name in ("lam", "theta", "alpha", "beta"):
        np.testing.assert_allclose(getattr(back, name), getattr(truth, name), atol=1e-3)


def test_skills_that_effects_only_hint_at_are_as_uncertain_as_they_should_be():
    fit, truth, _ = told(omega=0.5)
    back = skill_draws(fit)
    assert np.std(back.alpha) == pytest.approx(np.std(truth.alpha), rel=0.1)
    # draw and truth are alike given the effects, so their difference has twice the variance V
    precision = np.eye(2) + truth.lam.swapaxes(1, 2) @ truth.lam / 0.5**2
    expected = 2 * np.trace(np.linalg.inv(precision), axis1=1, axis2=2).mean() / 2
    assert np.mean((back.alpha - truth.alpha) ** 2) == pytest.approx(expected, rel=0.15)


def test_what_is_specific_does_not_pass_for_a_skill():
    fit, truth, _ = told(omega=100.0)
    back = skill_draws(fit)
    # effects say nothing of skills here, which stay as spread as in their prior
    assert np.std(back.alpha) == pytest.approx(1.0, abs=0.1)
    assert abs(np.corrcoef(back.alpha.ravel(), truth.alpha.ravel())[0, 1]) < 0.2


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
def test_tables(rotation):
    fit = told()[0]
    tables = skills(fit, rotation=rotation, prob=(0.5, 0.9, 0.975))
    numbers = ["mean", "median", "sd", "lower_50", "upper_50", "lower_90", "upper_90"]
    numbers += ["lower_97.5", "upper_97.5"]
    shapes = {
        "loadings": (["benchmark", "skill"], 7 * 2),
        "models": (["model", "family", "skill"], 18 * 2),
        "families": (["family", "skill"], 6 * 2),
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


def test_tables_show_the_truth_whatever_the_axes_of_the_draws():
    fit, truth, _ = told(specific=False)
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(2, N_DRAW // 2, 2, 2)))[0]
    posterior = fit.tree["posterior"].to_dataset()
    for name, site in posterior.data_vars.items():  # the first draw over and over, turned
        values = np.broadcast_to(site.to_numpy()[:1, :1], site.shape)
        if site.dims[-1] == "skill":
            n_between = site.ndim - 4
            values = values @ turn.reshape(2, N_DRAW // 2, *[1] * n_between, 2, 2)
        posterior[name] = (site.dims, values)
    tree = fit.tree.copy()
    tree["posterior"] = type(tree)(posterior)
    tables = skills(dataclasses.replace(fit, tree=tree))

    to_truth = np.linalg.pinv(LAM) @ truth.lam[0]  # skills on the axes where loadings are LAM
    theta = truth.theta[0] @ to_truth.T
    unit = theta.std(axis=0)
    expected = {
        "loadings": LAM * unit,
        "models": theta / unit,
        "families": truth.alpha[0] @ to_truth.T / unit,
        "slopes": truth.beta[0] @ to_truth.T / unit,
        "correlations": np.array(
            [[np.corrcoef(v.T)[0, 1]] for v in (theta, truth.alpha[0] @ to_truth.T)]
        ),
    }
    for name, values in expected.items():
        table = getattr(tables, name)
        np.testing.assert_allclose(
            table["mean"].to_numpy().reshape(values.shape), values, atol=1e-4
        )
        assert table["sd"].max() < 1e-4


def test_seed_and_thinning():
    fit = told()[0]
    first, again, other = (skill_draws(fit, seed=seed, draws=20) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.theta, again.theta)
    assert np.abs(first.theta - other.theta).max() > 1e-6
    assert len(first.lam) == 20
    lam = fit.tree["posterior"]["lam"].to_numpy()
    np.testing.assert_array_equal(first.lam[[0, -1]], [lam[0, 0], lam[1, -1]])
    assert len(skill_draws(fit, draws=10_000).lam) == N_DRAW


def test_one_skill():
    tables = skills(told(skills=1)[0])
    assert len(tables.correlations) == 0
    assert set(tables.loadings["skill"]) == {"skill 1"}
    assert tables.loadings["mean"].sum() > 0


def test_one_family_has_no_correlation_across_families():
    one = observations().only(families="family 0")
    table = skills(told(one)[0]).correlations.set_index("across")
    assert np.isnan(table.loc["families", "mean"])
    assert -1 < table.loc["models", "mean"] < 1


def test_bad_input_is_named():
    fit = told(specific=False)[0]
    with pytest.raises(ValueError, match="rotation must be one of"):
        skills(fit, rotation="none")
    with pytest.raises(ValueError, match="prob must be probabilities"):
        skills(fit, prob=(90,))
    with pytest.raises(ValueError, match="draws must be at least 2"):
        skills(fit, draws=1)
    with pytest.raises(TypeError, match="FamilyIntercept has no skills: fit Sloth"):
        skills(dataclasses.replace(fit, law=FamilyIntercept()))


def test_levels_over_size_and_tokens_are_inputs_times_slopes():
    fit = told()[0]
    table = skill_levels(fit, params=(1e9, 1e11), tokens=(1e12, 1e13), points=3)
    slopes = skills(fit).slopes.pivot(index="input", columns="skill", values="mean")
    slopes = slopes.loc[["size", "tokens", "size_x_tokens"]]
    for skill, rows in table.groupby("skill"):
        x = inputs(np.log(rows["params"]), np.log(rows["tokens"]), fit.reference)
        np.testing.assert_allclose(rows["mean"], x @ slopes[skill])
    assert len(table) == 3 * 3 * 2
    assert table.attrs["draws"] == N_DRAW


def test_levels_span_the_models_and_refuse_what_is_no_range():
    fit = told()[0]
    models = fit.observations.models
    table = skill_levels(fit, points=2)
    for name in ("params", "tokens"):
        np.testing.assert_allclose(
            sorted(set(table[name])), [models[name].min(), models[name].max()]
        )
    with pytest.raises(ValueError, match="tokens must be two positive counts"):
        skill_levels(fit, tokens=(2e12, 1e12))
