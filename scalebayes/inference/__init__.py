"""From a law and observations to a posterior: samplers, compiled programs, diagnostics, the fit."""

from scalebayes.inference.diagnostics import ConvergenceWarning
from scalebayes.inference.fitting import fit
from scalebayes.inference.posterior import Average, Fit, load

__all__ = [
    "Average",
    "ConvergenceWarning",
    "Fit",
    "fit",
    "load",
]
