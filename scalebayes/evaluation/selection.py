"""fit_best: an average of laws, weighted by how each predicts the largest models of a table from the smaller ones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from scalebayes.evaluation.cross_validation import fit_quietly
from scalebayes.evaluation.heldout import held_out_in_table
from scalebayes.inference.fitting import fit
from scalebayes.inference.nuts import Nuts
from scalebayes.laws.baselines import FamilyIntercept
from scalebayes.laws.ladder import Ladder
from scalebayes.laws.reducible_loss import ReducibleLoss
from scalebayes.laws.sloth import Sloth
from scalebayes.prediction.averages import Average
from scalebayes.prediction.averaging import stacking

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scalebayes.data.observations import Observations
    from scalebayes.model.law import Law

MIN_WEIGHT = 0.1
"""Laws of less weight are left out of the average."""

MAX_RHAT_OF_TRIAL = 1.5
"""A law whose short fit mixes worse than this is left out, unless all do; 1.2 is common after so few draws."""


def candidates(observations: Observations) -> dict[str, Law]:
    """The laws that suit a table, by name, from which `fit_best` chooses; all use the table's covariates.

    Args:
        observations: Validated tables.

    Example:
        >>> list(sb.candidates(fit.observations.without(domains=fit.observations.domains)))
        ['ReducibleLoss', 'FamilyIntercept', 'Sloth', 'Sloth without interaction']
    """
    used = tuple(observations.covariates)
    found: dict[str, Law] = {
        "ReducibleLoss": ReducibleLoss(covariates=used),
        "FamilyIntercept": FamilyIntercept(covariates=used),
    }
    if len(observations.benchmarks) >= 2:
        found["Sloth"] = Sloth(covariates=used)
        found["Sloth without interaction"] = Sloth(interaction=False, covariates=used)
    domains, benchmarks = observations.domains, observations.benchmarks
    checkpoints = bool(observations.models["run"].duplicated().any())
    if domains and set(benchmarks) <= set(domains):
        found["Ladder"] = Ladder(checkpoints=checkpoints, covariates=used)
    elif domains:
        found["Ladder"] = Ladder(feature=domains[0], checkpoints=checkpoints, covariates=used)
    return found


def fit_best(
    observations: Observations,
    *,
    seed: int,
    laws: Mapping[str, Law] | None = None,
    most: int = 3,
    hold_out: Sequence[str] = (),
    sampler: Nuts | None = None,
    progress: bool = True,
) -> Average:
    """Choose among laws, or average them, by how well they predict larger models inside the table.

    Every law is fitted briefly (half the warmup, a quarter of the draws, two chains) without the largest size of each
    family of two and more sizes, and predicts the scores of these models. Errors of a model's scores are correlated:
    each model is one piece of evidence, with the mean of the log predictive densities of its scores. The weights are
    posterior means of stacking weights (see `fit_average`): with few models they stay near equal. The `most`
    best laws, of at least `MIN_WEIGHT`, are then fitted to the whole table. Held-out models are not used.

    Args:
        observations: Validated tables, with scores.
        seed: Seed of all random numbers.
        laws: The laws by name; by default `candidates(observations)`.
        most: Largest number of laws in the average; 1 chooses a single law.
        hold_out: Models whose scores and losses are held out from all fits.
        sampler: The sampler of the final fits; by default `Nuts()`.
        progress: Whether to show progress bars.

    Returns:
        The fits with their weights, which `predict` and the planning functions accept in place of a fit. Its
        `evidence` has a row for each predicted model.

    Raises:
        ValueError: If there are no laws, or no scores, or `most` is less than one.

    Example:
        >>> best = sb.fit_best(sb.datasets.open_llm(), seed=0)  # doctest: +SKIP
        >>> best.weights  # doctest: +SKIP
    """
    laws = candidates(observations) if laws is None else laws
    if not laws:
        raise ValueError("laws must be at least one law, got none")
    if most < 1:
        raise ValueError(f"most must be at least 1, but is {most}")
    if not len(observations.scores):
        raise ValueError(
            "laws are chosen by their predictions of scores, but there are none: fit one law"
        )
    sampler = sampler or Nuts()
    names = largest(observations, hold_out)
    weights = dict.fromkeys([*laws][:most], 1 / min(most, len(laws)))
    evidence = None
    if names and len(laws) > 1:
        evidence, rhat = _trial(laws, observations, names, hold_out, sampler, seed, progress)
        mixed = [name for name in laws if rhat[name] <= MAX_RHAT_OF_TRIAL] or list(laws)
        found = dict(zip(mixed, stacking(evidence[mixed].to_numpy()).tolist(), strict=True))
        best = sorted(found, key=found.__getitem__, reverse=True)[:most]
        kept = {k: found[k] for k in best if found[k] >= MIN_WEIGHT or k == best[0]}
        weights = {k: w / sum(kept.values()) for k, w in kept.items()}
    fits = {
        name: fit(
            laws[name], observations, seed=seed, sampler=sampler, hold_out=hold_out,
            progress=progress,
        )
        for name in weights
    }  # fmt: skip
    return Average(fits, weights, evidence)


def largest(observations: Observations, hold_out: Sequence[str] = ()) -> list[str]:
    """Names of the scored models of the largest size of each family of two and more sizes."""
    scored = set(observations.scores["model"]) - set(hold_out)
    models = observations.models[observations.models["model"].isin(scored)]
    size = models.groupby("family")["params"]
    top = (models["params"] == size.transform("max")) & (size.transform("nunique") > 1)
    return models.loc[top, "model"].tolist()


def _trial(
    laws: Mapping[str, Law],
    observations: Observations,
    names: Sequence[str],
    hold_out: Sequence[str],
    sampler: Nuts,
    seed: int,
    progress: bool,
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Mean log densities of the scores of each model under each law, and R-hat of each short fit."""
    brief = replace(
        sampler, draws=-(-sampler.draws // 4), warmup=-(-sampler.warmup // 2), chains=2, retries=0
    )
    seen = observations.without(models=list(hold_out)) if len(hold_out) else observations
    evidence, rhat = {}, {}
    for name, law in laws.items():
        found = fit_quietly(law, seen, seed=seed, sampler=brief, hold_out=names, progress=progress)
        cells = held_out_in_table(found, seed=seed).cells
        evidence[name] = cells.groupby("model", sort=False)["log_score"].mean()
        rhat[name] = found.verdict.max_rhat
    return pd.DataFrame(evidence).reset_index(), rhat
