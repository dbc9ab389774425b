"""Folds: the models, or single scores, that are held out to judge a law."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalebayes.data.observations import Observations

Hidden = str | tuple[str, str]
"""A model, held out with all its scores and losses, or one score, by model and benchmark."""


@dataclass(frozen=True)
class Fold:
    """A set of scores and losses to hold out together.

    Attributes:
        name: A phrase for readers, such as "pythia from its smallest size".
        hold_out: The models and single scores that the law does not see.
        piece: The piece of evidence to which it belongs. Folds of one piece predict overlapping scores. By
            default a fold is a piece of its own.
    """

    name: str
    hold_out: tuple[Hidden, ...]
    piece: str = ""


def hidden(table: pd.DataFrame, hold_out: Sequence[Hidden]) -> np.ndarray:
    """Return which rows of a table of scores or losses are held out, shape (row,)."""
    rows = table["model"].isin(whole_models(hold_out)).to_numpy()
    cells = [h for h in hold_out if not isinstance(h, str)]
    if cells and "benchmark" in table:
        rows = rows | pd.MultiIndex.from_frame(table[["model", "benchmark"]]).isin(cells)
    return rows


def whole_models(hold_out: Sequence[Hidden]) -> list[str]:
    """Return the models that are held out with all their scores and losses."""
    return [h for h in hold_out if isinstance(h, str)]


def pairs(scores: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the model and benchmark of each row of a table of scores."""
    return list(scores[["model", "benchmark"]].itertuples(index=False, name=None))


def larger(observations: Observations, keep: Sequence[int] = (1, 2)) -> list[Fold]:
    """Return folds that hold out the larger models of each family in turn.

    Args:
        observations: The tables.
        keep: Numbers of smallest sizes to keep; each gives a fold if the family has more sizes. The folds of
            a family are one piece.
    """
    scored = set(observations.scores["model"])
    measured = observations.models["model"].isin(scored | set(observations.losses["model"]))
    folds = []
    for family, models in observations.models[measured].groupby("family", sort=False):
        sizes = np.unique(models["params"])
        for k in keep:
            if k >= len(sizes):
                continue
            names = models.loc[models["params"] > sizes[k - 1], "model"]
            if scored & set(names):
                size = "size" if k == 1 else f"{k} sizes"
                folds.append(Fold(f"{family} from its smallest {size}", tuple(names), str(family)))
    return folds


def each_model(observations: Observations) -> list[Fold]:
    """Return folds that hold out one model each, with all checkpoints of its run."""
    return _each(observations, "run")


def each_family(observations: Observations) -> list[Fold]:
    """Return folds that hold out one family each."""
    return _each(observations, "family")


def _each(observations: Observations, column: str) -> list[Fold]:
    scored = set(observations.scores["model"])
    return [
        Fold(str(name), tuple(models["model"]))
        for name, models in observations.models.groupby(column, sort=False)
        if scored & set(models["model"])
    ]


def each_score(observations: Observations) -> list[Fold]:
    """Return folds that hold out one score each."""
    return [
        Fold(f"{model} / {benchmark}", ((model, benchmark),))
        for model, benchmark in pairs(observations.scores)
    ]
