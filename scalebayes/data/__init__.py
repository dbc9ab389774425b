"""Tables in: models, scores, losses and mixtures, read, validated and divided into folds."""

from scalebayes.data.covariates import Covariate
from scalebayes.data.folds import Fold, each_family, each_model, each_score, larger
from scalebayes.data.observations import Observations
from scalebayes.data.score_checks import ScoreWarning
from scalebayes.data.validation import ObservationsError

__all__ = [
    "Covariate",
    "Fold",
    "Observations",
    "ObservationsError",
    "ScoreWarning",
    "each_family",
    "each_model",
    "each_score",
    "larger",
]
