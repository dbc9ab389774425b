"""The base of every law with losses in the middle: from curves to losses to abilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logit
from numpyro import deterministic, plate, sample
from numpyro import distributions as dist

from scalebayes.model.discrepancy import KNOTS, Place, away, bends
from scalebayes.model.likelihoods import Noisy
from scalebayes.model.score_law import ScoreLaw, log_tokens
from scalebayes.model.sites import Site, prior, site

if TYPE_CHECKING:
    from jax import Array

    from scalebayes.model.design import Design


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


@dataclass(frozen=True, kw_only=True)
class TwoSteps(ScoreLaw):
    """A law from inputs to losses to accuracy; its parts that do not depend on the curves.

    A law adds the curves: `_curve`, which tells the losses, and `_scores`, which the losses tell. Covariates act
    on accuracy at a given loss.

    Attributes:
        checkpoints: Whether models of one run are checkpoints of it.
        floor: `learned` around the chance level, or `known`, the chance level itself.
        ceiling: `one`, or `learned`.
        link: `logistic`, or `monotone` with one trainable bend a benchmark.
    """

    checkpoints: bool = False
    link: Literal["monotone", "logistic"] = "logistic"

    # step 1
    level: dist.Distribution = prior(
        lambda: dist.Normal(0.0, 0.3),
        "a loss at (N0, D0) is near the median loss of the table",
        site("domain", phrase="level of a loss", informed_by="losses"),
    )
    s: dist.Distribution = prior(
        lambda: dist.LogNormal(-5.5, 0.7),
        "single losses of a run lie within half a percent of the rest",
        site("domain", phrase="noise of single losses", informed_by="losses"),
    )
    kappa: dist.Distribution = prior(
        lambda: dist.LogNormal(-2.3, 0.7),
        "luck and settings of a run are worth a tenth of its compute",
        site(phrase="deviations of runs, in compute", informed_by="losses"),
    )
    tame: dist.Distribution = prior(
        lambda: dist.Gamma(2.0, 2.0),
        "a few runs went wrong: deviations have the tails of Student's t with 4 degrees of freedom",
        site("model", phrase="how far single runs went wrong", informed_by="losses"),
    )
    G: dist.Distribution = prior(
        lambda: dist.LogNormal(-2.2, 0.7),
        "two decades away from the middle compute is worth 4 to 70% more or less than the curves say",
        site(phrase="scale of what the curves leave out, in compute", informed_by="compute"),
    )
    G_at: ClassVar[Site] = site(
        "knot", phrase="what the curves leave out, in compute", informed_by="compute"
    )
    t: dist.Distribution = prior(
        lambda: dist.LogNormal(-6.0, 0.7),
        "there a single loss has left its curve by another 0.1 to 1.6 percent",
        site(
            "domain", phrase="scale of what the curve of one loss leaves out", informed_by="compute"
        ),
    )
    g_at: ClassVar[Site] = site(
        "knot", "domain", phrase="what the curve of one loss leaves out", informed_by="compute"
    )
    tau: dist.Distribution = prior(
        lambda: dist.LogNormal(-2.5, 0.5),
        "families differ by a twelfth in a loss, 0.03 to 0.2; zero is an artefact of few families",
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
        "at the median loss a benchmark scores near its median, up to half a logit off",
        site("benchmark", phrase="accuracy at the median loss", informed_by="scores"),
    )
    omega: dist.Distribution = prior(
        lambda: dist.LogNormal(-1.6, 0.5),
        "families differ by 0.08 to 0.5 of a logit at the same loss",
        site(phrase="spread of families in accuracy", informed_by="families"),
    )
    b_f: ClassVar[Site] = site(
        "family", "benchmark", phrase="accuracy of single families", informed_by="scores"
    )
    slope: dist.Distribution = prior(
        lambda: dist.Normal(2.0, 0.5),
        "log of a typical slope: a tenth off the loss adds 0.3 to 2 logits",
        site(phrase="what a loss is worth on a typical benchmark", informed_by="scores"),
    )
    spread: dist.Distribution = prior(
        lambda: dist.LogNormal(-1.0, 0.5),
        "domains and benchmarks differ in slopes by a third, 14 to 100%",
        site("input", phrase="spread of steepness over losses", informed_by="domains"),
    )
    slope_spread: ClassVar[Site] = site(
        phrase="spread of that over benchmarks", informed_by="more benchmarks"
    )
    log_k: ClassVar[Site] = site(
        "benchmark", phrase="what a loss is worth on a benchmark", informed_by="range of scores"
    )
    h: dist.Distribution = prior(
        lambda: dist.LogNormal(-3.0, 0.7),
        "two decades away from the middle accuracy has left its curve by 0.02 to 0.3 of a logit",
        site(phrase="scale of what the curves of accuracy leave out", informed_by="compute"),
    )
    h_at: ClassVar[Site] = site(
        "knot", "benchmark", phrase="what the curves of accuracy leave out", informed_by="compute"
    )
    phi: dist.Distribution = prior(
        lambda: dist.Beta(2.0, 4.0),
        "models fail on the same items, more or less",
        site(phrase="share of item sampling that is a model's own", informed_by="models"),
    )
    sigma: dist.Distribution = prior(
        lambda: dist.LogNormal(-6.0, 0.5),
        "evaluations of one code base agree within a quarter point",
        site("benchmark", phrase="noise between evaluations", informed_by="extreme scores"),
    )
    delta: dist.Distribution = prior(
        lambda: dist.LogNormal(-3.5, 0.8),
        "luck of a run: 0.006 to 0.15 of a logit",
        site("benchmark", phrase="deviations of models on one benchmark", informed_by="models"),
    )
    nu: dist.Distribution = prior(
        lambda: dist.LogNormal(-3.0, 0.5),
        "what the checkpoints of one run share: likewise",
        site("benchmark", phrase="what checkpoints of a run share", informed_by="checkpoints"),
    )
    z_run: ClassVar[Site] = site(
        "run", "benchmark", phrase="runs, shared by their checkpoints", informed_by="checkpoints"
    )
    undecayed: dist.Distribution = prior(
        lambda: dist.Normal(0.0, 0.3),
        "a checkpoint under training is up to 0.6 of a logit off a finished run of its loss",
        site("benchmark", phrase="shift of checkpoints under training", informed_by="checkpoints"),
    )

    def coords(self) -> dict[str, list[str]]:
        """Labels of the knots of a discrepancy."""
        return {"knot": [f"{side}{k:g}" for side in "+-" for k in KNOTS]}

    def check(self, design: Design) -> None:
        """Refuse checkpoints of one run as if they were runs of their own."""
        super().check(design)
        if len(design.labels("run")) < len(design.labels("model")) and not self.checkpoints:
            raise ValueError(
                "the observations hold several checkpoints of one run, which err together: choose "
                "checkpoints=True, or keep the last of each run"
            )

    def __call__(self, design: Design) -> None:
        """Tell the generative story; the docstring of the law's module has the equations."""
        log_d, middle = log_tokens(design), design.reference.middle
        compute = design.log_params + log_d + design.log_per_nd - middle[2]
        inputs = jnp.stack([design.log_params - middle[0], log_d - middle[1]], axis=-1)
        place = Place(inputs, compute, away(compute / np.log(10.0))[0])
        losses = self._losses(design, self._curve(design, place), place)
        if design.labels("benchmark"):
            self._scores(design, drive(design, losses), place)

    def _curve(self, design: Design, place: Place) -> Curve:
        """Step 1: what size, tokens and family tell of losses."""
        raise NotImplementedError

    def _scores(self, design: Design, losses: Drive, place: Place) -> None:
        """Step 2: what losses tell of scores; registers mu and score."""
        raise NotImplementedError

    def _losses(self, design: Design, curve: Curve, place: Place) -> Noisy:
        """The distribution of the logs of losses around their curves and levels."""
        n_domain = len(design.labels("domain"))
        with plate("domain", n_domain):
            level, s, t = sample("level", self.level), sample("s", self.s), sample("t", self.t)
        tau = sample("tau", self.tau)
        with plate("family", design.lineage.shape[0], dim=-2), plate("domain", n_domain, dim=-1):
            level_f = sample("level_f", dist.Normal(level, tau))
        # a run or a scale that is worth more compute than another shows it in all its losses
        kappa, G = sample("kappa", self.kappa), sample("G", self.G)
        with plate("model", design.final.shape[0]):
            tame = sample("tame", self.tame)
        more = bends("G_at", G, design, place)[:, None] * curve.worth
        left_out = more + bends("g_at", t, design, place, "domain")
        expected = deterministic(
            "log_L",
            design.reference.log_loss0 + level_f[design.family] + curve.log_loss + left_out,
        )
        cell = design.loss_model, design.loss_domain
        fitted = jnp.asarray(design.loss_observed) & jnp.asarray(design.final)[cell[0]]
        sd = jnp.broadcast_to(s * curve.noisier, expected.shape)
        of_run = kappa / jnp.sqrt(tame)[:, None] * curve.worth * curve.noisier
        shared = jnp.broadcast_to(of_run, (1, *expected.shape))
        losses = Noisy(expected, sd, shared, cell, fitted)
        sample("loss", losses, obs=design.log_loss)
        return losses

    def _intercepts(self, design: Design) -> Array:
        """Ability at the loss L0, near that of a median score, shape (model, benchmark)."""
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
        """What the curves of step 2 leave out, with what checkpoints share, and its slope.

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

    def _worth_of_losses(self, design: Design) -> Array:
        """How many logits a loss is worth on each benchmark, k, shape (benchmark,)."""
        typical, spread = sample("slope", self.slope), sample("slope_spread", self.spread)
        with plate("benchmark", len(design.labels("benchmark"))):
            return jnp.exp(sample("log_k", dist.Normal(typical, spread)))


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
