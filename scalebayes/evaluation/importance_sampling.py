"""Pareto-smoothed importance sampling: the predictive density of data left out, from draws that saw them.

References:
    Vehtari, Simpson, Gelman, Yao and Gabry, Pareto smoothed importance sampling, 2024.
    https://jmlr.org/papers/v25/19-556.html
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from arviz_stats.base import array_stats
from scipy.special import logsumexp

MAX_PARETO_K = 0.7
"""Pareto k above which importance sampling is unreliable, however many draws there are."""


class LeftOut(NamedTuple):
    """Log predictive density of data left out, Pareto k of the weights, Monte Carlo standard error."""

    log_density: float
    pareto_k: float
    mcse: float


def importance(log_lik: np.ndarray, reff: float) -> LeftOut:
    """Log predictive density of data left out, by Pareto-smoothed importance sampling.

    Args:
        log_lik: Log likelihood of the data left out at the posterior draws, shape (draw,).
        reff: Effective sample size of the draws divided by their number.
    """
    if np.ptp(log_lik) < 1e-12:  # the same at every draw
        return LeftOut(float(log_lik[0]), -np.inf, 0.0)
    return weighted(*smoothed(-log_lik, reff), log_lik, reff)


def max_pareto_k(n_draws: int) -> float:
    """Pareto k up to which importance sampling with so many draws is reliable."""
    return min(1 - 1 / float(np.log10(n_draws)), MAX_PARETO_K)


def smoothed(log_ratio: np.ndarray, reff: float) -> tuple[np.ndarray, float]:
    """Pareto-smoothed log weights that sum to one, and their Pareto k."""
    log_weight, pareto_k = array_stats.psislw(-log_ratio, r_eff=reff)
    return log_weight - logsumexp(log_weight), float(pareto_k)


def weighted(log_weight: np.ndarray, pareto_k: float, log_lik: np.ndarray, reff: float) -> LeftOut:
    """Log predictive density of data left out, and its error, from weights that sum to one."""
    log_density = logsumexp(log_weight + log_lik)
    deviation = np.exp(log_weight) * np.expm1(log_lik - log_density)
    return LeftOut(float(log_density), pareto_k, float(np.sqrt(deviation @ deviation / reff)))
