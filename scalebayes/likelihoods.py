"""Noise models for scores, safe at the ends of [0, 1]."""

from __future__ import annotations

import jax.numpy as jnp
import numpyro.distributions as dist
from jax import Array

EDGE = 1e-4
"""Expected scores are held this far from 0 and 1, where a binomial variance would vanish."""


def score_sd(mu: Array, slope: Array, n_items: Array, sigma: Array, delta: Array) -> Array:
    """Standard deviation of an observed score about its expectation.

    Three independent sources add up: the sampling of the benchmark's items (known from their number), differences
    between evaluations (`sigma`, on the score's scale) and what a model can do beyond what its size, tokens and
    family say (`delta`, on the scale of eta, so that it vanishes at the floor and at the ceiling).

    Args:
        mu: Expected score.
        slope: Derivative of the expected score in eta.
        n_items: Number of items of the benchmark; infinity where it is not known.
        sigma: Standard deviation on the score's scale.
        delta: Standard deviation on the scale of eta.
    """
    mu = jnp.clip(mu, EDGE, 1 - EDGE)
    return jnp.sqrt(mu * (1 - mu) / n_items + sigma**2 + (delta * slope) ** 2)


def score(mu: Array, sd: Array, nu: Array | float | None = None) -> dist.Distribution:
    """Distribution of an observed score: normal, or Student's t with `nu` degrees of freedom."""
    return dist.Normal(mu, sd) if nu is None else dist.StudentT(nu, mu, sd)
