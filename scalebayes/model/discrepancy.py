"""Discrepancies: deviations from a curve far from the middle of the data, twice integrated white noise."""

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
"""Lengths in decades of FLOPs, on either side of the middle, over each of which a discrepancy has one slope."""

KNOTS = tuple(end - length / 2 for end, length in zip((1.0, 2.0, 4.0, 6.0), STRETCHES, strict=True))
"""The middle of each stretch."""


class Place(NamedTuple):
    """Inputs of models relative to the middle of the models in the fit.

    Attributes:
        inputs: log N and log D, shape (model, 2).
        compute: log C, shape (model,).
        away: Basis of a discrepancy, see `away`, shape (model, knot).
    """

    inputs: Array
    compute: Array
    away: Array


def bends(site: str, scale: Array, design: Design, place: Place, dim: str = "") -> Array:
    """Sample a discrepancy, or one per label of a dimension, shape (model,) or (model, label)."""
    with contextlib.ExitStack() as plates:
        plates.enter_context(plate("knot", place.away.shape[1], dim=-2 if dim else -1))
        if dim:
            plates.enter_context(plate(dim, len(design.labels(dim)), dim=-1))
        return scale * (place.away @ sample(site, dist.Normal(0.0, 1.0)))


def away(u: Array) -> tuple[Array, Array]:
    """Basis functions of a discrepancy, and their derivatives.

    A basis function is the distance past a knot. With independent standard normal coefficients the variance of
    the sum is about |u|^3 / 3, that of twice integrated white noise.

    Args:
        u: Distance from the middle in decades, any shape.

    Returns:
        Values and derivatives, each of the shape of u with a last dimension of knots: those above the middle, then
        those below.
    """
    side = np.repeat([1.0, -1.0], len(KNOTS))
    past = side * u[..., None] - np.array([*KNOTS, *KNOTS])
    root = jnp.sqrt(jnp.array([*STRETCHES, *STRETCHES]))
    return root * jnp.maximum(past, 0.0), root * jnp.where(past > 0, side, 0.0)
