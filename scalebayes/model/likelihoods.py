"""The distribution of observed scores, safe at the ends of [0, 1], and of the logs of losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax.scipy.special import log_ndtr, ndtr
from numpyro import distributions as dist

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


class Noisy(dist.Distribution):  # type: ignore[misc]  # NumPyro has no types
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

    support = dist.constraints.real_vector

    def __init__(
        self, mean: Array, sd: Array, shared: Array, cell: tuple[Array, Array], observed: Array
    ) -> None:
        self.expected, self.sd, self.shared = mean, sd, shared
        self.cell, self.observed = cell, observed
        super().__init__(event_shape=jnp.shape(observed))

    def observing(self, observed: Array) -> Noisy:
        """The same values, with another choice of those that the density is of."""
        return Noisy(self.expected, self.sd, self.shared, self.cell, observed)

    @property
    def marginal(self) -> dist.Normal:
        """Each value on its own, its model's others unknown."""
        variance = self.sd**2 + (self.shared**2).sum(0)
        return dist.Normal(self.expected[self.cell], jnp.sqrt(variance[self.cell]))

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw all values, shape sample_shape + (value,)."""
        own, common = jax.random.split(key)
        z = jax.random.normal(own, sample_shape + self.expected.shape)
        t = jax.random.normal(common, sample_shape + self.shared.shape[:2])
        scores = self.expected + self.sd * z + jnp.einsum("...ki,kij->...ij", t, self.shared)
        return scores[..., *self.cell]

    def log_prob(self, value: Array) -> Array:
        """Log density of the observed values, a scalar."""
        return self.of_models(value).sum()

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
        """Log density of each value given its model's other observed ones, shape (value,).

        The marginal density where a value is not observed.
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

    def given(self, value: Array) -> Noisy:
        """Values of the same models, observed once more: deviations are as the observed values tell."""
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
        the same for all models, so that models differ by what is expected of them alone.

        Args:
            level: Shape (value,); NaN where none is to be exceeded.
            key: Of the deviations.
        """
        wanted = jnp.full(self.expected.shape, jnp.nan).at[self.cell].set(level)
        return self.over_deviations(
            lambda mean: _product(ndtr((mean - wanted) / self.sd), wanted), key
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


def _product(probability: Array, wanted: Array) -> Array:
    """Product over the columns in which something is wanted, shape (model,)."""
    return jnp.where(jnp.isnan(wanted), 1.0, probability).prod(-1)


class Emerging(dist.Distribution):  # type: ignore[misc]  # NumPyro has no types
    """Scores that follow a latent value above a threshold, and say nothing but that below it.

    A score is its latent value where that lies above the threshold. Elsewhere it is normal around the
    chance level, cut off at the threshold: its density then has the probability that the latent value
    lies below, and no other knowledge of it. Values of one model whose latent deviations are shared are
    taken given those above the threshold; where nothing is shared, all are independent.

    Args:
        latent: Latent values, of which the observed scores above the threshold are observations.
        chance: Chance level, shape (benchmark,).
        threshold: Where scores begin to tell, above chance, shape (benchmark,).
        below: Standard deviation around chance below it, shape (model, benchmark).
    """

    support = dist.constraints.real_vector

    def __init__(self, latent: Noisy, chance: Array, threshold: Array, below: Array) -> None:
        self.latent, self.chance, self.threshold, self.below = latent, chance, threshold, below
        self.observed = latent.observed
        super().__init__(event_shape=latent.event_shape)

    @property
    def at(self) -> Array:
        """Threshold of each value, shape (value,)."""
        return self.threshold[self.latent.cell[1]]

    @property
    def guesses(self) -> dist.Distribution:
        """Scores whose latent value lies below the threshold, shape (value,)."""
        model, benchmark = self.latent.cell
        return dist.TruncatedNormal(
            self.chance[benchmark], self.below[model, benchmark], high=self.at
        )

    @property
    def mean(self) -> Array:
        """Expected scores, shape (model, benchmark)."""
        variance = self.latent.sd**2 + (self.latent.shared**2).sum(0)
        sd, mean = jnp.sqrt(variance), self.latent.expected
        z = (mean - self.threshold) / sd
        guess = dist.TruncatedNormal(self.chance, self.below, high=self.threshold).mean
        density = jnp.exp(dist.Normal(0.0, 1.0).log_prob(z))
        return ndtr(z) * mean + sd * density + ndtr(-z) * guess

    @property
    def marginal(self) -> _Marginal:
        """Each value on its own, its model's others unknown."""
        return _Marginal(self)

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw all values, shape sample_shape + (value,)."""
        of_latent, of_guess = jax.random.split(key)
        latent = self.latent.sample(of_latent, sample_shape)
        return jnp.where(latent > self.at, latent, self.guesses.sample(of_guess, sample_shape))

    def log_prob(self, value: Array) -> Array:
        """Log density of the observed values, a scalar."""
        telling = self._telling(value)
        below = self._below(telling.given(value).marginal, value)
        return (
            telling.log_prob(value)
            + jnp.where(self.observed & (value <= self.at), below, 0.0).sum()
        )

    def pointwise(self, value: Array) -> Array:
        """Log density of each value given its model's other observed ones above the threshold."""
        telling = self._telling(value)
        return jnp.where(
            value > self.at,
            telling.pointwise(value),
            self._below(telling.given(value).marginal, value),
        )

    def given(self, value: Array) -> Emerging:
        """Values of the same models, observed once more."""
        return Emerging(self._telling(value).given(value), self.chance, self.threshold, self.below)

    def above(self, level: Array) -> Array:
        """Probability that each value exceeds its level, shape (value,)."""
        emerged = self.latent.above(self.at)
        guessed = 1 - self.guesses.cdf(jnp.minimum(level, self.at))
        telling = self.latent.above(jnp.maximum(level, self.at))
        return jnp.where(level > self.at, telling, emerged + (1 - emerged) * guessed)

    def all_above(self, level: Array, key: Any) -> Array:
        """Probability that all values of a model exceed their levels, see `Noisy.all_above`."""
        latent, threshold = self.latent, self.threshold
        wanted = jnp.full(latent.expected.shape, jnp.nan).at[latent.cell].set(level)
        guess = dist.TruncatedNormal(self.chance, self.below, high=threshold)
        guessed = 1 - guess.cdf(jnp.minimum(jnp.nan_to_num(wanted), threshold))

        def all_of(mean: Array) -> Array:
            emerged = ndtr((mean - threshold) / latent.sd)
            telling = ndtr((mean - jnp.maximum(wanted, threshold)) / latent.sd)
            above = jnp.where(wanted > threshold, telling, emerged + (1 - emerged) * guessed)
            return _product(above, wanted)

        return latent.over_deviations(all_of, key)

    def observing(self, observed: Array) -> Emerging:
        """The same values, with another choice of those that the density is of."""
        return Emerging(self.latent.observing(observed), self.chance, self.threshold, self.below)

    def _telling(self, value: Array) -> Noisy:
        """The latent values, of which those above the threshold are observed."""
        return self.latent.observing(self.observed & (value > self.at))

    def _below(self, latent: dist.Normal, value: Array) -> Array:
        """Log density of values below the threshold, shape (value,)."""
        under = jnp.minimum(value, self.at)  # others are not asked for, but must be finite
        return log_ndtr((self.at - latent.loc) / latent.scale) + self.guesses.log_prob(under)


class _Marginal:
    """What `Emerging.marginal` gives: densities of single values."""

    def __init__(self, scores: Emerging) -> None:
        self.scores = scores

    def log_prob(self, value: Array) -> Array:
        """Log density of each value, shape (value,)."""
        latent = self.scores.latent.marginal
        return jnp.where(
            value > self.scores.at,
            latent.log_prob(value),
            self.scores._below(latent, value),
        )
