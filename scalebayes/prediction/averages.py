"""Average: fits of several laws to one table, whose predictions are mixed."""

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
    """Fits of several laws to one table, whose predictions are mixed.

    `predict`, `predictive_draws`, `held_out`, `trajectory` and the planning functions take it in place of a
    fit: each law gives its share of the draws.

    Attributes:
        fits: The fit of each law to all scores that may be seen.
        weights: Share of each law, summing to one.
        evidence: One row a size held out: params, n_scores, and a column a law with the log of its joint
            predictive density of them; none where the weights came from elsewhere.
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
        """Families of which the laws have seen a score or a loss."""
        return self.parts[0].fit.known_families

    @property
    def seen_models(self) -> pd.DataFrame:
        """Models of which the laws have seen a score or a loss."""
        return self.parts[0].fit.seen_models

    @property
    def n_draws(self) -> int:
        """Number of posterior draws of all laws together."""
        return sum(part.fit.n_draws for part in self.parts)

    def thinned(self, draws: int) -> Average:
        """The same with at most so many draws of each law, evenly spaced."""
        return replace(self, fits={name: fit.thinned(draws) for name, fit in self.fits.items()})
