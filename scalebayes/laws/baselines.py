"""Laws without skills, one benchmark at a time: baselines for Sloth.

With inputs x_i and covariates c_i (if any) of model i in family f, and benchmark j:

    eta_ij = b_j + a_fj + sum_p x_ip beta_pj + sum_q c_iq Gamma_qj,
    a_fj ~ Normal(0, omega_j^2),    Gamma_qj ~ Normal(0, s_q^2)

and the same floor, ceiling, link and noise as Sloth. `SharedIntercept` has log C alone and no a,
`FamilyIntercept` has log C and a, `SizeAndTokens` has size, tokens and their product, and a.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import jax.numpy as jnp
from numpyro import distributions as dist
from numpyro import plate, sample

from scalebayes.model.law import Source
from scalebayes.model.score_law import ScoreLaw, inputs
from scalebayes.model.sites import Site, prior, site
from scalebayes.model.specification import register

if TYPE_CHECKING:
    from scalebayes.model.design import Design

STORY = __doc__ or ""  # in the body of a class, `__doc__` is that of the class


@register
@dataclass(frozen=True, kw_only=True)
class SharedIntercept(ScoreLaw):
    """Accuracy from training compute alone, without differences between families (Owen).

    Attributes:
        floor: `learned` around the chance level, or `known`, the chance level itself.
        ceiling: `one`, or `learned`.
        link: `monotone` with one trainable bend a benchmark, or `logistic`.

    Example:
        >>> sb.SharedIntercept().coords()
        {'input': ['compute']}
    """

    story: ClassVar[str] = STORY
    references: ClassVar[tuple[Source, ...]] = (
        Source(
            "How predictable is language model benchmark performance?",
            "https://arxiv.org/abs/2401.04757",
        ),
        Source(
            "Observational scaling laws and the predictability of language model performance",
            "https://arxiv.org/abs/2405.10938",
        ),
    )
    compute_only: ClassVar[bool] = True
    family_intercepts: ClassVar[bool] = False

    b: dist.Distribution = prior(
        lambda: dist.Normal(0.0, 1.5),
        "a typical family of median size scores anywhere between floor and ceiling",
        site("benchmark", phrase="intercept", informed_by="scores"),
    )
    beta: dist.Distribution = prior(
        lambda: dist.Normal(0.0, 1.0),
        "a factor of 4.5 in an input changes a score by about a logit",
        site("input", "benchmark", phrase="slopes", informed_by="inputs"),
    )
    omega: dist.Distribution = prior(
        lambda: dist.HalfNormal(1.0),
        "families differ on a benchmark by about a logit",
        site("benchmark", phrase="spread of families", informed_by="families"),
    )
    a: ClassVar[Site] = site(
        "family", "benchmark", phrase="intercepts of single families", informed_by="scores"
    )

    def coords(self) -> dict[str, list[str]]:
        """Labels of the inputs."""
        return {"input": ["compute"]} if self.compute_only else {}

    def __call__(self, design: Design) -> None:
        """Run the generative model; the module's docstring has the equations."""
        n_benchmark = design.chance.shape[0]
        x = inputs(design)
        if self.compute_only:
            x = (x[:, 0] + x[:, 1])[:, None] / 2  # log C = log 6 + log N + log D, centred
        with plate("benchmark", n_benchmark):
            b = sample("b", self.b)
        with plate("input", x.shape[1], dim=-2), plate("benchmark", n_benchmark, dim=-1):
            beta = sample("beta", self.beta)
        eta = b + x @ beta
        if self.family_intercepts:
            with plate("benchmark", n_benchmark):
                omega = sample("omega", self.omega)
            n_family = design.lineage.shape[0]
            with plate("family", n_family, dim=-2), plate("benchmark", n_benchmark, dim=-1):
                a = sample("a", dist.Normal(jnp.zeros(()), omega))
            eta = eta + a[design.family]
        gamma = self.covariate_effects(design)
        if gamma is not None:
            eta = eta + design.covariates @ gamma
        self.observe(eta, self.response(design), design)


@register
@dataclass(frozen=True, kw_only=True)
class FamilyIntercept(SharedIntercept):
    """Accuracy from training compute, with an intercept for each family and benchmark.

    Example:
        >>> sb.FamilyIntercept(link="logistic").link
        'logistic'
    """

    family_intercepts: ClassVar[bool] = True


@register
@dataclass(frozen=True, kw_only=True)
class SizeAndTokens(FamilyIntercept):
    """Accuracy from size, tokens and their product, with an intercept for each family and benchmark.

    Example:
        >>> sb.SizeAndTokens(ceiling="learned").ceiling
        'learned'
    """

    compute_only: ClassVar[bool] = False
