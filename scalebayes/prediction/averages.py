"""Average: fits of several laws to one table, with weights for their predictions."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from scalebayes.inference.posterior import Part

if TYPE_CHECKING:
    import pandas as pd

    from scalebayes.data.observations import Observations
    from scalebayes.inference.posterior import Fit


@dataclass(frozen=True)
class Average:
    """Fits of several laws to one table, with weights for their predictions.

    `predict`, `predictive_draws`, `held_out`, `trajectory` and the planning functions accept it in place
    of a fit. They use a share of each law's draws in proportion to its weight.

    Attributes:
        fits: The fit of each law, by name, all to the same scores.
        weights: Weight of each law, summing to one.
        evidence: What the weights rest on, with a column for each law; None if they were supplied. Of `fit_average`,
            one row per held-out size: params, n_scores, and the logs of the joint predictive densities of these scores.
            Of `fit_best`, one row per model: the means of the log predictive densities of its scores.

    Example:
        >>> both = sb.average({"one": fit, "other": fit}, {"one": 0.75, "other": 0.25})
        >>> [(part.name, part.weight) for part in both.parts]
        [('one', 0.75), ('other', 0.25)]
    """

    fits: dict[str, Fit]
    weights: dict[str, float]
    evidence: pd.DataFrame | None = field(default=None, repr=False)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The fits with their weights."""
        return tuple(Part(name, fit, self.weights[name]) for name, fit in self.fits.items())

    @property
    def observations(self) -> Observations:
        """All tables that were given to the fits."""
        return self.parts[0].fit.observations

    @property
    def known_families(self) -> frozenset[str]:
        """Families of the models with a score or a loss in the fits."""
        return self.parts[0].fit.known_families

    @property
    def seen_models(self) -> pd.DataFrame:
        """Models with a score or a loss in the fits, rows of the table of models."""
        return self.parts[0].fit.seen_models

    @property
    def n_draws(self) -> int:
        """Total number of posterior draws over all laws."""
        return sum(part.fit.n_draws for part in self.parts)

    def thinned(self, draws: int) -> Average:
        """Return the average with about `draws` evenly spaced draws of each law."""
        return replace(self, fits={name: fit.thinned(draws) for name, fit in self.fits.items()})
