"""Checks of columns of scores as a whole: one scale, and levels that agree with the stated chance level.

Constraints on single cells are in `constraints`; the statistics are in `scales`.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
from scipy.special import ndtri

from scalebayes.data.scale_curves import raw_scores
from scalebayes.data.scales import (
    LARGEST_HUNDREDTH,
    Mixture,
    hundredths,
    mixtures,
    unstated_mixtures,
)
from scalebayes.data.schema import ObservationsError, quoted

Scales: TypeAlias = Literal["check", "trust"]

FALSE_ALARM_RATE = 1e-3
"""Probability that a benchmark on which all models guess is reported for scores below chance."""
UNEVEN_KEY = 0.025
"""Distance below chance that always choosing the same letter can reach: 23% of MMLU's answers are A."""
MARGIN_WITHOUT_ITEMS = 0.05
"""Distance from which a score lies clearly below chance if the number of items is unknown."""
MIN_SCORES = 3
"""Smallest number of scores from which a column is judged as a whole."""
LOW_FOR_NORMALISED = 1 / 3
"""Share of the chance level that some score of a column normalised by chance falls below."""
MOST_NAMES = 3
"""Number of models that a message names."""
TO_OVERRIDE = "if the scores are right as they are, pass scales='trust'"


class ScoreWarning(UserWarning):
    """Scores disagree with what is stated of their benchmark; nothing is changed.

    It names the benchmark, the number of models and what the reason may be. Filter it by this category, or
    pass scales="trust" to the reader where the scores are known to be right.
    """


@dataclass(frozen=True)
class ScoreTable:
    """Scores as a matrix, with what is known of benchmarks and models.

    Attributes:
        values: NaN where there is no score, shape (n_model, n_benchmark).
        models, benchmarks: Names of rows and columns.
        chance, n_items: NaN where unknown, shape (n_benchmark,).
        sizes: Logs of params, tokens and FLOPs, shape (n_model, 3).
    """

    values: np.ndarray
    models: np.ndarray
    benchmarks: list[str]
    chance: np.ndarray
    n_items: np.ndarray
    sizes: np.ndarray

    @classmethod
    def of(cls, models: pd.DataFrame, scores: pd.DataFrame) -> ScoreTable:
        """Return the matrix of valid long tables."""
        facts = scores.groupby("benchmark", sort=False).agg({"chance": "first", "n_items": "min"})
        wide = scores.pivot(index="model", columns="benchmark", values="score")
        wide = wide.reindex(index=models["model"], columns=facts.index)
        return cls(
            wide.to_numpy(dtype=float),
            models["model"].to_numpy(dtype=str),
            [str(name) for name in facts.index],
            facts["chance"].to_numpy(dtype=float),
            facts["n_items"].to_numpy(dtype=float),
            np.log(models[["params", "tokens", "flops"]].to_numpy(dtype=float)),
        )

    def count(self, column: int) -> int:
        """Return the number of scores on a benchmark."""
        return int(np.isfinite(self.values[:, column]).sum())

    def names(self, rows: np.ndarray) -> str:
        """Return the names of the first few of some models."""
        return quoted(self.models[rows], MOST_NAMES)

    def below_chance(self) -> np.ndarray:
        """Return which scores are clearly below chance, shape (n_model, n_benchmark).

        It is more than UNEVEN_KEY below, and guessing would give one as low, among as many models, with
        probability FALSE_ALARM_RATE; or it is MARGIN_WITHOUT_ITEMS below, if the number of items is unknown.
        """
        counts = np.maximum(np.isfinite(self.values).sum(axis=0), 1)
        error = np.sqrt(self.chance * (1 - self.chance) / self.n_items)
        margin = np.maximum(-ndtri(FALSE_ALARM_RATE / counts) * error, UNEVEN_KEY)
        margin = np.where(np.isfinite(self.n_items), margin, MARGIN_WITHOUT_ITEMS)
        return np.asarray(self.values < self.chance - margin)


def check_choice(scales: str) -> None:
    """Refuse a choice other than "check" and "trust"."""
    if scales not in ("check", "trust"):
        raise ObservationsError(f"scales must be 'check' or 'trust', got {scales!r}")


