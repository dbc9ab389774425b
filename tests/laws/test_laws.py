"""The contract of every law, and its equations against plain NumPy."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from conftest import table
from numpyro import distributions as dist
from numpyro import handlers
from numpyro.infer.util import log_density
from scipy.stats import norm

import scalebayes as sb
from scalebayes.laws import LAWS
from scalebayes.model import curves, design, likelihoods
from scalebayes.model.law import Law, from_specification, priors, specification
from scalebayes.prediction.simulation import prior_predictive

VARIANTS = {
    **{name: law() for name, law in LAWS.items()},
    "paper": sb.Sloth(specific=False, family_slopes=False, floor="known", link="logistic"),
    "three skills, ceiling": sb.Sloth(
        skills=3, specific=False, link="logistic", ceiling="learned", deviations=False
    ),
    "one skill, lineage": sb.Sloth(skills=1, lineage=True),
    "ladder of checkpoints": sb.Ladder(checkpoints=True, ceiling="learned", link="monotone"),
    "FLP, a line": sb.Flp(scores="linear", floor="known"),
    "FLP-M, a network": sb.FlpM(scores="network"),
}


@pytest.fixture(scope="module", autouse=True)
def _quick_to_compile() -> Iterator[None]:
    """Programs that run once are not worth the compiler's optimisations."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


every_law = pytest.mark.parametrize("law", VARIANTS.values(), ids=VARIANTS.keys())


@functools.cache
def prior_tree(text: str) -> xr.DataTree:
    """Draws of a law at the table, which the tests share: compiling it is what takes time."""
    law = from_specification(json.loads(text), LAWS)
    return prior_predictive(law, table(unknown_tokens=True), seed=0, draws=100)


@functools.cache
def density(text: str) -> Any:
    """Compiled log density and gradient at values of the sampled sites."""
    law = from_specification(json.loads(text), LAWS)
    return jax.jit(jax.value_and_grad(lambda v, data: log_density(law, (data,), {}, v)[0]))


def sampled(law: Law, data: design.Design, draw: int) -> dict[str, np.ndarray]:
    """Values of the sampled sites in a draw from the prior."""

    def values(key: Any) -> dict[str, Any]:
        trace = handlers.trace(handlers.seed(law, key)).get_trace(data)
        sites = {k: s for k, s in trace.items() if s["type"] == "sample"}
        return {k: jnp.asarray(s["value"]) for k, s in sites.items() if not s["is_observed"]}

    prior = prior_tree(json.dumps(specification(law)))["prior"]
    return {k: prior[k].to_numpy()[0, draw] for k in jax.eval_shape(values, jax.random.key(0))}


def log_joint(law: Law, values: dict[str, Any], data: design.Design) -> tuple[Any, dict[str, Any]]:
    """Log density of a draw, and its gradient."""
    with jax.enable_x64(True):
        return density(json.dumps(specification(law)))(values, data)


@every_law
def test_is_a_law(law: Law) -> None:
    assert isinstance(law, Law)


