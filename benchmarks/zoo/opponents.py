"""Simple opponents: least squares and the largest smaller sibling, each with intervals from its residuals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import norm
from scipy.stats import t as student

import scalebayes as sb
from scalebayes.data.folds import Fold, hidden
from scalebayes.evaluation.predictions import HeldOut

N_DRAW = 1000
QUANTILES = (np.arange(N_DRAW) + 0.5) / N_DRAW
MIN_SHARE = 0.01
"""Shares of the room above chance are kept this far from zero and one before a logit is taken."""

Opponent = Callable[[sb.Observations, Fold, str], HeldOut]


def line(observations: sb.Observations, fold: Fold, of: str) -> HeldOut:
    """A line in log C for each column, with an intercept a family; for losses on the log scale."""
    return _by_column(observations, fold, of, lambda seen, new: _line(seen, new, of))


def line_and_mixture(observations: sb.Observations, fold: Fold, of: str) -> HeldOut:
    """`line` with the weights of the sources of training data as further inputs."""
    weights = observations.mixtures.pivot(index="model", columns="source", values="weight")
    return _by_column(observations, fold, of, lambda seen, new: _line(seen, new, of, weights))


def logistic(observations: sb.Observations, fold: Fold, of: str) -> HeldOut:
    """The same on the logit of the share of the room above chance; for losses it is `line`."""
    if of == "loss":
        return line(observations, fold, of)
    return _by_column(observations, fold, of, _logistic)


def sibling(observations: sb.Observations, fold: Fold, of: str) -> HeldOut:
    """The value of the largest seen model of the family; residuals are those of seen models so predicted."""
    return _by_column(observations, fold, of, _sibling)


def two_lines(observations: sb.Observations, fold: Fold, of: str) -> HeldOut:
    """Two steps: log loss as a line in log N and log D, and the logit of the score as a line in the loss.

    The loss of a benchmark is that of its own name, else the first. For losses it is `line`.
    """
    if of == "loss":
        return line(observations, fold, of)
    losses = _cells(observations, fold, "loss")
    steps = {}
    for domain, own in losses.groupby("domain", sort=False):
        seen = own[~own["hidden"]]
        x, everything = (_inputs(rows, "log_n", "log_d", families=seen) for rows in (seen, own))
        drawn = np.exp(_predictive(x, np.log(seen["value"].to_numpy()), everything))
        steps[domain] = pd.DataFrame(drawn, index=own["model"])

    def second(seen: pd.DataFrame, new: pd.DataFrame) -> np.ndarray:
        name = seen["benchmark"].iloc[0]
        domain = name if name in steps else next(iter(steps))
        own = losses[losses["domain"] == domain].set_index("model")["value"]
        known = seen[seen["model"].isin(own.index)]
        loss = own[known["model"]].to_numpy()[:, None]
        x = np.hstack([np.ones_like(loss), loss])
        chance = known["chance"].fillna(0.0).iloc[0]
        y = logit(_share(known["value"].to_numpy(), chance))
        at = steps[domain].loc[new["model"]].to_numpy()
        # the errors of the two steps are independent: each row has its own order of the second's quantiles
        order = np.random.default_rng(0).permuted(np.tile(np.arange(N_DRAW), (len(at), 1)), axis=1)
        mean, sd, df = _least_squares(x, y, np.stack([np.ones_like(at), at], axis=-1))
        return chance + (1 - chance) * expit(mean + sd * student.ppf(QUANTILES, df)[order])

    return _by_column(observations, fold, of, second)


OPPONENTS: dict[str, Opponent] = {
    "line in log C": line,
    "logistic in log C": logistic,
    "largest sibling": sibling,
    "two lines": two_lines,
    "line in log C and mixture": line_and_mixture,
}
FOR_LOSSES = frozenset({"two lines"})
"""Opponents that need losses beside scores."""
FOR_MIXTURES = frozenset({"line in log C and mixture"})
"""Opponents that need the mixture of every model."""


def _cells(observations: sb.Observations, fold: Fold, of: str) -> pd.DataFrame:
    """Scores, or losses, with log inputs of their models, and whether the fold hides them."""
    rows = observations.scores if of == "score" else observations.losses
    models = observations.models
    log_n, log_d = np.log(models["params"]), np.log(models["tokens"])
    log_d = log_d.fillna(log_d.median()).fillna(0.0)
    log_c = np.log(models["flops"]).fillna(log_n + log_d)
    inputs = models[["model", "family"]].assign(log_n=log_n, log_d=log_d, log_c=log_c)
    return rows.assign(value=rows[of], hidden=hidden(rows, fold.hold_out)).merge(inputs, on="model")


def _by_column(
    observations: sb.Observations,
    fold: Fold,
    of: str,
    predict: Callable[[pd.DataFrame, pd.DataFrame], np.ndarray],
) -> HeldOut:
    """Predictions of each benchmark, or domain, from its seen values alone."""
    column = "benchmark" if of == "score" else "domain"
    cells, draws = [], []
    for _, rows in _cells(observations, fold, of).groupby(column, sort=False):
        seen, new = rows[~rows["hidden"]], rows[rows["hidden"]]
        if len(new):
            cells.append(new)
            found = predict(seen, new)
            draws.append(np.clip(found, 0.0, 1.0) if of == "score" else found)
    table = pd.concat(cells)[["model", "family", column, "value"]]
    table = table.rename(columns={"value": "observed"}).reset_index(drop=True)
    return HeldOut(table.assign(fold=fold.name), np.concatenate(draws), pd.DataFrame(), of=of)


def _line(
    seen: pd.DataFrame, new: pd.DataFrame, of: str, weights: pd.DataFrame | None = None
) -> np.ndarray:
    y = seen["value"].to_numpy()
    x, new_x = (_inputs(rows, "log_c", families=seen) for rows in (seen, new))
    if weights is not None:
        x, new_x = (
            np.hstack([x, weights.loc[seen["model"]]]),
            np.hstack([new_x, weights.loc[new["model"]]]),
        )
    return _predictive(x, y, new_x) if of == "score" else np.exp(_predictive(x, np.log(y), new_x))


def _logistic(seen: pd.DataFrame, new: pd.DataFrame) -> np.ndarray:
    chance = seen["chance"].fillna(0.0).iloc[0]
    x, new_x = (_inputs(rows, "log_c", families=seen) for rows in (seen, new))
    y = logit(_share(seen["value"].to_numpy(), chance))
    return chance + (1 - chance) * expit(_predictive(x, y, new_x))


def _share(value: np.ndarray, chance: float) -> np.ndarray:
    """Share of the room above chance, away from zero and one."""
    return np.clip((value - chance) / (1 - chance), MIN_SHARE, 1 - MIN_SHARE)


def _sibling(seen: pd.DataFrame, new: pd.DataFrame) -> np.ndarray:
    """The next smaller model's value, with normal errors of the size seen inside the table."""

    def value_below(row: pd.Series) -> float:
        smaller = seen[(seen["family"] == row["family"]) & (seen["log_c"] < row["log_c"])]
        if smaller.empty:
            return np.nan
        return float(smaller.loc[smaller["log_c"].idxmax(), "value"])

    inside = np.array([value_below(row) for _, row in seen.iterrows()])
    errors = seen["value"].to_numpy() - inside
    error = np.sqrt(np.nanmean(errors**2)) if np.isfinite(errors).any() else seen["value"].std()
    largest = seen.sort_values("log_c").groupby("family")["value"].last()
    centre = new["family"].map(largest).fillna(seen["value"].median()).to_numpy()
    return centre[:, None] + error * norm.ppf(QUANTILES)


