"""Curves and links shared by the laws: pure functions of arrays, natural logarithms throughout."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import logit

LOG_UNIT = 1.5
"""One unit of an input in natural logs, a factor of 4.5: about the spread of log N in public tables."""


def inputs(log_params: Array, log_tokens: Array, log_n0: float, log_d0: float) -> Array:
    """Inputs x: log size, log tokens and half their product, centred at (N0, D0).

    Args:
        log_params: log N, shape (model,).
        log_tokens: log D, shape (model,).
        log_n0: log of the reference size N0.
        log_d0: log of the reference token count D0.

    Returns:
        x with shape (model, input), in units of `LOG_UNIT`. The half keeps the product's spread near one.
    """
    n = (log_params - log_n0) / LOG_UNIT
    d = (log_tokens - log_d0) / LOG_UNIT
    return jnp.stack([n, d, n * d / 2], axis=-1)


def surface(irreducible: Array, reducible: Array, exponents: Array, inputs: Array) -> Array:
    """Expected loss, E + sum_p A_p exp(-alpha_p x_p): with x = (log N, log D) the surface of Hoffmann et al.

    Args:
        irreducible: E, shape (model, domain).
        reducible: A_p, shape (model, input, domain): the part of the loss due to input p where every x is zero.
        exponents: alpha_p > 0, shape (input, domain).
        inputs: x_p, natural logs of multiples of a reference, shape (model, input).
    """
    falling = jnp.exp(-exponents * inputs[..., None])
    return irreducible + (reducible * falling).sum(axis=-2)


def link(
    eta: Array, bend: Array | float = 1.0, typical: Array | float = 0.5
) -> tuple[Array, Array]:
    """Share of the room between floor and ceiling, and its derivative in eta.

    The share is 1 - (1 + exp(v))^-bend, with v linear in eta: a family of Aranda-Ordaz
    (https://doi.org/10.1093/biomet/68.2.357). `bend = 1` is the logistic link. For small eta the share grows like
    exp(v); for large eta one minus the share falls like exp(-bend v). The line v(eta) makes every link equal the
    logistic one in value and slope at the typical share. There, an ability is a logit whatever the bend.

    Args:
        eta: Ability.
        bend: Ratio of the link's upper to its lower slope on the logit scale, > 0.
        typical: Share at which the link has the value and slope of the logistic one, in (0, 1).
    """
    if _logistic(bend):
        share = jax.nn.sigmoid(eta)
        return share, share * (1 - share)
    at, k = _touching(bend, typical)
    v = k * eta + at
    small = jnp.exp(-jnp.abs(v))  # written out, to save transcendental functions in every cell
    softplus = jnp.maximum(v, 0.0) + jnp.log(1.0 + small)
    sigmoid = jnp.where(v > 0, 1.0, small) / (1.0 + small)
    missing = jnp.exp(-bend * softplus)
    return 1.0 - missing, bend * k * missing * sigmoid


def inverse_link(share: Array, bend: Array | float = 1.0, typical: Array | float = 0.5) -> Array:
    """Ability at a share of the room between floor and ceiling, the inverse of `link`; share in (0, 1)."""
    if _logistic(bend):
        return logit(share)
    at, k = _touching(bend, typical)
    return (_log_odds(share, bend) - at) / k


def _log_odds(share: Array | float, bend: Array | float) -> Array:
    """The v at which 1 - (1 + exp(v))^-bend equals the share."""
    x = -jnp.log1p(-share) / bend
    return x + jnp.log(-jnp.expm1(-x))


def _touching(bend: Array | float, typical: Array | float) -> tuple[Array, Array]:
    """Intercept and slope of the line v(eta)."""
    k = typical / (bend * -jnp.expm1(jnp.log1p(-typical) / bend))
    return _log_odds(typical, bend) - k * logit(typical), k


def accuracy(
    eta: Array,
    floor: Array | float,
    ceiling: Array | float,
    bend: Array | float = 1.0,
    typical: Array | float = 0.5,
) -> tuple[Array, Array]:
    """Expected accuracy, floor + (ceiling - floor) * link(eta), and its derivative in eta.

    Args:
        eta: Latent ability on a benchmark, any shape that broadcasts with the rest.
        floor: Expected score at the lowest ability, in [0, 1).
        ceiling: Expected score at the highest ability, in (floor, 1].
        bend: Bend of the link; 1 is the logistic link.
        typical: Share at which the link has the value and slope of the logistic one.
    """
    share, slope = link(eta, bend, typical)
    return floor + (ceiling - floor) * share, (ceiling - floor) * slope


def _logistic(bend: Array | float) -> bool:
    """Whether the bend is the constant one, which saves transcendental functions in every cell."""
    return isinstance(bend, float) and bend == 1.0
