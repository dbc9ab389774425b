"""Held-out evaluation: predictions beside observed values, scores, calibration, cross-validation, comparison."""
