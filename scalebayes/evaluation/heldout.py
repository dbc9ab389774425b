"""held_out: predictions of scores that a fit has not seen, beside what they were."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from arviz_stats.base import array_stats
from scipy.special import logsumexp

from scalebayes.evaluation.bridge import effective_draws
from scalebayes.inference.draws import evenly, shares
from scalebayes.inference.posterior import Fitted, described
from scalebayes.prediction.designs import design_of_scores
from scalebayes.prediction.pointwise import at_cells

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scalebayes.data.observations import Observations
    from scalebayes.inference.posterior import Fit, Fitted
    from scalebayes.model.design import Design

KEPT = 1000
"""At most so many predictive draws of a fold are kept."""


@dataclass(frozen=True)
class HeldOut:
    """Scores that fits have not seen, and what the fits expected.

    Attributes:
        cells: One row a score: fold, model, family, benchmark, observed, log_score (log of its predictive
            density), distance (decades of training FLOPs past the largest model of its family that the
            fit has seen; NaN for a family that it has not), family_size (how many it has seen).
        draws: Joint predictive draws of the scores of a fold, shape (score, sample).
        folds: One row a fold: fold, n_models, n_scores, log_score (of all its scores jointly) and its
            Monte Carlo error log_score_se, which is not to be believed above one half; joint_ess, how many
            independent draws `joint` is worth; max_rhat and min_ess_bulk of what the fit expects, passed
            (whether it passes its checks) and verdict.
        joint: Log density of all scores of a fold at each posterior draw, shape (fold, draw); empty for an
            average.
    """

    cells: pd.DataFrame
    draws: np.ndarray = field(repr=False)
    folds: pd.DataFrame
    joint: np.ndarray = field(default_factory=lambda: np.empty((0, 0)), repr=False)


def held_out(
    fit: Fitted,
    observations: Observations | None = None,
    *,
    name: str = "held out",
    new_families: Sequence[str] = (),
    seed: int = 0,
) -> HeldOut:
    """Predict what a fit has not seen, beside what was observed.

    Args:
        fit: The fit, or an average of fits.
        observations: Models and their scores, on benchmarks of the fit; by default what the fit holds out.
        name: Name of the fold.
        new_families: As in `predict`.
        seed: Seed of the predictive draws.

    Raises:
        ValueError: If the fit holds out no score and no others are given, or it has seen some of them.
    """
    each = {
        part.name: _held_out(part.fit, observations, name, new_families, seed) for part in fit.parts
    }
    if len(each) > 1:
        return mixed(each, {part.name: part.weight for part in fit.parts})
    return next(iter(each.values()))


def _held_out(
    fit: Fit,
    observations: Observations | None,
    name: str,
    new_families: Sequence[str],
    seed: int,
) -> HeldOut:
    """Predictions of one fit; for the arguments see `held_out`."""
    if observations is None and fit.seen.all():
        raise ValueError(
            "the fit has seen all its scores: give observations that it has not, or fit with hold_out"
        )
    if observations is not None:
        _check_unseen(fit, observations)
        if not len(observations.scores):
            raise ValueError("the observations have no scores, with which predictions are compared")
    design = (
        fit.design if observations is None else design_of_scores(fit, observations, new_families)
    )
    found = at_cells(fit, design, seed, joint=True)
    rows = np.flatnonzero(~np.asarray(design.observed))
    draws = found["score"]["score"].reshape(-1, len(design.score))[:, rows]
    density = found["log_density"].reshape(-1, len(design.score))[:, rows]
    joint = found["joint_log_density"][..., 0]  # (chain, draw)
    relative = np.exp(joint - joint.max())
    cells = _cells(fit, design, rows).assign(
        fold=name, log_score=logsumexp(density, axis=0) - np.log(len(density))
    )
    folds = pd.DataFrame(
        {
            "fold": [name],
            "n_models": [cells["model"].nunique()],
            "n_scores": [len(cells)],
            "log_score": [float(logsumexp(joint) - np.log(joint.size))],
            "log_score_se": [float(array_stats.mcse(relative) / relative.mean())],
            "joint_ess": effective_draws(joint[..., None]),
            "max_rhat": [fit.verdict.max_rhat],
            "min_ess_bulk": [fit.verdict.min_ess_bulk],
            "passed": [fit.verdict.passed],
            "verdict": [str(fit.verdict)],
        }
    )
    kept = evenly(len(draws), min(KEPT, len(draws)))
    first = ["fold", *(c for c in cells if c != "fold")]
    return HeldOut(cells[first], draws[kept].T.astype(np.float32), folds, joint.reshape(1, -1))


def _check_unseen(fit: Fit, observations: Observations) -> None:
    """Refuse scores that the fit has seen: of these it would judge itself too well."""
    both = described(observations).merge(fit.seen_scores)
    if len(both):
        rows = ", ".join(f"{r.model} / {r.benchmark}" for r in both.head(3).itertuples())
        raise ValueError(
            f"the fit has seen {len(both)} of these scores, such as {rows}: leave them out, or fit "
            "without them (hold_out)"
        )


def _cells(fit: Fit, design: Design, rows: np.ndarray) -> pd.DataFrame:
    """Labels of scores, what was observed, and how far they are from what the fit has seen."""
    seen = fit.seen_models
    at = np.asarray(design.score_model)[rows]
    family = np.array(design.labels("family"), object)[np.asarray(design.family)[at]]
    flops = np.asarray(design.log_params + design.log_tokens + design.log_per_nd)
    unknown = np.isin(np.arange(len(flops)), design.unknown_tokens)
    inputs = pd.DataFrame(
        {
            "family": family,
            "params": np.asarray(design.log_params)[at],
            "flops": np.where(unknown, np.nan, flops)[at],
        }
    )
    distance = np.full(len(rows), np.nan)
    for name, models in seen.groupby("family"):
        mine = (inputs["family"] == name).to_numpy()
        compute = inputs["flops"] - np.log(models["flops"].max())
        size = inputs["params"] - np.log(models["params"].max())  # as if of equal tokens
        distance[mine] = (compute.fillna(size) / np.log(10.0))[mine]
    benchmarks = np.array(design.labels("benchmark"), object)
    return pd.DataFrame(
        {
            "model": np.array(design.labels("model"), object)[at].astype(str),
            "family": family.astype(str),
            "benchmark": benchmarks[np.asarray(design.score_benchmark)[rows]].astype(str),
            "observed": np.asarray(design.score)[rows],
            "distance": distance,
            "family_size": inputs["family"]
            .map(seen["family"].value_counts())
            .fillna(0)
            .astype(int),
        }
    )


def joined(parts: Sequence[HeldOut]) -> HeldOut:
    """Several held-out parts as one, with as many draws as the part with the fewest.

    Of a part with more, evenly spread ones are kept, so that all its chains count.
    """

    def all_draws(name: str) -> np.ndarray:
        each = [getattr(part, name) for part in parts]
        n = min(draws.shape[1] for draws in each)
        return np.concatenate([draws[:, evenly(draws.shape[1], n)] for draws in each])

    cells, folds = (
        pd.concat([getattr(part, name) for part in parts], ignore_index=True)
        for name in ("cells", "folds")
    )
    return HeldOut(cells, all_draws("draws"), folds, all_draws("joint"))


def mixed(parts: Mapping[str, HeldOut], weights: Mapping[str, float]) -> HeldOut:
    """Predictions of an average of laws: each gives its share of the draws and of the densities.

    Args:
        parts: Predictions of the same scores by each law.
        weights: Share of each law, summing to one.
    """
    first = next(iter(parts.values()))
    rows = ["fold", "model", "benchmark", "observed"]
    for name, part in parts.items():
        if not part.cells[rows].equals(first.cells[rows]):
            raise ValueError(f"{name!r} predicts other scores than {next(iter(parts))!r}")
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
    return HeldOut(cells, np.concatenate(draws, axis=1), folds)
