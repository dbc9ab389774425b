"""From the words of a command line to values; each refusal names the option to mend."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import pandas as pd

from scalebayes import datasets
from scalebayes.data.csv_files import read_csv
from scalebayes.data.observations import Observations
from scalebayes.data.schema import quoted, suggestion
from scalebayes.laws import by_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from scalebayes.inference.posterior import Fitted
    from scalebayes.model.law import Law


BUNDLED: dict[str, Callable[[], Observations]] = {
    "open_llm": datasets.open_llm,
    "olmo_ladder": datasets.olmo_ladder,
}


def laws() -> dict[str, type[Law]]:
    """All laws by the names that the shell has for them, such as size-and-tokens."""
    return {shell_name(name): law for name, law in by_name().items()}


def shell_name(name: str) -> str:
    """The name of a class in the shell: words in lower case, joined by hyphens."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def law(name: str, choices: Iterable[str] = (), covariates: Iterable[str] = ()) -> Law:
    """Make the law of that name with the choices FIELD=VALUE, and with covariates where there are any."""
    known = laws()
    if name not in known:
        raise ValueError(
            f"there is no law {name!r}"
            + (suggestion(name, known) or f": the laws are {quoted(known)}")
        )
    found: dict[str, Any] = {"covariates": tuple(covariates)}
    fields = choices_of(known[name])
    for pair, field, value in _pairs(choices):
        if field not in fields:
            raise ValueError(
                f"--set {pair} is not for {name}"
                + (suggestion(field, fields) or f", whose choices are {quoted(fields)}")
            )
        found[field] = _value(pair, value, fields[field])
    return known[name](**found)


def choices_of(law: type[Law]) -> dict[str, Any]:
    """The structural choices of a law and their types: its fields but for priors and covariates."""
    types = get_type_hints(law)
    return {
        f.name: types[f.name]
        for f in dataclasses.fields(law)
        if "reason" not in f.metadata and f.name != "covariates"
    }


def allowed(kind: Any) -> str:
    """What a choice of this type may be."""
    if kind is bool:
        return "true or false"
    return ", ".join(get_args(kind)) or getattr(kind, "__name__", str(kind))


def _value(pair: str, text: str, kind: Any) -> Any:
    """The value of a choice in the type of its field."""
    if kind is bool and text in ("true", "false"):
        return text == "true"
    if kind is bool:
        raise ValueError(f"--set {pair} must be true or false")
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            raise ValueError(f"--set {pair} must be a number") from None
    return text


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
) -> tuple[Observations, list[str]]:
    """Read a bundled table or a wide CSV file, with what is known of its benchmarks.

    Args:
        table: open_llm, olmo_ladder, or the path of a CSV file.
        benchmarks: Columns of scores joined by commas, or all.
        names: Our column of models -> the user's.
        losses: Domain -> column of its losses, and their unit.
        mixtures: Source -> column of its weights.
        units: Column -> factor to a count.
        chance: Benchmark -> score of guessing, as the user gave it.
        items: Benchmark -> number of items, as the user gave it.
        covariates: Column -> kind, or levels in order.

    Returns:
        The observations, and lines that say which facts of the benchmarks were used.

    Raises:
        ValueError: An option does not fit the table.
        ObservationsError: The table is refused.
    """
    listed = [name.strip() for name in benchmarks.split(",") if name.strip()]
    if table in BUNDLED:
        if units or chance or items or losses or mixtures or covariates:
            raise ValueError(
                f"{table} has its own facts: leave out --units, --chance, --items, --loss, --mixture and "
                "--covariate"
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
    own = ("run", "lineage", "flops")  # columns of models, never scores
    taken = {*columns.values(), *of_losses, *mixtures.values(), *own, *(covariates or {})}
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
        extra="ignore",
        **columns,
    )
    return found, notes


def _numeric(raw: pd.DataFrame, columns: Iterable[str]) -> list[str]:
    """Columns whose filled cells are all numbers, and not all empty."""
    found = []
    for name in columns:
        cells = raw[name].str.strip().replace("", None).dropna()
        if len(cells) and pd.to_numeric(cells, errors="coerce").notna().all():
            found.append(name)
    if not found:
        raise ValueError("--benchmarks all found no numeric column beside those of the models")
    return found


def _facts(
    benchmarks: Sequence[str], chance: dict[str, float], items: dict[str, float]
) -> tuple[dict[str, float], dict[str, float], list[str]]:
    """Chance levels and item counts, the user's or those of the benchmark of that name; notes."""

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


