"""Inference: fits, samplers, compiled programs, convergence diagnostics."""

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
