"""pieces: how well one law predicts what is left out, by refits or from the fit itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from scalebayes.data.folds import (
    Fold,
    each_family,
    each_model,
    each_score,
    hidden,
    larger,
    whole_models,
)
from scalebayes.evaluation.leave_one_out import by_importance
from scalebayes.evaluation.refits import by_refits, has_losses, refitter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from scalebayes.data.observations import Observations
    from scalebayes.evaluation.pieces import Pieces
    from scalebayes.inference.posterior import Fit


def pieces(
    fit: Fit,
    by: str,
    keep: Sequence[int] = (1, 2),
    moment_match: bool = True,
    refit: bool = True,
    folder: str | Path | None = None,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Pieces:
    """Predictive densities under one law of all that is left out; for the arguments see `compare`."""
    observations = seen_alone(fit)
    folds = folds_of(observations, by, keep)
    labels = _labels(folds, observations)
    again = refitter(fit, observations, folder, jobs, progress)
    if SPLITS[by].needs_refits(fit):
        return by_refits(folds, labels, again)
    return by_importance(fit, by, folds, labels, moment_match, again if refit else None)


def folds_of(observations: Observations, by: str, keep: Sequence[int]) -> list[Fold]:
    """What is left out at a time; for the other arguments see `compare`."""
    return SPLITS[by].folds(observations, keep)


class Split(NamedTuple):
    """One way to split data into folds.

    Attributes:
        folds: The folds of a table; its second argument is `keep` of `compare`.
        needs_refits: Whether the densities of these folds under a law always come from refits.
    """

    folds: Callable[[Observations, Sequence[int]], list[Fold]]
    needs_refits: Callable[[Fit], bool]


def _models_need_refits(fit: Fit) -> bool:
    """Whether more than the scores of one model goes when it is left out: losses, or a run's checkpoints."""
    return has_losses(fit) or bool(seen_alone(fit).models["run"].duplicated().any())


SPLITS: dict[str, Split] = {
    "larger": Split(larger, lambda _: True),
    "family": Split(lambda table, _: each_family(table), lambda _: True),
    "model": Split(lambda table, _: each_model(table), _models_need_refits),
    "score": Split(lambda table, _: each_score(table), lambda _: False),
}
"""Each value of the argument `by` of `compare`."""


def seen_alone(fit: Fit) -> Observations:
    """The observations of a fit without what it holds out."""
    own = fit.observations
    models = whole_models(fit.held_out)
    own = own.without(models=models) if models else own
    kept = own.scores[~hidden(own.scores, fit.held_out)]
    return own.with_tables(scores=kept)


def _labels(folds: Sequence[Fold], observations: Observations) -> pd.DataFrame:
    """One row a fold: its name, the piece of evidence it belongs to, and how many scores it leaves out."""
    return pd.DataFrame(
        {
            "fold": [fold.name for fold in folds],
            "piece": [fold.piece or fold.name for fold in folds],
            "n_scores": [int(hidden(observations.scores, f.hold_out).sum()) for f in folds],
        }
    )
