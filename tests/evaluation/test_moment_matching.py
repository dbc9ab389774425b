"""Moment matching: a conjugate case with a known answer, and what moves for a score of a fit."""

from __future__ import annotations

import warnings

import jax
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

import scalebayes as sb
from scalebayes.evaluation.importance_sampling import importance
from scalebayes.evaluation.moment_matching import _about, _density, _flattener, left_out
from scalebayes.inference.sampling import site_shapes


def test_the_density_of_an_outlier_is_the_closed_form() -> None:
    """Normal observations of unit variance, with a standard normal mean: the mean has to move and widen."""
    rng = np.random.default_rng(0)
    matched, errors, raw = [], [], []
    for _ in range(20):
        y = np.array([8.0, *rng.normal(size=2)])
        variance = 1 / 4
        mean = variance * y.sum()
        z = np.stack([rng.normal(size=4000), rng.normal(mean, variance**0.5, 4000)], axis=1)

        def density(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            prior = norm(0, 1).logpdf(z[:, 0])  # of a parameter that stays where it is
            posterior = norm(mean, variance**0.5).logpdf(z[:, 1])  # noqa: B023
            return prior + posterior + 7.0, norm(z[:, 1], 1).logpdf(y[0])  # noqa: B023

        log_prob, log_lik = density(z)
        exact = norm(y[1:].sum() / 3, (1 + 1 / 3) ** 0.5).logpdf(8.0)
        found = left_out(density, z, np.array([1]), log_prob, log_lik, 1.0)
        assert found.pareto_k < 0.7
        matched.append(found.log_density - exact)
        errors.append(found.mcse)
        raw.append(np.log(4000) - logsumexp(-log_lik) - exact)
    assert np.mean(raw) > 0.4
    assert np.abs(matched).max() < 0.2
    assert abs(np.mean(matched)) < 4 * np.std(matched) / 20**0.5 + 0.01
    assert 0.5 < np.mean(errors) / np.std(matched) < 2


def test_the_monte_carlo_error_is_the_scatter_over_fits() -> None:
    rng = np.random.default_rng(0)
    found = [importance(norm(rng.normal(size=1000), 2).logpdf(1.0), 1.0) for _ in range(200)]
    scatter = np.std([one.log_density for one in found])
    assert np.mean([one.mcse for one in found]) == pytest.approx(scatter, rel=0.2)


def test_importance_sampling_is_that_of_arviz(fitted: sb.Fit) -> None:
    import arviz_stats

    log_lik = fitted.tree["log_likelihood"]["score"].to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of large k
        expected = arviz_stats.loo(fitted.tree, var_name="score", pointwise=True, reff=0.5)
    own = [importance(one, 0.5) for one in log_lik.reshape(-1, log_lik.shape[-1]).T]
    np.testing.assert_allclose([one.log_density for one in own], expected.elpd_i)
    np.testing.assert_allclose([one.pareto_k for one in own], expected.pareto_k)


def test_nothing_moves_where_the_weights_are_even() -> None:
    z = np.random.default_rng(1).normal(size=(1000, 1))
    log_lik = norm(z[:, 0], 3).logpdf(0.5)

    def density(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        raise AssertionError("the density was asked for")

    found = left_out(density, z, np.array([0]), np.zeros(1000), log_lik, 1.0)
    assert found.pareto_k < 0.5
    assert found.log_density == pytest.approx(np.log(1000) - logsumexp(-log_lik), abs=0.01)


def test_what_no_draw_changes_is_told_exactly() -> None:
    assert importance(np.full(500, -2.5), 0.5) == (-2.5, -np.inf, 0.0)


def test_unconstrained_draws_have_the_density_that_was_sampled(fitted: sb.Fit) -> None:
    seen = np.flatnonzero(fitted.design.observed)
    for by, at in (("score", int(seen[5])), ("model", 3)):
        flat, density = _flattener(fitted.law), _density(fitted.law, by)
        with jax.enable_x64(True):
            z = flat(fitted.draws(), fitted.design)
            log_prob, log_lik = density(z, at, fitted.design)
        lp = fitted.tree["sample_stats"]["lp"].to_numpy().ravel()
        np.testing.assert_allclose(log_prob, lp, rtol=1e-9)
        if by == "score":
            expected = fitted.tree["log_likelihood"]["score"].to_numpy()[..., 5].ravel()
            np.testing.assert_allclose(log_lik, expected, rtol=1e-9)


def test_what_a_score_or_a_model_is_about_moves(fitted: sb.Fit) -> None:
    law, design = fitted.law, fitted.design
    names = [
        f"{name}{list(at)}"
        for name, shape in sorted(site_shapes(law, design).items())
        for at in np.ndindex(shape)
    ]
    row = int(np.flatnonzero(np.asarray(design.score_benchmark) == 2)[3])
    family = int(design.family[int(design.score_model[row])])
    own = {f"d[{family}, 2]", f"z[{family}, 0, 2]", f"z[{family}, 1, 2]"}
    shared = {f"{k}[2]" for k in ("b", "bend", "delta", "gamma", "omega", "sigma")}
    shared |= {f"B[{p}, 2]" for p in range(3)}
    assert {names[i] for i in _about(law, design, "score", row)} == own | shared
    family = int(design.family[6])
    expected = {f"d[{family}, {j}]" for j in range(4)}
    expected |= {f"z[{family}, {p}, {j}]" for p in range(2) for j in range(4)}
    assert {names[i] for i in _about(law, design, "model", 6)} == expected
