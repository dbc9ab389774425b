"""Scores that emerge: densities by integration and from normal ones written out, draws, another evaluation."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm, truncnorm

from scalebayes.model.likelihoods import Emerging, Noisy

CHANCE, THRESHOLD = np.array([0.25, 0.0, 0.5]), np.array([0.3, 0.05, 0.55])
BELOW = np.array([[0.03, 0.02, 0.04], [0.02, 0.03, 0.03]])
MEAN = np.array([[0.33, 0.02, 0.56], [0.24, 0.07, 0.6]])
SD = np.array([[0.04, 0.03, 0.05], [0.05, 0.02, 0.03]])
SHARED = np.array([[[0.05, 0.04, 0.03], [0.03, 0.06, 0.02]]])
CELL = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 2, 0, 1, 2])
SEEN = np.array([True, True, True, True, False, True])
VALUE = np.array([0.36, 0.03, 0.6, 0.28, 0.9, 0.57])  # two of those seen are below
NOTHING = np.zeros((0, 2, 3))


def emerging(shared: np.ndarray, mean: np.ndarray | jax.Array = MEAN) -> Emerging:
    latent = Noisy(*map(jnp.asarray, (mean, SD, shared)), CELL, jnp.asarray(SEEN))
    return Emerging(latent, *map(jnp.asarray, (CHANCE, THRESHOLD, BELOW)))


def log_guess(value: float, model: int, benchmark: int) -> float:
    """The normal around chance, cut off at the threshold."""
    chance, sd = CHANCE[benchmark], BELOW[model, benchmark]
    high = (THRESHOLD[benchmark] - chance) / sd
    return float(truncnorm(-np.inf, high, chance, sd).logpdf(value))


def test_values_on_their_own_are_normal_above_the_threshold_and_a_probability_below() -> None:
    with jax.enable_x64(True):
        scores = emerging(NOTHING)
        log_prob, pointwise = float(scores.log_prob(VALUE)), np.asarray(scores.pointwise(VALUE))
    expected = np.zeros(6)
    for n, (i, j) in enumerate(zip(*CELL, strict=True)):
        latent = norm(MEAN[i, j], SD[i, j])
        if VALUE[n] > THRESHOLD[j]:
            expected[n] = latent.logpdf(VALUE[n])
        else:
            expected[n] = latent.logcdf(THRESHOLD[j]) + log_guess(VALUE[n], i, j)
    np.testing.assert_allclose(pointwise, expected, rtol=1e-6)
    assert log_prob == pytest.approx(expected[SEEN].sum(), rel=1e-6)


@pytest.mark.parametrize("shared", [NOTHING, SHARED], ids=["nothing shared", "shared"])
def test_densities_hold_the_probability_of_either_side(shared: np.ndarray) -> None:
    grid = np.linspace(-1, 1, 20_001)  # in sd of the latent value, off the threshold
    with jax.enable_x64(True):
        density = jax.jit(lambda v: jnp.exp(emerging(shared).marginal.log_prob(v)))
        at = THRESHOLD[CELL[1]]
        below, above = (
            np.trapezoid(jax.vmap(density)(side), side, axis=0)
            for side in (at + grid[:10_001, None], at + 1e-12 + grid[10_000:, None])
        )
    sd = np.sqrt(SD**2 + (shared**2).sum(0))
    under = norm.cdf(THRESHOLD, MEAN, sd)[CELL]
    assert under.min() < 0.4
    assert under.max() > 0.6
    np.testing.assert_allclose(below, under, atol=1e-4)
    np.testing.assert_allclose(below + above, 1.0, atol=1e-4)


def test_values_below_are_weighed_given_those_above() -> None:
    with jax.enable_x64(True):
        scores = emerging(SHARED)
        log_prob, pointwise = float(scores.log_prob(VALUE)), np.asarray(scores.pointwise(VALUE))
        of_models = np.asarray(scores.of_models(VALUE))
    u, v = SHARED[0]
    # model 0: values 0 and 2 are above, value 1 is below
    covariance = np.diag(SD[0] ** 2) + np.outer(u, u)
    among, across = covariance[np.ix_([0, 2], [0, 2])], covariance[1, [0, 2]]
    gain = across @ np.linalg.inv(among)
    mean = MEAN[0, 1] + gain @ (VALUE[[0, 2]] - MEAN[0, [0, 2]])
    sd = np.sqrt(covariance[1, 1] - gain @ across)
    one_below = norm.logcdf(THRESHOLD[1], mean, sd) + log_guess(VALUE[1], 0, 1)
    # model 1: value 3 is below, value 5 above, value 4 not seen
    covariance = np.diag(SD[1] ** 2) + np.outer(v, v)
    gain = covariance[0, 2] / covariance[2, 2]
    mean = MEAN[1, 0] + gain * (VALUE[5] - MEAN[1, 2])
    sd = np.sqrt(covariance[0, 0] - gain * covariance[0, 2])
    other_below = norm.logcdf(THRESHOLD[0], mean, sd) + log_guess(VALUE[3], 1, 0)
    alone = norm.logpdf(VALUE[5], MEAN[1, 2], np.sqrt(covariance[2, 2]))
    above = multivariate_normal(MEAN[0, [0, 2]], among).logpdf(VALUE[[0, 2]]) + alone
    assert log_prob == pytest.approx(above + one_below + other_below, rel=1e-6)
    each = [above - alone + one_below, alone + other_below]
    np.testing.assert_allclose(of_models, each, rtol=1e-6)
    np.testing.assert_allclose(pointwise[[1, 3, 5]], [one_below, other_below, alone], rtol=1e-6)
    first = norm(MEAN[0, 2], np.sqrt(among[1, 1])).logpdf(VALUE[2])  # the other follows from both
    assert pointwise[0] == pytest.approx(above - alone - first, rel=1e-6)


def test_how_far_below_the_threshold_says_nothing_of_the_latent_value() -> None:
    lower, higher = VALUE.copy(), VALUE.copy()
    lower[[1, 3]] -= 0.1
    higher[0] += 0.01
    density = jax.jit(
        jax.value_and_grad(lambda mean, value: emerging(SHARED, mean).log_prob(value))
    )
    with jax.enable_x64(True):
        told = [density(MEAN, value) for value in (VALUE, lower, higher)]
    log_prob, (as_it_is, same, other) = (
        [float(d) for d, _ in told],
        [np.asarray(g) for _, g in told],
    )
    np.testing.assert_array_equal(as_it_is, same)
    assert log_prob[1] < log_prob[0] - 1
    assert np.abs(as_it_is[0, 1]) > 1  # that it is below tells
    assert np.abs(other - as_it_is)[0].min() > 0.1


def test_draws_have_the_expected_mean_and_the_density_of_single_values() -> None:
    with jax.enable_x64(True):
        scores = emerging(SHARED)
        draws = np.asarray(scores.sample(jax.random.key(0), (100_000,)))
        mean = np.asarray(scores.mean)[CELL]
    error = draws.std(axis=0) / np.sqrt(len(draws))
    assert (np.abs(draws.mean(axis=0) - mean) < 4 * error).all()
    sd = np.sqrt(SD**2 + SHARED[0] ** 2)
    under = norm.cdf(THRESHOLD, MEAN, sd)[CELL]
    np.testing.assert_allclose((draws <= THRESHOLD[CELL[1]]).mean(axis=0), under, atol=0.008)
    # scores of one model go together, of two models do not
    r = np.corrcoef(draws.T)
    assert r[0, 1] > 0.2
    assert abs(r[0, 3]) < 0.02


def test_another_evaluation_knows_the_values_above() -> None:
    lower = VALUE.copy()
    lower[[1, 3]] -= 0.1
    with jax.enable_x64(True):
        again, same = emerging(SHARED).given(VALUE), emerging(SHARED).given(lower)
        latent, unmoved = again.latent.marginal, np.asarray(same.latent.marginal.mean)
        mean, variance = np.asarray(latent.mean), np.asarray(latent.variance)
        density = np.asarray(again.marginal.log_prob(VALUE))
    telling = [0, 2]
    u = SHARED[0, 0]
    common = np.outer(u, u)
    gain = common[:, telling] @ np.linalg.inv((common + np.diag(SD[0] ** 2))[:, telling][telling])
    expected = MEAN[0] + gain @ (VALUE[telling] - MEAN[0, telling])
    left = np.diag(common - gain @ common[telling]) + SD[0] ** 2
    np.testing.assert_allclose(mean[:3], expected, rtol=1e-9)
    np.testing.assert_allclose(variance[:3], left, rtol=1e-9)
    np.testing.assert_array_equal(mean, unmoved)
    under = norm.logcdf(THRESHOLD[1], expected[1], np.sqrt(left[1])) + log_guess(VALUE[1], 0, 1)
    over = norm.logpdf(VALUE[2], expected[2], np.sqrt(left[2]))
    np.testing.assert_allclose(density[1:3], [under, over], rtol=1e-6)


def test_scores_that_are_all_above_are_those_of_their_latent_values() -> None:
    high = np.maximum(VALUE, THRESHOLD[CELL[1]] + 0.01)
    with jax.enable_x64(True):
        scores = emerging(SHARED)
        for member in ("of_models", "log_prob"):
            one, other = (getattr(v, member)(high) for v in (scores, scores.latent))
            np.testing.assert_array_equal(one, other)
        one, other = (np.asarray(v.pointwise(high)) for v in (scores, scores.latent))
        np.testing.assert_array_equal(one, other)
        again, latent = scores.given(high).latent, scores.latent.given(high)
        for part in ("expected", "sd", "shared"):
            np.testing.assert_array_equal(getattr(again, part), getattr(latent, part))
