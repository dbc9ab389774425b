"""The parts of a law that every law of scores shares: from ability to observed scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax.numpy as jnp
from numpyro import deterministic, plate, sample
from numpyro import distributions as dist

from scalebayes.model import curves, likelihoods

if TYPE_CHECKING:
    from jax import Array

    from scalebayes.model.design import Design


def log_tokens(design: Design) -> Array:
    """Log D of each model, shape (model,); an unknown token count is a latent variable."""
    known, reference = jnp.asarray(design.log_tokens), design.reference
    if n := design.unknown_tokens.shape[0]:
        with plate("model_without_tokens", n):
            latent = sample("log_d", dist.Normal(reference.log_d0, reference.log_d_sd))
        return known.at[design.unknown_tokens].set(latent)
    return known


def inputs(design: Design) -> Array:
    """Inputs of each model, shape (model, input)."""
    reference = design.reference
    return curves.inputs(design.log_params, log_tokens(design), reference.log_n0, reference.log_d0)


def chance_prior(chance: Array) -> dist.Distribution:
    """Prior of a floor: worth 150 items at the chance level, or at 1%; broad and low where it is unknown."""
    known = ~jnp.isnan(chance)
    level = jnp.where(known, jnp.maximum(chance, 0.01), 0.0)
    return dist.Beta(
        jnp.where(known, 150 * level + 1.0, 1.0), jnp.where(known, 150 * (1 - level) + 1.0, 9.0)
    )


class Response(NamedTuple):
    """How ability becomes score, each for every benchmark.

    Attributes:
        floor: Expected score without ability.
        ceiling: Expected score with unlimited ability.
        bend: Bend of the link; 1 is logistic.
        typical: Share of the room at which all links touch.
    """

    floor: Array
    ceiling: Array | float
    bend: Array | float
    typical: Array

    def ability(self, level: Array) -> Array:
        """Ability behind a level of scores, roughly: levels beyond floor and ceiling bend inside."""
        seen = ~jnp.isnan(level)  # NaN must not enter, where() would let it into the gradient
        share = (jnp.where(seen, level, 0.5) - self.floor) / (self.ceiling - self.floor)
        above, below = _positive(share), _positive(1 - share)
        ability = curves.inverse_link(above / (above + below), self.bend, self.typical)
        return jnp.where(seen, ability, 0.0)


def _positive(share: Array) -> Array:
    """A share held above zero, smoothly: about itself above 0.02, 0.01 at zero."""
    return (share + jnp.sqrt(share**2 + 4e-4)) / 2


def response(design: Design, law: Any) -> Response:
    """Floor, ceiling and bend of each benchmark.

    Args:
        design: The data.
        law: A law with the choices floor, ceiling and link, and the priors gamma, u and bend.
    """
    with plate("benchmark", design.chance.shape[0]):
        floor = (
            jnp.asarray(design.chance)
            if law.floor == "known"
            else sample("gamma", law.gamma or chance_prior(design.chance))
        )
        # as a share of the room above the floor: a ceiling below the floor would turn the law over
        room = sample("u", law.u) if law.ceiling == "learned" else 1.0
        bend = sample("bend", law.bend) if law.link == "monotone" else 1.0
    return Response(floor, floor + (1 - floor) * room, bend, design.reference.typical)


def observe(
    eta: Array,
    to_score: Response,
    design: Design,
    law: Any,
    shared: Array | None = None,
    own: Array | float = 0.0,
    items: Array | float = 1.0,
) -> None:
    """Noise: abilities eta, shape (model, benchmark), to observed scores.

    Deviations of ability enter linearised, as deviations of the score.

    Args:
        eta: Abilities.
        to_score: Floor, ceiling and link.
        design: The data.
        law: A law with the priors sigma and delta.
        shared: Ability on each benchmark that goes with a deviation of one, for the deviations that
            a model shows on all benchmarks, shape (deviation, benchmark) or (deviation, model,
            benchmark); by default none.
        own: Standard deviation of further deviations of ability, shape (model, benchmark).
        items: Share of the sampling of items that is each score's own.
    """
    with plate("benchmark", design.chance.shape[0]):
        sigma = sample("sigma", law.sigma)
        delta = sample("delta", law.delta)
    mu, slope = curves.accuracy(eta, *to_score)
    deterministic("mu", mu)
    # sigma: between evaluations; delta: between models alike, so that it vanishes at either end
    extra = sigma**2 + (delta**2 + own**2) * slope**2
    cell = design.score_model, design.score_benchmark
    n_items = jnp.full(mu.shape, jnp.inf).at[cell].set(design.n_items)
    sd = likelihoods.score_sd(mu, extra, n_items / items)
    if shared is None:
        shared = jnp.zeros((0, 1, 1))
    shared = slope * (shared[:, None] if shared.ndim == 2 else shared)
    sample("score", likelihoods.Noisy(mu, sd, shared, cell, design.observed), obs=design.score)
