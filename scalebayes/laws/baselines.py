"""Laws without skills, one benchmark at a time: what Sloth is compared with.

With inputs x_i of model i in family f, and benchmark j:

    eta_ij = b_j + a_fj + sum_p x_ip beta_pj,    a_fj ~ Normal(0, omega_j^2)

and the same floor, ceiling, link and noise as Sloth. `SharedIntercept` has log C alone and no a,
`FamilyIntercept` has log C and a, `SizeAndTokens` has size, tokens and their product, and a.

References:
    How predictable is language model benchmark performance? https://arxiv.org/abs/2401.04757
    Observational scaling laws and the predictability of language model performance,
    https://arxiv.org/abs/2405.10938
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import jax.numpy as jnp
from numpyro import distributions as dist
from numpyro import plate, sample

from scalebayes.model.law import check, prior
from scalebayes.model.response import inputs, observe, response

if TYPE_CHECKING:
    import numpy as np

    from scalebayes.model.design import Design


@dataclass(frozen=True)
class SharedIntercept:
    """Accuracy from training compute alone, all families alike (Owen).

    Attributes:
        floor: `learned` around the chance level, or `known`, the chance level itself.
        ceiling: `one`, or `learned`.
        link: `monotone` with one trainable bend a benchmark, or `logistic`.
    """

    floor: Literal["learned", "known"] = "learned"
    ceiling: Literal["one", "learned"] = "one"
    link: Literal["monotone", "logistic"] = "monotone"

    b: dist.Distribution = prior(
        lambda: dist.Normal(0.0, 1.5),
        "a typical family at the median size scores anywhere between floor and ceiling",
    )
    beta: dist.Distribution = prior(
        lambda: dist.Normal(0.0, 1.0), "a factor of 4.5 in an input moves a score by a logit or so"
    )
    omega: dist.Distribution = prior(
        lambda: dist.HalfNormal(1.0), "families differ on a benchmark by a logit or so"
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
    sigma: dist.Distribution = prior(
        lambda: dist.LogNormal(-5.0, 0.2),
        "prompts and harness versions move a score by two thirds of a point, 0.5 to 0.9; more is delta's",
    )
    delta: dist.Distribution = prior(
        lambda: dist.LogNormal(-1.5, 0.7),
        "luck and choices that inputs and family do not tell: 0.07 to 0.7 of a logit",
    )

    compute_only: ClassVar[bool] = True
    family_intercepts: ClassVar[bool] = False
    dims: ClassVar[dict[str, tuple[str, ...]]] = {
        "b": ("benchmark",),
        "beta": ("input", "benchmark"),
        "omega": ("benchmark",),
        "a": ("family", "benchmark"),
        "log_d": ("model_without_tokens",),
        "gamma": ("benchmark",),
        "u": ("benchmark",),
        "bend": ("benchmark",),
        "sigma": ("benchmark",),
        "delta": ("benchmark",),
        "mu": ("model", "benchmark"),
        "score": ("score_obs",),
    }

    def __post_init__(self) -> None:
        """Refuse choices that mean nothing."""
        check(self)

    def coords(self) -> dict[str, list[str]]:
        """Labels of the inputs."""
        return {"input": ["compute"]} if self.compute_only else {}

    def reflection(self, design: Design) -> dict[str, np.ndarray]:
        """No mirrored modes."""
        return {}

    def __call__(self, design: Design) -> None:
        """Tell the generative story; the module's docstring has the equations."""
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
        observe(eta, response(design, self), design, self)


@dataclass(frozen=True)
class FamilyIntercept(SharedIntercept):
    """Accuracy from training compute, with an intercept for each family and benchmark."""

    family_intercepts: ClassVar[bool] = True


@dataclass(frozen=True)
class SizeAndTokens(FamilyIntercept):
    """Accuracy from size, tokens and their product, with an intercept for each family and benchmark."""

    compute_only: ClassVar[bool] = False
