"""HeldOut: predictions of scores, or losses, beside their observed values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from scalebayes.data.schema import quoted
from scalebayes.inference.draws import evenly, shares
from scalebayes.prediction.designs import CELL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scalebayes.prediction.designs import Quantity

PLURAL = {"score": "scores", "loss": "losses"}


@dataclass(frozen=True)
class HeldOut:
    """Predictions of scores, or losses, that fits have not seen, beside their observed values.

    `scoring.scores` summarises and judges them.

    Attributes:
        cells: One row a score or loss: fold, model, family, benchmark (for losses: domain), observed,
            distance (decades of training FLOPs past the largest model of its family that the fit has
            seen; NaN for a new family), flops_past and ratio_outside (as in `predict`: how far the model lies
            outside the range of all seen models), family_size (how many models of its family the fit has seen) and
            log_score (log of its predictive density; NaN for losses).
        draws: Joint predictive draws of the rows of a fold, shape (cell, sample).
        folds: One row a fold: fold, n_models, n_scores (for losses: n_losses), log_score (log of the joint
            predictive density of its scores) and its Monte Carlo standard error log_score_se, which is
            unreliable above one half; joint_ess, the effective sample size of `joint`; max_rhat and
            min_ess_bulk of the expected scores and losses, passed (whether the fit passes its checks) and
            verdict. log_score, log_score_se and joint_ess are NaN for losses.
        joint: Joint log density of a fold's scores at each posterior draw, shape (fold, draw); empty for
            losses and for an average.
        of: Whether these are scores or losses. Scores are shares in [0, 1]; losses have the unit of the
            table, nats per token or bits per byte.
    """

    cells: pd.DataFrame
    draws: np.ndarray = field(repr=False)
    folds: pd.DataFrame
    joint: np.ndarray = field(default_factory=lambda: np.empty((0, 0)), repr=False)
    of: Quantity = "score"


def joined(parts: Sequence[HeldOut]) -> HeldOut:
    """Several parts as one, with as many draws as the part with the fewest.

    Other parts are thinned evenly, over all their chains.
    """
    kinds = {part.of for part in parts}
    if len(kinds) != 1:
        raise ValueError(f"expected parts of scores or of losses, got {quoted(sorted(kinds))}")

    def all_draws(name: str) -> np.ndarray:
        each = [getattr(part, name) for part in parts]
        n = min(draws.shape[1] for draws in each)
        return np.concatenate([draws[:, evenly(draws.shape[1], n)] for draws in each])

    cells, folds = (
        pd.concat([getattr(part, name) for part in parts], ignore_index=True)
        for name in ("cells", "folds")
    )
    return HeldOut(cells, all_draws("draws"), folds, all_draws("joint"), parts[0].of)


def mixed(parts: Mapping[str, HeldOut], weights: Mapping[str, float]) -> HeldOut:
    """Predictions of an average of laws: each gives its share of the draws and of the densities.

    Args:
        parts: Predictions of the same scores, or losses, by each law.
        weights: Share of each law, summing to one.

    Raises:
        ValueError: If the laws predict different scores or losses.
    """
    first = next(iter(parts.values()))
    rows = ["fold", *CELL[first.of], "observed"]
    for name, part in parts.items():
        if part.of != first.of or not part.cells[rows].equals(first.cells[rows]):
            raise ValueError(
                f"{name!r} predicts other {PLURAL[first.of]} than {next(iter(parts))!r}"
            )
    columns = shares(weights, {name: part.draws.shape[1] for name, part in parts.items()})
    draws = [part.draws[:, columns[name]] for name, part in parts.items()]
    share = np.array([weights[name] for name in parts])[:, None]

    def density(table: str) -> np.ndarray:
        each = [getattr(part, table)["log_score"].to_numpy() for part in parts.values()]
        return logsumexp(np.stack(each), axis=0, b=share)

    def of_folds(column: str) -> np.ndarray:
        return np.stack([part.folds[column].to_numpy() for part in parts.values()])

    found = density("folds")
    relative = share * np.exp(of_folds("log_score") - found)
    folds = first.folds.assign(
        log_score=found,
        log_score_se=np.sqrt(((relative * of_folds("log_score_se")) ** 2).sum(0)),
        joint_ess=of_folds("joint_ess").min(0),
        max_rhat=of_folds("max_rhat").max(0),
        min_ess_bulk=of_folds("min_ess_bulk").min(0),
        passed=np.all(of_folds("passed"), axis=0).tolist(),
        verdict=[
            "; ".join(f"{k}: {v}" for k, v in zip(parts, own, strict=True))
            for own in of_folds("verdict").T
        ],
    )
    cells = first.cells.assign(log_score=density("cells"))
    return HeldOut(cells, np.concatenate(draws, axis=1), folds, of=first.of)
