"""calibration: are predictive distributions of held-out scores, or losses, calibrated, and how sharp are they?"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import scoringrules
from arviz_stats.ecdf_utils import ecdf_pit

from scalebayes.evaluation.predictions import PLURAL
from scalebayes.inference.draws import evenly
from scalebayes.prediction.predictive import summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalebayes.evaluation.predictions import HeldOut

DISTANCES = (0.5, 1.0, 1.5)
"""Bounds between groups by distance: decades of training FLOPs past the family's largest seen model."""

ENERGY_DRAWS = 250
"""Draws that an energy score uses at most: its cost grows with their square."""

PROB = (0.5, 0.8, 0.95, 0.9)
"""Probabilities of the intervals that `calibration` counts; the last is that of the interval score."""


def scores(held: HeldOut, prob: Sequence[float] = (0.5, 0.9)) -> pd.DataFrame:
    """Summarise and judge the prediction of each score, or loss.

    Args:
        held: Predictions and observed values.
        prob: Probabilities of the central intervals.

    Returns:
        `held.cells` and mean, median, sd; lower_p, upper_p and inside_p (whether the observed value is in the
        interval) for each probability, p in percent; error (absolute error of the median), crps,
        interval_score (of the interval with the last probability), and pit, the predictive probability of a
        smaller value: uniform over many values if predictions are calibrated. All are in the unit of the
        observed values: shares for scores, nats per token or bits per byte for losses.

    References:
        Gneiting and Raftery, Strictly proper scoring rules, prediction, and estimation, 2007.
        https://doi.org/10.1198/016214506000001437
    """
    observed = held.cells["observed"].to_numpy()
    draws = held.draws.astype(float)
    columns = summary(draws, prob)
    for p in (f"{100 * p:g}" for p in prob):
        low, high = columns[f"lower_{p}"], columns[f"upper_{p}"]
        columns[f"inside_{p}"] = (low <= observed) & (observed <= high)
    lower, upper = (columns[f"{side}_{100 * prob[-1]:g}"] for side in ("lower", "upper"))
    return held.cells.assign(
        **columns,
        error=np.abs(columns["median"] - observed),
        crps=scoringrules.crps_ensemble(observed, draws),
        interval_score=scoringrules.interval_score(observed, lower, upper, 1 - prob[-1]),
        pit=pit(held),
    )


def pit(held: HeldOut) -> np.ndarray:
    """Predictive probability of a smaller value, plus half that of an equal one, shape (cell,)."""
    observed = held.cells["observed"].to_numpy()[:, None]
    return (held.draws < observed).mean(axis=1) + (held.draws == observed).mean(axis=1) / 2