def check_scores(models: pd.DataFrame, scores: pd.DataFrame) -> None:
    """Refuse columns on more than one scale or below chance as a whole; warn of what is doubtful.

    Args:
        models: A valid table of models.
        scores: A valid table of scores.

    Raises:
        ObservationsError: Rows of a column are clearly on another scale than the rest, or most scores of a
            benchmark are clearly below its chance level and the lowest below a third of it.

    Warns:
        ScoreWarning: Some scores of a benchmark are clearly below its chance level, or a column may hold two
            scales.
    """
    if scores.empty:
        return
    table = ScoreTable.of(models, scores)
    found, below = mixtures(table.values, table.chance, table.sizes), table.below_chance()
    small = _whole_in_hundredths(table)
    told = {mixture.column for mixture in found} | set(small)
    below[:, sorted(told)] = False
    if problems := _problems(table, found, below):
        raise ObservationsError("\n".join([*problems, TO_OVERRIDE]))
    for doubt in _doubts(table, found, small, below):
        warnings.warn(f"{doubt}; {TO_OVERRIDE}", ScoreWarning, stacklevel=4)


def _problems(table: ScoreTable, found: list[Mixture], below: np.ndarray) -> list[str]:
    """Return what is clearly wrong, one sentence each."""
    in_hundredths = hundredths(table.values, table.chance, table.sizes)
    problems = [_mixed(table, mixture) for mixture in found if mixture.clear]
    problems += [_in_hundredths(table, j, rows) for j, rows in in_hundredths.items()]
    if whole := _below_as_a_whole(table, below):
        problems.append(_normalised_throughout(table, whole, below))
    return problems


def _doubts(
    table: ScoreTable, found: list[Mixture], small: list[int], below: np.ndarray
) -> list[str]:
    """Return what may be wrong, one sentence each, in a table without problems."""
    unstated = unstated_mixtures(table.values, table.chance, table.sizes)
    doubts = [_mixed(table, mixture) for mixture in found]
    doubts += [_unstated(table, level, mixture) for level, mixture in unstated]
    doubts += [_small(table, j) for j in small]
    columns = np.flatnonzero(below.any(axis=0)).tolist()
    return doubts + [_below(table, j, below[:, j]) for j in columns]


def check_mixtures(models: pd.DataFrame, scores: pd.DataFrame) -> None:
    """Refuse columns on more than one scale; arguments and errors are those of `check_scores`."""
    if scores.empty:
        return
    table = ScoreTable.of(models, scores)
    found = [m for m in mixtures(table.values, table.chance, table.sizes) if m.clear]
    if found:
        raise ObservationsError("\n".join([*(_mixed(table, m) for m in found), TO_OVERRIDE]))


def _below_as_a_whole(table: ScoreTable, below: np.ndarray) -> list[int]:
    """Return the columns that look normalised by chance throughout.

    If most scores of one are clearly below chance, others are judged by their lowest scores alone: they come
    from the same source, and strong models are above chance even if normalised.
    """
    lowest = np.where(np.isfinite(table.values), table.values, np.inf).min(axis=0)
    low = (lowest < LOW_FOR_NORMALISED * table.chance) & (below.sum(axis=0) >= MIN_SCORES)
    most = below.sum(axis=0) >= np.isfinite(table.values).sum(axis=0) / 2
    return np.flatnonzero(low).tolist() if (low & most).any() else []


def _whole_in_hundredths(table: ScoreTable) -> list[int]:
    """Return the columns with no score above 0.01, if others have some."""
    highest = np.nanmax(np.where(np.isfinite(table.values), table.values, 0), axis=0)
    if highest.max() <= LARGEST_HUNDREDTH:
        return []
    return [
        j
        for j, high in enumerate(highest)
        if 0 < high <= LARGEST_HUNDREDTH and table.count(j) >= MIN_SCORES
    ]


