"""Sections of a report on the fit itself: limits, law, data, priors and provenance."""

from __future__ import annotations

import hashlib
import inspect
from typing import TYPE_CHECKING, Any

import pandas as pd

from scalebayes import datasets
from scalebayes.data.schema import COLUMNS
from scalebayes.data.validation import plural
from scalebayes.report.section import Section
from scalebayes.report.summary import about, flat
from scalebayes.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalebayes.data.covariates import Covariate
    from scalebayes.inference.posterior import Fit

MIN_FAMILIES_FOR_SPREAD = 5
"""With fewer families, the spread of families is estimated mostly from its prior."""


def law(fit: Fit) -> Section:
    """The law: its equations, references, choices and sampler."""
    what = (inspect.getdoc(type(fit.law)) or "").partition("\n")[0]
    choices = [(k, _listed(v)) for k, v in about(fit)["law"].items() if k != "name"]
    return Section(
        "law",
        "What was fitted",
        [f"{type(fit.law).__name__}: {what[:1].lower()}{what[1:]}"],
        links=list(fit.law.references),
        equations=fit.law.story.strip(),
        tables={
            "Choices of the law": pd.DataFrame(choices, columns=["choice", "value"]),
            "How its posterior was sampled": sampler_settings(fit),
        },
    )


def data(fit: Fit) -> Section:
    """The data: families, benchmarks, losses and covariates, and where they come from."""
    own = fit.observations
    text = [f"{str(own).removeprefix('Observations(').removesuffix(')')}."]
    hidden = [
        plural(int((~seen).sum()), one, many)
        for seen, one, many in ((fit.seen, "score", ""), (fit.losses_seen, "loss", "losses"))
        if not seen.all()
    ]
    if hidden:
        text.append(f"Held out, and not used in the fit: {' and '.join(hidden)}.")
    source, links = datasets.source_of(own), []
    if source:
        text.append(f"The scores are part of a bundled table: {source['title']}.")
        links = [(source["paper"]["title"], source["paper"]["url"])]
        links += [
            (s["repository"].removeprefix("https://"), s["repository"]) for s in source["sources"]
        ]
    scores = own.scores.assign(seen=fit.seen)
    tables = {"Families": _families(own.models, scores)}
    if len(scores):
        of_benchmark = scores.groupby("benchmark", sort=False)
        tables["Benchmarks"] = of_benchmark.agg(
            scores=("seen", "size"), seen=("seen", "sum"), items=("n_items", "first"),
            chance=("chance", "first"), lowest=("score", "min"), median=("score", "median"),
            highest=("score", "max"),
        ).reset_index()  # fmt: skip
        tables["Benchmarks"]["items"] = tables["Benchmarks"]["items"].astype("Int64")
    if len(own.losses):
        of_domain = own.losses.assign(seen=fit.losses_seen).groupby("domain", sort=False)
        tables["Losses"] = of_domain.agg(
            unit=("unit", "first"), losses=("seen", "size"), seen=("seen", "sum"),
            lowest=("loss", "min"), median=("loss", "median"), highest=("loss", "max"),
        ).reset_index()  # fmt: skip
    if fit.covariates:
        tables["Covariates"] = covariates(own.models, fit.covariates)
    return Section("data", "Data", text, links=links, tables=tables)


def limits(fit: Fit) -> Section:
    """Assumptions of the predictions."""
    own = fit.observations
    seen = {*own.scores["model"][fit.seen], *own.losses["model"][fit.losses_seen]}
    known = own.models[own.models["model"].isin(seen)]
    unknown = int(known["tokens"].isna().sum())
    few = ", so that predictions of a new family depend mostly on priors"
    n_family = len(fit.known_families)
    points = [
        "Intervals are conditional on the law. They assume that trends over models of up to "
        f"{known['params'].max() / 1e9:.3g} billion parameters continue for larger models.",
        "Scores are used as published. Differences between evaluations, and test items in the "
        "training data, are not corrected for; the law treats them as noise.",
        f"The spread of families is estimated from {plural(n_family, 'family', 'families')}"
        f"{few if n_family < MIN_FAMILIES_FOR_SPREAD else ''}.",
    ]
    if unknown:
        points.append(
            f"Training tokens of {plural(unknown, 'model')} are unknown, and averaged over."
        )
    return Section("limits", "Limits", points=points)