def _inputs(rows: pd.DataFrame, *names: str, families: pd.DataFrame) -> np.ndarray:
    """Inputs, and an indicator a family; a family that is not seen has the mean of all."""
    known = sorted(families["family"].unique())
    indicator = (rows["family"].to_numpy()[:, None] == np.array(known)).astype(float)
    indicator[indicator.sum(axis=1) == 0] = 1 / len(known)
    return np.hstack([rows[list(names)].to_numpy(), indicator])


def _predictive(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Quantiles of the predictive distribution of least squares, shape (row, quantile)."""
    mean, sd, df = _least_squares(x, y, new)
    return mean[:, None] + sd[:, None] * student.ppf(QUANTILES, df)


def _least_squares(
    x: np.ndarray, y: np.ndarray, new: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """Mean, scale and degrees of freedom of the predictive Student t of least squares.

    Args:
        x: Inputs, shape (observation, input).
        y: Observed values.
        new: Inputs to predict, shape (..., input).
    """
    inverse = np.linalg.pinv(x.T @ x)
    coefficients = inverse @ x.T @ y
    df = max(len(y) - int(np.linalg.matrix_rank(x)), 1)
    variance = np.sum((y - x @ coefficients) ** 2) / df
    spread = np.einsum("...j,jk,...k->...", new, inverse, new)
    return new @ coefficients, np.sqrt(variance * (1 + spread)), df
