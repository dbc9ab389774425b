"""Cells that a fit is asked for: the scores, or losses, of models, and what it has seen of these."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from scalebayes.data.observations import Observations
from scalebayes.data.schema import TO_ONE, identity_columns, quoted, suggestion
from scalebayes.model.effects import check_mixtures
from scalebayes.prediction.new_levels import positions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalebayes.inference.posterior import Fit
    from scalebayes.model.design import Design

Quantity = Literal["score", "loss"]

CELL = {"score": ["model", "benchmark"], "loss": ["model", "domain"]}


def design_of_models(
    fit: Fit, models: pd.DataFrame | Observations, new_families: Sequence[str] = ()
) -> Design:
    """Design with one cell for each model and benchmark of a fit; for the arguments see `predict`."""
    inputs = _inputs(fit, models)
    scores, seen = _cells(fit, inputs.models, "score")
    return _design(fit, inputs, scores, seen, new_families)


def asked(fit: Fit, observations: Observations, new_families: Sequence[str]) -> Design:
    """Design of scores that are asked for, not observed, and others of the same models that are."""
    scores = observations.scores
    seen = _seen(fit, observations.models, "score")
    others = seen[~seen.index.isin(pd.MultiIndex.from_frame(scores[CELL["score"]]))]
    cells = pd.concat([scores, others.reset_index()], ignore_index=True)
    inputs = _inputs(fit, observations)
    return _design(fit, inputs, cells, np.arange(len(cells)) >= len(scores), new_families)


def _inputs(fit: Fit, models: pd.DataFrame | Observations) -> Observations:
    """Models and their mixtures; where none is given, what the fit knows of these very models."""
    given = models if isinstance(models, Observations) else Observations(models)
    mixtures, known = given.mixtures, fit.observations.mixtures
    _check_mixtures(known, mixtures)
    left_out = _same(fit, given.models) - set(mixtures["model"])
    mixtures = pd.concat([mixtures, known[known["model"].isin(left_out)]])
    return Observations(given.models, mixtures=mixtures)


def _cells(fit: Fit, models: pd.DataFrame, of: Quantity) -> tuple[pd.DataFrame, np.ndarray]:
    """One row a model and benchmark, or domain, with what the fit has seen there; and where it has."""
    labels = fit.design.labels(CELL[of][1])
    cells = pd.MultiIndex.from_product([models["model"], labels], names=CELL[of])
    values = _seen(fit, models, of)[of].reindex(cells)
    # placeholders, which the law does not see
    return values.fillna(0.5).reset_index(), values.notna().to_numpy()


def _seen(fit: Fit, models: pd.DataFrame, of: Quantity) -> pd.DataFrame:
    """The scores, or losses, that a fit has seen of these very models, by model and column."""
    own = fit.observations
    rows, seen = (own.scores, fit.seen) if of == "score" else (own.losses, fit.losses_seen)
    return rows[rows["model"].isin(_same(fit, models)) & seen].set_index(CELL[of])


def _same(fit: Fit, models: pd.DataFrame) -> set[str]:
    """The models that are a fit's own, by what identifies a model."""
    own = fit.observations
    return set(own.models.merge(models, on=identity_columns(own.covariates))["model"])


def _design(
    fit: Fit,
    inputs: Observations,
    scores: pd.DataFrame,
    observed: np.ndarray,
    new_families: Sequence[str],
) -> Design:
    """The design of scores to predict, and of all that the fit has seen of the same models."""
    _check_families(fit, inputs.families, new_families)
    losses, losses_seen = _cells(fit, inputs.models, "loss")
    units = fit.observations.losses.drop_duplicates("domain").set_index("domain")["unit"]
    losses["unit"] = losses["domain"].map(units)
    complete = fit.complete(Observations(inputs.models, scores, losses, inputs.mixtures))
    design = fit.design_of(complete, observed, losses_seen)
    check_mixtures(fit.law, design)
    return _as_in_the_fit(fit, design)


def _as_in_the_fit(fit: Fit, design: Design) -> Design:
    """The design with families measured where the fit has measured them, and runs ending where theirs do."""
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
        final=design.final & (design.log_tokens >= end),
    )


def _check_families(fit: Fit, families: Sequence[str], new_families: Sequence[str]) -> None:
    known = fit.design.labels("family")
    for family in families:
        if family in known or family in new_families:
            continue
        if meant := suggestion(family, known, cutoff=0.8):
            raise ValueError(
                f"the fit has not seen the family {family!r}{meant} If it is a new family, say so: "
                f"new_families=[{family!r}]"
            )


def _check_mixtures(known: pd.DataFrame, asked: pd.DataFrame) -> None:
    """A model of the fit is what was seen of it; with another mixture it is another model."""
    both = [
        table.pivot(index="model", columns="source", values="weight").fillna(0.0)
        for table in (known[known["model"].isin(asked["model"])], asked)
    ]
    here, there = both[0].align(both[1].reindex(both[0].index), fill_value=0.0)
    differs = ((here - there).abs() > TO_ONE).any(axis=1)
    if differs.any():
        raise ValueError(
            f"the fit knows {quoted(differs.index[differs])} with another mixture: give a model "
            "with the new one a name of its own"
        )
