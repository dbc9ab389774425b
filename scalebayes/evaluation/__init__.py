"""Held-out evaluation: predictions beside observed values, scores, calibration, cross-validation, comparison."""

from scalebayes.evaluation.comparison import Comparison, compare
from scalebayes.evaluation.conformal import conformal_prob
from scalebayes.evaluation.cross_validation import cross_validate
from scalebayes.evaluation.heldout import held_out
from scalebayes.evaluation.predictions import HeldOut
from scalebayes.evaluation.scoring import calibration
from scalebayes.evaluation.selection import candidates, fit_best

__all__ = [
    "Comparison",
    "HeldOut",
    "calibration",
    "candidates",
    "compare",
    "conformal_prob",
    "cross_validate",
    "fit_best",
    "held_out",
]
