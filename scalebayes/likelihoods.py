"""Noise models for scores, safe at the ends of [0, 1]."""

from __future__ import annotations

import jax.numpy as jnp
import numpyro.distributions as dist
from jax import Array

EDGE = 1e-4
"""Expected scores are held this far from 0 and 1, where a binomial variance would vanish."""


def score_sd(mu: Array, extra: Array, n_items: Array) -> Array:
    """Standard deviation of an observed score about its expectation.

    Args:
        mu: Expected score.
        extra: Variance beyond the sampling of items.
        n_items: Number of items of the benchmark; infinity where it is not known.
    """
    mu = jnp.clip(mu, EDGE, 1 - EDGE)
    return jnp.sqrt(mu * (1 - mu) / n_items + extra)


def score(mu: Array, sd: Array, nu: Array | float | None = None) -> dist.Distribution:
    """Distribution of an observed score: normal, or Student's t with `nu` degrees of freedom."""
    return dist.Normal(mu, sd) if nu is None else dist.StudentT(nu, mu, sd)
