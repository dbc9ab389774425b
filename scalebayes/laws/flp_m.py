r"""FLP-M: total and domain FLOPs to the losses of several domains, and these to performance.

With model i of family f, loss domain m, data source k, benchmark j, C the training FLOPs, w_ik the share
of source k in the mixture, C_im = v_im C the FLOPs that go to domain m, and u = log10(C/C0), with
C0 the median over the models of the fit:

    v_im     = w_im + sum_{k not m} T_mk w_ik                               effective share of domain m
    log L_im = c_fm - a1_m log(C_i/C0) - a2_m log(C_im/C0)                  stage 1, at u = 0
    log y_im ~ Normal(log L_im - f_m (G(u_i) + xi_i) + g_m(u_i), s_m^2 exp(2 psi u_i))

    eta_ij   = b_fj - k_j sum_m p_jm (y_im / L0_m - 1) + h_j(u_i)           stage 2, p_j on the simplex
    mu_ij    = gamma_j + (1 - gamma_j) link_j(eta_ij)

The paper has T = 0: the loss of a domain depends on its own tokens only, and is infinite for a mixture
without them. Here a token of source k counts as T_mk tokens of domain m (ours). The effect of the mixture may
change with scale: log v_im is multiplied by exp(rho_m u) (ours). Sampled is `a1 + a2`, the exponent of
compute for a fixed mixture; `a1` is its difference to `a2`.

Performance decreases in every loss, with weights p_j. `scores="network"` is the paper's choice
instead, a network with one hidden layer, which need not be monotone. Discrepancies, run effects xi and
effects of checkpoints are as in `Ladder`.

The domain law, `domain_law` below, is our reading of the paper; we have not compared it with the printed
form. The site `T` is T_mk / `transfer`; entries of a domain's own source are unused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import jax.numpy as jnp
import numpy as np
from jax.nn import softmax
from numpyro import deterministic, plate, sample
from numpyro import distributions as dist

from scalebayes.model.law import Source
from scalebayes.model.losses import Curve
from scalebayes.model.sites import Site, prior, site
from scalebayes.model.specification import register
from scalebayes.model.two_steps import TwoSteps

if TYPE_CHECKING:
    from jax import Array

    from scalebayes.model.design import Design
    from scalebayes.model.discrepancy import Place
    from scalebayes.model.losses import DrivingLosses

STORY = __doc__ or ""  # in the body of a class, `__doc__` is that of the class


def domain_law(c: Array, log_share: Array, a1: Array, a2: Array) -> Array:
    """The log of a domain's loss, up to its level: -a1 log C - a2 log C_m.

    Args:
        c: Log of total FLOPs, shape (model, 1).
        log_share: Log of the domain's effective share, shape (model, domain).
        a1: Exponent of total FLOPs, shape (domain,).
        a2: Exponent of the domain's FLOPs, shape (domain,).
    """
    return -a1 * c - a2 * (c + log_share)


@register
@dataclass(frozen=True, kw_only=True)
class FlpM(TwoSteps):
    """Total and domain FLOPs to domain losses to performance.

    Every model needs its mixture. The table may hold losses only.

    Attributes:
        scores: `monotone`, performance decreases in every loss, or `network`, a network of the losses.
        hidden: Hidden units of the network.
        checkpoints: Whether the table may hold several checkpoints of a run.
        floor: `learned` around the chance level, or `known`, the chance level itself.
        ceiling: `one`, or `learned`.
        link: `logistic`, or `monotone` with one trainable bend a benchmark.

    Example:
        >>> sb.FlpM(scores="network", hidden=2).coords()["hidden"]
        ['hidden 1', 'hidden 2']
    """

    story: ClassVar[str] = STORY
    references: ClassVar[tuple[Source, ...]] = (
        Source(
            "Scaling Laws for Predicting Downstream Performance in LLMs",
            "https://arxiv.org/abs/2410.08527",
        ),
    )

    scores: Literal["monotone", "network"] = "monotone"
    hidden: int = 3

    s: dist.Distribution = prior(
        lambda: dist.LogNormal(-4.5, 0.7),
        "given the mixture a single loss is known to about one percent, 0.3 to 4",
        site("domain", phrase="noise of single losses", informed_by="losses"),
    )
    t: dist.Distribution = prior(
        lambda: dist.LogNormal(-3.5, 0.5),
        "two decades from the middle a loss deviates from its power law by 2 to 13%: the law has no E",
        site("domain", phrase="scale of the discrepancy of a single loss", informed_by="compute"),
    )
    fall: dist.Distribution = prior(
        lambda: dist.Normal(-2.6, 0.5),
        "doubling the FLOPs lowers a typical loss by 5%, 2 to 13%",
        site(phrase="log slope of a typical loss", informed_by="compute"),
    )
    spread: dist.Distribution = prior(
        lambda: dist.LogNormal(-1.0, 0.5),
        "slopes of domains and benchmarks differ by a third",
        site(phrase="spread of log slopes over losses", informed_by="domains"),
    )
    log_fall: ClassVar[Site] = site("domain", phrase="log slope of a loss", informed_by="compute")
    a1: ClassVar[Site] = site("domain", phrase="exponent of total FLOPs")
    a2: dist.Distribution = prior(
        lambda: dist.Normal(-2.3, 0.7),
        "log of a typical a2: doubling the share of a domain lowers its loss by 7%, 2 to 25%",
        site(phrase="log exponent of a domain's own FLOPs, typical domain", informed_by="mixtures"),
    )
    spread_a2: ClassVar[Site] = site(
        phrase="spread of these exponents over losses", informed_by="domains"
    )
    log_a2: ClassVar[Site] = site(
        "domain", phrase="log exponent of a domain's own FLOPs", informed_by="mixtures"
    )
    transfer: dist.Distribution = prior(
        lambda: dist.LogNormal(-3.0, 1.0),
        "mean of T: a token of another source counts as a twentieth of an own token, 0.007 to 0.35",
        site(phrase="mean transfer from other sources", informed_by="mixtures"),
    )
    T_root: ClassVar[Site] = site(
        "domain", "source",
        phrase="root of the relative transfer from a source to a domain", informed_by="mixtures", even=True,
    )  # fmt: skip
    T: ClassVar[Site] = site("domain", "source", phrase="transfer relative to its mean")
    rho: dist.Distribution = prior(
        lambda: dist.Normal(0.0, 0.1),
        "a decade of compute changes the effect of a mixture by up to 20%",
        site(phrase="change of the mixture's effect per decade of compute", informed_by="mixtures"),
    )
    spread_rho: dist.Distribution = prior(
        lambda: dist.LogNormal(-2.3, 0.5),
        "this change differs between domains by a tenth",
        site(phrase="spread of this change over losses", informed_by="domains"),
    )
    z_rho: ClassVar[Site] = site(
        "domain", phrase="this change for a loss, relative to the typical", informed_by="mixtures"
    )
    psi: dist.Distribution = prior(
        lambda: dist.Normal(0.0, 0.2),
        "a decade of compute changes the noise by up to 40%: small runs may be noisier",
        site(phrase="change of log noise per decade of compute", informed_by="compute"),
    )
    slope: dist.Distribution = prior(
        lambda: dist.Normal(2.0, 0.5),
        "log of a typical slope: losses lower by a tenth add 0.3 to 2 logits",
        site(phrase="log slope of ability in the losses, typical benchmark", informed_by="scores"),
    )
    uneven: dist.Distribution = prior(
        lambda: dist.LogNormal(0.0, 0.5),
        "spread of log weights: one domain counts a few times as much as another",
        site(phrase="spread of the log weights of losses", informed_by="more benchmarks"),
    )
    z_p: ClassVar[Site] = site(
        "benchmark", "domain", phrase="log weights of losses on a benchmark", informed_by="scores"
    )
    U: ClassVar[Site] = site(
        "benchmark", "hidden", "domain",
        phrase="network: weights of losses", informed_by="scores", exchangeable=True,
    )  # fmt: skip
    U0: ClassVar[Site] = site(
        "benchmark", "hidden",
        phrase="network: thresholds", informed_by="scores", exchangeable=True,
    )  # fmt: skip
    V: dist.Distribution = prior(
        lambda: dist.Normal(0.0, 1.0),
        "a hidden unit of the network adds up to two logits",
        site(
            "benchmark", "hidden",
            phrase="network: weights of units", informed_by="scores", exchangeable=True,
        ),
    )  # fmt: skip

    def __post_init__(self) -> None:
        """Check the number of hidden units."""
        super().__post_init__()
        if self.hidden < 1:
            raise ValueError(
                f"hidden must be at least 1, for at least one hidden unit, got hidden={self.hidden}"
            )

    def coords(self) -> dict[str, list[str]]:
        """Labels of the hidden units and the knots of a discrepancy."""
        return {**super().coords(), "hidden": [f"hidden {i + 1}" for i in range(self.hidden)]}

    def check(self, design: Design) -> None:
        """Check that the observations hold mixtures."""
        super().check(design)
        if not design.labels("source"):
            raise ValueError(
                f"{type(self).__name__} needs the mixture of every model, but the observations hold none: give "
                "mixtures, or choose Flp"
            )

    def _curve(self, design: Design, place: Place) -> Curve:
        """The domain law, zero at the middle for an even mixture."""
        domains, sources = design.labels("domain"), design.labels("source")
        n_domain = len(domains)
        fall, spread = sample("fall", self.fall), sample("spread", self.spread)
        a2, spread_a2 = sample("a2", self.a2), sample("spread_a2", self.spread)
        rho, spread_rho = sample("rho", self.rho), sample("spread_rho", self.spread_rho)
        with plate("domain", n_domain):
            total = jnp.exp(sample("log_fall", dist.Normal(fall, spread)))
            a2_m = jnp.exp(sample("log_a2", dist.Normal(a2, spread_a2)))
            rho_m = rho + spread_rho * sample("z_rho", dist.Normal(0.0, 1.0))
        deterministic("a1", total - a2_m)
        transfer = sample("transfer", self.transfer)
        with plate("domain", n_domain, dim=-2), plate("source", len(sources), dim=-1):
            # most transfers are near zero: T / transfer ~ Gamma(1/2, 1/2), sampled by its root, smooth at 0
            foreign = sample("T_root", dist.Normal(0.0, 1.0)) ** 2
        deterministic("T", foreign)
        own = np.array([[k == m for k in sources] for m in domains])
        T = jnp.where(own, 1.0, transfer * foreign)
        share = jnp.asarray(design.mixture) @ T.T
        log_share = jnp.log(share) - jnp.log(T.mean(axis=1))  # of an even mixture
        u = place.compute[:, None] / np.log(10.0)
        log_loss = domain_law(
            place.compute[:, None], jnp.exp(rho_m * u) * log_share, total - a2_m, a2_m
        )
        return Curve(log_loss, -total, jnp.exp(sample("psi", self.psi) * u))

    def _scores(self, design: Design, losses: DrivingLosses, place: Place) -> None:
        """Scores as functions of several losses."""
        x = losses.relative - 1
        eta, steep = (
            self._network(design, x) if self.scores == "network" else self._falling(design, x)
        )
        steep = steep * losses.relative  # in log L, shape (benchmark, model, domain)
        of_run = jnp.einsum("kim,jim->kij", losses.shared, steep)
        of_domain = jnp.moveaxis(steep * losses.own, -1, 0).swapaxes(1, 2)
        left_out, _ = self._left_out(design, place.compute[:, None] / np.log(10.0))
        self.observe(
            eta + self._intercepts(design) + left_out,
            self.response(design),
            design,
            shared=jnp.concatenate([of_run, of_domain]),
            items=sample("phi", self.phi),
        )

    def _falling(self, design: Design, x: Array) -> tuple[Array, Array]:
        """Abilities that decrease in every loss, (model, benchmark), and slopes (benchmark, model, domain)."""
        k, uneven = self._slopes_of_losses(design), sample("uneven", self.uneven)
        with (
            plate("benchmark", len(design.labels("benchmark")), dim=-2),
            plate("domain", x.shape[1], dim=-1),
        ):
            z = sample("z_p", dist.Normal(0.0, 1.0))
        steep = -k[:, None] * softmax(uneven * z, axis=-1)
        return x @ steep.T, jnp.broadcast_to(steep[:, None], (len(steep), *x.shape))

    def _network(self, design: Design, x: Array) -> tuple[Array, Array]:
        """Abilities of a network with one hidden layer, and their slopes."""
        n_benchmark, n_domain = len(design.labels("benchmark")), x.shape[1]
        with (
            plate("benchmark", n_benchmark, dim=-2),
            plate("hidden", self.hidden, dim=-1),
        ):
            V = sample("V", self.V)
            U0 = sample("U0", dist.Normal(0.0, 1.0))
        with (
            plate("benchmark", n_benchmark, dim=-3),
            plate("hidden", self.hidden, dim=-2),
            plate("domain", n_domain, dim=-1),
        ):
            U = sample("U", dist.Normal(0.0, 1.0))
        # scaled: losses lower by a tenth change a unit by one
        U = 10.0 / np.sqrt(n_domain) * U
        unit = jnp.tanh(jnp.einsum("jhm,im->jih", U, x) + U0[:, None])
        steep = jnp.einsum("jh,jih,jhm->jim", V, 1 - unit**2, U)
        return jnp.einsum("jh,jih->ij", V, unit), steep
