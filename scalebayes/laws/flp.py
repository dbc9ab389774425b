r"""FLP: training FLOPs to pre-training loss, loss to performance, as one posterior.

With model i of family f, loss domain m, benchmark j, c = log(C/C0) with C0 the median over the models of
the fit, and u = c / log(10) in decades:

    L_im  = E_fm + A_fm exp(-alpha_m c_i)                                   stage 1; E may be zero
    log y_im ~ Normal(log L_im - f_m (G(u_i) + xi_i) + g_m(u_i), s_m^2)     observed loss

    v_ij  = w0_fj - w1_j (y_im / L0_m - 1) + h_j(log y_im)                  stage 2, m the feature
    P_ij  = v_ij + noise  where that lies above chance + 5 points           performance, `scores="linear"`
            about chance  elsewhere

The paper fits log L = log A - alpha log C to converged runs and P = w0 + w1 L to checkpoints that score
at least 5 points above chance, and plugs the first line into the second. Here both are one model.
Families are random effects on the level of the loss, on log A and on w0. Benchmarks share
hyperpriors. Models below the threshold are not dropped (ours) but censored: their likelihood is the
probability of lying below. By default performance is a sigmoid of the loss instead, as in `Ladder`,
without a threshold; it predicts larger runs from smaller ones as well or better.
Discrepancies (G, g, h), run effects (xi) and effects of checkpoints are as in `Ladder` (ours).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import jax.numpy as jnp
from jax.scipy.special import logit
from numpyro import deterministic, plate, sample

from scalebayes.model import likelihoods
from scalebayes.model.law import Source
from scalebayes.model.one_loss import OneLoss
from scalebayes.model.specification import register

if TYPE_CHECKING:
    from jax import Array

    from scalebayes.model.design import Design
    from scalebayes.model.discrepancy import Place
    from scalebayes.model.losses import Curve, DrivingLosses

STORY = __doc__ or ""  # in the body of a class, `__doc__` is that of the class


EMERGENCE = 0.05
"""Threshold of emergence, above chance: scores above it are informative about the loss, as in the paper."""

SCORE_PER_LOGIT = 0.2
"""Change of the score per logit in the middle of a benchmark's range, for priors stated in logits."""


@register
@dataclass(frozen=True, kw_only=True)
class Flp(OneLoss):
    """Training FLOPs to pre-training loss to performance.

    Attributes:
        feature: The loss that drives performance: the name of one domain, or `task`, for each
            benchmark the domain of its own name.
        scores: a `sigmoid`, or `linear` above the threshold of emergence, as in the paper.
        irreducible: Whether the loss has an irreducible part E.
        checkpoints: Whether the table may hold several checkpoints of a run.
        floor: With a sigmoid, `learned` around the chance level, or `known`, the chance level itself.
        ceiling: With a sigmoid, `one`, or `learned`.
        link: With a sigmoid, `logistic`, or `monotone` with one trainable bend a benchmark.

    Example:
        >>> sb.Flp(feature="c4", scores="linear", floor="known").irreducible
        True
    """

    story: ClassVar[str] = STORY
    references: ClassVar[tuple[Source, ...]] = (
        Source(
            "Scaling Laws for Predicting Downstream Performance in LLMs",
            "https://arxiv.org/abs/2410.08527",
        ),
    )

    feature: str = "c4"
    scores: Literal["sigmoid", "linear"] = "sigmoid"
    irreducible: bool = True

    def __post_init__(self) -> None:
        """Check that the choices agree."""
        super().__post_init__()
        if self.scores == "linear" and self.floor == "learned":
            raise ValueError(
                "scores='linear' needs the chance level for its threshold: choose floor='known', or "
                "scores='sigmoid'"
            )

    def coords(self) -> dict[str, list[str]]:
        """Labels of the input and the knots of a discrepancy."""
        return {**super().coords(), "input": ["flops"]}

    def _curve(self, design: Design, place: Place) -> Curve:
        """E + A / C^alpha, or A / C^alpha."""
        return self._surface(design, place.compute[:, None], irreducible=self.irreducible)

    def _scores(self, design: Design, losses: DrivingLosses, place: Place) -> None:
        """Scores as a line, or a sigmoid, of one loss."""
        k = self._slopes_of_losses(design)
        eta, shared, own = self._of_one_loss(design, losses, k)
        items = sample("phi", self.phi)
        if self.scores == "sigmoid":
            self.observe(eta, self.response(design), design, shared, own, items)
            return
        self._line(eta, shared, own, items, design)

    def _line(self, eta: Array, shared: Array, own: Array, items: Array, design: Design) -> None:
        """Scores on a line above the threshold of emergence, and around chance below it."""
        with plate("benchmark", len(design.labels("benchmark"))):
            sigma, delta = sample("sigma", self.sigma), sample("delta", self.delta)
        room, chance = 1 - design.chance, jnp.asarray(design.chance)
        middle = chance + room * design.reference.typical
        unit = SCORE_PER_LOGIT * room
        mean = middle + unit * (eta - logit(design.reference.typical))
        cell = design.score_model, design.score_benchmark
        n_items = jnp.full(mean.shape, jnp.inf).at[cell].set(design.n_items)
        sd = likelihoods.score_sd(mean, sigma**2 + unit**2 * (delta**2 + own**2), n_items / items)
        creeping = jnp.full(mean.shape, (EMERGENCE / 2) ** 2)
        below = likelihoods.score_sd(chance, creeping, n_items)
        latent = likelihoods.Noisy(mean, sd, unit * shared, cell, design.observed)
        scores = likelihoods.Emerging(latent, chance, chance + EMERGENCE, below)
        deterministic("mu", scores.mean)
        sample("score", scores, obs=design.score)
