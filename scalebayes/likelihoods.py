"""The distributions of observed scores, safe at the ends of [0, 1], and of observed losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from numpyro import distributions as dist

if TYPE_CHECKING:
    from jax import Array

EDGE = 1e-4
"""Expected scores are held this far from 0 and 1, where a binomial variance would vanish."""


def score_sd(mu: Array, extra: Array, n_items: Array) -> Array:
    """Standard deviation of an observed score about its expectation.

    Args:
        mu: Expected score.
        extra: Variance beyond the sampling of items.
        n_items: Number of items of the benchmark; infinity where it is not known.
    """
    mu = jnp.clip(mu, EDGE, 1 - EDGE)
    return jnp.sqrt(mu * (1 - mu) / n_items + extra)


class Scores(dist.Distribution):  # type: ignore[misc]  # NumPyro has no types
    """Scores with normal noise of their own, and deviations that the scores of one model share.

    The scores of a model are normal with covariance diag(sd^2) + shared' shared. All scores are one
    event, of shape (score_obs,); those that are not observed do not enter the density.

    Args:
        mean: Expected scores, shape (model, benchmark).
        sd: Standard deviation of each score's own noise, shape (model, benchmark).
        shared: What a deviation of one does to each score, shape (deviation, model, benchmark); a
            model has one value of each deviation, standard normal. No rows: scores are independent.
        cell: Positions of each score's model and benchmark, two arrays of shape (score_obs,).
        observed: Which scores the density is of, shape (score_obs,).
    """

    support = dist.constraints.real_vector

    def __init__(
        self, mean: Array, sd: Array, shared: Array, cell: tuple[Array, Array], observed: Array
    ) -> None:
        self.expected, self.sd, self.shared = mean, sd, shared
        self.cell, self.observed = cell, observed
        super().__init__(event_shape=jnp.shape(observed))

    @property
    def marginal(self) -> dist.Normal:
        """Each score on its own, its model's other scores unknown."""
        variance = self.sd**2 + (self.shared**2).sum(0)
        return dist.Normal(self.expected[self.cell], jnp.sqrt(variance[self.cell]))

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw all scores, shape sample_shape + (score_obs,)."""
        own, common = jax.random.split(key)
        z = jax.random.normal(own, sample_shape + self.expected.shape)
        t = jax.random.normal(common, sample_shape + self.shared.shape[:2])
        scores = self.expected + self.sd * z + jnp.einsum("...ki,kij->...ij", t, self.shared)
        return scores[..., *self.cell]

    def log_prob(self, value: Array) -> Array:
        """Log density of the observed scores, a scalar."""
        rows, seen = self._scaled(value)
        own = jnp.where(seen, dist.Normal(0.0, self.sd).log_prob(0.0), 0.0).sum()
        # |C| and r' C^-1 r of each model's C = diag(sd^2) + shared' shared (Woodbury), by elimination
        k = len(self.shared)
        gram = (rows[:, None] * rows[None]).sum(-1)
        gram = gram + jnp.diag(jnp.array([1.0] * k + [0.0]))[:, :, None]
        for i in range(k):
            own = own - 0.5 * jnp.log(gram[i, i]).sum()
            gram = gram - gram[:, i, None] * gram[None, i] / gram[i, i]
        return own - 0.5 * gram[k, k].sum()

    def pointwise(self, value: Array) -> Array:
        """Log density of each score given its model's other observed scores, shape (score_obs,).

        The marginal density where a score is not observed.
        """
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

    def given(self, value: Array) -> Scores:
        """Scores of the same models, evaluated once more: deviations are as the observed scores tell."""
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
        return Scores(expected, self.sd, shared, self.cell, jnp.zeros_like(self.observed))

    def _scaled(self, value: Array) -> tuple[Array, Array]:
        """Shared effects and the residual over sd, zero where nothing is seen, and what is seen.

        Shapes (deviation + 1, model, benchmark) and (model, benchmark).
        """
        seen = jnp.zeros(self.expected.shape, bool).at[self.cell].set(self.observed)
        residual = self.expected.at[self.cell].set(value) - self.expected
        rows = jnp.concatenate([self.shared, residual[None]])
        return rows * jnp.where(seen, 1 / self.sd, 0.0), seen


class Losses(dist.Distribution):  # type: ignore[misc]  # NumPyro has no types
    """Logs of losses with normal noise, as one event of shape (loss_obs,).

    Args:
        expected: Logs of expected losses, shape (model, domain).
        sd: Standard deviation of the logs, shape (domain,).
        cell: Positions of each loss's model and domain, two arrays of shape (loss_obs,).
        observed: Which losses the density is of, shape (loss_obs,).
    """

    support = dist.constraints.real_vector

    def __init__(
        self, expected: Array, sd: Array, cell: tuple[Array, Array], observed: Array
    ) -> None:
        self.marginal = dist.Normal(expected[cell], sd[cell[1]])
        self.observed = observed
        super().__init__(event_shape=jnp.shape(observed))

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw the logs of all losses, shape sample_shape + (loss_obs,)."""
        return self.marginal.sample(key, sample_shape)

    def log_prob(self, value: Array) -> Array:
        """Log density of the observed losses' logs, a scalar."""
        return jnp.where(self.observed, self.marginal.log_prob(value), 0.0).sum()

    def pointwise(self, value: Array) -> Array:
        """Log density of each loss's log, shape (loss_obs,)."""
        return self.marginal.log_prob(value)
