"""Plots of tables. Importing them does not import pyplot, so a backend can still be chosen."""

from scalebayes.plots.calibration import calibration
from scalebayes.plots.curves import curves, two_steps
from scalebayes.plots.decisions import allocation, target_map
from scalebayes.plots.identifiability import open_direction, prior_posterior
from scalebayes.plots.intervals import interval_panels, intervals
from scalebayes.plots.skills import family_effects, loadings, skill_correlations, skill_levels

__all__ = [
    "allocation",
    "calibration",
    "curves",
    "family_effects",
    "interval_panels",
    "intervals",
    "loadings",
    "open_direction",
    "prior_posterior",
    "skill_correlations",
    "skill_levels",
    "target_map",
    "two_steps",
]
