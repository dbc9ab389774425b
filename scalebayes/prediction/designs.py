"""Designs for predictions: cells to predict, with the observed values of the same models."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from scalebayes.data.observations import Observations
from scalebayes.data.schema import TO_ONE, columns_of, identity_columns, quoted, suggestion
from scalebayes.model.requirements import check_mixtures
from scalebayes.prediction.new_levels import positions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scalebayes.inference.posterior import Fit, Fitted
    from scalebayes.model.design import Design

Quantity = Literal["score", "loss"]

CELL = {"score": ["model", "benchmark"], "loss": ["model", "domain"]}


def design_of_models(
    fit: Fit, models: pd.DataFrame | Observations, new_families: Sequence[str] = ()
) -> Design:
    """Design with one cell for each model and each benchmark of a fit; for the arguments see `predict`."""
    inputs = _inputs(fit, models)
    scores, seen = _prediction_cells(fit, inputs.models, "score")
    return _design(fit, inputs, scores, seen, new_families)


def design_of_scores(fit: Fit, observations: Observations, new_families: Sequence[str]) -> Design:
    """Design of scores, marked as not observed, and of other scores of the same models that the fit has seen."""
    scores = observations.scores
    inputs = _inputs(fit, observations)
    seen = _seen_values(fit, inputs.models, "score")
    others = seen[~seen.index.isin(pd.MultiIndex.from_frame(scores[CELL["score"]]))]
    cells = pd.concat([scores, others.reset_index()], ignore_index=True)
    return _design(fit, inputs, cells, np.arange(len(cells)) >= len(scores), new_families)


def _inputs(fit: Fit, models: pd.DataFrame | Observations) -> Observations:
    """Models, mixtures and covariates; missing ones are taken from the same models in the fit."""
    models = observations_of(fit, models)
    table, mixtures = _with_covariates(fit, models.models), models.mixtures
    known = fit.observations.mixtures
    _check_mixtures(known, mixtures)
    left_out = _models_in_fit(fit, table) - set(mixtures["model"])
    mixtures = pd.concat([mixtures, known[known["model"].isin(left_out)]])
    columns = columns_of("models", fit.law.covariates)
    return Observations(table[[*columns]], mixtures=mixtures, covariates=fit.covariates)


def observations_of(fit: Fitted, models: pd.DataFrame | Observations) -> Observations:
    """Models as observations, with the covariates that any of the laws uses.

    Args:
        fit: The fit, or an average of fits.
        models: As for `predict`; observations are returned as they are.

    Raises:
        ValueError: If a model that is not of the fit comes without a covariate.
        ObservationsError: If the table is refused.
    """
    if isinstance(models, Observations):
        return models
    for part in fit.parts:
        models = _with_covariates(part.fit, models)
    declared = {c.name: c for part in fit.parts for c in part.fit.covariates}
    return Observations(models, covariates=declared)


def _with_covariates(fit: Fit, models: pd.DataFrame) -> pd.DataFrame:
    """The table of models with the covariates that the law uses; missing ones of models in the fit are filled in."""
    own = fit.observations.models.set_index("model")
    for covariate in fit.covariates:
        name = covariate.name
        known = models["model"].map(own[name])
        values = models[name].where(models[name].notna(), known) if name in models else known
        if values.isna().any():
            raise ValueError(
                f"the law uses the covariate {name!r}, which is missing for "
                f"{quoted(models['model'][values.isna()])}: add a column {name!r} to the models"
            )
        models = models.assign(**{name: values})
    return models


def covariates_of(
    fit: Fitted, family: str, chosen: Mapping[str, float | str] | None = None
) -> dict[str, float | str]:
    """Covariates of a future model of a family.

    Args:
        fit: The fit, or an average of fits.
        family: The family.
        chosen: Values by covariate; by default those of the family's largest model.

    Raises:
        ValueError: If a covariate is not used by the laws, or a covariate of a family outside the fit is missing.
    """
    names = list(dict.fromkeys(c.name for part in fit.parts for c in part.fit.covariates))
    values = dict(chosen or {})
    if unknown := [name for name in values if name not in names]:
        raise ValueError(
            f"the law uses no covariate {quoted(unknown)}, it uses {quoted(names) or 'none at all'}: leave it out"
        )
    models = fit.observations.models
    own = models[models["family"] == family].sort_values(["params", "tokens"])
    for name in names:
        if name not in values:
            if own.empty:
                raise ValueError(
                    f"the family {family!r} is not in the fit, but the law uses the covariate {name!r}: give it, as in "
                    f"covariates={{{name!r}: ...}}"
                )
            values[name] = own[name].iloc[-1]
    return values


def _prediction_cells(
    fit: Fit, models: pd.DataFrame, of: Quantity
) -> tuple[pd.DataFrame, np.ndarray]:
    """One row per model and benchmark (or domain) with the seen value, and the mask of seen values."""
    labels = fit.design.labels(CELL[of][1])
    cells = pd.MultiIndex.from_product([models["model"], labels], names=CELL[of])
    values = _seen_values(fit, models, of)[of].reindex(cells)
    # placeholders, which are masked
    return values.fillna(0.5).reset_index(), values.notna().to_numpy()


def _seen_values(fit: Fit, models: pd.DataFrame, of: Quantity) -> pd.DataFrame:
    """The scores, or losses, that the fit has seen of these models, by model and column."""
    own = fit.observations
    rows, seen = (own.scores, fit.seen) if of == "score" else (own.losses, fit.losses_seen)
    return rows[rows["model"].isin(_models_in_fit(fit, models)) & seen].set_index(CELL[of])


def _models_in_fit(fit: Fit, models: pd.DataFrame) -> set[str]:
    """Names of the models that are in the fit, with equal identifying columns."""
    return set(
        fit.observations.models.merge(models, on=identity_columns(fit.law.covariates))["model"]
    )


def _design(
    fit: Fit,
    inputs: Observations,
    scores: pd.DataFrame,
    observed: np.ndarray,
    new_families: Sequence[str],
) -> Design:
    """Design of scores and of all losses, with the seen values of the same models marked as observed."""
    _check_families(fit, inputs.families, new_families)
    losses, losses_seen = _prediction_cells(fit, inputs.models, "loss")
    units = fit.observations.losses.drop_duplicates("domain").set_index("domain")["unit"]
    losses["unit"] = losses["domain"].map(units)
    complete = fit.complete(inputs.with_tables(scores=scores, losses=losses))
    design = fit.design_of(complete, observed, losses_seen)
    check_mixtures(fit.law, design)
    return _as_in_the_fit(fit, design)


def _as_in_the_fit(fit: Fit, design: Design) -> Design:
    """The design with the origins of families in the fit, and the ends of runs in the fit."""
    at = positions(fit, design)
    row = np.maximum(at["family"], 0)
    known = (at["family"] >= 0)[:, None]
    last = np.full(len(fit.design.labels("run")), -np.inf)
    np.maximum.at(last, fit.design.run, fit.design.log_tokens)
    end = np.where(at["run"] >= 0, last[np.maximum(at["run"], 0)], -np.inf)[design.run]
    return replace(
        design,
        centre=np.where(known, fit.design.centre[row], design.centre),
        level=np.where(known, fit.design.level[row], np.nan),
        covariate_centre=np.where(known, fit.design.covariate_centre[row], design.covariate_centre),
        final=design.final & (design.log_tokens >= end),
    )


def _check_families(fit: Fit, families: Sequence[str], new_families: Sequence[str]) -> None:
    known = fit.design.labels("family")
    for family in families:
        if family in known or family in new_families:
            continue
        if meant := suggestion(family, known, cutoff=0.8):
            raise ValueError(
                f"the fit has not seen the family {family!r}{meant} For a new family of this name pass "
                f"new_families=[{family!r}]"
            )


def _check_mixtures(known: pd.DataFrame, supplied: pd.DataFrame) -> None:
    """Check that models of the fit have the mixtures of the fit."""
    both = [
        table.pivot(index="model", columns="source", values="weight").fillna(0.0)
        for table in (known[known["model"].isin(supplied["model"])], supplied)
    ]
    here, there = both[0].align(both[1].reindex(both[0].index), fill_value=0.0)
    differs = ((here - there).abs() > TO_ONE).any(axis=1)
    if differs.any():
        raise ValueError(
            f"the fit knows {quoted(differs.index[differs])} with another mixture: give a model "
            "with the new mixture a name of its own"
        )
