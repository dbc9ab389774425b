r"""Ladder: parameters and tokens to loss, loss to accuracy, as one posterior.

With model i of family f, loss domain m, benchmark j, n = log(N/N0), d = log(D/D0), and u the
training FLOPs in decades, all from the middle of the models that the fit has seen:

    L_im  = E_fm + A_fm exp(-alpha_m n_i) + B_fm exp(-beta_m d_i)           step 1
    log y_im ~ Normal(log L_im - f_m (G(u_i) + xi_i) + g_m(u_i), s_m^2)     observed loss
    xi_i     ~ Student(4, 0, kappa^2)

    eta_ij = b_fj - k_j (y_im / L0_m - 1) + h_j(log y_im)                   step 2, m the domain of j
    mu_ij  = gamma_j + (1 - gamma_j) link_j(eta_ij)                         expected accuracy

The paper fits each step by least squares, one benchmark at a time, and plugs the first into the
second. Here both are one model. Where a loss was observed it drives step 2, elsewhere step 1 does,
whose uncertainty is then part of the accuracy's. Benchmarks and domains share hyperpriors of
exponents and slopes; families are random effects on the level of a loss, on log A, log B and b.

What the curves leave out is ours. f_m is how much a loss falls with log C, so that G and xi count in
compute: a run, or a scale, is worth more or less of it than the curves say, and shows it in all its
losses; a few runs are far off, hence the heavy tails of xi. G, g and h are twice integrated white noise
away from the middle of the data, in u and in the loss itself, of which a decade of compute is worth so
much: their standard deviation grows as the distance to the power 3/2. How much the small runs bend away
from the curves tells their scales, and these how far from them a model a hundred times larger may lie.

Benchmarks are scored on the same items for all models. The sampling of items that models share is
a part of the curve; the share phi that is each model's own is learned (ours).

Checkpoints of one run (`checkpoints=True`) are not evaluations of different models: the last one is
the model of step 1; all enter step 2, with an effect of their run on each benchmark, and with a shift
of those whose learning rate had not decayed, as a checkpoint under training scores higher or lower
than a finished run of the same loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import jax.numpy as jnp
from numpyro import distributions as dist
from numpyro import sample

from scalebayes.model.law import Source
from scalebayes.model.one_loss import OneLoss, of_domains
from scalebayes.model.sites import Site, prior, site
from scalebayes.model.specification import register

if TYPE_CHECKING:
    from jax import Array

    from scalebayes.model.design import Design
    from scalebayes.model.discrepancy import Place
    from scalebayes.model.two_steps import Curve, Drive


@register
@dataclass(frozen=True, kw_only=True)
class Ladder(OneLoss):
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

    story: ClassVar[str] = __doc__ or ""
    references: ClassVar[tuple[Source, ...]] = (
        Source(
            "Establishing task scaling laws via compute-efficient model ladders",
            "https://arxiv.org/abs/2412.04403",
        ),
    )

    inputs: Literal["params_tokens", "flops"] = "params_tokens"

    fall: dist.Distribution = prior(
        lambda: dist.Normal(-2.3, 0.5),
        "twice the size, or the tokens, takes 7% off a typical loss, 2.5 to 18%",
        site("input", phrase="typical steepness of losses", informed_by="inputs"),
    )
    r: dist.Distribution = prior(
        lambda: dist.Normal(0.0, 0.15),
        "log of alpha / beta: published optima put 46 to 54% of a factor of compute into size",
        site(phrase="log ratio of the exponents of size and tokens", informed_by="compute"),
    )
    spread_r: dist.Distribution = prior(
        lambda: dist.LogNormal(-2.5, 0.5),
        "domains differ in it by a twelfth, 0.03 to 0.2",
        site(phrase="spread of the ratio over losses", informed_by="domains"),
    )
    z_r: ClassVar[Site] = site(
        "domain", phrase="ratio of the exponents of a loss, from the typical", informed_by="compute"
    )
    beta: ClassVar[Site] = site("domain", phrase="exponent of tokens")

    def coords(self) -> dict[str, list[str]]:
        """Labels of the inputs and the knots of a discrepancy."""
        return {
            **super().coords(),
            "input": ["flops"] if self.inputs == "flops" else ["params", "tokens"],
        }

    def _curve(self, design: Design, place: Place) -> Curve:
        """E + A / N^alpha + B / D^beta, or E + A / C^alpha."""
        flops = self.inputs == "flops"
        return self._surface(design, place.compute[:, None] if flops else place.inputs)

    def _ratio(self, n_domain: int) -> Array:
        """Logs of alpha and beta, from their geometric mean."""
        if self.inputs == "flops":
            return super()._ratio(n_domain)
        return jnp.array([[0.5], [-0.5]]) * of_domains("r", self.r, self.spread_r, n_domain)

    def _scores(self, design: Design, losses: Drive, place: Place) -> None:
        """A sigmoid of one loss."""
        k = self._worth_of_losses(design)
        eta, shared, own = self._of_one_loss(design, losses, k)
        self.observe(eta, self.response(design), design, shared, own, items=sample("phi", self.phi))
