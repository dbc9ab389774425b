"""Discrepancies: what a curve leaves out away from the middle of the data, as twice integrated white noise."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

import jax.numpy as jnp
import numpy as np
from numpyro import distributions as dist
from numpyro import plate, sample

if TYPE_CHECKING:
    from jax import Array

    from scalebayes.model.design import Design

STRETCHES = (1.0, 1.0, 2.0, 2.0)
"""Decades of FLOPs, either side of the middle, over each of which a discrepancy has one slope."""

KNOTS = tuple(end - length / 2 for end, length in zip((1.0, 2.0, 4.0, 6.0), STRETCHES, strict=True))
"""The middle of each stretch."""


class Place(NamedTuple):
    """Where models stand, from the middle of those that the fit has seen.

    Attributes:
        inputs: log N and log D, shape (model, 2).
        compute: log C, shape (model,).
        away: Basis of a discrepancy, see `away`, shape (model, knot).
    """

    inputs: Array
    compute: Array
    away: Array


def bends(site: str, scale: Array, design: Design, place: Place, dim: str = "") -> Array:
    """A discrepancy, or one for each label of a dimension, shape (model,) or (model, label)."""
    with contextlib.ExitStack() as plates:
        plates.enter_context(plate("knot", place.away.shape[1], dim=-2 if dim else -1))
        if dim:
            plates.enter_context(plate(dim, len(design.labels(dim)), dim=-1))
        return scale * (place.away @ sample(site, dist.Normal(0.0, 1.0)))


def away(u: Array) -> tuple[Array, Array]:
    """Distance past each knot, on whose sum of squares u^3 / 3 white noise gives a variance; and its slope.

    Args:
        u: Distance from the middle in decades, any shape.

    Returns:
        Both of the shape of u and one more dimension, knots above the middle and below.
    """
    side = np.repeat([1.0, -1.0], len(KNOTS))
    past = side * u[..., None] - np.array([*KNOTS, *KNOTS])
    root = jnp.sqrt(jnp.array([*STRETCHES, *STRETCHES]))
    return root * jnp.maximum(past, 0.0), root * jnp.where(past > 0, side, 0.0)
