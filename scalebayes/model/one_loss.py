"""The base of the laws in which one loss drives each benchmark: a surface of losses, and what it drives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from numpyro import deterministic, plate, sample
from numpyro import distributions as dist

from scalebayes.model import curves
from scalebayes.model.sites import Site, prior, site
from scalebayes.model.two_steps import Curve, Drive, TwoSteps

if TYPE_CHECKING:
    from jax import Array

    from scalebayes.model.design import Design


@dataclass(frozen=True, kw_only=True)
class OneLoss(TwoSteps):
    """A law in which losses lie on a surface over the inputs, and one loss drives each benchmark.

    Attributes:
        feature: The loss that drives accuracy: `task`, for each benchmark the domain of its own name,
            or the name of one domain for all.
    """

    feature: str = "task"

    fall: dist.Distribution = prior(
        lambda: dist.Normal(-2.6, 0.5),
        "twice the FLOPs take 5% off a typical loss, 2 to 13%",
        site("input", phrase="typical steepness of losses", informed_by="inputs"),
    )
    log_fall: ClassVar[Site] = site(
        "input", "domain", phrase="steepness of a loss", informed_by="inputs"
    )
    e: dist.Distribution = prior(
        lambda: dist.Normal(-0.7, 0.7),
        "no training removes a third of the loss in the middle, 0.11 to 0.67: a logit",
        site(phrase="irreducible share of a typical loss", informed_by="compute"),
    )
    spread_e: dist.Distribution = prior(
        lambda: dist.LogNormal(-1.0, 0.5),
        "domains differ in it by a third of a logit, 0.14 to 1",
        site(phrase="spread of irreducible shares over losses", informed_by="domains"),
    )
    z_e: ClassVar[Site] = site(
        "domain", phrase="irreducible share of a loss, from the typical", informed_by="compute"
    )
    irreducible_share: ClassVar[Site] = site("domain", phrase="irreducible share of a loss")
    alpha: ClassVar[Site] = site("domain", phrase="exponent of the first input")
    tau_fall: dist.Distribution = prior(
        lambda: dist.LogNormal(-2.5, 0.5),
        "families differ by a twelfth in A and B, which say how steeply a loss falls",
        site(phrase="spread of families in steepness", informed_by="families"),
    )
    log_fall_f: ClassVar[Site] = site(
        "family", "input", "domain", phrase="steepness of single families", informed_by="inputs"
    )

    def drivers(self, design: Design) -> np.ndarray:
        """Position of the loss domain that drives each benchmark, shape (benchmark,).

        Raises:
            ValueError: If there are no losses on such a domain.
        """
        domains, benchmarks = design.labels("domain"), design.labels("benchmark")
        wanted = benchmarks if self.feature == "task" else (self.feature,) * len(benchmarks)
        if missing := [m for m in dict.fromkeys(wanted) if m not in domains]:
            raise ValueError(
                f"feature {self.feature!r} needs losses on {missing}, but there are losses on "
                f"{list(domains)}: add them, or name one of these as the feature"
            )
        return np.array([domains.index(m) for m in wanted])

    def _surface(self, design: Design, inputs: Array, *, irreducible: bool = True) -> Curve:
        """The log of E + sum_p A_p exp(-alpha_p x_p), zero where all x are, with families in log A_p.

        How steeply log L falls in the middle with each input is what data tell; how it divides into E, A, B
        and exponents is not. Sampled are the falls, E as a share of the loss there, and the ratio of the
        exponents; the rest follows.

        Args:
            design: The data.
            inputs: x, one or two of them, shape (model, input).
            irreducible: Whether there is an E.
        """
        n_domain, n_input = len(design.labels("domain")), inputs.shape[1]
        n_family = design.lineage.shape[0]
        with plate("input", n_input):
            fall, spread = sample("fall", self.fall), sample("spread", self.spread)
        with plate("input", n_input, dim=-2), plate("domain", n_domain, dim=-1):
            log_fall = sample("log_fall", dist.Normal(fall[:, None], spread[:, None]))
        e = jnp.zeros(n_domain)
        if irreducible:
            shares = of_domains("e", self.e, self.spread_e, n_domain)
            e = deterministic("irreducible_share", jax.nn.sigmoid(shares))
        ratio = self._ratio(n_domain)
        exponent = jnp.exp(ratio) * jnp.exp(log_fall - ratio).sum(axis=0) / (1 - e)
        A0 = jnp.exp(log_fall) / exponent
        for name, row in zip(("alpha", "beta"), exponent, strict=False):
            deterministic(name, row)

        tau_fall = sample("tau_fall", self.tau_fall)
        with (
            plate("family", n_family, dim=-3),
            plate("input", n_input, dim=-2),
            plate("domain", n_domain, dim=-1),
        ):
            log_fall_f = sample("log_fall_f", dist.Normal(log_fall, tau_fall))
        E = jnp.broadcast_to(e, (n_family, n_domain))
        A = A0 * jnp.exp(log_fall_f - log_fall)
        loss0 = E + A.sum(axis=1)  # in the middle, where level_f says it all
        f = design.family
        curve = jnp.log(curves.surface(E[f], A[f], exponent, inputs) / loss0[f])
        return Curve(curve, -jnp.exp(log_fall).mean(axis=0))

    def _ratio(self, n_domain: int) -> Array:
        """Logs of the ratios of the exponents to their geometric mean, shape (input, domain)."""
        return jnp.zeros((1, n_domain))

    def _of_one_loss(self, design: Design, losses: Drive, k: Array) -> tuple[Array, Array, Array]:
        """Abilities b - k (L/L0 - 1) + h of benchmarks that one loss each drives.

        Args:
            design: The data.
            losses: What drives step 2.
            k: How much ability a loss is worth, shape (benchmark,).

        Returns:
            Abilities (model, benchmark), and their deviations as `observe` takes them: `shared`
            (deviation, model, benchmark) and `own` (model, benchmark).
        """
        of = self.drivers(design)
        relative, per_decade = losses.relative[:, of], design.reference.per_decade[of]
        left_out, slope = self._left_out(design, -jnp.log(relative) / per_decade)
        eta = self._intercepts(design) - k * (relative - 1) + left_out
        steep = k * relative + slope / per_decade  # how fast it falls with log L
        own, shared = losses.own, losses.shared
        if self.feature != "task":  # the one loss is that of all benchmarks
            own, shared = 0 * own, jnp.concatenate([shared, own[None]])
        return eta, shared[..., of] * steep, own[:, of] * steep


def of_domains(
    name: str, typical: dist.Distribution, spread: dist.Distribution, n_domain: int
) -> Array:
    """A parameter that domains share more or less, shape (domain,): sites name, spread_name and z_name."""
    middle, width = sample(name, typical), sample(f"spread_{name}", spread)
    with plate("domain", n_domain):
        return middle + width * sample(f"z_{name}", dist.Normal(0.0, 1.0))
