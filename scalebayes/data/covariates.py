"""Covariates: columns of the table of models, each declared once with its kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, cast, get_args

import numpy as np
import pandas as pd

from scalebayes.data.constraints import Rule
from scalebayes.data.schema import (
    COLUMNS,
    MISSING,
    ObservationsError,
    quoted,
    suggestion,
)

Kind: TypeAlias = Literal["numeric", "category", "ordered"]

EMPTY_COVARIATE = (
    "give the value of every model, or leave the model out; "
    "words such as NA, nan and none count as empty"
)


@dataclass(frozen=True)
class Covariate:
    """A property of models, such as the share of code or the stage of training.

    Args:
        name: The column of the table of models.
        kind: "numeric" for finite numbers, "category" for levels without order, "ordered" for
            levels with one.
        levels: The levels, as text. An ordered covariate needs them, in their order. A category
            without them takes the distinct values of the table, in order of first appearance. A
            numeric covariate has none.

    Raises:
        ObservationsError: The name is that of a standard column, the kind is unknown, or the levels
            do not suit the kind.

    Example:
        >>> Covariate("stage", "ordered", ("base", "instruct")).levels
        ('base', 'instruct')
    """

    name: str
    kind: Kind
    levels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the declaration."""
        standard = dict.fromkeys(column for columns in COLUMNS.values() for column in columns)
        if not isinstance(self.name, str) or not self.name.strip():
            raise ObservationsError(
                f"expected the name of a column for a covariate, got {self.name!r}: "
                "name the column that holds it"
            )
        if self.name in standard:
            raise ObservationsError(
                f"covariate {self.name!r}: expected a name of its own, got that of a standard "
                f"column ({quoted(standard, len(standard))}): rename the column"
            )
        if self.kind not in get_args(Kind):
            raise ObservationsError(
                f"covariate {self.name!r}: expected one of the kinds {quoted(get_args(Kind))}, "
                f"got {self.kind!r}" + suggestion(self.kind, get_args(Kind))
            )
        if isinstance(self.levels, str):
            raise ObservationsError(
                f"covariate {self.name!r}: expected a sequence of levels, got the single text "
                f"{self.levels!r}: write ({self.levels!r},)"
            )
        object.__setattr__(self, "levels", tuple(str(level).strip() for level in self.levels))
        self._check_levels()

    def _check_levels(self) -> None:
        if self.kind == "numeric" and self.levels:
            raise ObservationsError(
                f"covariate {self.name!r}: expected no levels of a numeric covariate, "
                f"got {quoted(self.levels)}: leave them out, or declare it as 'category'"
            )
        if self.kind == "ordered" and not self.levels:
            raise ObservationsError(
                f"covariate {self.name!r}: expected the levels of an ordered covariate in their "
                f"order, got none: list them, as in covariates={{{self.name!r}: ['low', 'high']}}"
            )
        if repeated := sorted({v for v in self.levels if self.levels.count(v) > 1}):
            raise ObservationsError(
                f"covariate {self.name!r}: expected each level once, got {quoted(repeated)} more "
                "than once: name the levels apart"
            )
        if empty := [level for level in self.levels if level.lower() in MISSING]:
            raise ObservationsError(
                f"covariate {self.name!r}: expected levels with names, got {quoted(empty)}, which "
                "counts as an empty cell: choose another word, here and in the table"
            )


Covariates: TypeAlias = Sequence[Covariate] | Mapping[str, Covariate | Kind | Sequence[str]]
"""Declarations, or name -> declaration, kind, or the levels of an ordered covariate in order."""


def declared(covariates: Covariates) -> tuple[Covariate, ...]:
    """Return the declarations that a caller wrote in any of the accepted forms.

    Args:
        covariates: A sequence of `Covariate`, or a mapping of a column to a `Covariate`, to a kind,
            or to the list of levels of an ordered covariate.

    Raises:
        ObservationsError: It has another form, or declares a column twice.
    """
    if isinstance(covariates, Mapping):
        return tuple(_declaration(name, given) for name, given in covariates.items())
    if isinstance(covariates, str) or not all(isinstance(c, Covariate) for c in covariates):
        raise ObservationsError(
            f"covariates= must map columns to their kinds, got {covariates!r}: "
            "write it as in covariates={'share_code': 'numeric', 'architecture': 'category'}"
        )
    names = [covariate.name for covariate in covariates]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ObservationsError(
            f"covariates= must declare each column once, got {quoted(repeated)} more than once: "
            "keep one declaration"
        )
    return tuple(covariates)


def _declaration(name: str, given: Covariate | Kind | Sequence[str]) -> Covariate:
    if isinstance(given, Covariate):
        if given.name != name:
            raise ObservationsError(
                f"covariates= must use the name of each declaration as its key, got {name!r} for "
                f"the covariate {given.name!r}: make the two agree"
            )
        return given
    if isinstance(given, str):
        return Covariate(name, cast(Kind, given))
    if isinstance(given, list | tuple):
        return Covariate(name, "ordered", tuple(given))
    raise ObservationsError(
        f"covariate {name!r}: expected a kind ({quoted(get_args(Kind))}) or the list of its levels "
        f"in order, got {given!r}: declare it as one of these"
    )


def with_levels(covariates: Sequence[Covariate], models: pd.DataFrame) -> tuple[Covariate, ...]:
    """Return the declarations, with the levels of the table for categories declared without any."""
    return tuple(
        replace(c, levels=tuple(models[c.name].unique()))
        if c.kind == "category" and not c.levels
        else c
        for c in covariates
    )


def joined(parts: Sequence[Mapping[str, Covariate]]) -> tuple[Covariate, ...]:
    """Return the declarations that several observations share; a category has the levels of all.

    Raises:
        ObservationsError: A part lacks a covariate of another part, or declares it differently.
    """
    known = dict(parts[0])
    for n, part in enumerate(parts[1:], start=2):
        for name in [*known, *part]:
            if (name in known) != (name in part):
                has, lacks = (1, n) if name in known else (n, 1)
                raise ObservationsError(
                    f"part {lacks}: expected the covariate {name!r}, which part {has} has, got "
                    "none: declare it in every part, or in none"
                )
        for name, covariate in known.items():
            other = part[name]
            if covariate.kind == other.kind == "category":
                levels = tuple(dict.fromkeys(covariate.levels + other.levels))
                known[name] = replace(covariate, levels=levels)
            elif covariate != other:
                raise ObservationsError(
                    f"part {n}: expected the covariate {name!r} to be {_described(covariate)}, as in "
                    f"part 1, got {_described(other)}: declare it alike in every part"
                )
    return tuple(known.values())


def _described(covariate: Covariate) -> str:
    levels = f" with levels {quoted(covariate.levels)}" if covariate.levels else ""
    return covariate.kind + levels


def rules_of(covariate: Covariate) -> list[Rule]:
    """Return what the cells of a covariate must satisfy."""
    name, levels = covariate.name, covariate.levels
    if covariate.kind == "numeric":
        return [
            Rule(
                lambda values: np.isfinite(values),
                lambda value: (
                    f"{name} must be finite, got {value:g}: give the number, or leave the model out"
                ),
            )
        ]
    if not levels:
        return []
    remedy = "correct the cell, or add it to the levels"
    return [
        Rule(
            lambda values: values.isin(levels),
            lambda value: (
                f"{name} must be one of its levels {quoted(levels)}, got {value!r}"
                + (suggestion(value, levels) or f": {remedy}")
            ),
        )
    ]
