"""calibration: do held-out scores fall where the predictive distributions say, and how sharp are these?"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import scoringrules
from arviz_stats.ecdf_utils import ecdf_pit

from scalebayes.inference.draws import evenly
from scalebayes.prediction.predictive import summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalebayes.evaluation.heldout import HeldOut

DISTANCES = (0.5, 1.0, 1.5)
"""Decades of training FLOPs past the largest seen model of the family, between groups by distance."""

ENERGY_DRAWS = 250
"""Draws that an energy score takes: its cost grows with their square."""


def scores(held: HeldOut, prob: Sequence[float] = (0.5, 0.9)) -> pd.DataFrame:
    """Judge the prediction of each score.

    Args:
        held: Predictions and what was observed.
        prob: Probabilities of the central intervals.

    Returns:
        `held.cells` and mean, median, sd, lower_p and upper_p in percent for each probability; error
        (absolute, of the median), crps, interval_score (of the last probability), and pit, the
        probability of a smaller score: uniform over many scores if predictions are calibrated.

    References:
        Gneiting and Raftery, Strictly proper scoring rules, prediction, and estimation, 2007.
        https://doi.org/10.1198/016214506000001437
    """
    observed = held.cells["observed"].to_numpy()
    draws = held.draws.astype(float)
    columns = summary(draws, prob)
    lower, upper = (columns[f"{side}_{100 * prob[-1]:g}"] for side in ("lower", "upper"))
    return held.cells.assign(
        **columns,
        error=np.abs(columns["median"] - observed),
        crps=scoringrules.crps_ensemble(observed, draws),
        interval_score=scoringrules.interval_score(observed, lower, upper, 1 - prob[-1]),
        pit=pit(held),
    )


def pit(held: HeldOut) -> np.ndarray:
    """Probability of a smaller score than the observed one, half of an equal one, shape (score,)."""
    observed = held.cells["observed"].to_numpy()[:, None]
    return (held.draws < observed).mean(axis=1) + (held.draws == observed).mean(axis=1) / 2


def energy(held: HeldOut) -> pd.DataFrame:
    """Energy score of all scores of a model together, which the CRPS is for one: fold, model, energy.

    It tells whether predictions of a model's benchmarks err together as the scores do. It is a distance in
    as many dimensions as the model has scores, and grows with their number.
    """
    n = held.draws.shape[1]
    draws = held.draws[:, evenly(n, min(ENERGY_DRAWS, n))].astype(float)
    observed = held.cells["observed"].to_numpy()
    of_model = held.cells.groupby(["fold", "model"], sort=False)
    found = of_model.ngroup().to_numpy()
    table = held.cells[["fold", "model"]].drop_duplicates()
    values = [
        float(scoringrules.es_ensemble(observed[found == k], draws[found == k].T))
        for k in range(len(table))
    ]
    return table.assign(energy=values)


def calibration(held: HeldOut, by: str | None = None) -> pd.DataFrame:
    """Coverage, scores and sharpness, in groups.

    Args:
        held: Predictions and what was observed.
        by: `distance` in compute, or a column of `held.cells` such as `benchmark`, `family`, `family_size`;
            without it all scores are one group.

    Returns:
        One row a group: scores and models (their numbers), error, bias and crps in points, energy (of
        a model's scores together, in points), interval_score and width of 90% intervals in points, and
        coverage_50, coverage_80, coverage_90, coverage_95 as shares. Energy is a mean over the models of
        a group, once for each fold, so that all count alike; the others are means over its scores. Where
        groups split a model, as benchmarks do, the energy of all its scores counts in each group that has
        one of them.
    """
    prob = (0.5, 0.8, 0.95, 0.9)
    table = scores(held, prob)
    group = groups(table, by).rename("group")
    of_model = ["fold", "model"]
    members = table[of_model].join(group).drop_duplicates().merge(energy(held), on=of_model)
    inside = {
        f"coverage_{100 * p:g}": table["observed"].between(
            table[f"lower_{100 * p:g}"], table[f"upper_{100 * p:g}"]
        )
        for p in sorted(prob)
    }
    points = pd.DataFrame(
        {
            "error": table["error"],
            "bias": table["median"] - table["observed"],
            "crps": table["crps"],
            "interval_score": table["interval_score"],
            "width_90": table["upper_90"] - table["lower_90"],
        }
    )
    measured = pd.concat([100 * points, pd.DataFrame(inside).astype(float)], axis=1)
    found = measured.groupby(group, observed=True).mean()
    found.insert(3, "energy", 100 * members.groupby("group", observed=True)["energy"].mean())
    counts = table.groupby(group, observed=True)["model"].agg(scores="size", models="nunique")
    return counts.join(found).rename_axis(by or "group").reset_index()


def groups(table: pd.DataFrame, by: str | None) -> pd.Series:
    """The group of each row of `scores`."""
    if by is None:
        return pd.Series("all", table.index)
    if by == "distance":
        edges = [-np.inf, *DISTANCES, np.inf]
        first, *middle, last = [f"{d:g}" for d in DISTANCES]
        names = [f"up to {first} decades"]
        names += [f"{a} to {b}" for a, b in zip([first, *middle], [*middle, last], strict=True)]
        names += [f"over {last}", "new family"]
        found = pd.cut(table["distance"], edges, labels=names[:-1])
        return found.cat.add_categories(names[-1]).fillna(names[-1])
    if by not in ("fold", "model", "family", "benchmark", "family_size"):
        raise ValueError(
            f"by must be one of distance, fold, model, family, benchmark, family_size, but is {by!r}"
        )
    return table[by]


def coverage(held: HeldOut, prob: float = 0.95) -> pd.DataFrame:
    """Share of scores inside the central intervals of every probability.

    Args:
        held: Predictions and what was observed.
        prob: Probability of the band.

    Returns:
        level, coverage, and lower and upper: the whole curve of independent scores that are predicted
        with perfect calibration lies between them with the given probability. Scores of one model
        or family err together, so that theirs may leave it more often.

    References:
        Säilynoja, Bürkner and Vehtari, Graphical test for discrete uniformity, 2022.
        https://arxiv.org/abs/2103.10522
    """
    return _curve(np.abs(2 * pit(held) - 1), prob, ("level", "coverage"))


def pit_ecdf(held: HeldOut, prob: float = 0.95) -> pd.DataFrame:
    """Share of scores whose probability of a smaller one is at most each value.

    It is uniform if predictions are calibrated. Above uniform everywhere, scores fall below what is predicted;
    above it on the left and below it on the right, intervals are too narrow. `coverage` does not tell the two apart.

    Args:
        held: Predictions and what was observed.
        prob: Probability of the band.

    Returns:
        value, ecdf, and lower and upper: the whole curve of independent scores that are predicted with
        perfect calibration lies between them with the given probability. For more see `coverage`.
    """
    return _curve(pit(held), prob, ("value", "ecdf"))


def _curve(values: np.ndarray, prob: float, names: tuple[str, str]) -> pd.DataFrame:
    """Empirical distribution of values in [0, 1], and its band if they are uniform."""
    at, lower, upper = _band(len(values), prob)
    found = np.searchsorted(np.sort(values), at, side="right") / len(values)
    return pd.DataFrame(
        dict(zip((*names, "lower", "upper"), (at, found, lower, upper), strict=True))
    )


@functools.lru_cache(maxsize=16)
def _band(n: int, prob: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the distribution of n values is taken, and the band of uniform ones there, shape (point,)."""
    if n > 2:
        at, _, lower, upper = ecdf_pit(np.zeros(n), ci_prob=prob, n_simulations=1000)
        inner = (at > 0) & (at < 1)  # ArviZ 1.x adds the ends, where a curve has no choice
        return at[inner], lower[inner], upper[inner]
    return np.array([0.5]), np.zeros(1), np.ones(1)  # one or two may lie anywhere


def conformal_prob(held: HeldOut, prob: float) -> float:
    """Probability to ask intervals for, so that they would have held a share of held-out scores.

    A last resort, and a measure: it is `prob` itself where predictions are calibrated. It assumes
    that the scores to predict are to the fit as the held-out ones were to theirs. Give it to `predict`
    as `prob`.

    Args:
        held: Predictions of scores, best from folds that leave the larger out, and what was observed.
        prob: Share of scores that intervals should hold.

    Returns:
        The smallest probability whose central intervals of the draws held ceil((n + 1) prob) of n scores,
        below one.

    Raises:
        ValueError: If there are too few held-out scores for so large a share, or too many lie outside all
            draws, where no interval reaches.

    References:
        Romano, Patterson and Candès, Conformalized quantile regression, 2019.
        https://arxiv.org/abs/1905.03222
    """
    away = np.sort(_needed(held))
    n, outside = len(away), int((away >= 1).sum())
    rank = math.ceil(round((n + 1) * prob, 9))  # 100 * 0.55 is a little more than 55
    if not 0 < prob < 1 or rank > n:
        raise ValueError(
            f"{n} held-out scores cannot tell where a share of {prob} of them lies: hold out "
            "more, or ask for a smaller share"
        )
    if rank > n - outside:
        raise ValueError(
            f"a share of {outside / n:.3g} of the held-out scores ({outside} of {n}) lies outside all "
            f"{held.draws.shape[1]} draws, so that no interval of draws holds a share of {prob}: the "
            "predictions are too narrow or biased for this remedy; take another law, or a smaller share"
        )
    return float(away[rank - 1])


def _needed(held: HeldOut) -> np.ndarray:
    """Smallest probability of a central interval of the draws that holds each score, shape (score,).

    One where no probability below one will do.
    """
    draws = np.sort(held.draws.astype(float), axis=1)
    observed = held.cells["observed"].to_numpy()
    tail = np.minimum(_level(draws, observed), _level(-draws[:, ::-1], -observed))
    return np.clip(1 - 2 * tail, 0, 1)


def _level(draws: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Level of the largest quantile of sorted draws that is not above a value; minus infinity if none is.

    Args:
        draws: Shape (row, sample).
        value: Shape (row,).
    """
    last = draws.shape[1] - 1
    rows, below = np.arange(len(draws)), (draws <= value[:, None]).sum(axis=1) - 1
    at, after = draws[rows, below], draws[rows, np.minimum(below + 1, last)]
    between = (below >= 0) & (below < last)
    part = np.divide(value - at, after - at, out=np.zeros(len(draws)), where=between)
    return np.where(below < 0, -np.inf, (below + part) / max(last, 1))
