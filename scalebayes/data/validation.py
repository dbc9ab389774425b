"""From tables as given to valid tables, or one error that names the offending rows.

The rules stand in `constraints`, those of covariates in `covariates`. This module finds the cells that
violate them, and says for each the row, the column, what was expected, what came and the remedy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from scalebayes.data.compute import training_flops
from scalebayes.data.constraints import ROW_RULES, RULES, Rule
from scalebayes.data.covariates import EMPTY_COVARIATE, Covariate, rules_of
from scalebayes.data.schema import (
    COLUMNS,
    KEYS,
    MISSING,
    NUMBERS,
    OPTIONAL,
    REMEDY_IF_EMPTY,
    TEXT,
    ObservationsError,
    columns_of,
    first_alike,
    shown,
    suggestion,
)

MOST_SHOWN = 3
"""Number of cells that a message names of each kind of problem."""


@dataclass(frozen=True)
class Table:
    """A table as given, with what messages need to name its parts in the caller's words.

    Attributes:
        kind: "models", "scores", "losses" or "mixtures".
        frame: the table under our column names; its index names the rows ("line 4", "row 0").
        source: the file it came from, or nothing.
        columns: our column name -> the caller's, where they differ.
        units: column -> the factor that gives counts, or fractions for scores and weights; in a table of
            scores, benchmark -> the factor of its scores, before that of the column.
        repeats: "merge" joins rows with the same key and content into one; "refuse" reports them.
        cells: in a wide table, label of a value -> the caller's column of such values.
        covariates: the covariates declared of the models; none in other tables.
    """

    kind: str
    frame: pd.DataFrame
    source: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, float] = field(default_factory=dict)
    repeats: Literal["refuse", "merge"] = "refuse"
    cells: Mapping[str, str] = field(default_factory=dict)
    covariates: tuple[Covariate, ...] = ()

    @property
    def order(self) -> tuple[str, ...]:
        """The columns of the validated table, in order."""
        return columns_of(self.kind, [c.name for c in self.covariates])

    @property
    def text(self) -> tuple[str, ...]:
        """The columns that hold text."""
        return (*TEXT[self.kind], *(c.name for c in self.covariates if c.kind != "numeric"))

    @property
    def numbers(self) -> tuple[str, ...]:
        """The columns that hold numbers."""
        return (*NUMBERS[self.kind], *(c.name for c in self.covariates if c.kind == "numeric"))

    def factors(self, frame: pd.DataFrame, column: str) -> pd.Series:
        """Return the factor of each cell of a column; `frame` holds the text of the table."""
        factors = pd.Series(self.units.get(column, 1.0), index=frame.index)
        if column != "score":
            return factors
        return frame["benchmark"].map(dict(self.units)).astype(float).fillna(factors)

    @property
    def rules(self) -> dict[str, list[Rule]]:
        """Column -> what its cells must satisfy."""
        return RULES[self.kind] | {c.name: rules_of(c) for c in self.covariates}


class Problem(NamedTuple):
    """An offending cell: the kind of problem, the row and column, and the message."""

    kind: str
    place: str
    message: str


def plural(count: int, one: str, many: str = "") -> str:
    """Return "1 row", "2 rows"; `many` where an s does not make the plural."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def validated(models: Table, *others: Table) -> tuple[pd.DataFrame, ...]:
    """Return the tables with the columns of the schema, in counts and fractions, in the same order.

    Args:
        models: at least model, family and params.
        *others: scores, losses and mixtures; each may have no rows.

    Raises:
        ObservationsError: one for all problems, with the first few of each kind and a count.
    """
    if models.frame.empty:
        raise ObservationsError(
            f"{models.source or 'models'}: expected at least one model, got a table without rows: "
            "check what was read or selected"
        )
    frames: dict[str, pd.DataFrame] = {}
    problems: list[Problem] = []
    source = ""
    for table in (models, *others):
        frame, found = _checked(table)
        if table.kind != "models":
            found += _unknown_models(table, frame, frames["models"])
        if found:
            source = source or table.source
        frames[table.kind] = frame
        problems += found
    if problems:
        raise ObservationsError(_report(problems, source))
    return tuple(_canonical(table, frames[table.kind]) for table in (models, *others))


