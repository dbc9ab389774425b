"""Judged predictions of one fold by a law, the default or an opponent; those of fits are kept, and read again."""

from __future__ import annotations

import time
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Best:
    """The default, `fit_best`."""

    def laws(self, observations: sb.Observations) -> list[Law]:
        """All laws on which the result depends."""
        return list(sb.candidates(observations).values())

    def fit(self, observations: sb.Observations, fold: Fold, nuts: sb.Nuts) -> sb.Average:
        """The average of laws, without the fold."""
        return sb.fit_best(
            observations, seed=0, hold_out=fold.hold_out, sampler=nuts, progress=False
        )


Method = Law | Best | Opponent


def methods(table: Table) -> dict[str, Method]:
    """The default, laws and opponents that suit a table, by name."""
    found: dict[str, Method] = {}
    if table.observations.benchmarks:
        found |= {"fit_best": Best(), **SCORE_LAWS}
    found |= table.loss_laws
    unsuited: set[str] = set()
    if not (table.observations.benchmarks and table.observations.domains):
        unsuited |= FOR_LOSSES
    if table.observations.mixtures.empty:
        unsuited |= FOR_MIXTURES
    return found | {name: own for name, own in OPPONENTS.items() if name not in unsuited}


def of_fold(
    folder: Path, nuts: sb.Nuts, observations: sb.Observations, method: Method, fold: Fold
) -> pd.DataFrame:
    """Judge the predictions of the scores and losses that a fold hides.

    Args:
        folder: Where the predictions of fits are kept; those of an equal fit are read.
        nuts: The sampler of fits.
        observations: The table.
        method: A law, the default or an opponent.
        fold: What is hidden, and predicted.

    Returns:
        The rows of `scoring.scores` of scores and losses, with of, column (benchmark or domain), converged, rhat
        and the seconds of the fold.
    """
    if isinstance(method, Law | Best):
        return _of_fit(folder, nuts, observations, method, fold)
    started = time.perf_counter()
    held = {"score": observations.scores, "loss": observations.losses}
    kinds = [of for of, rows in held.items() if hidden(rows, fold.hold_out).any()]
    found = _beside_truth([method(observations, fold, of) for of in kinds])
    return found.assign(converged=True, rhat=float("nan"), seconds=time.perf_counter() - started)


def _of_fit(
    folder: Path, nuts: sb.Nuts, observations: sb.Observations, method: Law | Best, fold: Fold
) -> pd.DataFrame:
    """Fit without a fold and judge the predictions, or read what an equal fit has given."""
    laws = method.laws(observations) if isinstance(method, Best) else [method]
    shared = " ".join(fingerprint(law, observations, 0, {"sampler": nuts}) for law in laws)
    path = folder / f"{name_of_fold(shared, fold)}.csv"
    if path.exists():
        return pd.read_csv(path)
    started = time.perf_counter()
    fitted: sb.Fit | sb.Average
    if isinstance(method, Best):
        fitted = method.fit(observations, fold, nuts)
        kinds = holds_out(fitted.parts[0].fit)
        parts = [sb.held_out(fitted, of=of) for of in kinds]
    else:
        fitted = sb.fit(
            method, observations, seed=0, hold_out=fold.hold_out, progress=False, sampler=nuts
        )
        parts = [held_out_in_table(fitted, of=of, name=fold.name) for of in holds_out(fitted)]
    verdicts = [part.fit.verdict for part in fitted.parts]
    found = _beside_truth(parts).assign(
        fold=fold.name,
        converged=all(verdict.passed for verdict in verdicts),
        rhat=max(verdict.max_rhat for verdict in verdicts),
        chosen=", ".join(f"{part.name} {part.weight:.2f}" for part in fitted.parts),
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
