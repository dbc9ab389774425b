"""Staged: the two steps of a law with losses fitted one after the other, a cut posterior."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpyro.infer.inspect import get_dependencies

from scalebayes.inference.nuts import Nuts
from scalebayes.inference.sampling import Sampled, Sampler

if TYPE_CHECKING:
    from scalebayes.inference.sampling import Judge
    from scalebayes.model.design import Design
    from scalebayes.model.law import Law


@dataclass(frozen=True)
class Staged:
    """A sampler that fits the losses first and the scores second, as the papers do.

    Step 1 is fitted to the losses alone. Step 2 is fitted to the scores of models whose losses were all observed.
    A joint fit also uses scores with missing losses, which then inform step 1.

    Attributes:
        within: The sampler of each stage, such as `Nuts()`.

    Example:
        >>> sb.Staged(sb.Nuts(draws=500)).joint
        False

    References:
        Plummer, Cuts in Bayesian graphical models, https://doi.org/10.1007/s11222-014-9503-z
    """

    within: Sampler = field(default_factory=Nuts)

    @property
    def joint(self) -> bool:
        """False: the draws are from a cut posterior, whose density is unknown."""
        return False

    @property
    def x64(self) -> bool:
        """Whether to compute in double precision."""
        return self.within.x64

    def sample(
        self,
        law: Law,
        design: Design,
        *,
        seed: int,
        progress: bool,
        judge: Judge | None = None,
    ) -> Sampled:
        """Draw the parameters of step 1 given the losses, the others given losses and scores; see `Sampler.sample`.

        Nothing is retried: a check of one stage alone would judge sites that the stage does not fit.

        Raises:
            ValueError: If the law has no losses, or the observations hold none.
        """
        first = _sites_of_losses(law, design)
        n_domain = len(design.labels("domain"))
        n_seen = np.bincount(
            np.asarray(design.loss_model)[np.asarray(design.loss_observed)],
            minlength=len(design.labels("model")),
        )
        complete = (n_seen == n_domain)[np.asarray(design.score_model)]
        scored = np.asarray(design.observed) & complete
        one, two = (
            self.within.sample(law, replace(design, observed=seen), seed=seed, progress=progress)
            for seen in (np.zeros_like(scored), scored)
        )
        return Sampled(
            z={k: (one if k in first else two).z[k] for k in two.z},
            lp=one.lp + two.lp,
            energy=one.energy + two.energy,
            diverging=one.diverging | two.diverging,
            n_steps=np.maximum(one.n_steps, two.n_steps),
            saturated=one.saturated | two.saturated,
            acceptance_rate=np.minimum(one.acceptance_rate, two.acceptance_rate),
            step_size=np.minimum(one.step_size, two.step_size),
        )


def _sites_of_losses(law: Law, design: Design) -> set[str]:
    """Names of the sampled sites on which the losses depend."""
    if "loss" not in law.sites or not design.labels("domain"):
        raise ValueError(
            f"Staged is for laws with losses, but the law is {type(law).__name__}"
            + ("" if "loss" not in law.sites else ", and the observations hold no losses")
        )
    upstream = get_dependencies(law, (design,))["prior_dependencies"]
    found: set[str] = set()
    todo = set(upstream["loss"])
    while todo:
        found |= todo
        todo = {site for name in todo for site in upstream.get(name, ())} - found
    return found