def _canonical(table: Table, frame: pd.DataFrame) -> pd.DataFrame:
    if table.kind == "models":
        frame = frame.assign(params=frame["params"].round(), tokens=frame["tokens"].round())
        frame["flops"] = frame["flops"].fillna(training_flops(frame["params"], frame["tokens"]))
    frame = frame[list(table.order)].reset_index(drop=True)
    return frame.astype(dict.fromkeys(table.text, str))


def _checked(table: Table) -> tuple[pd.DataFrame, list[Problem]]:
    kind = table.kind
    frame, problems, reported = _parsed(table)
    if kind == "models":
        frame["run"] = frame["run"].fillna(frame["model"])
        frame["lineage"] = frame["lineage"].fillna(frame["family"])
    if table.repeats == "merge" and not problems:
        frame, problems = _merged(table, frame)
    for i, column, check in _failures(table, frame):
        if (i, column) in reported:  # report the first rule that a cell violates
            continue
        if table.cells and check == "rows 0":  # the duplicate model is already reported
            continue
        reported.add((i, column))
        if check == "not_nullable":
            remedy = REMEDY_IF_EMPTY.get(column, "fill it in, or leave the row out")
            if column in (c.name for c in table.covariates):
                remedy = EMPTY_COVARIATE
            message = f"{column} must not be empty: {remedy}"
        elif check.startswith("rows "):
            message = ROW_RULES[kind][int(check[5:])].message(frame, i)
        else:
            message = table.rules[column][int(check)].message(frame[column].iloc[i])
        problems.append(
            Problem(f"{kind} {column} {check}", _place(table, frame, i, column), message)
        )
    return frame, problems


def _parsed(table: Table) -> tuple[pd.DataFrame, list[Problem], set[tuple[int, str]]]:
    """Return text and numbers in counts, the problems, and the cells that are not numbers."""
    raw, kind = table.frame, table.kind
    frame = pd.DataFrame(index=raw.index)
    for column in table.text:
        cells = raw[column] if column in raw else pd.Series(None, index=raw.index, dtype=object)
        frame[column] = names(cells)
    found = []
    for column in table.numbers:
        cells = raw[column] if column in raw else pd.Series(np.nan, index=raw.index)
        numbers, bad = _numbers(cells)
        frame[column] = numbers * table.factors(frame, column)
        found += [(int(i), column, cells.iloc[i]) for i in np.flatnonzero(bad)]
    or_category = {c.name: f", or declare {c.name!r} as 'category'" for c in table.covariates}
    problems = [
        Problem(
            f"{kind} {column} number",
            _place(table, frame, i, column),
            f"{column} must be a number, got {cell!r}: write it plain, without unit or commas"
            + or_category.get(column, ""),
        )
        for i, column, cell in found
    ]
    return frame, problems, {(i, column) for i, column, _ in found}


def names(cells: pd.Series) -> pd.Series:
    """Return text without surrounding blanks, None where the cell is empty or spelt as such."""
    found = [None if pd.isna(cell) else str(cell).strip() for cell in cells]
    found = [None if name is None or name.lower() in MISSING else name for name in found]
    return pd.Series(found, index=cells.index, dtype=object)


def _numbers(cells: pd.Series) -> tuple[pd.Series, np.ndarray]:
    """Return the numbers of a column, and which of its cells are neither numbers nor empty."""
    if pd.api.types.is_numeric_dtype(cells.dtype):
        values = cells.to_numpy(dtype=float, na_value=np.nan)
        return pd.Series(values, index=cells.index), np.zeros(len(cells), dtype=bool)
    texts = names(cells)
    values = pd.to_numeric(texts, errors="coerce").to_numpy(dtype=float)
    return pd.Series(values, index=cells.index), texts.notna().to_numpy() & np.isnan(values)