def energy(held: HeldOut) -> pd.DataFrame:
    """Energy score of all values of a model together, the multivariate CRPS: fold, model, energy.

    It measures whether predictions of a model's benchmarks have the right dependence. It is a distance in
    as many dimensions as the model has values, and grows with their number.
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
    """Coverage, scores and sharpness of predictions, in groups.

    Args:
        held: Predictions and observed values.
        by: `distance` in compute, or a column of `held.cells` such as `benchmark`, `family`, `family_size`;
            by default all values are one group.

    Returns:
        One row a group: the columns of `figures`, with coverage of 50, 80, 90 and 95% intervals, and energy
        (of a model's values together), in the same unit. Energy is a mean over the models of a group, once
        for each fold, so that all models count alike; the others are means over values. Where a group has a
        part of a model's values, as groups by benchmark do, the energy of all its values counts in that group.
    """
    table = scores(held, PROB)
    group = groups(table, by).rename("group")
    of_model = ["fold", "model"]
    members = table[of_model].join(group).drop_duplicates().merge(energy(held), on=of_model)
    found = figures(table, group)
    at = list(found.columns).index("interval_score")
    mean = members.groupby("group", observed=True)["energy"].mean()
    found.insert(at, "energy", unit(table) * mean)
    return found.rename_axis(by or "group").reset_index()


def figures(table: pd.DataFrame, by: str | Sequence[str] | pd.Series | None = None) -> pd.DataFrame:
    """Means over groups of a table of `scores`.

    Args:
        table: One table of `scores`, or several one below the other with a column that tells them apart.
        by: Columns by which to group, or the group of each row; by default all rows are one group.

    Returns:
        Indexed by group: scores (for losses: losses) and models, their numbers; error (mean absolute error
        of the median), bias (mean of the median less the observed value), crps, interval_score and width_90
        (of 90% intervals), all in points for scores, which are 100 times shares, and in their own unit for
        losses; and coverage_p, the share of values inside the intervals of each probability.
    """
    table = table.reset_index(drop=True)
    of = "score" if "benchmark" in table else "loss"
    percent = sorted(
        (c.removeprefix("inside_") for c in table.columns if "inside_" in c), key=float
    )
    scaled = pd.DataFrame(
        {
            "error": table["error"],
            "bias": table["median"] - table["observed"],
            "crps": table["crps"],
            "interval_score": table["interval_score"],
            "width_90": table["upper_90"] - table["lower_90"],
        }
    )
    inside = {f"coverage_{p}": table[f"inside_{p}"].astype(float) for p in percent}
    measured = (unit(table) * scaled).assign(**inside)
    if by is None:
        by = groups(table, None)
    if isinstance(by, pd.Series):
        keys, sort = [by.reset_index(drop=True)], True
    else:
        keys = [table[name] for name in ([by] if isinstance(by, str) else by)]
        sort = False  # groups in the order of their first rows
    grouped = measured.assign(model=table["model"]).groupby(keys, observed=True, sort=sort)
    counts = grouped["model"].agg(["size", "nunique"]).set_axis([PLURAL[of], "models"], axis=1)
    return counts.join(grouped[list(measured)].mean())


def unit(table: pd.DataFrame) -> float:
    """Factor from the values of a table of `scores` to those reported: 100 to points, 1 for losses."""
    return 100.0 if "benchmark" in table else 1.0


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
    known = (
        "fold",
        "model",
        "family",
        "benchmark" if "benchmark" in table else "domain",
        "family_size",
    )
    if by not in known:
        raise ValueError(f"by must be one of distance, {', '.join(known)}, but is {by!r}")
    return table[by]


def coverage(held: HeldOut, prob: float = 0.95) -> pd.DataFrame:
    """Share of values inside the central intervals of every probability.

    Args:
        held: Predictions and observed values.
        prob: Probability of the band.

    Returns:
        level, coverage, and lower and upper, a simultaneous band: it contains the whole curve of
        independent, perfectly calibrated predictions with the given probability. The errors of one model
        or family are correlated, so that their curves leave it more often.

    References:
        Säilynoja, Bürkner and Vehtari, Graphical test for discrete uniformity, 2022.
        https://arxiv.org/abs/2103.10522
    """
    return _curve(np.abs(2 * pit(held) - 1), prob, ("level", "coverage"))


def pit_ecdf(held: HeldOut, prob: float = 0.95) -> pd.DataFrame:
    """Empirical distribution of the probability integral transform (PIT), `pit`.

    It is uniform if predictions are calibrated. A curve above uniform everywhere means that predictions are
    too high; above on the left and below on the right, that intervals are too narrow. `coverage` does not
    distinguish the two.

    Args:
        held: Predictions and observed values.
        prob: Probability of the band.

    Returns:
        value, ecdf, and lower and upper, a simultaneous band as for `coverage`.
    """
    return _curve(pit(held), prob, ("value", "ecdf"))


def _curve(values: np.ndarray, prob: float, names: tuple[str, str]) -> pd.DataFrame:
    """Empirical distribution of values in [0, 1], and the band of uniform values."""
    at, lower, upper = _band(len(values), prob)
    found = np.searchsorted(np.sort(values), at, side="right") / len(values)
    return pd.DataFrame(
        dict(zip((*names, "lower", "upper"), (at, found, lower, upper), strict=True))
    )


@functools.lru_cache(maxsize=16)
def _band(n: int, prob: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points at which the distribution of n values is evaluated, and the band there, shape (point,)."""
    if n > 2:
        at, _, lower, upper = ecdf_pit(np.zeros(n), ci_prob=prob, n_simulations=1000)
        inner = (at > 0) & (at < 1)  # ArviZ 1.x adds the ends, where a curve has no choice
        return at[inner], lower[inner], upper[inner]
    return np.array([0.5]), np.zeros(1), np.ones(1)  # any curve of one or two values is in the band