def priors(fit: Fit) -> Section:
    """The priors of the law and their reasons."""
    table = pd.DataFrame(about(fit)["priors"]).rename(columns={"name": "parameter"})
    text = ["Parameters are named as in the equations of the law."]
    return Section("priors", "Priors", text, tables={"Priors and their reasons": table})


def provenance(fit: Fit, seed: int) -> Section:
    """What is needed to reproduce the page."""
    facts = about(fit)
    parts: dict[str, dict[str, Any]] = {
        "setting": flat(facts["settings"]),
        "seconds": {k: f"{v:.1f}" for k, v in facts["seconds"].items()},
        "version": facts["versions"],
        "held out": {" / ".join([h] if isinstance(h, str) else h): "" for h in fit.held_out},
        "SHA-256 of the table": {
            kind: hashlib.sha256(table.to_csv(index=False).encode()).hexdigest()
            for kind in COLUMNS
            if len(table := getattr(fit.observations, kind))
        },
        "this page": {"seed of predictive draws": seed, "scalebayes": __version__},
    }
    rows = [(part, k, str(v)) for part, values in parts.items() for k, v in values.items()]
    table = pd.DataFrame(rows, columns=["part", "name", "value"])
    return Section("provenance", "Provenance", tables={"Settings, versions and data": table})


def covariates(models: pd.DataFrame, declared: Sequence[Covariate]) -> pd.DataFrame:
    """One row per covariate: its kind, the models that have it, and its values over them.

    Args:
        models: The table of models, with a column for each covariate.
        declared: Declarations of the covariates, with their levels.

    Returns:
        Columns covariate, kind, models (how many have a value), and values: a range, or the number of models
        with each level, in the order of the declaration.
    """
    rows = []
    for covariate in declared:
        values = models[covariate.name].dropna()
        if covariate.kind == "numeric":
            shown = _range(values.astype(float), digits=6)
        else:
            joint = " < " if covariate.kind == "ordered" else ", "
            count = values.value_counts()
            shown = joint.join(f"{level} ({count.get(level, 0)})" for level in covariate.levels)
        rows.append((covariate.name, covariate.kind, len(values), shown))
    return pd.DataFrame(rows, columns=["covariate", "kind", "models", "values"])


def sampler_settings(fit: Fit) -> pd.DataFrame:
    """Settings of the sampler, one row each; those of a sampler within another come after its own."""
    rows = [(k, _listed(v)) for k, v in flat(about(fit)["settings"]).items()]
    return pd.DataFrame(rows, columns=["setting", "value"])


def _listed(value: Any) -> Any:
    """A value for a cell of a table: a list as text."""
    return (", ".join(map(str, value)) or "none") if isinstance(value, list | tuple) else value


def _families(models: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """One row per family: models, their sizes and tokens, and numbers of scores in all and in the fit."""
    family = scores["model"].map(models.set_index("model")["family"])
    of_family = models.groupby("family", sort=False)
    table = of_family.agg(models=("model", "size"))
    table["parameters (billion)"] = of_family["params"].agg(lambda v: _range(v / 1e9))
    table["tokens (trillion)"] = of_family["tokens"].agg(lambda v: _range(v / 1e12))
    seen = scores["seen"].groupby(family).agg(["size", "sum"])
    table[["scores", "seen"]] = seen.reindex(table.index).fillna(0).astype(int)
    return table.reset_index()


def _range(values: pd.Series, digits: int = 3) -> str:
    """The smallest and the largest of the numbers that are not missing, as text."""
    known = values.dropna()
    ends = (
        dict.fromkeys(f"{v:.{digits}g}" for v in (known.min(), known.max())) if len(known) else ()
    )
    return " to ".join(ends) or "-"
