"""TwoSteps: the base of laws from inputs to losses to accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logit
from numpyro import deterministic, plate, sample
from numpyro import distributions as dist

from scalebayes.model.discrepancy import KNOTS, Place, away, bends
from scalebayes.model.likelihoods import Noisy
from scalebayes.model.losses import driving_losses
from scalebayes.model.score_law import ScoreLaw, log_tokens
from scalebayes.model.sites import Site, prior, site

if TYPE_CHECKING:
    from jax import Array

    from scalebayes.model.design import Design
    from scalebayes.model.losses import Curve, DrivingLosses


@dataclass(frozen=True, kw_only=True)
class TwoSteps(ScoreLaw):
    """A law from inputs to losses (step 1) to accuracy (step 2), without its curves.

    A subclass defines the curves: `_curve` for step 1 and `_scores` for step 2. Covariates act on accuracy at
    equal loss.

    Attributes:
        checkpoints: Whether the table may hold several checkpoints of a run.
        floor: `learned` around the chance level, or `known`, the chance level itself.
        ceiling: `one`, or `learned`.
        link: `logistic`, or `monotone` with one trainable bend a benchmark.
    """

    checkpoints: bool = False
    link: Literal["monotone", "logistic"] = "logistic"

    # step 1
    level: dist.Distribution = prior(
        lambda: dist.Normal(0.0, 0.3),
        "the loss at (N0, D0) lies within a factor of 1.8 of the median loss of the table",
        site("domain", phrase="level of a loss", informed_by="losses"),
    )
    s: dist.Distribution = prior(
        lambda: dist.LogNormal(-5.5, 0.7),
        "a single loss of a run deviates from its other losses by half a percent",
        site("domain", phrase="noise of single losses", informed_by="losses"),
    )
    kappa: dist.Distribution = prior(
        lambda: dist.LogNormal(-2.3, 0.7),
        "run-to-run variation equals a change of compute by a tenth",
        site(phrase="spread of run effects, in log compute", informed_by="losses"),
    )
    tame: dist.Distribution = prior(
        lambda: dist.Gamma(2.0, 2.0),
        "a few runs deviate strongly: run effects have a Student t distribution with 4 degrees of freedom",
        site("model", phrase="scale of heavy-tailed run effects", informed_by="losses"),
    )
    G: dist.Distribution = prior(
        lambda: dist.LogNormal(-2.2, 0.7),
        "two decades from the middle the discrepancy equals a change of compute by 4 to 70%",
        site(
            phrase="scale of the shared discrepancy of losses, in log compute",
            informed_by="compute",
        ),
    )
    G_at: ClassVar[Site] = site(
        "knot", phrase="shared discrepancy of losses, in log compute", informed_by="compute"
    )
    t: dist.Distribution = prior(
        lambda: dist.LogNormal(-6.0, 0.7),
        "two decades from the middle a single loss deviates from its curve by another 0.1 to 1.6%",
        site("domain", phrase="scale of the discrepancy of a single loss", informed_by="compute"),
    )
    g_at: ClassVar[Site] = site(
        "knot", "domain", phrase="discrepancy of a single loss", informed_by="compute"
    )
    tau: dist.Distribution = prior(
        lambda: dist.LogNormal(-2.5, 0.5),
        "losses of families differ by 8%, 3 to 20%; a spread of zero would be an artefact of few families",
        site(phrase="spread of families in losses", informed_by="families"),
    )
    level_f: ClassVar[Site] = site(
        "family", "domain", phrase="losses of single families", informed_by="losses"
    )
    log_L: ClassVar[Site] = site(
        "model", "domain", phrase="logs of expected losses", expects="loss"
    )
    loss: ClassVar[Site] = site("loss_obs", phrase="logs of observed losses")

    # step 2
    b: dist.Distribution = prior(
        lambda: dist.Normal(0.0, 0.5),
        "at the median loss the score is near its median, with an sd of half a logit",
        site("benchmark", phrase="accuracy at the median loss", informed_by="scores"),
    )
    omega: dist.Distribution = prior(
        lambda: dist.LogNormal(-1.6, 0.5),
        "at equal loss the abilities of families differ by 0.2 of a logit, 0.08 to 0.5",
        site(phrase="spread of families in accuracy", informed_by="families"),
    )
    b_f: ClassVar[Site] = site(
        "family", "benchmark", phrase="accuracy of single families", informed_by="scores"
    )
    slope: dist.Distribution = prior(
        lambda: dist.Normal(2.0, 0.5),
        "log of a typical slope: a loss lower by a tenth adds 0.3 to 2 logits",
        site(phrase="log slope of ability in the loss, typical benchmark", informed_by="scores"),
    )
    spread: dist.Distribution = prior(
        lambda: dist.LogNormal(-1.0, 0.5),
        "slopes of domains and benchmarks differ by a third, 14 to 100%",
        site("input", phrase="spread of slopes over losses", informed_by="domains"),
    )
    slope_spread: ClassVar[Site] = site(
        phrase="spread of log slopes over benchmarks", informed_by="more benchmarks"
    )
    log_k: ClassVar[Site] = site(
        "benchmark",
        phrase="log slope of ability in the loss, by benchmark",
        informed_by="range of scores",
    )
    h: dist.Distribution = prior(
        lambda: dist.LogNormal(-3.0, 0.7),
        "two decades from the middle accuracy deviates from its curve by 0.02 to 0.3 of a logit",
        site(phrase="scale of the discrepancy of accuracy", informed_by="compute"),
    )
    h_at: ClassVar[Site] = site(
        "knot", "benchmark", phrase="discrepancy of accuracy", informed_by="compute"
    )
    phi: dist.Distribution = prior(
        lambda: dist.Beta(2.0, 4.0),
        "models fail on many of the same items: a third of the item sampling is a model's own",
        site(
            phrase="share of item sampling that models do not have in common", informed_by="models"
        ),
    )
    sigma: dist.Distribution = prior(
        lambda: dist.LogNormal(-6.0, 0.5),
        "repeated evaluations with one code base agree within a quarter point",
        site("benchmark", phrase="noise between evaluations", informed_by="extreme scores"),
    )
    delta: dist.Distribution = prior(
        lambda: dist.LogNormal(-3.5, 0.8),
        "run-to-run variation on one benchmark: 0.006 to 0.15 of a logit",
        site("benchmark", phrase="deviations of models on one benchmark", informed_by="models"),
    )
    nu: dist.Distribution = prior(
        lambda: dist.LogNormal(-3.0, 0.5),
        "an effect shared by the checkpoints of a run: 0.02 to 0.13 of a logit",
        site(
            "benchmark",
            phrase="spread of run effects shared by checkpoints",
            informed_by="checkpoints",
        ),
    )
    z_run: ClassVar[Site] = site(
        "run",
        "benchmark",
        phrase="effects of single runs, shared by checkpoints",
        informed_by="checkpoints",
    )
    undecayed: dist.Distribution = prior(
        lambda: dist.Normal(0.0, 0.3),
        "a checkpoint under training differs from a finished run of equal loss by up to 0.6 of a logit",
        site("benchmark", phrase="shift of checkpoints under training", informed_by="checkpoints"),
    )

    def coords(self) -> dict[str, list[str]]:
        """Labels of the knots of a discrepancy."""
        return {"knot": [f"{side}{k:g}" for side in "+-" for k in KNOTS]}

    def check(self, design: Design) -> None:
        """Check that runs have one model each, unless checkpoints are modelled."""
        super().check(design)
        if len(design.labels("run")) < len(design.labels("model")) and not self.checkpoints:
            raise ValueError(
                "the observations hold several checkpoints of one run, whose errors are correlated: choose "
                "checkpoints=True, or keep the last checkpoint of each run"
            )

    def __call__(self, design: Design) -> None:
        """Run the generative model; the docstring of the law's module has the equations."""
        log_d, middle = log_tokens(design), design.reference.middle
        compute = design.log_params + log_d + design.log_per_nd - middle[2]
        inputs = jnp.stack([design.log_params - middle[0], log_d - middle[1]], axis=-1)
        place = Place(inputs, compute, away(compute / np.log(10.0))[0])
        losses = self._losses(design, self._curve(design, place), place)
        if design.labels("benchmark"):
            self._scores(design, driving_losses(design, losses), place)

    def _curve(self, design: Design, place: Place) -> Curve:
        """Step 1: the curves of log losses over inputs, with family effects."""
        raise NotImplementedError

    def _scores(self, design: Design, losses: DrivingLosses, place: Place) -> None:
        """Step 2: scores as functions of losses; registers mu and score."""
        raise NotImplementedError

    def _losses(self, design: Design, curve: Curve, place: Place) -> Noisy:
        """Sample levels and deviations; return the distribution of the logs of losses."""
        n_domain = len(design.labels("domain"))
        with plate("domain", n_domain):
            level, s, t = sample("level", self.level), sample("s", self.s), sample("t", self.t)
        tau = sample("tau", self.tau)
        with plate("family", design.lineage.shape[0], dim=-2), plate("domain", n_domain, dim=-1):
            level_f = sample("level_f", dist.Normal(level, tau))
        # run effects and the shared discrepancy act like more or less compute, on all losses at once
        kappa, G = sample("kappa", self.kappa), sample("G", self.G)
        with plate("model", design.final.shape[0]):
            tame = sample("tame", self.tame)
        more = bends("G_at", G, design, place)[:, None] * curve.slope
        left_out = more + bends("g_at", t, design, place, "domain")
        expected = deterministic(
            "log_L",
            design.reference.log_loss0 + level_f[design.family] + curve.log_loss + left_out,
        )
        cell = design.loss_model, design.loss_domain
        fitted = jnp.asarray(design.loss_observed) & jnp.asarray(design.final)[cell[0]]
        sd = jnp.broadcast_to(s * curve.noise_factor, expected.shape)
        of_run = kappa / jnp.sqrt(tame)[:, None] * curve.slope * curve.noise_factor
        shared = jnp.broadcast_to(of_run, (1, *expected.shape))
        losses = Noisy(expected, sd, shared, cell, fitted)
        sample("loss", losses, obs=design.log_loss)
        return losses

    def _intercepts(self, design: Design) -> Array:
        """Ability at the loss L0, near the ability of the median score, shape (model, benchmark)."""
        n_benchmark = len(design.labels("benchmark"))
        with plate("benchmark", n_benchmark):
            b = sample("b", self.b)
        omega = sample("omega", self.omega)
        with (
            plate("family", design.lineage.shape[0], dim=-2),
            plate("benchmark", n_benchmark, dim=-1),
        ):
            b_f = sample("b_f", dist.Normal(b, omega))
        intercepts = logit(design.reference.typical) + b_f[design.family]
        gamma = self.covariate_effects(design)
        return intercepts if gamma is None else intercepts + design.covariates @ gamma

    def _left_out(self, design: Design, decades: Array) -> tuple[Array, Array]:
        """Discrepancy of step 2 with the effects of checkpoints, and the derivative of the discrepancy in decades.

        Args:
            design: The data.
            decades: Distance from the middle, shape (model, benchmark) or (model, 1).
        """
        n_benchmark, scale = len(design.labels("benchmark")), sample("h", self.h)
        with plate("knot", 2 * len(KNOTS), dim=-2), plate("benchmark", n_benchmark, dim=-1):
            at = scale * sample("h_at", dist.Normal(0.0, 1.0))
        left_out, slope = ((basis * at.T).sum(axis=-1) for basis in away(decades))
        if not self.checkpoints:
            return left_out, slope
        with plate("benchmark", n_benchmark):
            nu, undecayed = sample("nu", self.nu), sample("undecayed", self.undecayed)
        with (
            plate("run", len(design.labels("run")), dim=-2),
            plate("benchmark", n_benchmark, dim=-1),
        ):
            z = sample("z_run", dist.Normal(0.0, 1.0))
        under_training = jnp.where(design.final[:, None], 0.0, undecayed)
        return left_out + nu * z[design.run] + under_training, slope

    def _slopes_of_losses(self, design: Design) -> Array:
        """Slopes k of ability in relative loss, in logits, shape (benchmark,)."""
        typical, spread = sample("slope", self.slope), sample("slope_spread", self.spread)
        with plate("benchmark", len(design.labels("benchmark"))):
            return jnp.exp(sample("log_k", dist.Normal(typical, spread)))
