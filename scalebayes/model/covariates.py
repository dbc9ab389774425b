"""Covariates coded as numeric columns: one per number, per level of a category, per step of an ordered covariate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scalebayes.data.schema import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from scalebayes.data.covariates import Covariate


def labels(covariates: Sequence[Covariate]) -> tuple[str, ...]:
    """Labels of the columns: the dimension `covariate_level`.

    A numeric covariate has one column with its name. A category has a column `name=level` for each level. An
    ordered covariate has a column `name>=level` for each level but the first: the effect of a level is the sum
    of the steps up to it.
    """
    return tuple(label for covariate in covariates for label in _labels(covariate))


def owners(covariates: Sequence[Covariate]) -> np.ndarray:
    """Index of the covariate of each column, shape (covariate_level,)."""
    return np.repeat(np.arange(len(covariates)), [len(_labels(c)) for c in covariates]).astype(int)


def coded(covariates: Sequence[Covariate], models: pd.DataFrame) -> np.ndarray:
    """Values of the columns for each model, not centred, shape (model, covariate_level).

    Args:
        covariates: Declarations with their levels.
        models: The table of models, with a column for each covariate.

    Raises:
        ValueError: If a model has an undeclared level, or a column is missing.
    """
    parts = [np.zeros((len(models), 0))]
    for covariate in covariates:
        if covariate.name not in models:
            raise ValueError(
                f"the law uses the covariate {covariate.name!r}, but the table of models has no such column: add it"
            )
        values = models[covariate.name]
        if covariate.kind == "numeric":
            parts.append(values.to_numpy(float)[:, None])
            continue
        unknown = values[~values.isin(covariate.levels)].unique()
        if len(unknown):
            raise ValueError(
                f"the covariate {covariate.name!r} has the levels {quoted(covariate.levels)}, but a model has "
                f"{quoted(unknown)}: use one of the known levels, or fit with models of the new one"
            )
        at = np.array([covariate.levels.index(v) for v in values])[:, None]
        own = np.arange(len(covariate.levels))
        reached = at == own if covariate.kind == "category" else at >= own[1:]
        parts.append(reached.astype(float))
    return np.concatenate(parts, axis=1)


def centre_and_scale(
    covariates: Sequence[Covariate], models: pd.DataFrame
) -> tuple[np.ndarray, np.ndarray]:
    """Centre and scale of each column: mean and standard deviation of a number, zero and one of a level."""
    values = coded(covariates, models)
    number = np.array([covariates[k].kind == "numeric" for k in owners(covariates)], bool)
    if not len(values):
        return np.zeros(len(number)), np.ones(len(number))
    sd = values.std(axis=0)
    return (
        np.where(number, values.mean(axis=0), 0.0),
        np.where(number & (sd > 0), np.where(sd > 0, sd, 1.0), 1.0),
    )


def _labels(covariate: Covariate) -> tuple[str, ...]:
    if covariate.kind == "numeric":
        return (covariate.name,)
    if covariate.kind == "category":
        return tuple(f"{covariate.name}={level}" for level in covariate.levels)
    return tuple(f"{covariate.name}>={level}" for level in covariate.levels[1:])
