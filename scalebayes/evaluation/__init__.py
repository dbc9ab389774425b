"""Held-out judgement: predictions beside the truth, scores, calibration, cross-validation, comparison."""
