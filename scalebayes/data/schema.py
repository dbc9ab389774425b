"""What the tables of observations must satisfy, and the sentence for each row that does not."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

LOSS_UNITS = ("nats/token", "bits/byte")

TEXT: dict[str, tuple[str, ...]] = {
    "models": ("model", "run", "family", "lineage"),
    "scores": ("model", "benchmark"),
    "losses": ("model", "domain", "unit"),
    "mixtures": ("model", "source"),
}
NUMBERS: dict[str, tuple[str, ...]] = {
    "models": ("params", "tokens", "flops"),
    "scores": ("score", "n_items", "chance"),
    "losses": ("loss",),
    "mixtures": ("weight",),
}
COLUMNS: dict[str, tuple[str, ...]] = {
    "models": ("model", "run", "family", "lineage", "params", "tokens", "flops"),
    "scores": ("model", "benchmark", "score", "n_items", "chance"),
    "losses": ("model", "domain", "loss", "unit"),
    "mixtures": ("model", "source", "weight"),
}
MISSING = frozenset({"", "na", "nan", "n/a", "<na>", "null", "none"})
"""How spreadsheets and `astype(str)` write a missing cell, in lower case; none of them is a name."""

OPTIONAL = frozenset({"run", "lineage", "tokens", "flops", "n_items", "chance"})
KEYS: dict[str, list[str]] = {
    "models": ["model"],
    "scores": ["model", "benchmark"],
    "losses": ["model", "domain"],
    "mixtures": ["model", "source"],
}
TO_ONE = 1e-3
"""How far from one the weights of a model may sum, rounded as published weights are."""

EMPTY = {"weight": "write 0 for a source that was not used, or leave out all weights of the model"}
"""What to do about an empty cell, where it is not to fill it in or to leave the row out."""


class ObservationsError(ValueError):
    """A table cannot be taken as observations; the message names the rows and the remedy."""


def columns_of(kind: str, covariates: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the columns of a table, in order: the standard ones, of models the covariates too.

    Args:
        kind: "models", "scores", "losses" or "mixtures".
        covariates: Names of the covariates of the models, in order of declaration.
    """
    return (*COLUMNS[kind], *covariates) if kind == "models" else COLUMNS[kind]


def identity_columns(covariates: Iterable[str] = ()) -> list[str]:
    """Return the columns of models by which two tables speak of the same model.

    The name alone is not enough: a model to predict may bear the name of an observed model and
    differ in size, tokens or a covariate. Run, lineage and FLOPs may be left out of a table, and
    are then filled in, so that they identify nothing.

    Args:
        covariates: Names of the covariates of the models, in order of declaration.
    """
    return ["model", "family", "params", "tokens", *covariates]


def description_columns(covariates: Iterable[str] = ()) -> list[str]:
    """Return the columns by which a result describes its models: identity and training FLOPs.

    Args:
        covariates: Names of the covariates of the models, in order of declaration.
    """
    return [*identity_columns(), "flops", *covariates]


@dataclass(frozen=True)
class Rule:
    """What the values of a column must satisfy, and the sentence for a value that does not."""

    holds: Callable[[pd.Series], pd.Series]
    says: Callable[[Any], str]


@dataclass(frozen=True)
class RowRule:
    """What the rows of a table must satisfy together; `column` is the one to blame."""

    column: str
    holds: Callable[[pd.DataFrame], pd.Series]
    says: Callable[[pd.DataFrame, int], str]


def quoted(names: Iterable[object], most: int = 8) -> str:
    """Return names in quotes, the first few and the number of the rest."""
    every = [repr(str(name)) for name in names]
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def shown(value: Any) -> str:
    """Return a cell's value as a message shows it."""
    if isinstance(value, str):
        return repr(value)
    return "nothing" if pd.isna(value) else f"{value:.10g}"


def suggestion(name: object, known: Collection[str], cutoff: float = 0.6) -> str:
    """Return "; did you mean 'x'?" for the known name nearest to `name`, or nothing."""
    folded = {str(option).casefold(): str(option) for option in known}
    near = difflib.get_close_matches(str(name).casefold(), list(folded), n=1, cutoff=cutoff)
    return f"; did you mean {folded[near[0]]!r}?" if near else ""