@every_law
def test_every_site_has_named_dims_of_its_shape(law: Law) -> None:
    data = design.build(table(unknown_tokens=True))
    sizes = {k: len(v) for k, v in data.coords} | {k: len(v) for k, v in law.coords().items()}
    k = len(law.coords().get("skill", [0]))
    sizes |= {"score_obs": len(data.score), "loss_obs": len(data.log_loss)}
    sizes |= {"free_loading": (4 - 1) * k - k * (k - 1) // 2 + 1}
    tree = prior_tree(json.dumps(specification(law)))
    found = tree["prior"].to_dataset().merge(tree["prior_predictive"].to_dataset())
    assert {"mu", "score"} <= set(found)
    for name, value in found.items():
        assert value.shape[2:] == tuple(sizes[d] for d in law.dims[name]), name


@every_law
def test_prior_predictive_scores_look_like_scores(law: Law) -> None:
    tree = prior_tree(json.dumps(specification(law)))
    scores = tree["prior_predictive"]["score"].to_numpy()
    assert np.isfinite(scores).all()
    assert all(np.isfinite(v).all() for v in tree["prior"].to_dataset().values())
    assert 0.2 < np.median(scores) < 0.8
    assert np.std(scores) > 0.1  # the prior has not decided what scores are
    assert np.mean((scores == 0) | (scores == 1)) < 0.25


@every_law
def test_gradients_are_finite(law: Law) -> None:
    data = design.build(table(unknown_tokens=True))
    _, gradient = log_joint(law, sampled(law, data, 1), data)
    assert all(np.isfinite(np.asarray(g)).all() for g in gradient.values())


@every_law
def test_specification_round_trip(law: Law) -> None:
    text = json.dumps(specification(law))
    again = from_specification(json.loads(text), LAWS)
    assert type(again) is type(law)
    assert json.dumps(specification(again)) == text


@every_law
def test_every_prior_has_a_reason_and_a_use(law: Law) -> None:
    named = {name for name, _, reason in priors(law) if reason}
    fields = {
        f.name
        for f in dataclasses.fields(law)  # type: ignore[arg-type]
        if isinstance(getattr(law, f.name), dist.Distribution)
    }
    assert fields <= named


@every_law
def test_a_hidden_score_does_not_enter(law: Law) -> None:
    data = design.build(table(unknown_tokens=True))
    seen = np.arange(data.score.shape[0]) > 5
    hidden = data.observing(seen)
    changed = dataclasses.replace(hidden, score=np.where(seen, hidden.score, 0.9))
    values = sampled(law, hidden, 2)
    one, other = (log_joint(law, values, d)[0] for d in (hidden, changed))
    assert one == other


@every_law
def test_a_hidden_loss_does_not_enter(law: Law) -> None:
    data = design.build(table(unknown_tokens=True))
    seen = np.arange(len(data.log_loss)) > 5
    hidden = dataclasses.replace(data, loss_observed=seen)
    changed = dataclasses.replace(hidden, log_loss=np.where(seen, hidden.log_loss, 0.9))
    values = sampled(law, hidden, 2)
    one, other = (log_joint(law, values, d)[0] for d in (hidden, changed))
    assert one == other


def test_an_override_is_used_and_listed() -> None:
    law = sb.Sloth(gamma=dist.Beta(1.0, 9.0))
    assert ("gamma", "Beta(1, 9)") in [(n, d) for n, d, _ in priors(law)]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"link": "logit"}, "link must be one of monotone, logistic, but is 'logit'"),
        ({"floor": "fixed"}, "floor must be one of learned, known"),
        ({"skills": 1.5}, "skills must be of type int"),
        ({"specific": 1}, "specific must be of type bool"),
        ({"skills": 0}, "at least one skill"),
        ({"lam": dist.Laplace(0.0, 1.0)}, "prefer a rotation"),
        ({"b": dist.TruncatedNormal(0.0, 1.0, low=0.0)}, "the prior of b"),
    ],
)
def test_choices_that_mean_nothing_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sb.Sloth(**fields)  # type: ignore[arg-type]


def test_unknown_law_is_refused() -> None:
    with pytest.raises(ValueError, match="newer scalebayes"):
        from_specification({"schema": "scalebayes.law/9", "law": "Sloth", "fields": {}}, LAWS)


def test_sloth_is_the_published_formula() -> None:
    """gamma + (1 - gamma) sigmoid(b + Lam (alpha_f + beta' x)), written as in the paper's code."""
    law = VARIANTS["paper"]
    data = design.build(table())
    trace = handlers.trace(handlers.seed(law, 4)).get_trace(data)
    v = {k: np.asarray(s["value"]) for k, s in trace.items() if s["type"] != "plate"}
    n = (np.log(table().models["params"].to_numpy()) - data.reference.log_n0) / 1.5
    d = (np.log(table().models["tokens"].to_numpy()) - data.reference.log_d0) / 1.5
    expected = np.empty_like(v["mu"])
    beta = v["s"] * v["B_skill"]
    for i, f in enumerate(data.family):
        x = np.array([n[i], d[i], n[i] * d[i] / 2])
        theta = v["d_skill"][f] + beta.T @ x
        for j, gamma in enumerate(data.chance):
            eta = v["b"][j] + v["lam"][j] @ theta
            expected[i, j] = gamma + (1 - gamma) / (1 + np.exp(-eta))
    np.testing.assert_allclose(v["mu"], expected, rtol=1e-5)


