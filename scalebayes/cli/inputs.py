"""Tables of the user: observations to fit, and models to ask a fit about."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pandas as pd

from scalebayes import datasets
from scalebayes.cli.options import factors, pairs
from scalebayes.data.csv_files import read_csv
from scalebayes.data.observations import Observations
from scalebayes.data.schema import quoted, suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from scalebayes.inference.posterior import Fitted

BUNDLED: dict[str, Callable[[], Observations]] = {
    "open_llm": datasets.open_llm,
    "olmo_ladder": datasets.olmo_ladder,
}
"""Tables that come with the package, by name."""

NOT_SCORES = ("run", "lineage", "flops")
"""Columns that describe a model under these very names, never scores."""


def observations(
    table: str,
    benchmarks: str,
    names: dict[str, str],
    *,
    losses: dict[str, tuple[str, str]],
    mixtures: dict[str, str],
    units: dict[str, float],
    chance: dict[str, float],
    items: dict[str, float],
    covariates: dict[str, str | list[str]] | None = None,
    trust_scales: bool = False,
) -> tuple[Observations, list[str]]:
    """Read a bundled table, or a CSV file with one row per model.

    Args:
        table: open_llm, olmo_ladder, or the path of a CSV file.
        benchmarks: Columns of scores joined by commas, or all.
        names: Column that the package expects -> column of the file.
        losses: Domain -> column of its losses, and their unit.
        mixtures: Source -> column of its weights.
        units: Column -> factor to a count.
        chance: Benchmark -> chance level given by the user.
        items: Benchmark -> number of items given by the user.
        covariates: Column -> kind, or levels in order.
        trust_scales: Whether to accept scores on any scale.

    Returns:
        The observations, and one line per benchmark with the chance level and number of items in use.

    Raises:
        ValueError: If an option does not fit the table.
        ObservationsError: If the table is refused.
    """
    listed = [name.strip() for name in benchmarks.split(",") if name.strip()]
    if table in BUNDLED:
        if units or chance or items or losses or mixtures or covariates:
            raise ValueError(
                f"{table} is a bundled table, whose units, losses and benchmarks are known: leave out --units, "
                "--chance, --items, --loss, --mixture and --covariate"
            )
        bundled = BUNDLED[table]()
        chosen = bundled.only(benchmarks=listed) if listed and listed != ["all"] else bundled
        return chosen, []
    columns: dict[str, Any] = {
        ours: None if ours == "tokens" and theirs == "none" else theirs
        for ours, theirs in names.items()
    }
    raw = read_csv(table)
    of_losses = (column for column, _ in losses.values())
    taken = {*columns.values(), *of_losses, *mixtures.values(), *NOT_SCORES, *(covariates or {})}
    others = [c for c in raw.columns if c not in taken]
    if not listed and not losses:
        raise ValueError(
            f"name the columns of {table} that hold scores: --benchmarks a,b, or --benchmarks all "
            f"for all numeric ones of {', '.join(others)}"
        )
    if listed == ["all"]:
        listed = _numeric(raw, others)
    known_chance, known_items, notes = _facts(listed, chance, items)
    found = Observations.from_wide(
        table,
        benchmarks=listed,
        losses=losses,
        mixtures=mixtures,
        units=units,
        chance=known_chance,
        items=known_items,
        covariates=covariates or {},
        scales="trust" if trust_scales else "check",
        extra="ignore",
        **columns,
    )
    return found, notes


def models(
    path: Path | None,
    model: str | None,
    family: str | None,
    params: float | None,
    tokens: float | None,
    units: dict[str, float],
    fit: Fitted,
    covariate: Iterable[str] = (),
) -> Observations:
    """Models to predict, from a file, or a single one from its options."""
    values = covariate_values(fit, covariate)
    single = {"model": model, "family": family, "params": params}
    given = [f"--{k}" for k, v in {**single, "tokens": tokens}.items() if v is not None]
    given += ["--covariate"] * bool(values)
    if path is not None:
        if given:
            raise ValueError(f"give either --models or a single model, not --models and {given[0]}")
        return models_from(path, units, fit)
    if missing := [f"--{k}" for k, v in single.items() if v is None]:
        raise ValueError(
            f"a single model needs --model, --family and --params: {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing (or give a file with --models)"
        )
    declared = {name: fit.observations.covariates[name] for name in values}
    table = pd.DataFrame([{**single, "tokens": tokens, **values}])
    return Observations.from_long(table, units=units, covariates=declared)


def models_from(path: Path, units: dict[str, float], fit: Fitted) -> Observations:
    """Models of a CSV file; columns named as covariates of the fit are covariates."""
    header = set(read_csv(path).columns)
    declared = {k: c for k, c in fit.observations.covariates.items() if k in header}
    return Observations.from_long(path, units=units, covariates=declared)


def covariate_values(fit: Fitted, texts: Iterable[str]) -> dict[str, float | str]:
    """Parse pairs name=value; values of numeric covariates become numbers."""
    declared, found = fit.observations.covariates, {}
    for pair, name, value in pairs(texts):
        if not name:
            raise ValueError(f"--covariate expects NAME=VALUE, such as stage=chat, got {pair!r}")
        if name not in declared:
            raise ValueError(
                f"--covariate {pair}: the fit has no covariate {name!r}"
                + (suggestion(name, declared) or f", it has {quoted(declared) or 'none at all'}")
            )
        numeric = declared[name].kind == "numeric"
        found[name] = factors("--covariate", [pair])[name] if numeric else value
    return found


def _numeric(raw: pd.DataFrame, columns: Iterable[str]) -> list[str]:
    """Columns with at least one filled cell and with numbers in all filled cells."""
    found = []
    for name in columns:
        cells = raw[name].str.strip().replace("", None).dropna()
        if len(cells) and pd.to_numeric(cells, errors="coerce").notna().all():
            found.append(name)
    if not found:
        raise ValueError(
            "--benchmarks all found no numeric column other than those that describe models"
        )
    return found


def _facts(
    benchmarks: Sequence[str], chance: dict[str, float], items: dict[str, float]
) -> tuple[dict[str, float], dict[str, float], list[str]]:
    """Chance levels and numbers of items, given by the user or looked up by name; and the notes on them."""

    def plain(name: str) -> str:
        return re.sub(r"[^a-z0-9]+", "_", name.lower())

    facts = {fact["benchmark"]: fact for fact in datasets.benchmark_facts().to_dict("records")}
    chance, items, notes = dict(chance), dict(items), []
    for name in benchmarks:
        said = []
        fact = facts.get(plain(name))
        for what, given, column in (("chance", chance, "chance"), ("items", items, "n_items")):
            if name in given:
                said.append(f"{what} {given[name]:g} (given)")
            elif fact:
                given[name] = fact[column]
                said.append(f"{what} {given[name]:g} (looked up)")
            else:
                said.append(f"{what} unknown, give it with --{what} {name}=...")
        notes.append(f"{name}: {', '.join(said)}")
    return chance, items, notes