def _pairs(texts: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Pairs name=value, given apart or joined by commas: the pair as it came, name and value."""
    for pair in (p.strip() for text in texts for p in text.split(",") if p.strip()):
        name, _, value = pair.rpartition("=")
        yield pair, name.strip(), value.strip()


def factors(option: str, texts: Iterable[str]) -> dict[str, float]:
    """Parse name=number pairs, given apart or joined by commas."""
    found: dict[str, float] = {}
    for pair, name, number in _pairs(texts):
        try:
            found[name] = float(number)
        except ValueError:
            name = ""
        if not name:
            raise ValueError(
                f"{option} expects name=number, such as "
                f"{'params=1e9,tokens=1e12' if option == '--units' else 'mmlu=0.25'}, got {pair!r}"
            )
    return found


def losses(texts: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Parse domain=column:unit."""
    found = {}
    for text in texts:
        domain, _, rest = text.partition("=")
        column, _, unit = rest.rpartition(":")
        if not (domain.strip() and column.strip() and unit.strip()):
            raise ValueError(
                f"--loss expects DOMAIN=COLUMN:UNIT, such as c4=c4_loss:nats/token, got {text!r}"
            )
        found[domain.strip()] = column.strip(), unit.strip()
    return found


def mixtures(texts: Iterable[str]) -> dict[str, str]:
    """Parse source=column pairs, given apart or joined by commas."""
    found: dict[str, str] = {}
    for pair, source, column in _pairs(texts):
        if not (source and column):
            raise ValueError(
                f"--mixture expects SOURCE=COLUMN, such as web=share_web, got {pair!r}"
            )
        if source in found:
            raise ValueError(f"--mixture names {source!r} twice: give each source one column")
        found[source] = column
    return found


def covariates(texts: Iterable[str]) -> dict[str, str | list[str]]:
    """Parse column=kind pairs, a kind being numeric, category, or levels in order: base<sft<chat."""
    found: dict[str, str | list[str]] = {}
    for pair, column, kind in _pairs(texts):
        if not (column and kind):
            raise ValueError(
                f"--covariate expects COLUMN=KIND, such as stage=category, got {pair!r}"
            )
        found[column] = [level.strip() for level in kind.split("<")] if "<" in kind else kind
    return found


def covariate_values(fit: Fitted, texts: Iterable[str]) -> dict[str, float | str]:
    """Parse name=value pairs of the covariates of a fit."""
    declared, found = fit.observations.covariates, {}
    for pair, name, value in _pairs(texts):
        if name not in declared:
            raise ValueError(
                f"--covariate {pair}: the fit has no covariate {name!r}"
                + (suggestion(name, declared) or f", it has {quoted(declared) or 'none at all'}")
            )
        numeric = declared[name].kind == "numeric"
        found[name] = factors("--covariate", [pair])[name] if numeric else value
    return found


def numbers(option: str, text: str, example: str) -> list[float]:
    """Parse numbers joined by commas."""
    try:
        return [float(p) for p in text.split(",") if p.strip()]
    except ValueError:
        raise ValueError(f"{option} expects numbers such as {example}, got {text!r}") from None


def probabilities(text: str) -> list[float]:
    """Parse probabilities joined by commas."""
    return numbers("--prob", text, "0.5,0.9")


def whole_numbers(option: str, text: str) -> list[int]:
    """Parse whole numbers from one on, joined by commas."""
    listed = [number.strip() for number in text.split(",") if number.strip()]
    if not listed or not all(re.fullmatch("[1-9][0-9]*", number) for number in listed):
        raise ValueError(f"{option} expects whole numbers such as 1,2, got {text!r}")
    return [int(number) for number in listed]


def named_files(texts: Iterable[str]) -> dict[str, Path]:
    """Parse FILE or NAME=FILE; a file without a name has that of its stem."""
    found: dict[str, Path] = {}
    for text in texts:
        given, _, rest = ("", "", text) if Path(text).exists() else text.rpartition("=")
        name = given.strip() or Path(rest).stem
        if name in found:
            raise ValueError(
                f"two fits are called {name!r}: give one another name, {name}-2={rest}"
            )
        found[name] = Path(rest)
    return found


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
    """Models to predict, their mixtures and covariates, from a file or the options for a single one."""
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
    """Models of a CSV file, with those covariates of the fit that the file has columns for."""
    header = set(read_csv(path).columns)
    declared = {k: c for k, c in fit.observations.covariates.items() if k in header}
    return Observations.from_long(path, units=units, covariates=declared)
