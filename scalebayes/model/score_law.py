"""ScoreLaw: the base of laws of scores, from abilities to observed scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from numpyro import deterministic, plate, sample
from numpyro import distributions as dist

from scalebayes.model import curves, likelihoods
from scalebayes.model.law import Law
from scalebayes.model.sites import Site, prior, site

if TYPE_CHECKING:
    from jax import Array

    from scalebayes.model.design import Design


def log_tokens(design: Design) -> Array:
    """Log D of each model, shape (model,); unknown token counts are latent variables."""
    known, reference = jnp.asarray(design.log_tokens), design.reference
    if n := design.unknown_tokens.shape[0]:
        with plate("model_without_tokens", n):
            latent = sample("log_d", dist.Normal(reference.log_d0, reference.log_d_sd))
        return known.at[design.unknown_tokens].set(latent)
    return known


def inputs(design: Design) -> Array:
    """Inputs of each model, shape (model, input)."""
    reference = design.reference
    return curves.inputs(design.log_params, log_tokens(design), reference.log_n0, reference.log_d0)


def chance_prior(chance: Array) -> dist.Distribution:
    """Prior of a floor: Beta with the weight of 150 items at the chance level (at least 1%); Beta(1, 9) if unknown."""
    known = ~jnp.isnan(chance)
    level = jnp.where(known, jnp.maximum(chance, 0.01), 0.0)
    return dist.Beta(
        jnp.where(known, 150 * level + 1.0, 1.0), jnp.where(known, 150 * (1 - level) + 1.0, 9.0)
    )


class Response(NamedTuple):
    """Parameters that map ability to expected score, one per benchmark.

    Attributes:
        floor: Expected score at the lowest ability.
        ceiling: Expected score at the highest ability.
        bend: Bend of the link; 1 is logistic.
        typical: Share at which all links have equal value and slope.
    """

    floor: Array
    ceiling: Array | float
    bend: Array | float
    typical: Array

    def ability(self, level: Array) -> Array:
        """Approximate ability at a score; scores beyond floor and ceiling are moved inside smoothly."""
        seen = ~jnp.isnan(level)  # where() alone would let NaN into the gradient
        share = (jnp.where(seen, level, 0.5) - self.floor) / (self.ceiling - self.floor)
        above, below = _positive(share), _positive(1 - share)
        ability = curves.inverse_link(above / (above + below), self.bend, self.typical)
        return jnp.where(seen, ability, 0.0)


def _positive(share: Array) -> Array:
    """A smooth positive part: about the share itself above 0.02, 0.01 at zero."""
    return (share + jnp.sqrt(share**2 + 4e-4)) / 2


@dataclass(frozen=True, kw_only=True)
class ScoreLaw(Law):
    """A law of benchmark scores; a subclass defines abilities and calls `response` and `observe`.

    Attributes:
        floor: `learned` around the chance level, or `known`, the chance level itself.
        ceiling: `one`, or `learned`.
        link: `monotone` with one trainable bend a benchmark, or `logistic`.

    Example:
        A law in which all models have the same ability on a benchmark:

        >>> import numpyro
        >>> class SameAbility(sb.ScoreLaw):
        ...     b = sb.site("benchmark", phrase="ability", informed_by="scores")
        ...
        ...     def __call__(self, design):
        ...         with numpyro.plate("benchmark", design.chance.shape[0]):
        ...             b = numpyro.sample("b", numpyro.distributions.Normal(0.0, 1.5))
        ...         eta = b + 0 * design.log_params[:, None]
        ...         self.observe(eta, self.response(design), design)
        >>> tree = sb.prior_predictive(SameAbility(), fit.observations, seed=0, draws=10)
        >>> tree["prior"]["b"].dims
        ('chain', 'draw', 'benchmark')
    """

    floor: Literal["learned", "known"] = "learned"
    ceiling: Literal["one", "learned"] = "one"
    link: Literal["monotone", "logistic"] = "monotone"

    log_d: ClassVar[Site] = site(
        "model_without_tokens", phrase="unknown token counts", informed_by="token counts"
    )
    gamma: dist.Distribution | None = prior(
        lambda: None,
        "none: Beta around a known chance level, or the lowest scores where these are clearly below it, with the "
        "weight of 150 items; Beta(1, 9) where it is unknown",
        site("benchmark", phrase="floor", informed_by="low scores"),
    )
    u: dist.Distribution = prior(
        lambda: dist.Beta(19.0, 1.0),
        "label errors put about 5% of the range above the floor out of reach",
        site("benchmark", phrase="ceiling", informed_by="high scores"),
    )
    bend: dist.Distribution = prior(
        lambda: dist.LogNormal(-0.5, 0.8),
        "the logistic link, bend 1, is well inside; below one the last errors vanish slowly",
        site("benchmark", phrase="bend of the link", informed_by="range of scores"),
    )
    sigma: dist.Distribution = prior(
        lambda: dist.LogNormal(-5.0, 0.2),
        "prompts and harness versions change a score by two thirds of a point, 0.5 to 0.9; delta has the rest",
        site("benchmark", phrase="noise between evaluations", informed_by="extreme scores"),
    )
    delta: dist.Distribution = prior(
        lambda: dist.LogNormal(-1.5, 0.7),
        "variation of models that inputs and family do not explain: 0.07 to 0.7 of a logit",
        site("benchmark", phrase="deviations of models on one benchmark", informed_by="models"),
    )
    s_q: dist.Distribution = prior(
        lambda: dist.HalfNormal(0.5),
        "a level of a category, or one sd of a number, adds half a unit or less (a logit, or an sd of families)",
        site("covariate", phrase="spread of the effects of a covariate", informed_by="covariates"),
    )
    z_q: ClassVar[Site] = site(
        "covariate_level", "benchmark", phrase="effects of covariates", informed_by="covariates"
    )
    Gamma: ClassVar[Site] = site("covariate_level", "benchmark", phrase="effects of covariates")
    mu: ClassVar[Site] = site("model", "benchmark", phrase="expected scores", expects="score")
    score: ClassVar[Site] = site("score_obs", phrase="observed scores")

    def check(self, design: Design) -> None:
        """Check that every benchmark has a chance level if `floor` is `known`."""
        without = np.isnan(np.asarray(design.chance))
        if self.floor == "known" and without.any():
            names = [b for b, nan in zip(design.labels("benchmark"), without, strict=True) if nan]
            raise ValueError(
                f"floor='known' needs the chance level of every benchmark, but there is none for {names}: "
                "give it, or choose floor='learned'"
            )

    def response(self, design: Design) -> Response:
        """Floor, ceiling and bend of each benchmark."""
        with plate("benchmark", design.chance.shape[0]):
            floor = (
                jnp.asarray(design.chance)
                if self.floor == "known"
                else sample("gamma", self.gamma or chance_prior(design.reference.floor))
            )
            # a share of the range above the floor: a ceiling below the floor would reverse the link
            room = sample("u", self.u) if self.ceiling == "learned" else 1.0
            bend = sample("bend", self.bend) if self.link == "monotone" else 1.0
        return Response(floor, floor + (1 - floor) * room, bend, design.reference.typical)

    def covariate_effects(self, design: Design) -> Array | None:
        """Effects of covariates on benchmarks, Gamma ~ Normal(0, s_q^2), shape (covariate_level, benchmark).

        None if the law uses no covariates.
        """
        if not self.covariates:
            return None
        n_benchmark = design.chance.shape[0]
        s_q = self.covariate_scales(design)
        with (
            plate("covariate_level", s_q.shape[0], dim=-2),
            plate("benchmark", n_benchmark, dim=-1),
        ):
            z = sample("z_q", dist.Normal(0.0, 1.0))
        return deterministic("Gamma", s_q[:, None] * z)

    def covariate_scales(self, design: Design) -> Array:
        """The standard deviation s_q of each column of the covariates, shape (covariate_level,)."""
        with plate("covariate", len(design.labels("covariate"))):
            return sample("s_q", self.s_q)[design.covariate_of]

    def observe(
        self,
        eta: Array,
        to_score: Response,
        design: Design,
        shared: Array | None = None,
        own: Array | float = 0.0,
        items: Array | float = 1.0,
    ) -> None:
        """Register the expected and the observed scores of abilities eta, shape (model, benchmark).

        Deviations of ability enter linearised, as deviations of the expected score.

        Args:
            eta: Abilities.
            to_score: Floor, ceiling and link.
            design: The data.
            shared: Change of ability on each benchmark per unit of a deviation that all benchmarks of a model
                share, shape (deviation, benchmark) or (deviation, model,
                benchmark); by default none.
            own: Standard deviation of further deviations of ability, shape (model, benchmark).
            items: Share of the variance from sampling items that is independent between models.
        """
        with plate("benchmark", design.chance.shape[0]):
            sigma = sample("sigma", self.sigma)
            delta = sample("delta", self.delta)
        mu, slope = curves.accuracy(eta, *to_score)
        deterministic("mu", mu)
        # sigma: noise between evaluations; delta: deviations of ability, which vanish at floor and ceiling
        extra = sigma**2 + (delta**2 + own**2) * slope**2
        cell = design.score_model, design.score_benchmark
        n_items = jnp.full(mu.shape, jnp.inf).at[cell].set(design.n_items)
        sd = likelihoods.score_sd(mu, extra, n_items / items)
        if shared is None:
            shared = jnp.zeros((0, 1, 1))
        shared = slope * (shared[:, None] if shared.ndim == 2 else shared)
        sample("score", likelihoods.Noisy(mu, sd, shared, cell, design.observed), obs=design.score)
