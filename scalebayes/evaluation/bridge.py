"""Bridge sampling: the joint density of scores left out, from fits without and with them.

The mean of a joint density over the draws of a fit without the scores depends on the few draws where it is
high. A fit with the scores has most of its draws there. The two together estimate the density far more
precisely; of all ways to combine them, the one here has the smallest error.

References:
    Meng and Wong, Simulating ratios of normalizing constants via a simple identity, 1996.
    https://www3.stat.sinica.edu.tw/statistica/j6n4/j6n43/j6n43.htm
    Frühwirth-Schnatter, Estimating marginal likelihoods for mixture and Markov switching models using
    bridge sampling techniques, 2004. https://doi.org/10.1111/j.1368-423X.2004.00125.x
"""

from __future__ import annotations

import numpy as np
from arviz_stats.base import array_stats
from scipy.optimize import brentq
from scipy.special import logsumexp


def log_evidence(
    before: np.ndarray, after: np.ndarray, effective: tuple[float, float]
) -> tuple[float, float]:
    """Log predictive density of data, and its Monte Carlo standard error.

    Args:
        before: Log likelihood of the data at posterior draws without them, shape (draw,).
        after: The same at posterior draws with them, shape (draw,).
        effective: Effective sample sizes of the two.
    """
    share = np.log(effective) - np.log(np.sum(effective))

    def terms(log_r: float) -> tuple[np.ndarray, np.ndarray]:
        """Logs of the weights whose means have the required ratio."""
        return (
            before - np.logaddexp(share[1] + before, share[0] + log_r),
            -np.logaddexp(share[1] + after, share[0] + log_r),
        )

    def excess(log_r: float) -> float:
        first, second = (logsumexp(t) - np.log(t.size) for t in terms(log_r))
        return float(first - second - log_r)

    finite = [v[np.isfinite(v)] for v in (before, after)]
    ends = min(v.min() for v in finite) - 1.0, max(v.max() for v in finite) + 1.0
    log_r = float(brentq(excess, *ends, xtol=1e-6))
    relative = [np.exp(t - logsumexp(t) + np.log(t.size)) for t in terms(log_r)]  # of mean one
    return log_r, float(np.sqrt(sum(g.var() / n for g, n in zip(relative, effective, strict=True))))


def effective_draws(log_density: np.ndarray) -> np.ndarray:
    """Effective sample size of log densities of shape (chain, draw, fold), shape (fold,)."""
    n = log_density[..., 0].size
    ess = array_stats.ess(log_density, chain_axis=0, draw_axis=1, method="bulk")
    return np.minimum(np.nan_to_num(ess, nan=n), n)
