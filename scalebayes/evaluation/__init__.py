"""Held-out evaluation: predictions beside observed values, scores, calibration, cross-validation, comparison."""

from scalebayes.evaluation.comparison import Comparison, compare
from scalebayes.evaluation.conformal import conformal_prob
from scalebayes.evaluation.cross_validation import cross_validate
from scalebayes.evaluation.heldout import held_out
from scalebayes.evaluation.predictions import HeldOut
from scalebayes.evaluation.scoring import calibration

__all__ = [
    "Comparison",
    "HeldOut",
    "calibration",
    "compare",
    "conformal_prob",
    "cross_validate",
    "held_out",
]
