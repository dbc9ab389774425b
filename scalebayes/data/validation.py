"""From tables as they came to tables as they must be, or one error that names every offending row.

The rules are those of `schema` and, for covariates, of `covariates`. This module finds the cells
that break them, and states for each the row, the column, what was expected, what came and the remedy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from scalebayes.data.compute import training_flops
from scalebayes.data.covariates import EMPTY_COVARIATE, Covariate, rules_of
from scalebayes.data.schema import (
    COLUMNS,
    EMPTY,
    KEYS,
    MISSING,
    NUMBERS,
    OPTIONAL,
    ROW_RULES,
    RULES,
    TEXT,
    ObservationsError,
    Rule,
    columns_of,
    first_alike,
    shown,
    suggestion,
)

MOST_SHOWN = 3  # cells named for each kind of problem


@dataclass(frozen=True)
class Table:
    """A table as it came, with what is needed to speak of it in the caller's words.

    Attributes:
        kind: "models", "scores", "losses" or "mixtures".
        frame: the table under our column names; its index names the rows ("line 4", "row 0").
        source: the file it came from, or nothing.
        columns: our column name -> the caller's, where they differ.
        units: column -> the factor that turns the figures into counts (a score into a fraction).
        repeats: "merge" folds rows that repeat a key with the same content into one.
        cells: label of a value -> the caller's column that holds it, in a wide table.
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

    @property
    def rules(self) -> dict[str, list[Rule]]:
        """Column -> what its cells must satisfy."""
        return RULES[self.kind] | {c.name: rules_of(c) for c in self.covariates}


class Problem(NamedTuple):
    """An offending cell: what kind of problem, which row and column, and the sentence for it."""

    kind: str
    place: str
    says: str


def plural(count: int, one: str, many: str = "") -> str:
    """Return "1 row", "2 rows"; `many` where an s does not make the plural."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def validated(models: Table, *others: Table) -> tuple[pd.DataFrame, ...]:
    """Return the tables in canonical columns and units, in the order in which they came.

    Args:
        models: at least model, family and params.
        *others: scores, losses and mixtures; each may have no rows.

    Raises:
        ObservationsError: one for all problems, with the first few rows of each kind and a count.
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
            found += _strangers(table, frame, frames["models"])
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
        if (i, column) in reported:  # the first rule that a cell breaks explains it
            continue
        if table.cells and check == "rows 0":  # the duplicate model is reported already
            continue
        reported.add((i, column))
        if check == "not_nullable":
            remedy = EMPTY.get(column, "fill it in, or leave the row out")
            if column in (c.name for c in table.covariates):
                remedy = EMPTY_COVARIATE
            says = f"{column} must not be empty: {remedy}"
        elif check.startswith("rows "):
            says = ROW_RULES[kind][int(check[5:])].says(frame, i)
        else:
            says = table.rules[column][int(check)].says(frame[column].iloc[i])
        problems.append(Problem(f"{kind} {column} {check}", _place(table, frame, i, column), says))
    return frame, problems


def _parsed(table: Table) -> tuple[pd.DataFrame, list[Problem], set[tuple[int, str]]]:
    """Return names and numbers in our units, and the cells that should be numbers and are not."""
    raw, kind = table.frame, table.kind
    frame = pd.DataFrame(index=raw.index)
    for column in table.text:
        cells = raw[column] if column in raw else pd.Series(None, index=raw.index, dtype=object)
        frame[column] = names(cells)
    found = []
    for column in table.numbers:
        cells = raw[column] if column in raw else pd.Series(np.nan, index=raw.index)
        numbers, bad = _numbers(cells)
        frame[column] = numbers * table.units.get(column, 1.0)
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
    """Return text without surrounding blanks, None where the cell is empty in whatever spelling."""
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
    factor = table.units.get(column, 1.0)
    times = "" if factor == 1.0 else f" times {factor:g}"
    return f"{row.name}{' (' + ', '.join(keys) + ')' if keys else ''}, column {name!r}{times}"


def _merged(table: Table, frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Problem]]:
    """Fold rows that say the same into one; a key whose rows contradict each other is a problem."""
    keys, problems = KEYS[table.kind], []
    frame = frame[~frame.duplicated()]
    again = (frame.duplicated(keys) & frame[keys].notna().all(axis=1)).to_numpy()
    for i in np.flatnonzero(again):
        here, first = frame.iloc[i], frame.iloc[first_alike(frame, keys, int(i))]
        for column in table.order:
            if here[column] == first[column] or (pd.isna(here[column]) and pd.isna(first[column])):
                continue
            says = (
                f"{table.columns.get(column, column)} must not contradict an earlier row, "
                f"got {shown(here[column])} here and {shown(first[column])} at {first.name}: "
                "make the two agree, or give the models names of their own"
            )
            problems.append(Problem(f"{column} merge", _place(table, frame, int(i), column), says))
    return frame[~again], problems


def _failures(table: Table, frame: pd.DataFrame) -> list[tuple[int, str, str]]:
    """Return position, column and rule of every cell that breaks a rule, row by row.

    Within a cell the rules of its column come in their order, and those of rows last, since the
    first rule that a cell breaks explains it.
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
        # these rules deal with unknown values themselves
        note(row_rule.column, f"rows {n}", ~row_rule.holds(frame))
    return sorted(found)


def _strangers(table: Table, frame: pd.DataFrame, models: pd.DataFrame) -> list[Problem]:
    """Rows of other tables whose model the table of models does not hold."""
    known = [str(name) for name in models["model"].dropna()]
    unknown = (frame["model"].notna() & ~frame["model"].isin(known)).to_numpy()
    return [
        Problem(
            f"{table.kind} stranger",
            _place(table, frame, int(i), "model"),
            "model must be one of the table of models: add its row there, or correct the name"
            + suggestion(frame["model"].iloc[i], known),
        )
        for i in np.flatnonzero(unknown)
    ]


def _report(problems: list[Problem], source: str) -> str:
    """Return one message: the first few cells of each kind of problem, and how many more."""
    prefix = f"{source}, " if source else ""
    if len(problems) == 1:
        return f"{prefix}{problems[0].place}: {problems[0].says}"
    alike: dict[str, list[Problem]] = {}
    for problem in problems:
        alike.setdefault(problem.kind, []).append(problem)
    lines = [f"{prefix}{plural(len(problems), 'problem')}:"]
    for same in alike.values():
        lines += [f"  {problem.place}: {problem.says}" for problem in same[:MOST_SHOWN]]
        if len(same) > MOST_SHOWN:
            lines.append(f"  ... and {plural(len(same) - MOST_SHOWN, 'more cell')} of this kind")
    return "\n".join(lines)
