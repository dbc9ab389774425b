"""Normal noise of scores, safe at the ends of [0, 1], and of the logs of losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtr
from numpyro import distributions as dist

from scalebayes.model.likelihoods.likelihood import Likelihood, product_over_levels

if TYPE_CHECKING:
    from collections.abc import Callable

    from jax import Array

EDGE = 1e-4
"""Expected scores are held this far from 0 and 1, where a binomial variance would vanish."""

DEVIATIONS = 16
"""Shared deviations, half of them mirror images, over which a joint probability is averaged."""


def score_sd(mu: Array, extra: Array, n_items: Array) -> Array:
    """Standard deviation of an observed score about its expectation.

    Args:
        mu: Expected score.
        extra: Variance beyond the sampling of items.
        n_items: Number of items of the benchmark; infinity where it is not known.
    """
    mu = jnp.clip(mu, EDGE, 1 - EDGE)
    return jnp.sqrt(mu * (1 - mu) / n_items + extra)


class Noisy(Likelihood):
    """Values with normal noise of their own, and deviations that the values of one model share.

    The values of a model, its scores or the logs of its losses, are normal with covariance
    diag(sd^2) + shared' shared. All values are one event, of shape (value,), those not observed too,
    but these do not enter the density.

    Args:
        mean: Expected values, shape (model, column), a column being a benchmark or a domain.
        sd: Standard deviation of each value's own noise, shape (model, column).
        shared: What a deviation of one does to each value, shape (deviation, model, column); a
            model has one value of each deviation, standard normal. No rows: values are independent.
        cell: Positions of each value's model and column, two arrays of shape (value,).
        observed: Which values the density is of, shape (value,).
    """

    pytree_data_fields = ("expected", "sd", "shared")

    def __init__(
        self, mean: Array, sd: Array, shared: Array, cell: tuple[Array, Array], observed: Array
    ) -> None:
        self.expected, self.sd, self.shared = mean, sd, shared
        super().__init__(cell, observed)

    @property
    def mean(self) -> Array:
        """Expected values, shape (model, column)."""
        return self.expected

    def observing(self, observed: Array) -> Noisy:
        """The same distribution, of which other values are observed."""
        return Noisy(self.expected, self.sd, self.shared, self.cell, observed)

    @property
    def marginal(self) -> dist.Normal:
        """Normal distributions of single values."""
        variance = self.sd**2 + (self.shared**2).sum(0)
        return dist.Normal(self.expected[self.cell], jnp.sqrt(variance[self.cell]))

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw all values, shape sample_shape + (value,)."""
        own, common = jax.random.split(key)
        z = jax.random.normal(own, sample_shape + self.expected.shape)
        t = jax.random.normal(common, sample_shape + self.shared.shape[:2])
        scores = self.expected + self.sd * z + jnp.einsum("...ki,kij->...ij", t, self.shared)
        return scores[..., *self.cell]

    def of_models(self, value: Array) -> Array:
        """Joint log density of each model's observed values, shape (model,)."""
        rows, seen = self._scaled(value)
        own = jnp.where(seen, dist.Normal(0.0, self.sd).log_prob(0.0), 0.0).sum(-1)
        # |C| and r' C^-1 r of each model's C = diag(sd^2) + shared' shared (Woodbury), by elimination
        k = len(self.shared)
        gram = (rows[:, None] * rows[None]).sum(-1)
        gram = gram + jnp.diag(jnp.array([1.0] * k + [0.0]))[:, :, None]
        for i in range(k):
            own = own - 0.5 * jnp.log(gram[i, i])
            gram = gram - gram[:, i, None] * gram[None, i] / gram[i, i]
        return own - 0.5 * gram[k, k]

    def pointwise(self, value: Array) -> Array:
        """Log density of each value given all other observed values of its model, shape (value,)."""
        rows, _ = self._scaled(value)
        solved, precision = rows, jnp.ones_like(self.sd)  # one deviation more at a time
        for k in range(len(self.shared)):
            u, gain = rows[k], solved[k]
            size = 1 + (u * gain).sum(-1)
            precision = precision - gain**2 / size[:, None]
            solved = solved - gain * ((u * solved).sum(-1) / size)[..., None]
        residual = solved[-1] / precision
        given = dist.Normal(0.0, 1 / jnp.sqrt(precision)).log_prob(residual)
        return jnp.where(
            self.observed,
            (given - jnp.log(self.sd))[self.cell],
            self.marginal.log_prob(value),
        )

    def given(self, value: Array) -> Noisy:
        """Another evaluation of the same models, whose shared deviations have their posterior."""
        k = len(self.shared)
        rows, _ = self._scaled(value)
        u, residual = rows[:k], rows[k]
        gram = (u[:, None] * u[None]).sum(-1) + jnp.eye(k)[:, :, None]
        root = jnp.broadcast_to(jnp.eye(k)[:, :, None], gram.shape)
        for i in range(k):  # root gram root' is diagonal, by elimination
            below = jnp.where(jnp.arange(k)[:, None] > i, gram[:, i] / gram[i, i], 0.0)
            gram, root = (
                gram - below[:, None] * gram[None, i],
                root - below[:, None] * root[None, i],
            )
        root = root / jnp.sqrt(jnp.einsum("aai->ai", gram))[:, None]
        # deviations are root' (mean + a standard normal vector)
        shared = jnp.einsum("abi,bij->aij", root, self.shared)
        mean = jnp.einsum("abi,bij,ij->ai", root, u, residual)
        expected = self.expected + jnp.einsum("ai,aij->ij", mean, shared)
        return Noisy(expected, self.sd, shared, self.cell, jnp.zeros_like(self.observed))

    def above(self, level: Array) -> Array:
        """Probability that each value exceeds its level, shape (value,)."""
        marginal = self.marginal
        return ndtr((marginal.loc - level) / marginal.scale)

    def all_above(self, level: Array, key: Any) -> Array:
        """Probability that all values of a model exceed their levels, shape (model,).

        Given the shared deviations values are independent; the mean over these is taken by draws of them,
        the same for all models.
        """
        wanted = self.on_grid(level)
        return self.over_deviations(
            lambda mean: product_over_levels(ndtr((mean - wanted) / self.sd), wanted), key
        )

    def over_deviations(self, of_means: Callable[[Array], Array], key: Any) -> Array:
        """Mean over the shared deviations of a function of the values' means given them, (model, column)."""
        half = jax.random.normal(key, (DEVIATIONS // 2, len(self.shared)))

        def given(deviation: Array) -> Array:
            return of_means(self.expected + jnp.tensordot(deviation, self.shared, 1))

        return jax.vmap(given)(jnp.concatenate([half, -half])).mean(0)

    def _scaled(self, value: Array) -> tuple[Array, Array]:
        """Shared effects and the residual over sd, zero where nothing is seen, and what is seen.

        Shapes (deviation + 1, model, benchmark) and (model, benchmark).
        """
        seen = jnp.zeros(self.expected.shape, bool).at[self.cell].set(self.observed)
        residual = self.expected.at[self.cell].set(value) - self.expected
        rows = jnp.concatenate([self.shared, residual[None]])
        return rows * jnp.where(seen, 1 / self.sd, 0.0), seen
