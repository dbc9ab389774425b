"""From a law and observations to a posterior: samplers, compiled programs, diagnostics, the fit."""

from scalebayes.inference.diagnostics import ConvergenceWarning
from scalebayes.inference.fitting import fit
from scalebayes.inference.loading import load
from scalebayes.inference.nuts import Nuts
from scalebayes.inference.posterior import Fit
from scalebayes.inference.sampling import Sampled, Sampler
from scalebayes.inference.staged import Staged

__all__ = [
    "ConvergenceWarning",
    "Fit",
    "Nuts",
    "Sampled",
    "Sampler",
    "Staged",
    "fit",
    "load",
]
