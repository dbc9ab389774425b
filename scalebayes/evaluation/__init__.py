"""Held-out judgement: predictions beside the truth, scores, calibration, cross-validation, comparison."""

from scalebayes.evaluation.comparison import Comparison, compare
from scalebayes.evaluation.cross_validation import cross_validate
from scalebayes.evaluation.heldout import HeldOut, held_out
from scalebayes.evaluation.scoring import calibration, conformal_prob

__all__ = [
    "Comparison",
    "HeldOut",
    "calibration",
    "compare",
    "conformal_prob",
    "cross_validate",
    "held_out",
]
