"""Pictures, one file a question; they receive tables only, and start no backend when imported."""

from scalebayes.plots.calibration import calibration
from scalebayes.plots.identifiability import open_direction, prior_posterior
from scalebayes.plots.intervals import interval_panels, intervals

__all__ = ["calibration", "interval_panels", "intervals", "open_direction", "prior_posterior"]
