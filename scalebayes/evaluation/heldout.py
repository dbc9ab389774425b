"""held_out: predict scores, or losses, that a fit has not seen, beside their observed values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from arviz_stats.base import array_stats
from scipy.special import logsumexp

from scalebayes.data.schema import identity_columns, quoted
from scalebayes.evaluation.bridge import effective_draws
from scalebayes.evaluation.predictions import PLURAL, HeldOut, mixed
from scalebayes.prediction.designs import CELL, design_of_models, design_of_scores
from scalebayes.prediction.new_levels import check_known
from scalebayes.prediction.pointwise import at_cells
from scalebayes.prediction.ranges import decades_past, outside_seen
from scalebayes.prediction.reliability import checked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalebayes.data.observations import Observations
    from scalebayes.inference.posterior import Fit, Fitted
    from scalebayes.model.design import Design
    from scalebayes.prediction.designs import Quantity

KINDS: tuple[Quantity, ...] = ("score", "loss")


@checked
def held_out(
    fit: Fitted,
    observations: Observations | None = None,
    *,
    of: Quantity | None = None,
    name: str = "held out",
    new_families: Sequence[str] = (),
    seed: int = 0,
) -> HeldOut:
    """Predict scores, or losses, that a fit has not seen, beside their observed values.

    The rows of a model stand together, in the order of the models, and benchmarks in the order of the
    fit. Where the scores of these models are complete, the draws are those of `predictive_draws`.

    Args:
        fit: The fit, or an average of fits.
        observations: Models with their scores or losses, on benchmarks or domains of the fit; by default
            what the fit holds out.
        of: `score`, or `loss` of a law that has losses. By default scores where there are any to predict,
            else losses.
        name: Name of the fold.
        new_families: As in `predict`.
        seed: Seed of the predictive draws.

    Returns:
        All predictive draws of the fit, beside what was observed.

    Raises:
        ValueError: If there are no such scores or losses, or the fit has seen some of them, or the law has
            not been fitted to any.
    """
    each = {
        part.name: _held_out(part.fit, observations, of, name, new_families, seed)
        for part in fit.parts
    }
    if len(each) > 1:
        return mixed(each, {part.name: part.weight for part in fit.parts})
    return next(iter(each.values()))


def _held_out(
    fit: Fit,
    observations: Observations | None,
    of: Quantity | None,
    name: str,
    new_families: Sequence[str],
    seed: int,
) -> HeldOut:
    """Predictions of one fit; for the arguments see `held_out`."""
    of = _quantity(fit, observations, of)
    if observations is None:
        rows = unseen(fit, of)
        observations = fit.observations.only(models=list(rows["model"].unique()))
    else:
        rows = observations.scores if of == "score" else observations.losses
        _check_unseen(fit, observations, of)
    column = CELL[of][1]
    order = [
        rows[key].map({label: i for i, label in enumerate(labels)})
        for key, labels in (
            (column, fit.design.labels(column)),
            ("model", observations.models["model"]),
        )
    ]
    rows = rows.iloc[np.lexsort(order)].reset_index(drop=True)
    if of == "score":
        design = design_of_scores(fit, observations.with_tables(scores=rows), new_families)
        at = np.arange(len(rows))
    else:
        check_known("domain", rows["domain"].unique(), fit.design.labels("domain"))
        design = design_of_models(fit, observations, new_families)
        pairs = zip(_labels(design, "model"), _labels(design, "domain"), strict=True)
        at = pd.MultiIndex.from_tuples(pairs).get_indexer(pd.MultiIndex.from_frame(rows[CELL[of]]))
    return _beside(fit, design, at, rows, observations.models, of, name, seed)


def held_out_in_table(
    fit: Fit, *, of: Quantity | None = None, name: str = "held out", seed: int = 0
) -> HeldOut:
    """Predict what a fit holds out, in arrays of the shapes of its whole table.

    The predictions are those of `held_out(fit)` up to Monte Carlo error. One compiled program serves all
    fits to one table, whatever they hold out, which `held_out` compiles again for other numbers of cells.
    """
    of = _quantity(fit, None, of)
    seen = fit.seen if of == "score" else fit.losses_seen
    at, models = np.flatnonzero(~seen), fit.observations.models
    return _beside(fit, fit.design, at, unseen(fit, of), models, of, name, seed)


def holds_out(fit: Fit) -> list[Quantity]:
    """Of which kinds, scores and losses, a fit holds out some that were measured."""
    return [of for of in KINDS if of in fit.tree["log_likelihood"] and len(unseen(fit, of))]


def unseen(fit: Fit, of: Quantity) -> pd.DataFrame:
    """The scores, or losses, that a fit holds out, in the order of its table."""
    own = fit.observations
    rows = own.scores[~fit.seen] if of == "score" else own.losses[~fit.losses_seen]
    return rows.reset_index(drop=True)


def _quantity(fit: Fit, observations: Observations | None, of: Quantity | None) -> Quantity:
    """Scores or losses, where either is to be predicted."""
    fitted = [str(k) for k in fit.tree["log_likelihood"].data_vars]
    if of is not None and of not in fitted:
        raise ValueError(
            f"of must be one of what the law has been fitted to, {quoted(fitted)}, but is {of!r}"
        )
    if observations is not None:
        tables = {"score": observations.scores, "loss": observations.losses}
        of = of or next((k for k in KINDS if k in fitted and len(tables[k])), None)
        if of is None or not len(tables[of]):
            kinds = " or ".join(PLURAL[k] for k in ([of] if of else fitted))
            raise ValueError(
                f"the observations have no {kinds} to compare the predictions with: give a table with "
                f"{kinds}, or use predict"
            )
        return of
    held = holds_out(fit)
    if not held or (of is not None and of not in held):
        seen = " and ".join(PLURAL[k] for k in ([of] if of else fitted))
        raise ValueError(
            f"the fit has seen all its {seen}: give observations that it has not seen, or fit with hold_out"
        )
    return of or held[0]


def _check_unseen(fit: Fit, observations: Observations, of: Quantity) -> None:
    """Refuse observations that the fit has seen, which would make its predictions look too good."""
    own = fit.observations
    seen = own.scores[fit.seen] if of == "score" else own.losses[fit.losses_seen]
    both = _described(
        observations, observations.scores if of == "score" else observations.losses, of
    )
    both = both.merge(_described(own, seen, of))
    if len(both):
        named = both[CELL[of]].head(3).itertuples(index=False)
        rows = ", ".join(f"{model} / {label}" for model, label in named)
        raise ValueError(
            f"the fit has seen {len(both)} of these {PLURAL[of]}, such as {rows}: leave them out, or fit "
            "without them (hold_out)"
        )


def _described(observations: Observations, rows: pd.DataFrame, of: Quantity) -> pd.DataFrame:
    """Scores or losses, each with what identifies its model."""
    models = observations.models[[*identity_columns(observations.covariates)]]
    return rows[[*CELL[of], of]].merge(models)


def _labels(design: Design, dim: str) -> np.ndarray:
    """Model, or domain, of each loss of a design."""
    at = design.loss_model if dim == "model" else design.loss_domain
    return np.array(design.labels(dim), object)[np.asarray(at)]


def _beside(
    fit: Fit,
    design: Design,
    at: np.ndarray,
    rows: pd.DataFrame,
    models: pd.DataFrame,
    of: Quantity,
    name: str,
    seed: int,
) -> HeldOut:
    """Predictive draws at some cells of a design, beside the observed values there.

    Args:
        fit: The fit.
        design: Arrays of the cells; its scores that are not observed are those to predict, if any.
        at: Positions of the cells among the scores, or losses, of the design, shape (cell,).
        rows: The scores, or losses, observed there, in the same order.
        models: The table of their models.
        of: Which of the two they are.
        name: Name of the fold.
        seed: Seed of the predictive draws.
    """
    found = at_cells(fit, design, seed, joint=of == "score")
    values = found[of]["score"]
    draws = values.reshape(-1, values.shape[-1])[:, at].T
    cells = _cells(fit, models, rows, of).assign(log_score=np.nan)
    log_score = log_score_se = joint_ess = np.nan
    joint = np.empty((0, 0))
    if of == "score":
        density = found["log_density"]
        density = density.reshape(-1, density.shape[-1])[:, at]
        cells["log_score"] = logsumexp(density, axis=0) - np.log(len(density))
        by_chain = found["joint_log_density"][..., 0]  # (chain, draw)
        relative = np.exp(by_chain - by_chain.max())
        log_score = float(logsumexp(by_chain) - np.log(by_chain.size))
        log_score_se = float(array_stats.mcse(relative) / relative.mean())
        joint_ess = float(effective_draws(by_chain[..., None])[0])
        joint = by_chain.reshape(1, -1)
    cells.insert(0, "fold", name)
    folds = pd.DataFrame(
        {
            "fold": [name],
            "n_models": [cells["model"].nunique()],
            f"n_{PLURAL[of]}": [len(cells)],
            "log_score": [log_score],
            "log_score_se": [log_score_se],
            "joint_ess": [joint_ess],
            "max_rhat": [fit.verdict.max_rhat],
            "min_ess_bulk": [fit.verdict.min_ess_bulk],
            "passed": [fit.verdict.passed],
            "verdict": [str(fit.verdict)],
        }
    )
    return HeldOut(cells, draws, folds, joint, of)


def _cells(fit: Fit, models: pd.DataFrame, rows: pd.DataFrame, of: Quantity) -> pd.DataFrame:
    """Labels and observed values, and how far each model is from those that the fit has seen."""
    seen, column = fit.seen_models, CELL[of][1]
    models = models.set_index("model").loc[rows["model"]]
    outside = outside_seen(fit, models).reset_index(drop=True)
    models = models.reset_index()
    family = models["family"].astype(str)
    distance = np.full(len(rows), np.nan)
    for name, members in seen.groupby("family"):
        own = (family == name).to_numpy()
        distance[own] = decades_past(models[own], members)
    return pd.DataFrame(
        {
            "model": rows["model"].astype(str).to_numpy(),
            "family": family,
            column: rows[column].astype(str).to_numpy(),
            "observed": rows[of].to_numpy(float),
            "distance": distance,
            **outside,
            "family_size": family.map(seen["family"].value_counts()).fillna(0).astype(int),
        }
    )
