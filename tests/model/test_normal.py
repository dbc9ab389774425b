"""Normal scores and losses: their noise, and their joint distribution against a covariance written out."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from scalebayes.model import likelihoods


def test_noise_adds_items_and_the_rest() -> None:
    sd = likelihoods.score_sd(jnp.array(0.3), jnp.array(0.0101), jnp.array(100.0))
    assert float(sd) == pytest.approx(np.sqrt(0.3 * 0.7 / 100 + 0.0101), rel=1e-5)


@pytest.mark.parametrize("n_items", [100.0, np.inf])
def test_noise_and_its_slope_are_finite_at_the_ends(n_items: float) -> None:
    noise = jax.value_and_grad(lambda mu, extra: likelihoods.score_sd(mu, extra, n_items), (0, 1))
    for mu in (0.0, 1.0):
        sd, slopes = noise(mu, 1e-4)
        edge = likelihoods.EDGE * (1 - likelihoods.EDGE)
        assert float(sd) == pytest.approx(np.sqrt(edge / n_items + 1e-4), rel=1e-5)
        assert np.isfinite(slopes).all()


def test_scores_of_a_model_are_jointly_normal() -> None:
    """Density, marginals and draws of `Noisy` against a covariance matrix written out."""
    rng = np.random.default_rng(1)
    model, benchmark = np.array([0, 0, 0, 1, 2, 2]), np.array([0, 1, 3, 2, 0, 2])
    mean, sd = rng.uniform(0.3, 0.7, (3, 4)), rng.uniform(0.01, 0.05, (3, 4))
    shared = rng.normal(0, 0.05, (2, 3, 4))
    seen = np.array([True, True, True, True, False, True])
    value = rng.uniform(0.3, 0.7, 6)
    with jax.enable_x64(True):
        scores = likelihoods.Noisy(
            *map(jnp.asarray, (mean, sd, shared)), (model, benchmark), jnp.asarray(seen)
        )
        log_prob = float(scores.log_prob(value))
        draws = np.asarray(scores.sample(jax.random.key(0), (40_000,)))
        marginal = np.asarray(scores.marginal.variance)
        again = scores.given(value)
        means, variances = np.asarray(again.marginal.mean), np.asarray(again.marginal.variance)
        redrawn = np.asarray(again.sample(jax.random.key(1), (40_000,)))
    at = model, benchmark
    loading = shared[:, *at].T
    covariance = np.diag(sd[at] ** 2) + (loading @ loading.T) * (model[:, None] == model)
    expected = multivariate_normal(mean[at][seen], covariance[np.ix_(seen, seen)])
    assert log_prob == pytest.approx(expected.logpdf(value[seen]), abs=1e-9)
    np.testing.assert_allclose(marginal, np.diag(covariance), rtol=1e-9)
    scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    np.testing.assert_allclose(np.cov(draws.T) / scale, covariance / scale, atol=0.03)
    np.testing.assert_allclose(draws.mean(0), mean[at], atol=0.002)

    # the shared part given the observed scores, and the noise of another evaluation
    common = covariance - np.diag(sd[at] ** 2)
    gain = common[:, seen] @ np.linalg.inv(covariance[np.ix_(seen, seen)])
    expected_mean = mean[at] + gain @ (value - mean[at])[seen]
    expected_covariance = common - gain @ common[seen] + np.diag(sd[at] ** 2)
    np.testing.assert_allclose(means, expected_mean, atol=1e-9)
    np.testing.assert_allclose(variances, np.diag(expected_covariance), rtol=1e-9)
    scale = np.sqrt(np.outer(np.diag(expected_covariance), np.diag(expected_covariance)))
    np.testing.assert_allclose(np.cov(redrawn.T) / scale, expected_covariance / scale, atol=0.03)


def test_a_likelihood_that_lacks_a_member_is_refused_by_name() -> None:
    class Half(likelihoods.Noisy):
        of_models = likelihoods.Likelihood.of_models

    with pytest.raises(TypeError, match=r"abstract method '?of_models"):
        Half(*np.zeros(5))
