"""Pictures, one file a question; they receive tables only, and start no backend when imported."""

from scalebayes.plots.intervals import interval_panels, intervals

__all__ = ["interval_panels", "intervals"]
