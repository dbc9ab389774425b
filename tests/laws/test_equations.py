"""The equations of the laws of scores against plain NumPy."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import table
from numpyro import distributions as dist
from numpyro import handlers
from scipy.stats import norm

import scalebayes as sb
from scalebayes.model import curves, design, likelihoods
from scalebayes.model.law import priors


@pytest.fixture(scope="module", autouse=True)
def _quick_to_compile() -> Iterator[None]:
    """Programs that run once are not worth the compiler's optimisations."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


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
        ({"skills": 0}, "skills must be at least 1"),
        ({"lam": dist.Laplace(0.0, 1.0)}, "rotation-invariant"),
        ({"b": dist.TruncatedNormal(0.0, 1.0, low=0.0)}, "the prior of b"),
    ],
)
def test_choices_that_mean_nothing_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sb.Sloth(**fields)


def test_sloth_is_the_published_formula() -> None:
    """gamma + (1 - gamma) sigmoid(b + Lam (alpha_f + beta' x)), written as in the paper's code."""
    law = sb.Sloth(specific=False, family_slopes=False, floor="known", link="logistic")
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