def _place(table: Table, frame: pd.DataFrame, i: int, column: str) -> str:
    row = frame.iloc[i]
    keys = [f"{key} {row[key]!r}" for key in KEYS[table.kind] if not pd.isna(row[key])]
    name = table.columns.get(column, column)
    if table.cells and column == COLUMNS[table.kind][2]:
        name, keys = table.cells[row[KEYS[table.kind][-1]]], keys[:-1]
    factor = table.factors(frame.iloc[[i]], column).iloc[0]
    times = "" if factor == 1.0 else f" times {factor:g}"
    return f"{row.name}{' (' + ', '.join(keys) + ')' if keys else ''}, column {name!r}{times}"


def _merged(table: Table, frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Problem]]:
    """Join equal rows into one; rows with one key and different values are a problem."""
    keys, problems = KEYS[table.kind], []
    frame = frame[~frame.duplicated()]
    again = (frame.duplicated(keys) & frame[keys].notna().all(axis=1)).to_numpy()
    for i in np.flatnonzero(again):
        here, first = frame.iloc[i], frame.iloc[first_alike(frame, keys, int(i))]
        for column in table.order:
            if here[column] == first[column] or (pd.isna(here[column]) and pd.isna(first[column])):
                continue
            message = (
                f"{table.columns.get(column, column)} must not contradict an earlier row, "
                f"got {shown(here[column])} here and {shown(first[column])} at {first.name}: "
                "make the two agree, or give the models names of their own"
            )
            problems.append(
                Problem(f"{column} merge", _place(table, frame, int(i), column), message)
            )
    return frame[~again], problems


def _failures(table: Table, frame: pd.DataFrame) -> list[tuple[int, str, str]]:
    """Return position, column and rule of every violation, row by row.

    The rules of a column come before those of rows, each in the order in which they are listed.
    """
    frame = frame.reset_index(drop=True)
    found: list[tuple[int, str, str]] = []

    def note(column: str, check: str, broken: pd.Series) -> None:
        found.extend((int(i), column, check) for i in broken.index[broken.astype(bool)])

    for column in (*table.text, *table.numbers):
        if column not in OPTIONAL:
            note(column, "not_nullable", frame[column].isna())
        known = frame[column].dropna()
        for n, rule in enumerate(table.rules.get(column, [])):
            note(column, str(n), ~rule.holds(known))
    for n, row_rule in enumerate(ROW_RULES[table.kind]):
        # these rules handle unknown values themselves
        note(row_rule.column, f"rows {n}", ~row_rule.holds(frame))
    return sorted(found)


def _unknown_models(table: Table, frame: pd.DataFrame, models: pd.DataFrame) -> list[Problem]:
    """Return the rows of another table whose model is not in the table of models."""
    known = [str(name) for name in models["model"].dropna()]
    unknown = (frame["model"].notna() & ~frame["model"].isin(known)).to_numpy()
    return [
        Problem(
            f"{table.kind} unknown model",
            _place(table, frame, int(i), "model"),
            "model must be one of the table of models: add its row there, or correct the name"
            + suggestion(frame["model"].iloc[i], known),
        )
        for i in np.flatnonzero(unknown)
    ]


def _report(problems: list[Problem], source: str) -> str:
    """Return one message with the first few cells of each kind of problem and the number of others."""
    prefix = f"{source}, " if source else ""
    if len(problems) == 1:
        return f"{prefix}{problems[0].place}: {problems[0].message}"
    alike: dict[str, list[Problem]] = {}
    for problem in problems:
        alike.setdefault(problem.kind, []).append(problem)
    lines = [f"{prefix}{plural(len(problems), 'problem')}:"]
    for same in alike.values():
        lines += [f"  {problem.place}: {problem.message}" for problem in same[:MOST_SHOWN]]
        if len(same) > MOST_SHOWN:
            lines.append(f"  ... and {plural(len(same) - MOST_SHOWN, 'more cell')} of this kind")
    return "\n".join(lines)
