"""Folds: which models, or single scores, a law may not see and is then judged by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalebayes.data.observations import Observations

Hidden = str | tuple[str, str]
"""What is held out: a model with all that was measured of it, or one score, by model and benchmark."""


@dataclass(frozen=True)
class Fold:
    """One question put to a law.

    Attributes:
        name: The question in words.
        hold_out: What the law may not see.
        piece: Which piece of evidence it belongs to: folds that ask about the same scores are one. By default
            a fold is one of its own.
    """

    name: str
    hold_out: tuple[Hidden, ...]
    piece: str = ""


def hidden(table: pd.DataFrame, hold_out: Sequence[Hidden]) -> np.ndarray:
    """Which rows of a table of scores or of losses are held out, shape (row,)."""
    rows = table["model"].isin(whole_models(hold_out)).to_numpy()
    cells = [h for h in hold_out if not isinstance(h, str)]
    if cells and "benchmark" in table:
        rows = rows | pd.MultiIndex.from_frame(table[["model", "benchmark"]]).isin(cells)
    return rows


def whole_models(hold_out: Sequence[Hidden]) -> list[str]:
    """The models that are held out with all that was measured of them."""
    return [h for h in hold_out if isinstance(h, str)]


def pairs(scores: pd.DataFrame) -> list[tuple[str, str]]:
    """Model and benchmark of each row of a table of scores."""
    return list(scores[["model", "benchmark"]].itertuples(index=False, name=None))


def larger(observations: Observations, keep: Sequence[int] = (1, 2)) -> list[Fold]:
    """Leave the larger out: of each family in turn only its smallest sizes stay.

    Args:
        observations: The tables.
        keep: How many sizes stay, one fold each where a family has more. Folds of one family are one piece.
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
    """Leave one model out, with all checkpoints of its run."""
    return _each(observations, "run")


def each_family(observations: Observations) -> list[Fold]:
    """Leave one family out."""
    return _each(observations, "family")


def _each(observations: Observations, column: str) -> list[Fold]:
    scored = set(observations.scores["model"])
    return [
        Fold(str(name), tuple(models["model"]))
        for name, models in observations.models.groupby(column, sort=False)
        if scored & set(models["model"])
    ]


def each_score(observations: Observations) -> list[Fold]:
    """Leave one score out."""
    return [
        Fold(f"{model} / {benchmark}", ((model, benchmark),))
        for model, benchmark in pairs(observations.scores)
    ]
