r"""Ladder: parameters and tokens to loss, loss to accuracy, as one posterior.

With model i of family f, loss domain m, benchmark j, n = log(N/N0), d = log(D/D0), and u the
log10 of training FLOPs, all relative to the median over the models of the fit:

    L_im  = E_fm + A_fm exp(-alpha_m n_i) + B_fm exp(-beta_m d_i)           step 1
    log y_im ~ Normal(log L_im - f_m (G(u_i) + xi_i) + g_m(u_i), s_m^2)     observed loss
    xi_i     ~ Student(4, 0, kappa^2)

    eta_ij = b_fj - k_j (y_im / L0_m - 1) + h_j(log y_im)                   step 2, m the domain of j
    mu_ij  = gamma_j + (1 - gamma_j) link_j(eta_ij)                         expected accuracy

The paper fits each step by least squares, one benchmark at a time, and plugs the first into the
second. Here both are one model. Observed losses enter step 2; where a loss is missing, the prediction
of step 1 enters with its uncertainty. Benchmarks and domains share hyperpriors of exponents and
slopes. Families are random effects on the level of a loss, on log A, log B and b.

Discrepancies and run effects are ours. f_m is minus the slope of log L in log C, so that G and xi are in
units of log compute and act on all losses at once. A few runs deviate strongly, hence the heavy tails of
xi. G and g are twice integrated white noise in u, and h in the loss, converted to decades: their standard
deviation grows with the distance from the middle to the power 3/2. Deviations of the small runs from the
curves inform their scales, and the scales determine how far a model a hundred times larger may deviate.

All models are scored on the same items of a benchmark. The part of the sampling of items that models share
belongs to the curve; the share phi that is independent between models is estimated (ours).

Checkpoints of one run (`checkpoints=True`) are not independent. Only the last one enters step 1. All
enter step 2, with a run effect on each benchmark, and with a shift for checkpoints under training: before
its learning rate has decayed, a model scores higher or lower than a finished run of the same loss.
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
    from scalebayes.model.losses import Curve, DrivingLosses

STORY = __doc__ or ""  # in the body of a class, `__doc__` is that of the class


@register
@dataclass(frozen=True, kw_only=True)
class Ladder(OneLoss):
    """Parameters and tokens to loss to accuracy.

    Attributes:
        feature: The loss that drives accuracy: `task`, for each benchmark the domain of its own name,
            or the name of one domain for all.
        inputs: `params_tokens`, size and tokens, or `flops`, training compute.
        checkpoints: Whether the table may hold several checkpoints of a run.
        floor: `learned` around the chance level, or `known`, the chance level itself.
        ceiling: `one`, or `learned`.
        link: `logistic`, or `monotone` with one trainable bend a benchmark.

    Example:
        >>> sb.Ladder(inputs="flops").coords()["input"]
        ['flops']
    """

    story: ClassVar[str] = STORY
    references: ClassVar[tuple[Source, ...]] = (
        Source(
            "Establishing task scaling laws via compute-efficient model ladders",
            "https://arxiv.org/abs/2412.04403",
        ),
    )

    inputs: Literal["params_tokens", "flops"] = "params_tokens"

    fall: dist.Distribution = prior(
        lambda: dist.Normal(-2.3, 0.5),
        "doubling the size, or the tokens, lowers a typical loss by 7%, 2.5 to 18%",
        site("input", phrase="log slope of a typical loss", informed_by="inputs"),
    )
    r: dist.Distribution = prior(
        lambda: dist.Normal(0.0, 0.15),
        "log of alpha / beta: in published optima size grows as compute to the power 0.46 to 0.54",
        site(phrase="log ratio of the exponents of size and tokens", informed_by="compute"),
    )
    spread_r: dist.Distribution = prior(
        lambda: dist.LogNormal(-2.5, 0.5),
        "this ratio differs between domains by 8%, 3 to 20%",
        site(phrase="spread of the ratio over losses", informed_by="domains"),
    )
    z_r: ClassVar[Site] = site(
        "domain",
        phrase="log ratio of the exponents of a loss, relative to the typical",
        informed_by="compute",
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
        """Logs of alpha and beta relative to their geometric mean."""
        if self.inputs == "flops":
            return super()._ratio(n_domain)
        return jnp.array([[0.5], [-0.5]]) * of_domains("r", self.r, self.spread_r, n_domain)

    def _scores(self, design: Design, losses: DrivingLosses, place: Place) -> None:
        """Scores as a sigmoid of one loss."""
        k = self._slopes_of_losses(design)
        eta, shared, own = self._of_one_loss(design, losses, k)
        self.observe(eta, self.response(design), design, shared, own, items=sample("phi", self.phi))
