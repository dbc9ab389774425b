r"""FLP-M: total and domain FLOPs to the losses of several domains, and these to performance.

With model i of family f, loss domain m, data source k, benchmark j, C the training FLOPs, w_ik the share
of source k in the mixture, C_im = v_im C the FLOPs that go to domain m, and u = log10(C/C0) from the
middle of the models that the fit has seen:

    v_im     = w_im + sum_{k not m} T_mk w_ik                               what the mixture holds for m
    log L_im = c_fm - a1_m log(C_i/C0) - a2_m log(C_im/C0)                  stage 1, at u = 0
    log y_im ~ Normal(log L_im - f_m (G(u_i) + xi_i) + g_m(u_i), s_m^2 exp(2 psi u_i))

    eta_ij   = b_fj - k_j sum_m p_jm (y_im / L0_m - 1) + h_j(u_i)           stage 2, p_j on the simplex
    mu_ij    = gamma_j + (1 - gamma_j) link_j(eta_ij)

The paper has T = 0: a domain learns from its own tokens only. Then a mixture without a domain has an
infinite loss there. Here every source teaches every domain something, T_mk of what the domain's own
tokens would (ours). How much a mixture matters may change with scale: the log of v_im counts exp(rho_m
u) times (ours). `a1 + a2` is how
a loss falls with compute while the mixture stays, which is what is sampled; `a1` follows.

Performance falls with every loss: p_j says which ones count. `scores="network"` is the paper's choice
instead, a network with one hidden layer, which may rise with a loss. What the curves leave out, xi and
checkpoints are as in `Ladder`.

The domain law, `domain_law` below, is our reading of the paper, whose printed form we have not compared. The
posterior's `T` is T_mk / `transfer`, of which entries of a domain's own source play no part.
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
from scalebayes.model.sites import Site, prior, site
from scalebayes.model.specification import register
from scalebayes.model.two_steps import Curve, Drive, TwoSteps

if TYPE_CHECKING:
    from jax import Array

    from scalebayes.model.design import Design
    from scalebayes.model.discrepancy import Place


def domain_law(c: Array, log_share: Array, a1: Array, a2: Array) -> Array:
    """The log of a domain's loss, up to its level: -a1 log C - a2 log C_m.

    Args:
        c: Log of total FLOPs, shape (model, 1).
        log_share: Log of the share that goes to the domain, shape (model, domain).
        a1: Exponent of total FLOPs, shape (domain,).
        a2: Exponent of the domain's FLOPs, shape (domain,).
    """
    return -a1 * c - a2 * (c + log_share)


@register
@dataclass(frozen=True, kw_only=True)
class FlpM(TwoSteps):
    """Total and domain FLOPs to domain losses to performance.

    Every model needs its mixture. Performance may be left out: without scores the law is of losses.

    Attributes:
        scores: `monotone`, performance falls with every loss, or a `network` of the losses.
        hidden: Hidden units of the network.
        checkpoints: Whether models of one run are checkpoints of it.
        floor: `learned` around the chance level, or `known`, the chance level itself.
        ceiling: `one`, or `learned`.
        link: `logistic`, or `monotone` with one trainable bend a benchmark.
    """

    story: ClassVar[str] = __doc__ or ""
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
        "weights of a mixture tell a loss to one percent or so, 0.3 to 4",
        site("domain", phrase="noise of single losses", informed_by="losses"),
    )
    t: dist.Distribution = prior(
        lambda: dist.LogNormal(-3.5, 0.5),
        "two decades away a domain has left its power law by 2 to 13 percent: there is no E to bend it",
        site(
            "domain", phrase="scale of what the curve of one loss leaves out", informed_by="compute"
        ),
    )
    fall: dist.Distribution = prior(
        lambda: dist.Normal(-2.6, 0.5),
        "twice the FLOPs take 5% off a typical loss, 2 to 13%",
        site(phrase="typical steepness of losses", informed_by="compute"),
    )
    spread: dist.Distribution = prior(
        lambda: dist.LogNormal(-1.0, 0.5),
        "domains and benchmarks differ in slopes by a third",
        site(phrase="spread of steepness over losses", informed_by="domains"),
    )
    log_fall: ClassVar[Site] = site("domain", phrase="steepness of a loss", informed_by="compute")
    a1: ClassVar[Site] = site("domain", phrase="exponent of total FLOPs")
    a2: dist.Distribution = prior(
        lambda: dist.Normal(-2.3, 0.7),
        "log of a typical a2: twice the weight of a domain takes 7% off its loss, 2 to 25%",
        site(phrase="typical exponent of a domain's own FLOPs", informed_by="mixtures"),
    )
    spread_a2: ClassVar[Site] = site(phrase="spread of that over losses", informed_by="domains")
    log_a2: ClassVar[Site] = site(
        "domain", phrase="exponent of a domain's own FLOPs", informed_by="mixtures"
    )
    transfer: dist.Distribution = prior(
        lambda: dist.LogNormal(-3.0, 1.0),
        "mean of T: a foreign token teaches a twentieth of an own one, 0.007 to 0.35",
        site(phrase="what a foreign token teaches", informed_by="mixtures"),
    )
    T_root: ClassVar[Site] = site(
        "domain", "source",
        phrase="transfer from a source to a domain, its size", informed_by="mixtures", even=True,
    )  # fmt: skip
    T: ClassVar[Site] = site("domain", "source", phrase="transfer over its mean")
    rho: dist.Distribution = prior(
        lambda: dist.Normal(0.0, 0.1),
        "ten times the compute leaves a2 within 20%",
        site(phrase="how the effect of a mixture changes with compute", informed_by="mixtures"),
    )
    spread_rho: dist.Distribution = prior(
        lambda: dist.LogNormal(-2.3, 0.5),
        "domains differ in that by a tenth",
        site(phrase="spread of that over losses", informed_by="domains"),
    )
    z_rho: ClassVar[Site] = site(
        "domain", phrase="that change for a loss, from the typical", informed_by="mixtures"
    )
    psi: dist.Distribution = prior(
        lambda: dist.Normal(0.0, 0.2),
        "and the noise within 40%: small runs may be noisier",
        site(phrase="how noise changes with compute", informed_by="compute"),
    )
    slope: dist.Distribution = prior(
        lambda: dist.Normal(2.0, 0.5),
        "log of a typical slope: a tenth off all losses adds 0.3 to 2 logits",
        site(phrase="what a loss is worth on a typical benchmark", informed_by="scores"),
    )
    uneven: dist.Distribution = prior(
        lambda: dist.LogNormal(0.0, 0.5),
        "spread of log importance: one domain counts a few times as much as another",
        site(phrase="how unevenly losses count", informed_by="more benchmarks"),
    )
    z_p: ClassVar[Site] = site(
        "benchmark", "domain", phrase="which losses count on a benchmark", informed_by="scores"
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
        "a hidden unit of the network is worth up to two logits",
        site(
            "benchmark", "hidden",
            phrase="network: weights of units", informed_by="scores", exchangeable=True,
        ),
    )  # fmt: skip

    def __post_init__(self) -> None:
        """Refuse choices that mean nothing."""
        super().__post_init__()
        if self.hidden < 1:
            raise ValueError(f"a network needs at least one hidden unit, got hidden={self.hidden}")

    def coords(self) -> dict[str, list[str]]:
        """Labels of the hidden units and the knots of a discrepancy."""
        return {**super().coords(), "hidden": [f"hidden {i + 1}" for i in range(self.hidden)]}

    def check(self, design: Design) -> None:
        """Refuse observations without mixtures."""
        super().check(design)
        if not design.labels("source"):
            raise ValueError(
                f"{type(self).__name__} needs the mixture of every model, but the observations hold none: give "
                "mixtures, or choose Flp"
            )

    def _curve(self, design: Design, place: Place) -> Curve:
        """The domain law, zero in the middle at an even mixture."""
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
            # most sources teach next to nothing: T / transfer ~ Gamma(1/2, 1/2), whose root is smooth at 0
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

    def _scores(self, design: Design, losses: Drive, place: Place) -> None:
        """Performance from several losses."""
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
        """Abilities that fall with every loss, (model, benchmark), and slopes (benchmark, model, domain)."""
        k, uneven = self._worth_of_losses(design), sample("uneven", self.uneven)
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
        # a tenth off every loss moves a unit by one
        U = 10.0 / np.sqrt(n_domain) * U
        unit = jnp.tanh(jnp.einsum("jhm,im->jih", U, x) + U0[:, None])
        steep = jnp.einsum("jh,jih,jhm->jim", V, 1 - unit**2, U)
        return jnp.einsum("jh,jih->ij", V, unit), steep
