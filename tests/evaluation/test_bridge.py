"""Bridge sampling: the evidence of a normal model, which has a closed form."""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

from scalebayes.evaluation.bridge import log_evidence
from scalebayes.evaluation.pieces import MAX_MCSE


def evidence(dim: int, sd: float, seed: int, n: int = 2000) -> tuple[float, float, float, float]:
    """Errors of the estimate from both sides and of the mean over the prior, and what they say of them."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=dim) + sd * rng.normal(size=dim)
    variance = 1 / (1 + sd**-2)
    before = rng.normal(size=(n, dim))
    after = variance * y / sd**2 + variance**0.5 * rng.normal(size=(n, dim))
    exact = multivariate_normal(np.zeros(dim), (1 + sd**2) * np.eye(dim)).logpdf(y)
    first, second = (norm(t, sd).logpdf(y).sum(1) for t in (before, after))
    found, error = log_evidence(first, second, (n, n))
    weight = np.exp(first - first.max())
    alone = logsumexp(first) - np.log(n)
    return found - exact, error, alone - exact, float(weight.std() / weight.mean() / n**0.5)


def test_the_error_is_what_it_says() -> None:
    off, error, alone, _ = np.abs([evidence(5, 0.4, seed) for seed in range(60)]).T
    assert 0.9 <= (off < 2 * error).mean() < 1
    assert np.median(off) < 0.5 * np.median(alone)


def test_it_reaches_where_the_mean_over_draws_does_not() -> None:
    off, error, alone, alone_error = np.abs([evidence(8, 0.3, seed) for seed in range(60)]).T
    assert np.median(alone) > 2.0
    assert (alone < 2 * alone_error).mean() < 0.5  # nor does that know
    sure = error < MAX_MCSE
    assert sure.mean() > 0.4
    assert (off < 2 * error)[sure].mean() >= 0.9
    assert off[sure].max() < 1.5


def test_where_it_cannot_tell_it_says_so() -> None:
    off, error, *_ = np.abs([evidence(24, 0.2, seed) for seed in range(20)]).T
    assert off.min() > 5.0
    assert error.min() > MAX_MCSE