def _small(table: ScoreTable, j: int) -> str:
    name = table.benchmarks[j]
    return (
        f"scores on {name!r}: all {table.count(j)} are at most {LARGEST_HUNDREDTH:g}, the highest "
        f"{np.nanmax(table.values[:, j]):.3g}, as if fractions were taken for percent: if so, give the benchmark "
        f"a unit of its own, units={{{name!r}: 1}}"
    )


def _mixed(table: ScoreTable, mixture: Mixture) -> str:
    j, level = mixture.column, table.chance[mixture.column]
    rows = mixture.normalised
    seem = "are" if mixture.clear else "may be"
    return (
        f"scores on {table.benchmarks[j]!r}: expected one scale, got about {rows.sum()} of {table.count(j)} that "
        f"{seem} normalised by chance, (score - {level:g}) / (1 - {level:g}), and the rest raw, judged by the "
        f"other scores and sizes of the models: normalised for {table.names(rows)}; convert these to raw, "
        f"{level:g} + {1 - level:g} * score, or drop them; Observations.normalised_scores() lists them"
    )


def _unstated(table: ScoreTable, level: float, mixture: Mixture) -> str:
    name, rows = table.benchmarks[mixture.column], mixture.normalised
    return (
        f"scores on {name!r}: about {rows.sum()} of {table.count(mixture.column)} may be normalised by a chance "
        f"level near {level:.2g} and the rest raw, judged by the other scores and sizes of the models: "
        f"normalised for {table.names(rows)}; state the chance level to have this checked, as in "
        f"chance={{{name!r}: {level:.2g}}}"
    )


def _in_hundredths(table: ScoreTable, j: int, rows: np.ndarray) -> str:
    return (
        f"scores on {table.benchmarks[j]!r}: expected one unit, got {rows.sum()} of {table.count(j)} that "
        f"fit the rest only if multiplied by 100, as if fractions were taken for percent: those of "
        f"{table.names(rows)}; multiply these by 100 in the table"
    )


def _normalised_throughout(table: ScoreTable, columns: Sequence[int], below: np.ndarray) -> str:
    each = ", ".join(
        f"{below[:, j].sum()} of {table.count(j)} on {table.benchmarks[j]!r} "
        f"(chance {table.chance[j]:g}, lowest {np.nanmin(table.values[:, j]):.3g})"
        for j in columns
    )
    zero = ", ".join(f"{table.benchmarks[j]!r}: 0" for j in columns)
    others = [table.benchmarks[j] for j in np.flatnonzero(table.chance > 0) if j not in columns]
    also = f", and likewise for {quoted(others)} if normalised too"
    return (
        f"expected scores near or above the chance level of their benchmark, got clearly lower ones: {each}. "
        "They look normalised by chance, (score - chance) / (1 - chance); the chance level is 0 then: pass "
        f"chance={{{zero}}}{also if others else ''}"
    )


def _below(table: ScoreTable, j: int, rows: np.ndarray) -> str:
    scores = np.where(rows, table.values[:, j], np.inf)
    return (
        f"scores on {table.benchmarks[j]!r}: those of {rows.sum()} of {table.count(j)} models are clearly below the "
        f"chance level {table.chance[j]:g}, the lowest at {scores.min():.3g} "
        f"(model {str(table.models[np.argmin(scores)])!r}): the level may be that of another metric (accuracy "
        "with or without normalisation by length), the scores may be normalised by chance (chance is 0 then), "
        "or models fail to answer in the expected form; correct the chance level or the scores"
    )


def normalised_rows(models: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `scores` read as normalised by chance among raw ones, with columns raw and prob."""
    table = ScoreTable.of(models, scores)
    position = pd.Series(range(len(table.models)), index=table.models)
    parts = []
    for mixture in mixtures(table.values, table.chance, table.sizes):
        of_benchmark = scores["benchmark"] == table.benchmarks[mixture.column]
        rows = scores[of_benchmark]
        rows = rows[mixture.normalised[position[rows["model"]]]]
        raw = raw_scores(rows["score"].to_numpy(), table.chance[mixture.column])
        parts.append(rows.assign(raw=raw, prob=mixture.prob[position[rows["model"]]]))
    return pd.concat(parts) if parts else scores.iloc[:0].assign(raw=[], prob=[])
