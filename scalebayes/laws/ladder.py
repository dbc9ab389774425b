r"""Ladder: parameters and tokens to loss, loss to accuracy, as one posterior.

With model i of family f, loss domain m, benchmark j, n = log(N/N0), d = log(D/D0), and u the
training FLOPs in decades, all from the middle of the models that the fit has seen:

    L_im  = E_fm + A_fm exp(-alpha_m n_i) + B_fm exp(-beta_m d_i)           step 1
    log y_im ~ Normal(log L_im - f_m (G(u_i) + xi_i) + g_m(u_i), s_m^2)     observed loss
    xi_i     ~ Normal(0, kappa^2)

    eta_ij = b_fj - k_j (y_im / L0_m - 1) + h_j(u_i)                        step 2, m the domain of j
    mu_ij  = gamma_j + (1 - gamma_j) link_j(eta_ij)                         expected accuracy

The paper fits each step by least squares, one benchmark at a time, and plugs the first into the
second. Here both are one model. Where a loss was observed it drives step 2, elsewhere step 1 does,
whose uncertainty is then part of the accuracy's. Benchmarks and domains share hyperpriors of
exponents and slopes; families are random effects on the level of a loss, on log A, log B and b.

What the curves leave out is ours. f_m is how much a loss falls with log C, so that G and xi count in
compute: a run, or a scale, is worth more or less of it than the curves say, and shows it in all its
losses. G, g and h are twice integrated
white noise in u away from the middle of the data: their standard deviation grows as the distance to
the power 3/2. How much the small runs bend away from the curves tells their scales, and these how far
from them a model a hundred times larger may lie.

Benchmarks are scored on the same items for all models. The sampling of items that models share is
a part of the curve; the share phi that is each model's own is learned (ours).

Checkpoints of one run (`checkpoints=True`) are not evaluations of different models: the last one is
the model of step 1; all enter step 2, with an effect of their run on each benchmark, and with a shift
of those whose learning rate had not decayed, as a checkpoint under training scores higher or lower
than a finished run of the same loss.

Reference:
    Establishing task scaling laws via compute-efficient model ladders,
    https://arxiv.org/abs/2412.04403
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logit
from numpyro import deterministic, plate, sample
from numpyro import distributions as dist

from scalebayes import curves
from scalebayes.laws.law import check, prior
from scalebayes.laws.scores import log_tokens, observe, response
from scalebayes.likelihoods import Noisy

if TYPE_CHECKING:
    from jax import Array

    from scalebayes.design import Design

KNOTS = (0.5, 1.5, 2.5, 3.5, 4.5, 5.5)
"""Where the slope of a discrepancy changes, in decades of FLOPs either side of the middle."""


@dataclass(frozen=True)
class Ladder:
    """Parameters and tokens to loss to accuracy.

    Attributes:
        feature: The loss that drives accuracy: `task`, for each benchmark the domain of its own name,
            or the name of one domain for all.
        inputs: `params_tokens`, or `flops`: training compute in place of size and tokens.
        checkpoints: Whether models of one run are checkpoints of it.
        floor: `learned` around the chance level, or `known`, the chance level itself.
        ceiling: `one`, or `learned`.
        link: `logistic`, or `monotone` with one trainable bend a benchmark.
    """

    feature: str = "task"
    inputs: Literal["params_tokens", "flops"] = "params_tokens"
    checkpoints: bool = False
    floor: Literal["learned", "known"] = "learned"
    ceiling: Literal["one", "learned"] = "one"
    link: Literal["monotone", "logistic"] = "logistic"

    level: dist.Distribution = prior(
        lambda: dist.Normal(0.0, 0.3), "a loss at (N0, D0) is near the median loss of the table"
    )
    fall: dist.Distribution = prior(
        lambda: dist.Normal(-2.3, 0.5),
        "twice the size, or the tokens, takes 7% off a typical loss, 2.5 to 18%",
    )
    spread: dist.Distribution = prior(
        lambda: dist.LogNormal(-1.0, 0.5),
        "domains and benchmarks differ in slopes by a third, 14 to 100%",
    )
    e: dist.Distribution = prior(
        lambda: dist.Normal(-0.7, 0.7),
        "no training removes a third of the loss at (N0, D0), 0.11 to 0.67: a logit",
    )
    a: dist.Distribution = prior(
        lambda: dist.Normal(0.0, 0.5), "half of the rest is up to the size, 0.27 to 0.73: a logit"
    )
    spread_share: dist.Distribution = prior(
        lambda: dist.LogNormal(-1.0, 0.5),
        "domains differ in either by a third of a logit, 0.14 to 1",
    )
    s: dist.Distribution = prior(
        lambda: dist.LogNormal(-5.5, 0.7),
        "single losses of a run lie within half a percent of the rest",
    )
    kappa: dist.Distribution = prior(
        lambda: dist.LogNormal(-2.3, 0.7),
        "luck and settings of a run are worth a tenth of its compute",
    )
    G: dist.Distribution = prior(
        lambda: dist.LogNormal(-2.2, 0.7),
        "two decades away from the middle compute is worth 4 to 70% more or less than the curves say",
    )
    t: dist.Distribution = prior(
        lambda: dist.LogNormal(-6.0, 0.7),
        "there a single loss has left its curve by another 0.1 to 1.6 percent",
    )
    tau: dist.Distribution = prior(
        lambda: dist.LogNormal(-2.5, 0.5),
        "families differ by a twelfth in a loss, 0.03 to 0.2; zero is an artefact of few families",
    )
    tau_fall: dist.Distribution = prior(
        lambda: dist.LogNormal(-2.5, 0.5), "and as much in A and B, which say how steeply it falls"
    )
    b: dist.Distribution = prior(
        lambda: dist.Normal(0.0, 0.5),
        "at the median loss a benchmark scores near its median, up to half a logit off",
    )
    slope: dist.Distribution = prior(
        lambda: dist.Normal(2.0, 0.5),
        "log of a typical slope: a tenth off the loss adds 0.3 to 2 logits",
    )
    omega: dist.Distribution = prior(
        lambda: dist.LogNormal(-1.6, 0.5),
        "families differ by 0.08 to 0.5 of a logit at the same loss",
    )
    h: dist.Distribution = prior(
        lambda: dist.LogNormal(-3.0, 0.7),
        "two decades away from the middle accuracy has left its curve by 0.02 to 0.3 of a logit",
    )
    gamma: dist.Distribution | None = prior(
        lambda: None,
        "none: Beta around the known chance level, worth 150 items; Beta(1, 9) where it is unknown",
    )
    u: dist.Distribution = prior(
        lambda: dist.Beta(19.0, 1.0),
        "label errors put some 5% of the room above the floor out of reach",
    )
    bend: dist.Distribution = prior(
        lambda: dist.LogNormal(-0.5, 0.8),
        "logistic, the published link, is well inside; below one where the last errors go slowly",
    )
    phi: dist.Distribution = prior(
        lambda: dist.Beta(2.0, 4.0), "models fail on the same items, more or less"
    )
    sigma: dist.Distribution = prior(
        lambda: dist.LogNormal(-6.0, 0.5),
        "evaluations of one code base agree within a quarter point",
    )
    delta: dist.Distribution = prior(
        lambda: dist.LogNormal(-3.5, 0.8), "luck of a run: 0.006 to 0.15 of a logit"
    )
    nu: dist.Distribution = prior(
        lambda: dist.LogNormal(-3.0, 0.5), "what the checkpoints of one run share: likewise"
    )
    undecayed: dist.Distribution = prior(
        lambda: dist.Normal(0.0, 0.3),
        "a checkpoint under training is up to 0.6 of a logit off a finished run of its loss",
    )

    dims: ClassVar[dict[str, tuple[str, ...]]] = {
        "level": ("domain",),
        "fall": ("input",),
        "spread": ("input",),
        "log_fall": ("input", "domain"),
        "e": (),
        "a": (),
        "spread_share": ("share",),
        "z_share": ("share", "domain"),
        "alpha": ("domain",),
        "beta": ("domain",),
        "s": ("domain",),
        "kappa": (),
        "G": (),
        "G_at": ("knot",),
        "t": ("domain",),
        "g_at": ("knot", "domain"),
        "tau": (),
        "level_f": ("family", "domain"),
        "tau_fall": (),
        "log_fall_f": ("family", "input", "domain"),
        "b": ("benchmark",),
        "slope": (),
        "slope_spread": (),
        "log_k": ("benchmark",),
        "omega": (),
        "b_f": ("family", "benchmark"),
        "h": (),
        "h_at": ("knot", "benchmark"),
        "log_d": ("model_without_tokens",),
        "gamma": ("benchmark",),
        "u": ("benchmark",),
        "bend": ("benchmark",),
        "phi": (),
        "sigma": ("benchmark",),
        "delta": ("benchmark",),
        "nu": ("benchmark",),
        "z_run": ("run", "benchmark"),
        "undecayed": ("benchmark",),
        "log_L": ("model", "domain"),
        "mu": ("model", "benchmark"),
        "loss": ("loss_obs",),
        "score": ("score_obs",),
    }

    def coords(self) -> dict[str, list[str]]:
        """Labels of the inputs, the shares of a loss and the knots of a discrepancy."""
        return {
            "input": ["flops"] if self.inputs == "flops" else ["params", "tokens"],
            "share": ["irreducible"] if self.inputs == "flops" else ["irreducible", "params"],
            "knot": [f"{side}{k:g}" for side in "+-" for k in KNOTS],
        }

    def __post_init__(self) -> None:
        """Refuse choices that mean nothing."""
        check(self)

    def reflection(self, design: Design) -> dict[str, np.ndarray]:
        """No mirrored modes."""
        return {}

    def __call__(self, design: Design) -> None:
        """Tell the generative story; the module's docstring has the equations."""
        if len(design.labels("run")) < len(design.labels("model")) and not self.checkpoints:
            raise ValueError(
                "the observations hold several checkpoints of one run, which err together: choose "
                "checkpoints=True, or keep the last of each run"
            )
        reference, log_d = design.reference, log_tokens(design)
        n, d = design.log_params - reference.middle[0], log_d - reference.middle[1]
        c = design.log_params + log_d + design.log_per_nd - reference.middle[2]
        away = _slopes(c / np.log(10.0))

        inputs = jnp.stack([c] if self.inputs == "flops" else [n, d], axis=-1)
        losses = self._losses(design, inputs, away)
        cell = design.loss_model, design.loss_domain
        seen = jnp.zeros(losses.expected.shape, bool).at[cell].set(design.loss_observed)
        given = losses.given(design.log_loss)  # what a model's observed losses say of the others
        log_loss = jnp.where(seen, given.expected.at[cell].set(design.log_loss), given.expected)

        of_benchmark = self._domain_of_benchmark(design)
        loss = jnp.exp(log_loss - reference.log_loss0)[:, of_benchmark]
        k = self._slopes_of_benchmarks(design)
        eta = self._intercepts(design) - k * (loss - 1) + self._discrepancy(design, away)
        if self.checkpoints:
            eta = eta + self._run_effects(design)

        # where no loss was observed, a deviation of the loss is one of the ability
        own, shared = jnp.where(seen, 0.0, losses.sd), jnp.where(seen, 0.0, given.shared)
        if self.feature != "task":  # the one loss is that of all benchmarks
            own, shared = 0 * own, jnp.concatenate([shared, own[None]])
        observe(
            eta,
            response(design, self),
            design,
            self,
            shared=shared[..., of_benchmark] * k * loss,
            own=own[:, of_benchmark] * k * loss,
            items=sample("phi", self.phi),
        )

    def _losses(self, design: Design, inputs: Array, away: Array) -> Noisy:
        """Step 1: the distribution of the logs of losses."""
        n_domain, n_input = len(design.labels("domain")), inputs.shape[1]
        n_family = design.lineage.shape[0]
        with plate("domain", n_domain):
            level = sample("level", self.level)
            s, t = sample("s", self.s), sample("t", self.t)
        # how steeply log L falls at (N0, D0) is what data tell, what E, A and B are is not: they
        # are sampled as shares of the loss there, and the exponents follow
        with plate("input", n_input):
            fall, spread = sample("fall", self.fall), sample("spread", self.spread)
        with plate("input", n_input, dim=-2), plate("domain", n_domain, dim=-1):
            log_fall = sample("log_fall", dist.Normal(fall[:, None], spread[:, None]))
        typical = [sample("e", self.e)] + ([sample("a", self.a)] if n_input == 2 else [])
        with plate("share", n_input):
            spread_share = sample("spread_share", self.spread_share)
        with plate("share", n_input, dim=-2), plate("domain", n_domain, dim=-1):
            z_share = sample("z_share", dist.Normal(0.0, 1.0))
        share = jax.nn.sigmoid(jnp.stack(typical)[:, None] + spread_share[:, None] * z_share)
        e, a = share[0], share[1] if n_input == 2 else 1.0
        parts = jnp.stack([e, (1 - e) * a, (1 - e) * (1 - a)][: n_input + 1])
        exponent = jnp.exp(log_fall) / parts[1:]
        for name, row in zip(("alpha", "beta"), exponent, strict=False):
            deterministic(name, row)

        tau, tau_fall = sample("tau", self.tau), sample("tau_fall", self.tau_fall)
        with plate("family", n_family, dim=-2), plate("domain", n_domain, dim=-1):
            level_f = sample("level_f", dist.Normal(level, tau))
        with (
            plate("family", n_family, dim=-3),
            plate("input", n_input, dim=-2),
            plate("domain", n_domain, dim=-1),
        ):
            log_fall_f = sample("log_fall_f", dist.Normal(log_fall, tau_fall))
        irreducible = jnp.broadcast_to(e, (n_family, n_domain))
        reducible = parts[1:] * jnp.exp(log_fall_f - log_fall)
        loss0 = irreducible + reducible.sum(axis=1)  # at (N0, D0), where level_f says it all
        f = design.family
        log_surface = jnp.log(
            curves.surface(irreducible[f], reducible[f], exponent, inputs) / loss0[f]
        )
        # a run or a scale that is worth more compute than another shows it in all its losses
        worth = -jnp.exp(log_fall).mean(axis=0)
        kappa, G = sample("kappa", self.kappa), sample("G", self.G)
        with plate("knot", away.shape[1]):
            at = sample("G_at", dist.Normal(0.0, 1.0))
        with plate("knot", away.shape[1], dim=-2), plate("domain", n_domain, dim=-1):
            g = sample("g_at", dist.Normal(0.0, 1.0))
        discrepancy = G * (away @ at)[:, None] * worth + t * (away @ g)
        expected = deterministic(
            "log_L",
            design.reference.log_loss0 + level_f[f] + log_surface + discrepancy,
        )
        cell = design.loss_model, design.loss_domain
        fitted = jnp.asarray(design.loss_observed) & jnp.asarray(design.final)[cell[0]]
        shared = jnp.broadcast_to(kappa * worth, (1, *expected.shape))
        losses = Noisy(expected, jnp.broadcast_to(s, expected.shape), shared, cell, fitted)
        sample("loss", losses, obs=design.log_loss)
        return losses

    def _slopes_of_benchmarks(self, design: Design) -> Array:
        """How many logits a loss is worth, k, shape (benchmark,)."""
        typical, spread = sample("slope", self.slope), sample("slope_spread", self.spread)
        with plate("benchmark", len(design.labels("benchmark"))):
            return jnp.exp(sample("log_k", dist.Normal(typical, spread)))

    def _intercepts(self, design: Design) -> Array:
        """Ability at the loss L0, shape (model, benchmark)."""
        n_benchmark = len(design.labels("benchmark"))
        with plate("benchmark", n_benchmark):
            b = sample("b", self.b)
        omega = sample("omega", self.omega)
        with (
            plate("family", design.lineage.shape[0], dim=-2),
            plate("benchmark", n_benchmark, dim=-1),
        ):
            b_f = sample("b_f", dist.Normal(b, omega))
        return logit(design.reference.typical) + b_f[design.family]

    def _discrepancy(self, design: Design, away: Array) -> Array:
        """What the curves of step 2 leave out, shape (model, benchmark)."""
        scale = sample("h", self.h)
        with (
            plate("knot", away.shape[1], dim=-2),
            plate("benchmark", len(design.labels("benchmark")), dim=-1),
        ):
            return scale * away @ sample("h_at", dist.Normal(0.0, 1.0))

    def _run_effects(self, design: Design) -> Array:
        """What checkpoints of one run share, and the shift of those under training."""
        n_benchmark = len(design.labels("benchmark"))
        with plate("benchmark", n_benchmark):
            nu, undecayed = sample("nu", self.nu), sample("undecayed", self.undecayed)
        with (
            plate("run", len(design.labels("run")), dim=-2),
            plate("benchmark", n_benchmark, dim=-1),
        ):
            z = sample("z_run", dist.Normal(0.0, 1.0))
        return nu * z[design.run] + jnp.where(design.final[:, None], 0.0, undecayed)

    def _domain_of_benchmark(self, design: Design) -> np.ndarray:
        """Position of the loss domain that drives each benchmark, shape (benchmark,)."""
        domains, benchmarks = design.labels("domain"), design.labels("benchmark")
        wanted = benchmarks if self.feature == "task" else (self.feature,) * len(benchmarks)
        if missing := [m for m in dict.fromkeys(wanted) if m not in domains]:
            raise ValueError(
                f"feature {self.feature!r} needs losses on {missing}, but there are losses on "
                f"{list(domains)}: add them, or name one of these as the feature"
            )
        return np.array([domains.index(m) for m in wanted])


def _slopes(u: Array) -> Array:
    """Distance past each knot, on whose sum of squares u^3 / 3 white noise gives a variance."""
    knots = np.array(KNOTS)
    right = jnp.maximum(u[:, None] - knots, 0.0)
    left = jnp.maximum(-u[:, None] - knots, 0.0)
    return jnp.concatenate([right, left], axis=1)
