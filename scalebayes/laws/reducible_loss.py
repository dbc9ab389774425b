r"""ReducibleLoss: scores from the reducible loss that size and tokens imply, without losses being measured.

Hoffmann et al. fit the pre-training loss as L(N, D) = E + A / N^alpha + B / D^beta. Only the reducible part depends
on the model. Here ability is a line in minus its logarithm:

    x_i    = -log(exp(rho) (N_i/N0)^-alpha + (D_i/D0)^-beta) / unit + constant, zero at (N0, D0)
    eta_ij = a_fj + B_j (x_i - x_f) + sum_q (c_iq - c_fq) Gamma_qj                  ability; c are covariates, if any
    a_f    ~ Normal(b + B x_f + c_f Gamma, nu^2 B B' + diag(omega)^2)               families
    B_j    ~ Normal(m, s^2)                                                         slopes of benchmarks
    mu_ij  = gamma_j + (u_j - gamma_j) link_j(eta_ij)                               expected score
    y_ij   ~ Normal(mu_ij + mu'_ij B_j kappa t_i, sd_ij),   t_i ~ Normal(0, 1)      observed score

x_f is x at the mean inputs of family f. Size alone, or tokens alone, have diminishing returns: the other term of the
loss stays. A line in log C knows nothing of this. The exponents and rho, the log ratio of the two terms at (N0, D0),
have priors around the published fit, and one value for all families and benchmarks.

Families differ in how far their compute goes (nu) and on single benchmarks (omega). Models deviate from their
family's trend likewise (kappa, and delta in sd_ij). Floor, link and noise are those of Sloth. The unit makes a factor
of 4.5 in both size and tokens, a factor of 20 in compute, about one unit of x. All but the form of the loss is ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import jax.numpy as jnp
from numpyro import deterministic, plate, sample
from numpyro import distributions as dist

from scalebayes.model.curves import LOG_UNIT
from scalebayes.model.law import Source
from scalebayes.model.score_law import ScoreLaw, log_tokens
from scalebayes.model.sites import Site, prior, site
from scalebayes.model.specification import register

if TYPE_CHECKING:
    from collections.abc import Callable

    from jax import Array

    from scalebayes.model.design import Design
    from scalebayes.model.reference import Reference

STORY = __doc__ or ""  # in the body of a class, `__doc__` is that of the class

LOG_A, ALPHA, LOG_B, BETA = math.log(406.4), 0.3392, math.log(410.7), 0.2849
"""The fit of Hoffmann et al., appendix D.3: log A, alpha, log B, beta."""

UNIT = (ALPHA + BETA) / 2 * LOG_UNIT
"""Decrease of the log reducible loss for a factor of 4.5 in both size and tokens."""


@register
@dataclass(frozen=True, kw_only=True)
class ReducibleLoss(ScoreLaw):
    """Accuracy from the reducible loss that size and tokens imply, with differences between families.

    Attributes:
        floor: `learned` around the chance level, or `known`, the chance level itself.
        ceiling: `learned`, or `one`.
        link: `monotone` with one trainable bend a benchmark, or `logistic`.

    Example:
        >>> sb.ReducibleLoss().ceiling
        'learned'
    """

    story: ClassVar[str] = STORY
    references: ClassVar[tuple[Source, ...]] = (
        Source(
            "Training compute-optimal large language models", "https://arxiv.org/abs/2203.15556"
        ),
    )

    ceiling: Literal["one", "learned"] = "learned"
    alpha: dist.Distribution = prior(
        lambda: dist.LogNormal(-1.08, 0.2),
        "0.34 as published, 0.23 to 0.51",
        site(phrase="exponent of size", informed_by="inputs"),
    )
    beta: dist.Distribution = prior(
        lambda: dist.LogNormal(-1.26, 0.2),
        "0.28 as published, 0.19 to 0.42",
        site(phrase="exponent of tokens", informed_by="inputs"),
    )
    rho: dist.Distribution = prior(
        lambda: dist.Normal(0.0, 0.7),
        "relative to the published fit, the ratio of the terms of size and tokens is off by a factor of two or less",
        site(phrase="log ratio of the terms of size and tokens", informed_by="inputs"),
    )
    m: dist.Distribution = prior(
        lambda: dist.LogNormal(-0.4, 0.6),
        "20 times the compute adds 0.7 of a logit to a typical benchmark, 0.2 to 2.2",
        site(phrase="slope of a typical benchmark", informed_by="inputs"),
    )
    s: dist.Distribution = prior(
        lambda: dist.LogNormal(-1.2, 0.6),
        "slopes of benchmarks differ by 0.3 of a logit, 0.09 to 1",
        site(phrase="spread of slopes over benchmarks", informed_by="benchmarks"),
    )
    B: ClassVar[Site] = site("benchmark", phrase="slopes", informed_by="inputs")
    b: dist.Distribution = prior(
        lambda: dist.Normal(0.0, 1.5),
        "a typical family of median size scores anywhere between floor and ceiling",
        site("benchmark", phrase="intercept of a typical family", informed_by="families"),
    )
    nu: dist.Distribution = prior(
        lambda: dist.LogNormal(-1.0, 0.7),
        "a family's compute goes as far as three times that of another, 1.3 to 87 times",
        site(phrase="spread of families, in units of x", informed_by="families"),
    )
    typical: dist.Distribution = prior(
        lambda: dist.LogNormal(-1.0, 0.7),
        "beyond this families differ on a benchmark by a third of a logit, 0.09 to 1.5",
        site(phrase="spread of families on a typical benchmark", informed_by="families"),
    )
    omega: ClassVar[Site] = site(
        "benchmark", phrase="spread of families on one benchmark", informed_by="families"
    )
    a: ClassVar[Site] = site("family", "benchmark", phrase="intercepts of single families")
    d: ClassVar[Site] = site(
        "family", "benchmark", phrase="intercepts of single families", informed_by="scores"
    )
    kappa: dist.Distribution = prior(
        lambda: dist.LogNormal(-2.3, 0.7),
        "deviations of models equal a change of compute by a third, 8% to a factor of 3.4",
        site(phrase="deviations of models, in units of x", informed_by="models"),
    )
    delta: dist.Distribution = prior(
        lambda: dist.LogNormal(-2.0, 0.7),
        "variation of models that size, tokens and family do not explain: 0.03 to 0.5 of a logit",
        site("benchmark", phrase="deviations of models on one benchmark", informed_by="models"),
    )
    sigma: dist.Distribution = prior(
        lambda: dist.LogNormal(-4.6, 0.7),
        "prompts and harness versions change a score by a point, 0.3 to 4",
        site("benchmark", phrase="noise between evaluations", informed_by="extreme scores"),
    )

    def __call__(self, design: Design) -> None:
        """Run the generative model; the module's docstring has the equations."""
        n_family, n_benchmark = design.lineage.shape[0], design.chance.shape[0]
        exponents = {name: sample(name, getattr(self, name)) for name in ("alpha", "beta", "rho")}
        x_of = self.x(design.reference, **exponents)
        x = x_of(design.log_params, log_tokens(design))
        x_f = x_of(design.centre[:, 0], design.centre[:, 1])

        m, s = sample("m", self.m), sample("s", self.s)
        nu, typical = sample("nu", self.nu), sample("typical", self.typical)
        with plate("benchmark", n_benchmark):
            b = sample("b", self.b)
            B = sample("B", dist.Normal(m, s))
            omega = sample("omega", dist.LogNormal(jnp.log(typical), 0.4))
        mean = b + x_f[:, None] * B
        effects = (x - x_f[design.family])[:, None] * B
        gamma = self.covariate_effects(design)
        if gamma is not None:
            c_f = design.covariate_centre
            mean = mean + c_f @ gamma
            effects = effects + (design.covariates - c_f[design.family]) @ gamma

        to_score = self.response(design)
        # a_f is sampled relative to its family's own level of scores
        at = to_score.ability(design.level)
        root = jnp.linalg.cholesky(nu**2 * jnp.outer(B, B) + jnp.diag(omega**2))
        with plate("family", n_family):
            d = sample("d", dist.MultivariateNormal(mean - at, scale_tril=root))
        a = deterministic("a", at + d)
        self.observe(
            a[design.family] + effects, to_score, design, sample("kappa", self.kappa) * B[None]
        )

    @staticmethod
    def x(
        reference: Reference, *, alpha: Array, beta: Array, rho: Array
    ) -> Callable[[Array, Array], Array]:
        """The input x as a function of log N and log D, zero at the reference size and tokens.

        Args:
            reference: Centring constants, which have log N0 and log D0.
            alpha: Exponent of size.
            beta: Exponent of tokens.
            rho: Log ratio of the terms of size and tokens at (N0, D0), relative to the published fit.
        """
        log_n0, log_d0 = reference.log_n0, reference.log_d0
        ratio = rho + LOG_A - ALPHA * log_n0 - LOG_B + BETA * log_d0

        def x(log_n: Array, log_d: Array) -> Array:
            loss = jnp.logaddexp(ratio - alpha * (log_n - log_n0), -beta * (log_d - log_d0))
            return (jnp.logaddexp(ratio, 0.0) - loss) / UNIT

        return x
