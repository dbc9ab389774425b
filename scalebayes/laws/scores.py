"""The parts of a law that every law of scores shares: from ability to observed scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpyro.distributions as dist
from numpyro import deterministic, handlers, plate, sample

from scalebayes import curves, likelihoods

if TYPE_CHECKING:
    from jax import Array

    from scalebayes.design import Design


def inputs(design: Design) -> Array:
    """Inputs of each model, shape (model, input); an unknown token count is a latent variable."""
    log_tokens, reference = jnp.asarray(design.log_tokens), design.reference
    if n := design.unknown_tokens.shape[0]:
        with plate("model_without_tokens", n):
            latent = sample("log_d", dist.Normal(reference.log_d0, reference.log_d_sd))
        log_tokens = log_tokens.at[design.unknown_tokens].set(latent)
    return curves.inputs(design.log_params, log_tokens, reference.log_n0, reference.log_d0)


def chance_prior(chance: Array) -> dist.Distribution:
    """Prior of a floor: worth 100 items at the chance level; broad and low where that is unknown."""
    known = ~jnp.isnan(chance)
    level = jnp.where(known, chance, 0.0)
    return dist.Beta(
        jnp.where(known, 100 * level + 0.5, 1.0), jnp.where(known, 100 * (1 - level) + 0.5, 9.0)
    )


def observe(eta: Array, design: Design, law: Any) -> None:
    """Floor, ceiling, link and noise: abilities eta, shape (model, benchmark), to observed scores.

    Args:
        eta: Abilities.
        design: The data.
        law: A law with the choices floor, ceiling, link and likelihood, and the priors gamma, u,
            bend, sigma, delta and nu.
    """
    with plate("benchmark", design.chance.shape[0]):
        floor = (
            jnp.asarray(design.chance)
            if law.floor == "known"
            else sample("gamma", law.gamma or chance_prior(design.chance))
        )
        ceiling = sample("u", law.u) if law.ceiling == "learned" else 1.0
        bend = sample("bend", law.bend) if law.link == "monotone" else 1.0
        sigma = sample("sigma", law.sigma)
        delta = sample("delta", law.delta)
    nu = sample("nu", law.nu) if law.likelihood == "student" else None
    mu = deterministic("mu", curves.accuracy(eta, floor, ceiling, bend))
    slope = curves.accuracy_slope(eta, floor, ceiling, bend)
    i, j = design.score_model, design.score_benchmark
    sd = likelihoods.score_sd(mu[i, j], slope[i, j], design.n_items, sigma[j], delta[j])
    with plate("score_obs", design.score.shape[0]), handlers.mask(mask=design.observed):
        sample("score", likelihoods.score(mu[i, j], sd, nu), obs=design.score)
