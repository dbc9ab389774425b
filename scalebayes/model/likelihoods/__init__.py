"""Distributions of observed scores and of the logs of losses. `likelihood` documents what each offers."""

from scalebayes.model.likelihoods.emerging import Emerging
from scalebayes.model.likelihoods.likelihood import Likelihood, Marginal
from scalebayes.model.likelihoods.normal import DEVIATIONS, EDGE, Noisy, score_sd

__all__ = ["DEVIATIONS", "EDGE", "Emerging", "Likelihood", "Marginal", "Noisy", "score_sd"]
