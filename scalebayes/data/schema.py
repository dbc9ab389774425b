"""The columns of the tables of observations, what identifies a row, and how messages show values."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
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
"""Spellings of an empty cell, in lower case, by spreadsheets and by `astype(str)`; none is a name."""

OPTIONAL = frozenset({"run", "lineage", "tokens", "flops", "n_items", "chance"})
KEYS: dict[str, list[str]] = {
    "models": ["model"],
    "scores": ["model", "benchmark"],
    "losses": ["model", "domain"],
    "mixtures": ["model", "source"],
}
TO_ONE = 1e-3
"""Largest distance from one of the sum of a model's weights; published weights are rounded."""

REMEDY_IF_EMPTY = {
    "weight": "write 0 for a source that was not used, or leave out all weights of the model"
}
"""Remedy for an empty cell, where it is not to fill it in or to leave the row out."""


class ObservationsError(ValueError):
    """A table does not satisfy the schema; the message names the rows and the remedy."""


def columns_of(kind: str, covariates: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the columns of a table, in order: the standard ones, and the covariates of models.

    Args:
        kind: "models", "scores", "losses" or "mixtures".
        covariates: Names of the covariates of the models, in order of declaration.
    """
    return (*COLUMNS[kind], *covariates) if kind == "models" else COLUMNS[kind]


def identity_columns(covariates: Iterable[str] = ()) -> list[str]:
    """Return the columns of models that identify one: two rows alike in them are the same model.

    The name alone is not enough: a model to predict may have the name of an observed model and
    differ in size, tokens or a covariate. Run, lineage and FLOPs do not count, since they are
    filled in where a table leaves them out.

    Args:
        covariates: Names of the covariates of the models, in order of declaration.
    """
    return ["model", "family", "params", "tokens", *covariates]


def description_columns(covariates: Iterable[str] = ()) -> list[str]:
    """Return the columns that describe a model in a result: its identity and training FLOPs.

    Args:
        covariates: Names of the covariates of the models, in order of declaration.
    """
    return [*identity_columns(), "flops", *covariates]


def quoted(names: Iterable[object], most: int = 8) -> str:
    """Return the first few names in quotes, and the number of the rest."""
    every = [repr(str(name)) for name in names]
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def shown(value: Any) -> str:
    """Return the value of a cell in the form that messages use."""
    if isinstance(value, str):
        return repr(value)
    return "nothing" if pd.isna(value) else f"{value:.10g}"


def suggestion(name: object, known: Collection[str], cutoff: float = 0.6) -> str:
    """Return "; did you mean 'x'?" for the known name closest to `name`, or nothing."""
    folded = {str(option).casefold(): str(option) for option in known}
    near = difflib.get_close_matches(str(name).casefold(), list(folded), n=1, cutoff=cutoff)
    return f"; did you mean {folded[near[0]]!r}?" if near else ""


def first_alike(frame: pd.DataFrame, keys: list[str], i: int) -> int:
    """Return the position of the first row whose keys are those of row i."""
    alike = (frame[keys] == frame[keys].iloc[i]).all(axis=1)
    return int(np.flatnonzero(alike)[0])
