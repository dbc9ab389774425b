"""Losses between the two steps of a law: the curve of step 1, and the losses that enter step 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax.numpy as jnp

if TYPE_CHECKING:
    from jax import Array

    from scalebayes.model.design import Design
    from scalebayes.model.likelihoods import Noisy


class Curve(NamedTuple):
    """The curve of step 1, without discrepancies and run effects.

    Attributes:
        log_loss: Log loss, shape (model, domain).
        slope: Derivative of log loss in log C at the middle of the data, negative, shape (domain,).
        noise_factor: Factor of the noise of single losses, shape (model, 1), or 1.
    """

    log_loss: Array
    slope: Array
    noise_factor: Array | float = 1.0


class DrivingLosses(NamedTuple):
    """Losses that enter step 2: observed values, and predictions of step 1 where a loss is missing.

    Attributes:
        relative: Losses as multiples of L0, shape (model, domain).
        own: Standard deviation of each log loss, zero where observed, shape (model, domain).
        shared: Change of each log loss per unit of a deviation that the losses of a model share, zero where
            observed, shape (deviation, model, domain).
    """

    relative: Array
    own: Array
    shared: Array


def driving_losses(design: Design, losses: Noisy) -> DrivingLosses:
    """Combine observed losses with predictions of the missing ones, given the observed losses of each model."""
    cell = design.loss_model, design.loss_domain
    seen = jnp.zeros(losses.expected.shape, bool).at[cell].set(design.loss_observed)
    given = losses.given(design.log_loss)
    log_loss = jnp.where(seen, given.expected.at[cell].set(design.log_loss), given.expected)
    return DrivingLosses(
        jnp.exp(log_loss - design.reference.log_loss0),
        jnp.where(seen, 0.0, losses.sd),
        jnp.where(seen, 0.0, given.shared),
    )
