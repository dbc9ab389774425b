"""The two steps of a law with losses fitted apart, as the papers do: a cut posterior."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpyro.infer.inspect import get_dependencies

from scalebayes.inference.nuts import Nuts
from scalebayes.inference.sampling import Sampled, Sampler

if TYPE_CHECKING:
    from scalebayes.model.design import Design
    from scalebayes.model.law import Law


@dataclass(frozen=True)
class Staged:
    """A sampler that fits the losses first, and the scores given draws of their own of the rest.

    Losses inform step 1, and the scores of models whose losses were all observed inform step 2. One fit of both
    differs where scores have losses missing, which they then inform.

    Attributes:
        within: The sampler of each stage.
    """

    within: Sampler = field(default_factory=Nuts)

    @property
    def joint(self) -> bool:
        """A cut posterior has no density of its own."""
        return False

    @property
    def x64(self) -> bool:
        """Whether to compute in double precision."""
        return self.within.x64

    def sample(self, law: Law, design: Design, *, seed: int, progress: bool) -> Sampled:
        """Draw step 1 from a fit to the losses alone, and the rest from another; see `Sampler.sample`.

        Raises:
            ValueError: If the law has no losses, or there are none.
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
            + ("" if "loss" not in law.sites else " and there are no losses")
        )
    upstream = get_dependencies(law, (design,))["prior_dependencies"]
    found: set[str] = set()
    todo = set(upstream["loss"])
    while todo:
        found |= todo
        todo = {site for name in todo for site in upstream.get(name, ())} - found
    return found
