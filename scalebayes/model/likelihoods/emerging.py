"""Scores that emerge: informative above a threshold, guesses below it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax.scipy.special import log_ndtr, ndtr
from numpyro import distributions as dist

from scalebayes.model.likelihoods.likelihood import Likelihood, product_over_levels

if TYPE_CHECKING:
    from jax import Array

    from scalebayes.model.likelihoods.normal import Noisy


class Emerging(Likelihood):
    """Scores that follow a latent value above a threshold, and say nothing but that below it.

    A score is its latent value where that lies above the threshold. Elsewhere it is normal around the
    chance level, cut off at the threshold: its density then has the probability that the latent value
    lies below, and no other knowledge of it. Values of one model whose latent deviations are shared are
    taken given those above the threshold; where nothing is shared, all are independent. The density is
    an approximation where several values of a model lie below: these are independent given those
    above, while draws and `all_above` keep their correlation.

    Args:
        latent: Latent values, of which the observed scores above the threshold are observations.
        chance: Chance level, shape (benchmark,).
        threshold: Where scores begin to tell, above chance, shape (benchmark,).
        below: Standard deviation around chance below it, shape (model, benchmark).
    """

    pytree_data_fields = ("latent", "chance", "threshold", "below")

    def __init__(self, latent: Noisy, chance: Array, threshold: Array, below: Array) -> None:
        self.latent, self.chance, self.threshold, self.below = latent, chance, threshold, below
        super().__init__(latent.cell, latent.observed)

    @property
    def at(self) -> Array:
        """Threshold of each value, shape (value,)."""
        return self.threshold[self.cell[1]]

    @property
    def guesses(self) -> dist.Distribution:
        """Scores whose latent value lies below the threshold, shape (value,)."""
        model, benchmark = self.cell
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
        """Mixed distributions of single values."""
        return _Marginal(self)

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw all values, shape sample_shape + (value,)."""
        of_latent, of_guess = jax.random.split(key)
        latent = self.latent.sample(of_latent, sample_shape)
        return jnp.where(latent > self.at, latent, self.guesses.sample(of_guess, sample_shape))

    def of_models(self, value: Array) -> Array:
        """Log density of each model's observed values, shape (model,): each below given those above."""
        telling = self._telling(value)
        below = self._below(telling.given(value).marginal, value)
        below = jnp.where(self.observed & (value <= self.at), below, 0.0)
        return telling.of_models(value).at[self.cell[0]].add(below)

    def pointwise(self, value: Array) -> Array:
        """Log density of each value given its model's other observed ones above the threshold."""
        telling = self._telling(value)
        below = self._below(telling.given(value).marginal, value)
        each = jnp.where(value > self.at, telling.pointwise(value), below)
        return jnp.where(self.observed, each, self.marginal.log_prob(value))

    def given(self, value: Array) -> Emerging:
        """Another evaluation of the same models, given their observed scores above the threshold."""
        return Emerging(self._telling(value).given(value), self.chance, self.threshold, self.below)

    def above(self, level: Array) -> Array:
        """Probability that each value exceeds its level, shape (value,)."""
        emerged = self.latent.above(self.at)
        guessed = 1 - self.guesses.cdf(jnp.minimum(level, self.at))
        telling = self.latent.above(jnp.maximum(level, self.at))
        return jnp.where(level > self.at, telling, emerged + (1 - emerged) * guessed)

    def all_above(self, level: Array, key: Any) -> Array:
        """Probability that all values of a model exceed their levels, averaged as in `Noisy`."""
        latent, threshold = self.latent, self.threshold
        wanted = latent.on_grid(level)
        guess = dist.TruncatedNormal(self.chance, self.below, high=threshold)
        guessed = 1 - guess.cdf(jnp.minimum(jnp.nan_to_num(wanted), threshold))

        def all_of(mean: Array) -> Array:
            emerged = ndtr((mean - threshold) / latent.sd)
            telling = ndtr((mean - jnp.maximum(wanted, threshold)) / latent.sd)
            above = jnp.where(wanted > threshold, telling, emerged + (1 - emerged) * guessed)
            return product_over_levels(above, wanted)

        return latent.over_deviations(all_of, key)

    def observing(self, observed: Array) -> Emerging:
        """The same distribution, of which other values are observed."""
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
