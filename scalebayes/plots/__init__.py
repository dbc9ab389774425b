"""Pictures, one file a question; they receive tables only, and start no backend when imported."""

from scalebayes.plots.calibration import calibration
from scalebayes.plots.decisions import allocation, target_map
from scalebayes.plots.intervals import interval_panels, intervals

__all__ = ["allocation", "calibration", "interval_panels", "intervals", "target_map"]