def test_integrated_skills_have_the_covariance_of_skills() -> None:
    """Family intercepts of the marginal law vary as loadings times skills plus specific parts do."""
    law, data = sb.Sloth(family_slopes=False), design.build(table(n_family=400, n_size=1))
    trace = handlers.trace(handlers.seed(law, 5)).get_trace(data)
    v = {k: np.asarray(s["value"]) for k, s in trace.items() if s["type"] != "plate"}
    x_f = np.asarray(curves.inputs(*data.centre.T, data.reference.log_n0, data.reference.log_d0))
    residual = v["a"] - v["b"] - x_f @ v["B"]
    rng = np.random.default_rng(0)
    direct = rng.normal(size=(40_000, 2)) @ v["lam"].T + rng.normal(size=(40_000, 4)) * v["omega"]
    scale = np.sqrt(np.outer(direct.var(0), direct.var(0)))
    np.testing.assert_allclose(np.cov(residual.T) / scale, np.cov(direct.T) / scale, atol=0.25)


@pytest.mark.parametrize("bend", [0.1, 0.5, 1.0001, 4.0])
@pytest.mark.parametrize("typical", [0.05, 0.5, 0.9])
def test_links_rise_and_touch_the_logistic_one(bend: float, typical: float) -> None:
    eta = jnp.linspace(-4, 4, 41)
    share, slope = curves.link(eta, bend, typical)
    derivative = jax.vmap(jax.grad(lambda e: curves.link(e, bend, typical)[0]))(eta)
    np.testing.assert_allclose(slope, derivative, rtol=1e-4, atol=1e-7)
    assert (np.diff(share) >= 0).all()
    at = np.log(typical / (1 - typical))
    np.testing.assert_allclose(
        curves.link(at, bend, typical), (typical, typical * (1 - typical)), rtol=1e-4
    )
    back = curves.inverse_link(curves.link(at + 0.5, bend, typical)[0], bend, typical)
    assert float(back) == pytest.approx(at + 0.5, abs=1e-3)


def test_a_bend_of_one_is_logistic() -> None:
    eta = jnp.linspace(-6, 6, 25)
    for typical in (0.1, 0.6):
        bent = curves.link(eta, jnp.array(1.0), typical)
        np.testing.assert_allclose(bent, curves.link(eta), rtol=1e-4, atol=1e-6)


def test_log_likelihood_is_that_of_plain_numpy(fitted: sb.Fit) -> None:
    draw = {k: v.to_numpy()[0, 0] for k, v in fitted.tree["posterior"].to_dataset().items()}
    data = fitted.design
    seen = np.flatnonzero(data.observed)
    i, j = data.score_model[seen], data.score_benchmark[seen]
    mu, bend = draw["mu"][i, j], draw["bend"][j]
    room = 1 - draw["gamma"][j]
    missing = (1 - mu) / room  # (1 + exp(v))^-bend, with v = k eta + a constant
    typical = data.reference.typical[j]
    k = typical / (bend * (1 - (1 - typical) ** (1 / bend)))
    slope = room * bend * k * missing * (1 - missing ** (1 / bend))
    p = np.clip(mu, likelihoods.EDGE, 1 - likelihoods.EDGE)
    variance = (
        p * (1 - p) / data.n_items[seen] + draw["sigma"][j] ** 2 + (draw["delta"][j] * slope) ** 2
    )
    loading = slope[:, None] * draw["kappa"] * draw["lam"][j]
    covariance = np.diag(variance) + (loading @ loading.T) * (i[:, None] == i)
    # of each score given all others, from the precision matrix
    precision = np.linalg.inv(covariance)
    own = np.diag(precision)
    residual = precision @ (data.score[seen] - mu) / own
    expected = norm.logpdf(residual, 0, 1 / np.sqrt(own))
    actual = fitted.tree["log_likelihood"]["score"].to_numpy()[0, 0]
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-6)


@every_law
def test_a_reflection_leaves_the_density_as_it_is(law: Law) -> None:
    data = design.build(table(unknown_tokens=True))
    values = sampled(law, data, 6)
    signs = law.reflection(data)
    rng = np.random.default_rng(0)
    turned = {k: rng.choice([-1.0, 1.0], values[k].shape) for k in getattr(law, "even", ())}
    assert bool(turned) == isinstance(law, sb.FlpM)
    mirrored = {k: v * signs.get(k, 1.0) * turned.get(k, 1.0) for k, v in values.items()}
    one, other = (log_joint(law, v, data)[0] for v in (values, mirrored))
    assert float(one) == pytest.approx(float(other), rel=1e-5)
    assert ("Sloth" in type(law).__name__) == bool(signs)
