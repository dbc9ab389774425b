"""The curves that the laws are made of: pure functions of arrays, natural logarithms throughout."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

LOG_UNIT = 1.5
"""One unit of an input: 1.5 natural logs, a factor of 4.5, about the spread of log N in public tables."""


def inputs(log_params: Array, log_tokens: Array, log_n0: float, log_d0: float) -> Array:
    """Inputs x of a skill: size, tokens and half their product, centred at (N0, D0).

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


def bent(eta: Array, bend: Array | float) -> Array:
    """Smooth monotone bend of the logit: slope 1 far below zero, slope `bend` > 0 far above.

    `bend = 1` is the identity, so that a link built on it nests the logistic one.
    """
    return eta + (bend - 1.0) * (jax.nn.softplus(eta) - jnp.log(2.0))


def accuracy(
    eta: Array, floor: Array | float, ceiling: Array | float, bend: Array | float = 1.0
) -> Array:
    """Expected accuracy mu = floor + (ceiling - floor) * sigmoid(bent(eta)).

    Args:
        eta: Latent ability on a benchmark, any shape that broadcasts with the rest.
        floor: Score of a model that knows nothing, in [0, 1).
        ceiling: Score of a model that knows everything, in (floor, 1].
        bend: Ratio of the link's upper to its lower slope; 1 is the logistic link.
    """
    return floor + (ceiling - floor) * jax.nn.sigmoid(_linked(eta, bend))


def accuracy_slope(
    eta: Array, floor: Array | float, ceiling: Array | float, bend: Array | float = 1.0
) -> Array:
    """Derivative of `accuracy` in eta: how far a shift of ability moves the score."""
    p = jax.nn.sigmoid(_linked(eta, bend))
    slope = (ceiling - floor) * p * (1 - p)
    return slope if _logistic(bend) else slope * (1 + (bend - 1.0) * jax.nn.sigmoid(eta))


def _linked(eta: Array, bend: Array | float) -> Array:
    return eta if _logistic(bend) else bent(eta, bend)


def _logistic(bend: Array | float) -> bool:
    """Whether the bend is known to be none, which saves two transcendental functions a cell."""
    return isinstance(bend, float) and bend == 1.0


@jax.custom_vjp
def take(values: Array, index: Array, users: Array) -> Array:
    """values[index] whose gradient is a gather and a sum in place of a scatter.

    Args:
        values: Shape (n, ...).
        index: Row of `values` that each result takes, shape (m,).
        users: For each row of `values` the results that take it, filled up with m: shape (n, most).
    """
    return values[index]


def _take_forward(values: Array, index: Array, users: Array) -> tuple[Array, Array]:
    return values[index], users


def _take_backward(users: Array, gradient: Array) -> tuple[Array, None, None]:
    padded = jnp.concatenate([gradient, jnp.zeros_like(gradient[:1])])
    return padded[users].sum(axis=1), None, None


take.defvjp(_take_forward, _take_backward)
