"""Constraints on the cells and rows of each table, with the message for a violation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from scalebayes.data.schema import KEYS, LOSS_UNITS, TO_ONE, first_alike, quoted, shown


@dataclass(frozen=True)
class Rule:
    """A constraint on the values of a column, and the message for a value that violates it."""

    holds: Callable[[pd.Series], pd.Series]
    message: Callable[[Any], str]


@dataclass(frozen=True)
class RowRule:
    """A constraint on the rows of a table together; a violation is reported at `column`."""

    column: str
    holds: Callable[[pd.DataFrame], pd.Series]
    message: Callable[[pd.DataFrame, int], str]


def _finite(noun: str) -> Rule:
    return Rule(
        lambda values: np.isfinite(values),
        lambda value: f"{noun} must be finite, got {value:g}: give the number, or none if unknown",
    )


def _positive(noun: str) -> Rule:
    return Rule(
        lambda values: values > 0,
        lambda value: f"{noun} must be positive, got {value:g}: correct the cell",
    )


def _count(noun: str, low: float, high: float, remedy: str) -> list[Rule]:
    """Rules for counts between the smallest and the largest plausible one."""
    return [
        _finite(noun),
        _positive(noun),
        Rule(
            lambda values: values >= low,
            lambda value: f"{noun} must be a count, got {value:g}: {remedy}",
        ),
        Rule(
            lambda values: values <= high,
            lambda value: (
                f"{noun} must be a count of at most {high:g}, got {value:g}: "
                f"was the unit of {noun} applied to figures that were counts already?"
            ),
        ),
    ]


SCORE_REMEDY = "correct the cell, or leave it empty if the score is missing"
WEIGHT_REMEDY = "give the source's share of the tokens"


def _outside(column: str, value: float, remedy: str) -> str:
    return f"a {column} must lie in [0, 1], got {value:g}: {remedy}"


def _percentage(value: float) -> bool:
    return 1 < value <= 100


def _weight_message(value: float) -> str:
    percent = "it looks like a percentage, divide by 100 (or pass units={'weight': 0.01})"
    return _outside("weight", value, percent if _percentage(value) else WEIGHT_REMEDY)


def _percent_by_benchmark() -> RowRule:
    """Scores of at most 1; the message says which benchmarks look like percentages as a whole."""

    def message(frame: pd.DataFrame, i: int) -> str:
        value, benchmark = frame["score"].iloc[i], frame["benchmark"].iloc[i]
        if not _percentage(value):
            return _outside("score", value, SCORE_REMEDY)
        medians = frame.groupby("benchmark", sort=False)["score"].median()
        own = frame["score"][frame["benchmark"] == benchmark]
        fractions = int((own <= 1).sum())
        if not medians[benchmark] > 1:
            remedy = (
                f"it looks like a percentage, divide by 100; {fractions} of the {len(own)} scores "
                f"on {benchmark!r} are at most 1"
            )
            return _outside("score", value, remedy)
        percent = dict.fromkeys(medians.index[medians > 1], 0.01)
        units = {"score": 0.01} if len(percent) == len(medians) else percent
        remedy = f"it looks like a percentage, divide by 100 (or pass units={units})"
        if fractions:
            remedy += f"; {fractions} of the {len(own)} scores on {benchmark!r} are at most 1: check their unit"
        return _outside("score", value, remedy)

    return RowRule("score", lambda frame: ~(frame["score"] > 1), message)


RULES: dict[str, dict[str, list[Rule]]] = {
    "models": {
        "params": _count("params", 1e5, 1e15, "it looks like billions, pass units={'params': 1e9}"),
        "tokens": _count(
            "tokens",
            1e6,
            1e18,
            "it looks like trillions or billions, pass units={'tokens': 1e12} or {'tokens': 1e9}",
        ),
        "flops": _count(
            "flops", 1e9, 1e32, "it looks like a larger unit, pass it as in units={'flops': 1e21}"
        ),
    },
    "scores": {
        "score": [
            _finite("a score"),
            Rule(lambda values: values >= 0, lambda value: _outside("score", value, SCORE_REMEDY)),
        ],
        "n_items": [
            _finite("n_items"),
            Rule(
                lambda values: values >= 1,
                lambda value: (
                    f"n_items must be at least 1, got {value:g}: leave it empty if it is unknown"
                ),
            ),
        ],
        "chance": [
            Rule(
                lambda values: (values >= 0) & (values < 1),
                lambda value: (
                    f"a chance level must lie in [0, 1), got {value:g}: give a fraction, as in 0.25"
                ),
            )
        ],
    },
    "losses": {
        "loss": [_finite("a loss"), _positive("a loss")],
        "unit": [
            Rule(
                lambda values: values.isin(LOSS_UNITS),
                lambda value: (
                    f"the unit of a loss must be one of {quoted(LOSS_UNITS)}, got {value!r}: "
                    "convert the losses, or write their unit so"
                ),
            )
        ],
    },
    "mixtures": {
        "weight": [_finite("a weight"), Rule(lambda values: values.between(0, 1), _weight_message)]
    },
}


def _unique(kind: str, remedy: str) -> RowRule:
    keys = KEYS[kind]

    def message(frame: pd.DataFrame, i: int) -> str:
        key = ", ".join(repr(name) for name in frame[keys].iloc[i])
        first = frame.index[first_alike(frame, keys, i)]
        return f"{key} must be given once, but is a duplicate of {first}: {remedy}"

    # a key with an empty part is reported as empty, not as a duplicate
    return RowRule(
        keys[-1], lambda frame: ~frame.duplicated(keys) | frame[keys].isna().any(axis=1), message
    )


def _one_per(group: str, column: str, remedy: str) -> RowRule:
    """One value of `column`, or none anywhere, for each `group`."""

    def holds(frame: pd.DataFrame) -> pd.Series:
        first = frame.dropna(subset=[group]).drop_duplicates(group).set_index(group)[column]
        expected = frame[group].map(first)
        both_unknown = frame[column].isna() & expected.isna()
        return (frame[column] == expected) | both_unknown | frame[group].isna()

    def message(frame: pd.DataFrame, i: int) -> str:
        first = frame.iloc[first_alike(frame, [group], i)]
        return (
            f"{group} {frame[group].iloc[i]!r} must have one {column}, "
            f"got {shown(frame[column].iloc[i])} here and {shown(first[column])} at {first.name}: "
            f"{remedy}"
        )

    return RowRule(column, holds, message)


def _to_one(group: str, column: str, remedy: str) -> RowRule:
    """The values of `column` sum to one in each `group`; a violation is reported at its first row."""

    def totals(frame: pd.DataFrame) -> pd.Series:
        return frame.groupby(group)[column].sum()

    def holds(frame: pd.DataFrame) -> pd.Series:
        # a bad cell or a duplicate key is reported itself, not the sum that it spoils
        sound = frame[column].between(0, 1) & ~frame.duplicated(KEYS["mixtures"], keep=False)
        sums = totals(frame)[sound.groupby(frame[group]).all()]
        off = sums.index[(sums - 1).abs().round(9) > TO_ONE]
        return frame.duplicated(group) | ~frame[group].isin(off)

    def message(frame: pd.DataFrame, i: int) -> str:
        name = frame[group].iloc[i]
        return (
            f"the {column}s of {group} {name!r} must sum to one, "
            f"got {totals(frame)[name]:.6g}: {remedy}"
        )

    return RowRule(column, holds, message)


ROW_RULES: dict[str, list[RowRule]] = {
    "models": [
        _unique("models", "keep one row, or give the models names of their own"),
        _one_per("family", "lineage", "a lineage holds whole families"),
        _one_per("run", "family", "name the runs apart"),
    ],
    "scores": [
        _unique("scores", "keep one score"),
        _one_per("benchmark", "chance", "give all its rows the same, or name the benchmarks apart"),
        _percent_by_benchmark(),
    ],
    "losses": [
        _unique("losses", "keep one loss"),
        _one_per("domain", "unit", "convert the losses, or name the domains apart"),
    ],
    "mixtures": [
        _unique("mixtures", "keep one weight"),
        _to_one("model", "weight", "divide them by their sum, or add the missing source"),
    ],
}
