"""Losses between the two steps of a law: the curve of step 1, and the losses that drive step 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax.numpy as jnp

if TYPE_CHECKING:
    from jax import Array

    from scalebayes.model.design import Design
    from scalebayes.model.likelihoods import Noisy


class Curve(NamedTuple):
    """Step 1 without what it leaves out.

    Attributes:
        log_loss: Log loss, shape (model, domain).
        worth: What one more unit of log C does to it, negative, shape (domain,).
        noisier: Factor of the noise of single losses, shape (model, 1), or 1.
    """

    log_loss: Array
    worth: Array
    noisier: Array | float = 1.0


class Drive(NamedTuple):
    """Losses as step 2 sees them: observed ones as they are, the others as step 1 has them.

    Attributes:
        relative: Losses as multiples of L0, shape (model, domain).
        own: Standard deviation of the log of each, zero where observed, shape (model, domain).
        shared: What a model's shared deviation does to the log of each, zero where observed, shape
            (deviation, model, domain).
    """

    relative: Array
    own: Array
    shared: Array


def drive(design: Design, losses: Noisy) -> Drive:
    """Losses as step 2 sees them."""
    cell = design.loss_model, design.loss_domain
    seen = jnp.zeros(losses.expected.shape, bool).at[cell].set(design.loss_observed)
    given = losses.given(design.log_loss)  # what a model's observed losses say of the others
    log_loss = jnp.where(seen, given.expected.at[cell].set(design.log_loss), given.expected)
    return Drive(
        jnp.exp(log_loss - design.reference.log_loss0),
        jnp.where(seen, 0.0, losses.sd),
        jnp.where(seen, 0.0, given.shared),
    )
