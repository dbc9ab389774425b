"""Reading the caller's tables, wide or long, files or frames, into tables to be validated."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import pandas as pd

from scalebayes.data.covariates import Covariate
from scalebayes.data.csv_files import read_csv
from scalebayes.data.schema import COLUMNS, OPTIONAL, columns_of, quoted, suggestion
from scalebayes.data.validation import ObservationsError, Table, names, plural

Source: TypeAlias = pd.DataFrame | str | os.PathLike[str]
Extra: TypeAlias = Literal["error", "ignore"]
UNITS = ("params", "tokens", "flops", "score", "weight")
REMEDIES = {
    "tokens": "pass tokens=None if no token count is known",
    "unit": "a loss needs its unit, 'nats/token' or 'bits/byte'",
}


def wide_tables(
    table: Source,
    columns: Mapping[str, str],
    benchmarks: Sequence[str],
    *,
    losses: Mapping[str, tuple[str, str]],
    mixtures: Mapping[str, str],
    units: Mapping[str, float] | None,
    chance: Mapping[str, float],
    items: Mapping[str, float],
    extra: Extra,
    covariates: tuple[Covariate, ...] = (),
) -> tuple[Table, ...]:
    """Return the long tables in a wide one, with a row per model and a column per benchmark.

    Scores are sorted by benchmark, so that benchmarks keep the caller's order of first appearance
    whichever models are left out later.

    Args:
        table: a DataFrame or a CSV file.
        columns: our name of a column of models -> the caller's.
        benchmarks: the columns of scores.
        losses: domain -> its column of losses, and their unit.
        mixtures: source -> its column of weights.
        units: column or benchmark -> the factor that gives counts or fractions.
        chance: benchmark -> chance level.
        items: benchmark -> number of items.
        extra: "ignore" leaves out columns that no argument names.
        covariates: the declared covariates of models.

    Raises:
        ObservationsError: a column is missing, unknown or named twice.
    """
    frame, source = _opened(table)
    benchmarks = [benchmarks] if isinstance(benchmarks, str) else list(benchmarks)
    domains = {domain: column for domain, (column, _) in losses.items()}
    own = [covariate.name for covariate in covariates]
    held = [*benchmarks, *domains.values(), *mixtures.values(), *own]
    named = {**columns, **{name: name for name in benchmarks}}
    named |= {f"loss on {domain}": column for domain, column in domains.items()}
    _require(frame, named | {f"weight of {s}": column for s, column in mixtures.items()}, source)
    _require_covariates(frame, own, source, "table")
    wanted = [*columns.values(), *held]
    remedy = "name it in benchmarks=[...], losses={...}, mixtures={...} or covariates={...}"
    _refuse_extra(frame, wanted, source, extra, remedy)
    if twice := list(dict.fromkeys(name for name in held if wanted.count(name) > 1)):
        raise ObservationsError(
            f"expected each benchmark once and apart from the other columns and covariates, "
            f"got {quoted(twice)} twice: name a column for one purpose"
        )
    for argument, levels in (("chance", chance), ("items", items)):
        for name in levels:
            if name not in benchmarks:
                raise ObservationsError(
                    f"{argument}= must name benchmarks of the table, got {name!r}"
                    + (suggestion(name, benchmarks) or f": the benchmarks are {quoted(benchmarks)}")
                )

    models = pd.DataFrame({ours: frame[theirs] for ours, theirs in columns.items()})
    models = models.assign(**{name: frame[name] for name in own})
    factors = _factors(units, benchmarks)
    tables = [Table("models", models, source, columns, factors, covariates=covariates)]
    given: dict[str, tuple[Mapping[str, str], dict[str, Mapping[str, Any]]]] = {
        "scores": ({name: name for name in benchmarks}, {"n_items": items, "chance": chance}),
        "losses": (domains, {"unit": {domain: unit for domain, (_, unit) in losses.items()}}),
        "mixtures": (mixtures, {}),
    }
    for kind, (cells, facts) in given.items():
        rows = _stacked(kind, frame, models["model"], cells, facts)
        named = {"model": columns["model"]}
        tables.append(Table(kind, rows, source, named, factors, cells=cells))
    return tuple(tables)


def _stacked(
    kind: str,
    frame: pd.DataFrame,
    models: pd.Series,
    cells: Mapping[str, str],
    facts: Mapping[str, Mapping[str, Any]],
) -> pd.DataFrame:
    """Return one row per filled cell, column by column; a mixture with one filled cell has all."""
    _, label, value, *_ = COLUMNS[kind]
    filled = {column: names(frame[column]).notna() for column in cells.values()}
    if kind == "mixtures" and cells:
        filled = dict.fromkeys(filled, pd.DataFrame(filled).any(axis=1))
    parts = []
    for name, column in cells.items():
        of_label = {fact: levels.get(name, float("nan")) for fact, levels in facts.items()}
        rows = pd.DataFrame({"model": models, label: name, value: frame[column]} | of_label)
        parts.append(rows[filled[column] & names(models).notna()])
    parts = [rows for rows in parts if len(rows)]
    return pd.concat(parts) if parts else pd.DataFrame(columns=COLUMNS[kind])


def long_table(
    kind: str,
    table: Source | None,
    *,
    units: Mapping[str, float] | None = None,
    extra: Extra = "error",
    covariates: tuple[Covariate, ...] = (),
) -> Table:
    """Return a table with our column names; a table without rows if None is given.

    Raises:
        ObservationsError: a column is missing or unknown.
    """
    if table is None:
        if kind == "scores":
            _factors(units)
        return Table(kind, pd.DataFrame(columns=COLUMNS[kind]))
    frame, source = _opened(table)
    _require(frame, {name: name for name in COLUMNS[kind] if name not in OPTIONAL}, source, kind)
    own = [covariate.name for covariate in covariates]
    remedy = f"name it as the {kind} do"
    if kind == "models":
        _require_covariates(frame, own, source, kind)
        remedy += ", declare it with covariates={...}"
    else:
        covariates = ()
    _refuse_extra(frame, columns_of(kind, own), source, extra, remedy, kind)
    # the names of benchmarks are known from the scores alone
    known = names(frame["benchmark"]).dropna() if kind == "scores" else list(units or {})
    return Table(kind, frame, source, units=_factors(units, known), covariates=covariates)


def split_table(
    table: Source,
    *,
    units: Mapping[str, float] | None,
    extra: Extra,
    covariates: tuple[Covariate, ...] = (),
) -> tuple[Table, ...]:
    """Return the tables joined in one long table, whose rows repeat the columns of the model.

    A row with a benchmark or a score is a score, a row with a domain or a loss is a loss, a row
    with a source or a weight is a share of a mixture.

    Raises:
        ObservationsError: a column is missing or unknown.
    """
    frame, source = _opened(table)
    known = names(frame["benchmark"]).dropna() if "benchmark" in frame else ()
    factors, tables = _factors(units, known), []
    own = [covariate.name for covariate in covariates]
    for kind, (label, value) in {
        "models": ("model", "family"),
        "scores": ("benchmark", "score"),
        "losses": ("domain", "loss"),
        "mixtures": ("source", "weight"),
    }.items():
        present = [column for column in (label, value) if column in frame]
        if kind != "models" and not present:
            tables.append(long_table(kind, None))
            continue
        needed = {name: name for name in COLUMNS[kind] if name not in OPTIONAL}
        _require(frame, needed, source, kind)
        held = pd.concat([names(frame[column]).notna() for column in present], axis=1).any(axis=1)
        rows = frame if kind == "models" else frame[held]
        rows = rows[[name for name in columns_of(kind, own) if name in frame]]
        if kind == "models":
            _require_covariates(frame, own, source, kind)
            given = Table(kind, rows, source, units=factors, repeats="merge", covariates=covariates)
        else:
            given = Table(kind, rows, source, units=factors)
        tables.append(given)
    every = dict.fromkeys(name for kind in COLUMNS for name in columns_of(kind, own))
    remedy = "name it as these tables do, declare it with covariates={...}"
    _refuse_extra(frame, every, source, extra, remedy)
    return tuple(tables)


def _opened(table: Source) -> tuple[pd.DataFrame, str]:
    """Return a table whose index names its rows, and the name of its file."""
    if isinstance(table, str | os.PathLike):
        return read_csv(table), os.path.basename(table)
    if not isinstance(table, pd.DataFrame):
        raise ObservationsError(
            f"expected a pandas DataFrame or the path of a CSV file, got {type(table).__name__}: "
            "convert it, as in pandas.DataFrame(rows)"
        )
    repeated = list(dict.fromkeys(table.columns[table.columns.duplicated()]))
    if repeated:
        raise ObservationsError(
            f"expected each column once, got {quoted(repeated)} more than once: rename them apart"
        )
    return table.set_axis([f"row {label}" for label in table.index]), ""


def _require(
    frame: pd.DataFrame,
    columns: Mapping[str, str],
    source: str,
    kind: str = "table",
    otherwise: str = "name the column that holds it",
) -> None:
    present = [str(name) for name in frame.columns]
    missing = {ours: theirs for ours, theirs in columns.items() if theirs not in present}
    if not missing:
        return
    ours, theirs = next(iter(missing.items()))
    remedy = suggestion(theirs, [name for name in present if name not in columns.values()])
    remedy = remedy or f": {REMEDIES.get(ours, otherwise)}"
    raise ObservationsError(
        f"{source or kind}: expected {plural(len(missing), 'column')} {quoted(missing.values())}, "
        f"got {quoted(present)}{remedy}"
    )


def _require_covariates(frame: pd.DataFrame, names: list[str], source: str, kind: str) -> None:
    columns = {f"covariate {name}": name for name in names}
    _require(frame, columns, source, kind, "add the column, or do not declare the covariate")


def _refuse_extra(
    frame: pd.DataFrame,
    wanted: Iterable[str],
    source: str,
    extra: Extra,
    remedy: str,
    kind: str = "table",
) -> None:
    if extra not in ("error", "ignore"):
        raise ObservationsError(f"extra must be 'error' or 'ignore', got {extra!r}")
    wanted = list(wanted)
    unknown = [name for name in frame.columns if name not in wanted]
    if unknown and extra == "error":
        raise ObservationsError(
            f"{source or kind}: expected no columns beyond {quoted(wanted)}, "
            f"got {quoted(unknown)}: {remedy}, or pass extra='ignore' to leave such columns out"
        )


def _factors(units: Mapping[str, float] | None, benchmarks: Iterable[str] = ()) -> dict[str, float]:
    factors = dict(units or {})
    for column, factor in factors.items():
        if column not in UNITS and column not in (known := list(dict.fromkeys(benchmarks))):
            raise ObservationsError(
                f"units= must name one of {quoted(UNITS)}, or a benchmark, got {column!r}"
                + suggestion(column, [*UNITS, *known])
            )
        if not 0 < factor < float("inf"):
            raise ObservationsError(
                f"units={{{column!r}: ...}} must be a positive factor, got {factor!r}: "
                "pass 1e9 for billions"
            )
    return factors
