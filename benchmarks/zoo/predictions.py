"""Judged predictions of one fold by a law or an opponent; those of a law are kept, and read again."""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd

import scalebayes as sb
from benchmarks.runs import SCORE_LAWS
from benchmarks.zoo.opponents import FOR_LOSSES, FOR_MIXTURES, OPPONENTS, Opponent
from benchmarks.zoo.table import Table
from scalebayes.data.folds import Fold, hidden
from scalebayes.evaluation import scoring
from scalebayes.evaluation.cross_validation import fingerprint, name_of_fold
from scalebayes.evaluation.heldout import held_out_in_table, holds_out
from scalebayes.model.law import Law


def methods(table: Table) -> dict[str, Law | Opponent]:
    """Laws and opponents that suit a table, by name."""
    found: dict[str, Law | Opponent] = {}
    if table.observations.benchmarks:
        found |= SCORE_LAWS
    found |= table.loss_laws
    unsuited: set[str] = set()
    if not (table.observations.benchmarks and table.observations.domains):
        unsuited |= FOR_LOSSES
    if table.observations.mixtures.empty:
        unsuited |= FOR_MIXTURES
    return found | {name: own for name, own in OPPONENTS.items() if name not in unsuited}


def of_fold(
    folder: Path, nuts: sb.Nuts, observations: sb.Observations, method: Law | Opponent, fold: Fold
) -> pd.DataFrame:
    """Judge the predictions of the scores and losses that a fold hides.

    Args:
        folder: Where the predictions of laws are kept; those of an equal fit are read.
        nuts: The sampler of laws.
        observations: The table.
        method: A law or an opponent.
        fold: What is hidden, and predicted.

    Returns:
        The rows of `scoring.scores` of scores and losses, with of, column (benchmark or domain), converged, rhat
        and the seconds of the fold.
    """
    if isinstance(method, Law):
        return _of_law(folder, nuts, observations, method, fold)
    started = time.perf_counter()
    held = {"score": observations.scores, "loss": observations.losses}
    kinds = [of for of, rows in held.items() if hidden(rows, fold.hold_out).any()]
    found = _beside_truth([method(observations, fold, of) for of in kinds])
    return found.assign(converged=True, rhat=float("nan"), seconds=time.perf_counter() - started)


def _of_law(
    folder: Path, nuts: sb.Nuts, observations: sb.Observations, law: Law, fold: Fold
) -> pd.DataFrame:
    """Fit a law without a fold and judge its predictions, or read what an equal fit has given."""
    shared = fingerprint(law, observations, 0, {"sampler": nuts})
    path = folder / f"{name_of_fold(shared, fold)}.csv"
    if path.exists():
        return pd.read_csv(path)
    started = time.perf_counter()
    fit = sb.fit(law, observations, seed=0, hold_out=fold.hold_out, progress=False, sampler=nuts)
    found = _beside_truth(
        [held_out_in_table(fit, of=of, name=fold.name) for of in holds_out(fit)]
    ).assign(
        converged=fit.verdict.passed,
        rhat=fit.verdict.max_rhat,
        seconds=time.perf_counter() - started,
    )
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")  # an interrupted run leaves no half of a fold
    found.to_csv(partial, index=False)
    partial.replace(path)
    return found


def _beside_truth(parts: list[sb.HeldOut]) -> pd.DataFrame:
    """Scores and losses in one table, benchmark or domain in the column `column`."""
    names = {"benchmark": "column", "domain": "column"}
    each = [scoring.scores(part).rename(columns=names).assign(of=part.of) for part in parts]
    return pd.concat(each)