def first_alike(frame: pd.DataFrame, keys: list[str], i: int) -> int:
    """Return the position of the first row whose keys are those of row i."""
    alike = (frame[keys] == frame[keys].iloc[i]).all(axis=1)
    return int(np.flatnonzero(alike)[0])


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
    """Rules for counts that lie between the smallest and the largest that can be meant."""
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


def _fraction(column: str, remedy: str) -> list[Rule]:
    """Rules for shares of one, which may come as percentages."""

    def says(value: float) -> str:
        percent = f"it looks like a percentage, divide by 100 (or pass units={{{column!r}: 0.01}})"
        found = percent if 1 < value <= 100 else remedy
        return f"a {column} must lie in [0, 1], got {value:g}: {found}"

    return [_finite(f"a {column}"), Rule(lambda values: values.between(0, 1), says)]


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
        "score": _fraction("score", "correct the cell, or leave it empty if the score is missing"),
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
                    "convert the losses, or name their unit so"
                ),
            )
        ],
    },
    "mixtures": {"weight": _fraction("weight", "give the source's share of the tokens")},
}


def _unique(kind: str, remedy: str) -> RowRule:
    keys = KEYS[kind]

    def says(frame: pd.DataFrame, i: int) -> str:
        key = ", ".join(repr(name) for name in frame[keys].iloc[i])
        first = frame.index[first_alike(frame, keys, i)]
        return f"{key} must be given once, but is a duplicate of {first}: {remedy}"

    # A key with an empty part is reported for that, not as a duplicate of another such key.
    return RowRule(
        keys[-1], lambda frame: ~frame.duplicated(keys) | frame[keys].isna().any(axis=1), says
    )


def _one_per(group: str, column: str, remedy: str) -> RowRule:
    """One value of `column`, or none anywhere, for each `group`."""

    def holds(frame: pd.DataFrame) -> pd.Series:
        first = frame.dropna(subset=[group]).drop_duplicates(group).set_index(group)[column]
        expected = frame[group].map(first)
        both_unknown = frame[column].isna() & expected.isna()
        return (frame[column] == expected) | both_unknown | frame[group].isna()

    def says(frame: pd.DataFrame, i: int) -> str:
        first = frame.iloc[first_alike(frame, [group], i)]
        return (
            f"{group} {frame[group].iloc[i]!r} must have one {column}, "
            f"got {shown(frame[column].iloc[i])} here and {shown(first[column])} at {first.name}: "
            f"{remedy}"
        )

    return RowRule(column, holds, says)


def _to_one(group: str, column: str, remedy: str) -> RowRule:
    """The values of `column` sum to one in each `group`; its first row is the one to blame."""

    def totals(frame: pd.DataFrame) -> pd.Series:
        return frame.groupby(group)[column].sum()

    def holds(frame: pd.DataFrame) -> pd.Series:
        # a cell or a key that is refused itself is reported for that
        sound = frame[column].between(0, 1) & ~frame.duplicated(KEYS["mixtures"], keep=False)
        sums = totals(frame)[sound.groupby(frame[group]).all()]
        off = sums.index[(sums - 1).abs().round(9) > TO_ONE]
        return frame.duplicated(group) | ~frame[group].isin(off)

    def says(frame: pd.DataFrame, i: int) -> str:
        name = frame[group].iloc[i]
        return (
            f"the {column}s of {group} {name!r} must sum to one, "
            f"got {totals(frame)[name]:.6g}: {remedy}"
        )

    return RowRule(column, holds, says)


ROW_RULES: dict[str, list[RowRule]] = {
    "models": [
        _unique("models", "keep one row, or give the models names of their own"),
        _one_per("family", "lineage", "a lineage holds whole families"),
        _one_per("run", "family", "name the runs apart"),
    ],
    "scores": [
        _unique("scores", "keep one score"),
        _one_per("benchmark", "chance", "give all its rows the same, or name the benchmarks apart"),
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
